package postgres

import (
	"bytes"
	"context"
	"slices"
)

// A schema lists the labels of an enumeration, and a label that is added is nowhere in the log before a row has it. So
// the rows of the log are looked through for labels that are not known: each of them leads to one look into the catalog,
// and its row is the first with a schema that lists it. Where the catalog does not have the label, because it was renamed
// since, it is listed behind the others.

// enumeration is a column whose values are labels, or arrays of labels.
type enumeration struct {
	at        int    // of the table's columns
	oid       uint32 // of the enumeration itself, not of a domain over it
	array     bool
	delimiter byte // between the elements
	labels    []string
	known     map[string]bool
}

// enumeration looks for the enumeration that a type is made of.
func (c *compiler) enumeration(at int, oid uint32) (enumeration, bool) {
	e := enumeration{at: at, oid: oid}
	for {
		t, ok := c.lookup(e.oid)
		switch {
		case ok && t.Kind == 'd':
			e.oid = t.Base
		case ok && t.IsArray && !e.array:
			elem, _ := c.lookup(t.Elem)
			e.oid, e.array, e.delimiter = t.Elem, true, elem.Delimiter
		case ok && t.Kind == 'e':
			e.labels, e.known = t.Labels, map[string]bool{}
			for _, l := range t.Labels {
				e.known[l] = true
			}
			return e, true
		default:
			return e, false
		}
	}
}

// unknown returns the first label in a row that the enumeration is not known to have.
func (e *enumeration) unknown(cells []cell) (label string, found bool) {
	if e.at >= len(cells) || cells[e.at].kind != cellText {
		return "", false
	}
	text := cells[e.at].text
	if !e.array {
		return string(text), !e.known[string(text)]
	}
	body, err := arrayBody(text)
	var scratch []byte
	for more := err == nil && len(body) > 0; more; {
		var part []byte
		var quoted bool
		if part, quoted, body, more, err = nextElement(body, e.delimiter, &scratch); err != nil {
			break // its reader says so
		}
		if !e.known[string(part)] && (quoted || !bytes.EqualFold(part, []byte("NULL"))) {
			return string(part), true
		}
	}
	return "", false
}

// lists reports whether the table's schemas list the labels that the catalog has. Of a type that was dropped it has none.
func (t *table) lists(lookup func(oid uint32) (typ, bool)) bool {
	return !slices.ContainsFunc(t.enums, func(e enumeration) bool {
		now, ok := lookup(e.oid)
		return ok && !slices.Equal(now.Labels, e.labels)
	})
}

// labelled returns the version of the table that lists the labels of the present change.
func (st *stream) labelled(ctx context.Context, oid uint32, t *table) (*table, error) {
	for i := 0; i < len(t.enums); {
		e := &t.enums[i]
		label, found := e.unknown(st.cells)
		if !found {
			label, found = e.unknown(st.old)
		}
		if !found {
			i++
			continue
		}
		query, cancel := st.s.queryContext(ctx)
		err := st.cat.learn(query, e.oid, label)
		cancel()
		if err != nil {
			return nil, trouble("read the labels of an enumeration of "+t.id, err)
		}
		now, err := st.version(t.shape)
		if err != nil {
			return nil, err
		}
		if now == t {
			return t, nil // the type was dropped since
		}
		t, st.relations[oid] = now, now
	}
	return t, nil
}

// learn reads an enumeration again of which the log has a label that is not known.
func (c *catalog) learn(ctx context.Context, oid uint32, label string) error {
	known := c.types[oid]
	delete(c.types, oid)
	now, ok := c.lookup(ctx, oid)
	if err := c.err; err != nil {
		c.err = nil
		return err
	}
	if !ok {
		now = known
	}
	if now.OID != 0 && !slices.Contains(now.Labels, label) {
		now.Labels = append(slices.Clip(now.Labels), label)
	}
	c.types[oid] = now
	return nil
}
