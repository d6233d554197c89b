package jdbc

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/sqldb"
)

// tableOf returns the table of a topic's records. dynamic says that it takes the source block of each to know.
func (t *task) tableOf(topic string) (name tableName, dynamic bool, err error) {
	if mapped, ok := t.tables[topic]; ok {
		name, err = t.parseTable(mapped)
		return name, false, err
	}
	if strings.Contains(t.tableFormat, "${source.") {
		return name, true, nil
	}
	name, err = t.parseTable(t.expand(topic))
	return name, false, err
}

// expand puts the topic into the format.
func (t *task) expand(topic string) string {
	if t.underscores {
		topic = strings.ReplaceAll(topic, ".", "_")
	}
	return strings.ReplaceAll(t.tableFormat, "${topic}", topic)
}

// parseTable parts schema and table. Names of three parts name the database first, which must be the connection's own.
func (t *task) parseTable(text string) (tableName, error) {
	parts := strings.Split(text, ".")
	if !t.quoted {
		for i := range parts {
			parts[i] = t.dialect.fold(parts[i])
		}
	}
	most := 3
	if t.address.Kind != sqldb.PostgreSQL {
		most = 2
	}
	if len(parts) == 3 && most == 3 && parts[0] == t.address.Database {
		parts = parts[1:]
	}
	if len(parts) > 2 || slices.Contains(parts, "") {
		return tableName{}, &connectors.Error{Op: "name a table", Class: connectors.ClassConfig,
			Err:    fmt.Errorf("%q is not a table's name, nor schema and table", text),
			Remedy: "set table.name.format=${source.table}, collection.name.format=${topic} (which makes underscores of dots), or topics.to.tables.mapping"}
	}
	if len(parts) == 2 {
		return tableName{parts[0], parts[1]}, nil
	}
	return tableName{name: parts[0]}, nil
}

// namer names the tables of change events with one schema, by the format and the source block. It keeps the last name:
// the events of a topic are nearly always of one table.
type namer struct {
	envelope *envelope
	schema   *connectors.Schema // of the source block
	pieces   []namePiece
	fields   [][]byte // scratch: the values of the block's fields, as far as they are asked for
	text     []byte   // scratch
	last     string
	name     tableName
}

// namePiece is a part of a format: text as it is, and a field of the source block behind it, or -1.
type namePiece struct {
	text  string
	field int
}

// newNamer compiles the format for the change events of a topic.
func (t *task) newNamer(topic string, value *connectors.Schema) (*namer, error) {
	var e *envelope
	if value != nil && value.Type == connectors.Struct {
		e = findEnvelope(value)
	}
	if e == nil {
		return nil, fmt.Errorf("no change event, so that %s says no table", t.tableFormat)
	}
	n := &namer{envelope: e, schema: e.schema.Fields[e.source].Schema}
	rest := t.expand(topic)
	for {
		text, behind, found := strings.Cut(rest, "${source.")
		if !found {
			n.pieces = append(n.pieces, namePiece{text, -1})
			return n, nil
		}
		name, behind, _ := strings.Cut(behind, "}")
		i := n.schema.FieldIndex(name)
		if i < 0 || n.schema.Fields[i].Schema.Type != connectors.String {
			return nil, fmt.Errorf("the source block has no text %s, which %s asks for", name, t.tableFormat)
		}
		n.pieces = append(n.pieces, namePiece{text, i})
		for len(n.fields) <= i {
			n.fields = append(n.fields, nil)
		}
		rest = behind
	}
}

// table names the table of an event.
func (n *namer) table(t *task, value connectors.Data) (tableName, error) {
	present, src, err := connectors.ReadPresent(value.Schema, value.Bytes)
	if err != nil || !present {
		return tableName{}, errors.Join(err, connectors.ErrMalformed)
	}
	for i := 0; i < n.envelope.source && err == nil; i++ {
		src, err = connectors.SkipValue(n.envelope.schema.Fields[i].Schema, src)
	}
	if err == nil {
		err = n.read(src)
	}
	if err != nil {
		return tableName{}, fmt.Errorf("the source block: %w", err)
	}
	n.text = n.text[:0]
	for _, p := range n.pieces {
		n.text = append(n.text, p.text...)
		if p.field < 0 {
			break
		}
		if n.fields[p.field] == nil {
			return tableName{}, fmt.Errorf("the source block has no %s, which %s asks for", n.schema.Fields[p.field].Name, t.tableFormat)
		}
		n.text = append(n.text, n.fields[p.field]...)
	}
	if string(n.text) == n.last {
		return n.name, nil
	}
	name, err := t.parseTable(string(n.text))
	if err == nil {
		n.last, n.name = string(n.text), name
	}
	return name, err
}

// read reads the source block as far as the last field that is asked for.
func (n *namer) read(src []byte) error {
	present, src, err := connectors.ReadPresent(n.schema, src)
	if err != nil {
		return err
	}
	clear(n.fields)
	if !present {
		return nil
	}
	for i := range n.fields {
		s := n.schema.Fields[i].Schema
		if s.Type != connectors.String {
			src, err = connectors.SkipValue(s, src)
		} else if present, src, err = connectors.ReadPresent(s, src); err == nil && present {
			n.fields[i], src, err = connectors.ReadBytes(src)
		}
		if err != nil {
			return fmt.Errorf("field %s: %w", n.schema.Fields[i].Name, err)
		}
	}
	return nil
}
