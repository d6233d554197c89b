package transforms

import (
	"bytes"
	"fmt"

	"github.com/sluicehub/sluice/connectors"
)

// object is a schemaless JSON object, taken apart at its top level. Members keep their order.
type object struct {
	members []member
}

type member struct {
	name  string
	value []byte // JSON text
}

// parseObject takes the object of schemaless data apart.
func (o *object) parse(d connectors.Data) error {
	o.members = o.members[:0]
	if len(bytes.TrimSpace(d.Bytes)) == 0 || bytes.TrimSpace(d.Bytes)[0] != '{' {
		return fmt.Errorf("the transform works on JSON objects, and this is %.20s", d.Bytes)
	}
	return connectors.EachJSONMember(d.Bytes, func(name, value []byte) error {
		o.set(string(name), value)
		return nil
	})
}

// get returns the text of a member, nil if it is absent.
func (o *object) get(name string) []byte {
	for i := range o.members {
		if o.members[i].name == name {
			return o.members[i].value
		}
	}
	return nil
}

// set replaces a member, or adds it at the end.
func (o *object) set(name string, value []byte) {
	for i := range o.members {
		if o.members[i].name == name {
			o.members[i].value = value
			return
		}
	}
	o.members = append(o.members, member{name, value})
}

// remove removes a member.
func (o *object) remove(name string) {
	for i := range o.members {
		if o.members[i].name == name {
			o.members = append(o.members[:i], o.members[i+1:]...)
			return
		}
	}
}

// data returns the object as schemaless data.
func (o *object) data(a *arena) connectors.Data {
	dst := append(a.take(), '{')
	for i, m := range o.members {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(connectors.AppendJSONString(dst, []byte(m.name)), ':')
		dst = append(dst, m.value...)
	}
	return connectors.Data{Bytes: a.keep(append(dst, '}'))}
}

// jsonText returns a text as JSON.
func jsonText(text string) []byte { return connectors.AppendJSONString(nil, []byte(text)) }

// schemaless returns a JSON value as data: null for null.
func schemaless(value []byte) connectors.Data {
	if value == nil || string(value) == "null" {
		return connectors.Data{}
	}
	return connectors.Data{Bytes: value}
}
