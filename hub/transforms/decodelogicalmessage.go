package transforms

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

func decodeMessageDefinition() *configs.Definition {
	return &configs.Definition{Keys: []configs.Key{{Name: "fields.null.include", Type: configs.Boolean, Default: "false", Importance: configs.Medium,
		Doc: "Whether nulls in the message are fields of type bytes; they are left out otherwise."}}}
}

// decodeMessage is Debezium's DecodeLogicalDecodingMessageContent: the JSON text of a message of
// pg_logical_emit_message becomes the new row of an insert, which EventRouter can take for one of an outbox.
//
// The record loses its key. What is no JSON (also text behind the object, or a member twice) is an error; an integer beyond 64
// bits, an error in Debezium, is a float64 here, as EventRouter makes it.
//
//	in    op=m | ts_ms | source | message{prefix, content}
//	out   op=c | ts_ms | source | after{fields of content}
type decodeMessage struct {
	expand *jsonExpander
	arena  *arena
	split  splitter
	inner  splitter
	plans  cache[*messagePlan]
}

// messagePlan is what becomes of the messages of one schema: a plan for each shape of content.
type messagePlan struct {
	message, content int
	of               *connectors.Schema // of message
	byContent        map[*connectors.Schema]*plan
}

const messageValueName = "io.debezium.connector.postgresql.MessageValue"

func newDecodeMessage(v configs.Values, _ side, a *arena) (transform, error) {
	return &decodeMessage{expand: &jsonExpander{nulls: v.Bool("fields.null.include")}, arena: a}, nil
}

func (t *decodeMessage) apply(r *connectors.Record) (bool, error) {
	if r.Value.Schema == nil {
		return false, errors.New("the value has no schema; a predicate can leave tombstones alone")
	}
	if r.Value.Schema.Name != messageValueName {
		return true, nil
	}
	p, err := t.plans.get(r.Value.Schema, compileMessage)
	if err != nil {
		return false, err
	}
	raws, err := t.split.fields(r.Value)
	if err != nil {
		return false, err
	}
	content, err := t.content(p, raws[p.message])
	if err != nil {
		return false, err
	}
	to := p.byContent[content.Schema]
	if to == nil {
		if to, err = p.to(r.Value.Schema, content.Schema); err != nil {
			return false, err
		}
		if len(p.byContent) >= cacheSize {
			clear(p.byContent)
		}
		p.byContent[content.Schema] = to
	}
	raws[p.message] = content.Bytes
	out, err := to.run(t.arena.take(), raws, r)
	if err != nil {
		return false, err
	}
	r.Key, r.Value = connectors.Data{}, connectors.Data{Schema: to.out, Bytes: t.arena.keep(out)}
	return true, nil
}

func compileMessage(s *connectors.Schema) (*messagePlan, error) {
	p := &messagePlan{message: s.FieldIndex("message"), byContent: map[*connectors.Schema]*plan{}}
	if p.message < 0 || s.Fields[p.message].Schema.Type != connectors.Struct {
		return nil, fmt.Errorf("%s has no struct message", s.Name)
	}
	p.of = s.Fields[p.message].Schema
	if p.content = p.of.FieldIndex("content"); p.content < 0 || p.of.Fields[p.content].Schema.Type != connectors.Bytes {
		return nil, errors.New("the message's content is no bytes; the transform needs binary.handling.mode=bytes")
	}
	return p, nil
}

// content returns the struct that the content of a message is.
func (t *decodeMessage) content(p *messagePlan, raw []byte) (connectors.Data, error) {
	present, src, err := connectors.ReadPresent(p.of, raw)
	if err != nil || !present {
		return connectors.Data{}, cmp.Or(err, errors.New("the message is null"))
	}
	fields, err := t.inner.split(p.of, src)
	if err != nil {
		return connectors.Data{}, err
	}
	v, _, err := connectors.ReadValue(p.of.Fields[p.content].Schema, fields[p.content])
	if err != nil {
		return connectors.Data{}, err
	}
	text := v.Raw()
	if !bytes.HasPrefix(text, []byte("{")) {
		return connectors.Data{}, fmt.Errorf("the message's content is no JSON object: %.40q", text)
	}
	return t.expand.expanded(t.arena, "", text)
}

// to makes the plan that puts a content in the place of the message, at the end.
func (p *messagePlan) to(s, content *connectors.Schema) (*plan, error) {
	out := &plan{out: &connectors.Schema{Type: connectors.Struct, Name: s.Name + ".Envelope"}}
	for i, f := range s.Fields {
		if i == p.message {
			continue
		}
		o, err := copyOp(s, i, true)
		if err != nil {
			return nil, err
		}
		if f.Name == "op" && f.Schema.Type == connectors.String {
			o.convert = func(dst, _ []byte, _ *connectors.Record) ([]byte, error) {
				return connectors.AppendString(connectors.AppendPresent(dst, f.Schema), "c"), nil
			}
		}
		out.out.Fields, out.ops = append(out.out.Fields, f), append(out.ops, o)
	}
	out.out.Fields, out.ops = append(out.out.Fields, connectors.Field{Name: "after", Schema: content}), append(out.ops, op{from: p.message})
	return out, nil
}
