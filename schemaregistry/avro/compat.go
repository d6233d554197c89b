package avro

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxIncompatibilities bounds an answer; Java repeats what it found in a type at every use of the type.
const maxIncompatibilities = 1000

// Incompatibility is one reason why a reader's schema cannot read what a writer's schema wrote.
type Incompatibility struct {
	// Type is Java's: NAME_MISMATCH, FIXED_SIZE_MISMATCH, MISSING_ENUM_SYMBOLS, READER_FIELD_MISSING_DEFAULT_VALUE,
	// TYPE_MISMATCH or MISSING_UNION_BRANCH.
	Type string
	// Location is a JSON pointer into the reader's schema.
	Location string
	// Message is what is missing, expected or different.
	Message string
}

// CanRead returns every reason why data written under writer cannot be read as reader, by the rules of Java's
// SchemaCompatibility (Avro 1.12), in its order; nil if it can be. Names are compared without their namespaces, and
// logical types not at all. An error means that the question has no answer: a field of the reader goes by the names
// of two fields of the writer.
func CanRead(reader, writer *Schema) ([]Incompatibility, error) {
	c := checker{results: make(map[[2]*Schema]*result)}
	list := c.check(reader, writer, nil)
	return list, c.err
}

// checker holds what has been found out about pairs of schemas. The same pair is checked once: while that is going on
// it counts as compatible, which ends recursion, and later its result is repeated with the first location.
type checker struct {
	results map[[2]*Schema]*result
	err     error
}

type result struct{ found []Incompatibility }

// location is a path into the reader's schema, shared by its extensions.
type location struct {
	up    *location
	token string
}

func (l *location) at(token string) *location { return &location{l, token} }

func (l *location) String() string {
	var tokens []string
	for ; l != nil; l = l.up {
		tokens = append(tokens, l.token)
	}
	slices.Reverse(tokens)
	return "/" + strings.Join(tokens, "/")
}

func (c *checker) check(r, w *Schema, at *location) []Incompatibility {
	if fits(r, w) {
		return nil
	}
	pair := [2]*Schema{r, w}
	if known := c.results[pair]; known != nil {
		return known.found
	}
	res := &result{}
	c.results[pair] = res
	found := c.compare(r, w, at)
	res.found = found[:min(len(found), maxIncompatibilities)]
	return res.found
}

func (c *checker) compare(r, w *Schema, at *location) []Incompatibility {
	if c.err != nil {
		return nil
	}
	switch {
	case w.Type == Union:
		return c.writerUnion(r, w, at)
	case r.Type == Union:
		for _, b := range r.Branches {
			if len(c.check(b, w, nil)) == 0 {
				return nil
			}
		}
		return []Incompatibility{missingBranch(w, at)}
	case r.Type != w.Type:
		if promotes(w.Type, r.Type) {
			return nil
		}
		return []Incompatibility{mismatch(r, w, at)}
	}
	switch r.Type {
	case Array, Map:
		return c.check(r.Elem, w.Elem, at.at(elemMember(r)))
	case Fixed:
		found := checkNames(r, w, at)
		if r.Size != w.Size {
			found = append(found, Incompatibility{"FIXED_SIZE_MISMATCH", at.at("size").String(),
				fmt.Sprintf("expected: %d, found: %d", w.Size, r.Size)})
		}
		return found
	case Enum:
		return append(checkNames(r, w, at), checkSymbols(r, w, at)...)
	case Record:
		return append(checkNames(r, w, at), c.fields(r, w, at)...)
	}
	return nil
}

// writerUnion checks that every branch of the writer can be read.
func (c *checker) writerUnion(r, w *Schema, at *location) []Incompatibility {
	var found []Incompatibility
	for i, b := range w.Branches {
		here := at.at(strconv.Itoa(i))
		if r.Type != Union {
			found = append(found, c.check(r, b, here)...)
		} else if len(c.check(r, b, nil)) > 0 {
			found = append(found, missingBranch(b, here))
		}
		if len(found) > maxIncompatibilities {
			break
		}
	}
	return found
}

// fits reports whether r reads what w wrote as far as that can be seen without looking into named types, which most
// fields of most records come down to. False says nothing.
func fits(r, w *Schema) bool {
	switch {
	case r.Type == w.Type && r.Type <= String:
		return true
	case w.Type == Union:
		for _, b := range w.Branches {
			if !fits(r, b) {
				return false
			}
		}
		return true
	case r.Type == Union:
		for _, b := range r.Branches {
			if fits(b, w) {
				return true
			}
		}
		return false
	case r.named():
		return false
	case r.Type != w.Type:
		return promotes(w.Type, r.Type)
	case r.Elem != nil:
		return fits(r.Elem, w.Elem)
	}
	return true
}

// promotes reports whether Avro reads type w as type r.
func promotes(w, r Type) bool {
	switch r {
	case Long:
		return w == Int
	case Float:
		return w == Int || w == Long
	case Double:
		return w == Int || w == Long || w == Float
	case Bytes:
		return w == String
	case String:
		return w == Bytes
	}
	return false
}

