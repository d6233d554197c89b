package plugins

import (
	"fmt"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/plugins/pluginpb"
)

const (
	// maxSchemas is the number of different schemas that a stream may carry. A source that makes up a schema per
	// record is stopped by it before it has filled the hub's memory.
	maxSchemas = 100_000
	// maxPointers is the number of pointers remembered to save the printing of a schema.
	maxPointers = 10_000
)

// schemaWriter numbers the schemas of a stream. The same content has one number, whatever the pointer.
type schemaWriter struct {
	byPointer map[*connectors.Schema]uint32
	byText    map[string]uint32
	last      [2]*connectors.Schema // the ones most records use: key's and value's
	lastID    [2]uint32
	turn      int
}

// number returns the schema's number, and adds the schema to the message when it is new.
func (w *schemaWriter) number(s *connectors.Schema, m *pluginpb.Records) (uint32, error) {
	if s == w.last[0] {
		return w.lastID[0], nil
	}
	if s == w.last[1] {
		return w.lastID[1], nil
	}
	id, ok := w.byPointer[s]
	if !ok {
		var err error
		if id, err = w.add(s, m); err != nil {
			return 0, err
		}
	}
	w.last[w.turn], w.lastID[w.turn] = s, id
	w.turn ^= 1
	return id, nil
}

func (w *schemaWriter) add(s *connectors.Schema, m *pluginpb.Records) (uint32, error) {
	text, err := appendSchema(nil, s)
	if err != nil {
		return 0, fmt.Errorf("schema %s: %w", s.Name, err)
	}
	if w.byText == nil {
		w.byText = map[string]uint32{}
	}
	id, ok := w.byText[string(text)]
	if !ok {
		if len(w.byText) == maxSchemas {
			return 0, fmt.Errorf("schema %s is one more than the %d that a task may use", s.Name, maxSchemas)
		}
		id = uint32(len(w.byText) + 1)
		w.byText[string(text)] = id
		m.Schemas = append(m.Schemas, &pluginpb.Schema{Id: id, Text: text})
	}
	if w.byPointer == nil || len(w.byPointer) == maxPointers {
		w.byPointer = map[*connectors.Schema]uint32{}
	}
	w.byPointer[s] = id
	return id, nil
}

// schemaReader keeps the schemas that arrived on a stream.
type schemaReader struct {
	list []*connectors.Schema // by number minus 1; only ever appended to
}

// add takes the new schemas of a message and returns all there are by now. The result stays valid beside later adds.
func (r *schemaReader) add(m *pluginpb.Records) ([]*connectors.Schema, error) {
	for _, s := range m.GetSchemas() {
		if int(s.Id) != len(r.list)+1 {
			return nil, fmt.Errorf("%w: schema number %d follows %d", errFrames, s.Id, len(r.list))
		}
		if len(r.list) == maxSchemas {
			return nil, fmt.Errorf("%w: more than %d schemas", errFrames, maxSchemas)
		}
		schema, err := readSchema(s.Text)
		if err != nil {
			return nil, fmt.Errorf("%w: schema number %d: %w", errFrames, s.Id, err)
		}
		r.list = append(r.list, schema)
	}
	return r.list, nil
}
