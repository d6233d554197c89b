package jsonschema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// maxNesting is how deep the JSON of a schema may be nested.
const maxNesting = 500

// node is a JSON value that keeps the order of an object's members and the spelling of numbers.
type node struct {
	scalar any     // nil, bool, string or json.Number, if neither of the others
	list   []*node // of an array
	object []member
	is     json.Delim // '{', '[' or 0
}

type member struct {
	name  string
	value *node
}

func parseText(text string) (*node, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	n, err := parseNode(d, 0)
	if err != nil {
		return nil, fmt.Errorf("JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("JSON: there is more behind the end of the schema")
	}
	return n, nil
}

func parseNode(d *json.Decoder, depth int) (*node, error) {
	t, err := d.Token()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	if depth > maxNesting {
		return nil, fmt.Errorf("nested deeper than %d", maxNesting)
	}
	is, ok := t.(json.Delim)
	if !ok {
		return &node{scalar: t}, nil
	}
	n := &node{is: is}
	var at map[string]int // where the members of an object are
	if is == '{' {
		at = make(map[string]int)
	}
	for d.More() {
		var name string
		if is == '{' {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			name = key.(string)
		}
		value, err := parseNode(d, depth+1)
		if err != nil {
			return nil, err
		}
		switch i, again := at[name]; {
		case is == '[':
			n.list = append(n.list, value)
		case again: // of several members of one name the last counts
			n.object[i].value = value
		default:
			at[name] = len(n.object)
			n.object = append(n.object, member{name, value})
		}
	}
	_, err = d.Token()
	return n, err
}

func (n *node) member(name string) *node {
	for _, m := range n.object {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// memberText returns the named member if it is a string, or "".
func (n *node) memberText(name string) string {
	if m := n.member(name); m != nil {
		s, _ := m.scalar.(string)
		return s
	}
	return ""
}

// objects counts what may be a schema.
func (n *node) objects() int {
	count := 0
	if n.is == '{' {
		count++
	}
	for _, item := range n.list {
		count += item.objects()
	}
	for _, m := range n.object {
		count += m.value.objects()
	}
	return count
}

// sorted returns n with the members of all objects by name.
func (n *node) sorted() *node {
	c := &node{scalar: n.scalar, is: n.is}
	for _, item := range n.list {
		c.list = append(c.list, item.sorted())
	}
	for _, m := range n.object {
		c.object = append(c.object, member{m.name, m.value.sorted()})
	}
	slices.SortFunc(c.object, func(a, b member) int { return strings.Compare(a.name, b.name) })
	return c
}

// value returns n as encoding/json would, for the compiler.
func (n *node) value() any {
	switch n.is {
	case '[':
		list := make([]any, len(n.list))
		for i, item := range n.list {
			list[i] = item.value()
		}
		return list
	case '{':
		object := make(map[string]any, len(n.object))
		for _, m := range n.object {
			object[m.name] = m.value.value()
		}
		return object
	}
	return n.scalar
}

func (n *node) append(dst []byte) []byte {
	switch n.is {
	case '[':
		dst = append(dst, '[')
		for i, item := range n.list {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = item.append(dst)
		}
		return append(dst, ']')
	case '{':
		dst = append(dst, '{')
		for i, m := range n.object {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendScalar(dst, m.name), ':')
			dst = m.value.append(dst)
		}
		return append(dst, '}')
	}
	return appendScalar(dst, n.scalar)
}

// appendScalar writes a scalar without escaping what only HTML would need.
func appendScalar(dst []byte, v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // nil, bool, string, json.Number
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}