func upper(t Type) string { return strings.ToUpper(t.String()) }

func mismatch(r, w *Schema, at *location) Incompatibility {
	return Incompatibility{"TYPE_MISMATCH", at.String(),
		fmt.Sprintf("reader type: %s not compatible with writer type: %s", upper(r.Type), upper(w.Type))}
}

func missingBranch(w *Schema, at *location) Incompatibility {
	return Incompatibility{"MISSING_UNION_BRANCH", at.String(), "reader union lacking writer type: " + upper(w.Type)}
}

// checkNames compares simple names; an alias of the reader must be the writer's full name.
func checkNames(r, w *Schema, at *location) []Incompatibility {
	_, reader := splitName(r.Name)
	_, writer := splitName(w.Name)
	if reader == writer || slices.Contains(r.Aliases, w.Name) {
		return nil
	}
	return []Incompatibility{{"NAME_MISMATCH", at.at("name").String(), "expected: " + w.Name}}
}

// checkSymbols demands that the reader knows the writer's symbols, or has a default for those it does not know.
func checkSymbols(r, w *Schema, at *location) []Incompatibility {
	if r.enumDefault != nil {
		return nil
	}
	known := make(map[string]bool, len(r.Symbols))
	for _, s := range r.Symbols {
		known[s] = true
	}
	var missing []string
	for _, s := range w.Symbols {
		if !known[s] {
			missing = append(missing, s)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return []Incompatibility{{"MISSING_ENUM_SYMBOLS", at.at("symbols").String(), "[" + strings.Join(missing, ", ") + "]"}}
}

// fields demands that each field of the reader is one of the writer's or has a default.
func (c *checker) fields(r, w *Schema, at *location) []Incompatibility {
	var found []Incompatibility
	for i := range r.Fields {
		f := &r.Fields[i]
		if i < len(w.Fields) && len(f.Aliases) == 0 && w.Fields[i].Name == f.Name && fits(f.Schema, w.Fields[i].Schema) {
			continue
		}
		of, hits := w.field(f.Name), 0
		if of != nil {
			hits++
		}
		for _, a := range f.Aliases {
			if s := w.field(a); s != nil {
				of = s
				hits++
			}
		}
		if of == nil && f.def != nil || hits == 1 && fits(f.Schema, of.Schema) {
			continue
		}
		here := at.at("fields").at(strconv.Itoa(i))
		switch {
		case hits > 1:
			c.err = fmt.Errorf("reader record field %s matches multiple fields in writer record schema %s", f.Name, w.Name)
			return nil
		case of != nil:
			found = append(found, c.check(f.Schema, of.Schema, here.at("type"))...)
		case f.Schema.Type == Enum && f.Schema.enumDefault != nil:
			// Java tries the enum's default, and compares the enum with the whole record for it.
			found = append(found, c.check(f.Schema, w, here.at("type"))...)
		default:
			found = append(found, Incompatibility{"READER_FIELD_MISSING_DEFAULT_VALUE", here.String(), f.Name})
		}
		if len(found) > maxIncompatibilities {
			break
		}
	}
	return found
}

// Describe returns the incompatibility as Confluent's registry words it, where reader and writer are "new" and "old"
// or the other way round.
func (i Incompatibility) Describe(reader, writer string) string {
	var d string
	switch i.Type {
	case "FIXED_SIZE_MISMATCH":
		d = "The size of FIXED type field at path '" + i.Location + "' in the " + reader + " schema does not match with the " + writer + " schema"
	case "TYPE_MISMATCH":
		d = "The type (path '" + i.Location + "') of a field in the " + reader + " schema does not match with the " + writer + " schema"
	case "NAME_MISMATCH":
		d = "The name of the schema has changed (path '" + i.Location + "')"
	case "MISSING_ENUM_SYMBOLS":
		d = "The " + reader + " schema is missing enum symbols '" + i.Message + "' at path '" + i.Location + "' in the " + writer + " schema"
	case "MISSING_UNION_BRANCH":
		d = "The " + reader + " schema is missing a type inside a union field at path '" + i.Location + "' in the " + writer + " schema"
	case "READER_FIELD_MISSING_DEFAULT_VALUE":
		d = "The field '" + i.Message + "' at path '" + i.Location + "' in the " + reader + " schema has no default value and is missing in the " + writer + " schema"
	}
	return "{errorType:'" + i.Type + "', description:'" + d + "', additionalInfo:'" + i.Message + "'}"
}

// Explain returns every reason why data written under writer cannot be read as reader, in the words of Confluent's
// registry; nil if it can be. readerIs and writerIs are "new" and "old", or the other way round.
func Explain(reader, writer *Schema, readerIs, writerIs string) []string {
	found, err := CanRead(reader, writer)
	if err != nil {
		return []string{"Unexpected exception during compatibility check: " + err.Error()}
	}
	var messages []string
	for _, i := range found {
		messages = append(messages, i.Describe(readerIs, writerIs))
	}
	return messages
}
