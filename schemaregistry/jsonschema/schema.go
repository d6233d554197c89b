package jsonschema

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	compiled "github.com/santhosh-tekuri/jsonschema/v6"
)

// ErrSchema says that a text is not a JSON Schema.
var ErrSchema = errors.New("not a valid JSON Schema")

// Limits of a text: its size in bytes, and how many objects it consists of. Compiling takes time that grows with the
// square of these; this many take less than half a second.
const (
	maxText    = 5 << 20
	maxObjects = 5000
)

// Schema is one JSON Schema. It must not be changed, and may be used by several goroutines at once.
type Schema struct {
	node *node
	root *compiled.Schema
}

// Reference is a schema that others may refer to by its name, or by its "$id".
type Reference struct {
	Name   string
	Schema *Schema
}

// Parse reads the text of a schema. What it refers to by URL must be among the references. Errors wrap ErrSchema.
func Parse(text string, references []Reference) (*Schema, error) {
	s, err := parse(text, references)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSchema, err)
	}
	return s, nil
}

func parse(text string, references []Reference) (*Schema, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("the text has %d bytes, the limit is %d", len(text), maxText)
	}
	many := fmt.Errorf("the text has more than %d objects", maxObjects)
	if strings.Count(text, "{") > 4*maxObjects { // a few may be in strings; so many are not worth a look
		return nil, many
	}
	n, err := parseText(text)
	if err != nil {
		return nil, err
	}
	if n.objects() > maxObjects {
		return nil, many
	}
	if _, ok := n.scalar.(bool); n.is != '{' && !ok {
		return nil, errors.New("a schema is an object or a boolean")
	}
	s := &Schema{node: n}
	c := compiled.NewCompiler()
	c.DefaultDraft(compiled.Draft7)
	c.UseRegexpEngine(compilePattern)
	c.UseLoader(&loader{s, references})
	if s.root, err = c.Compile(base); err != nil {
		return nil, err
	}
	return s, nil
}

// base is the URL of a schema that has no "$id".
const base = "mem:///schema"

// loader hands the compiler what it asks for by URL, and never fetches anything.
type loader struct {
	main       *Schema
	references []Reference
}

func (l *loader) Load(address string) (any, error) {
	if address == base {
		return document(l.main.node), nil
	}
	id := l.main.node.memberText("$id")
	for _, r := range l.references {
		n := r.Schema.node
		if address == r.Name || address == resolve(base, r.Name) || address == resolve(id, r.Name) ||
			address == strings.TrimSuffix(n.memberText("$id"), "#") {
			return document(n), nil
		}
	}
	return nil, fmt.Errorf("%s is none of the schema's references, and nothing is fetched from elsewhere", strings.TrimPrefix(address, "mem:///"))
}

// document returns the value that is compiled. A "$schema" that is none of the drafts' is left out, as it says nothing:
// draft 7 is meant then.
func document(n *node) any {
	v := n.value()
	draft := strings.TrimSuffix(n.memberText("$schema"), "#")
	_, rest, _ := strings.Cut(draft, "://json-schema.org/")
	if object, ok := v.(map[string]any); ok && !slices.Contains([]string{"draft-04/schema", "draft-06/schema", "draft-07/schema",
		"draft/2019-09/schema", "draft/2020-12/schema"}, rest) {
		delete(object, "$schema")
	}
	return v
}

func resolve(from, name string) string {
	f, err := url.Parse(from)
	if err != nil {
		return ""
	}
	u, err := f.Parse(name)
	if err != nil {
		return ""
	}
	return u.String()
}

// pattern is a regular expression; of one that Go does not know (look-around, back references) only its text counts.
type pattern struct {
	text string
	re   *regexp.Regexp
}

func compilePattern(text string) (compiled.Regexp, error) {
	re, err := regexp.Compile(text)
	if err != nil {
		return pattern{text: text}, nil
	}
	return pattern{text, re}, nil
}

func (p pattern) String() string            { return p.text }
func (p pattern) MatchString(s string) bool { return p.re != nil && p.re.MatchString(s) }

// String returns the text without white space, its members in the order in which they were read.
func (s *Schema) String() string { return string(s.node.append(nil)) }

// Normal returns s with the members of all objects by name. Two texts that differ in nothing else have one normal form.
func (s *Schema) Normal() *Schema { return &Schema{s.node.sorted(), s.root} }

// Equal reports whether a and b are one schema to a registry: the order of members does not count.
func Equal(a, b *Schema) bool {
	return string(a.node.sorted().append(nil)) == string(b.node.sorted().append(nil))
}

// Properties returns the names of the properties at the top.
func (s *Schema) Properties() []string {
	var names []string
	if p := s.node.member("properties"); p != nil {
		for _, m := range p.object {
			names = append(names, m.name)
		}
	}
	return names
}
