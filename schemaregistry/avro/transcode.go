package avro

import (
	"fmt"

	"github.com/sluicehub/sluice/connectors"
)

// maxGrowth bounds what one value may become: a short value of a hostile schema can stand for a huge one.
const maxGrowth = 64 << 20

// Transcoder turns values that were written under somebody's Avro schema into values of the Connect schema made of
// it, laid out as package connectors says. It is compiled once per schema and may be used by several goroutines.
type Transcoder struct {
	schema *connectors.Schema
	step   step
}

// NewTranscoder compiles the way from writer to ToConnect(writer).
func NewTranscoder(writer *Schema) (*Transcoder, error) {
	s, err := ToConnect(writer)
	if err != nil {
		return nil, err
	}
	return &Transcoder{schema: s, step: compile(writer, s)}, nil
}

// Schema returns the Connect schema, the same pointer always.
func (t *Transcoder) Schema() *connectors.Schema { return t.schema }

// Identity reports whether the bytes need not be touched: values of the writer's schema are values of Schema. That is
// so for all that FromConnect made.
func (t *Transcoder) Identity() bool { return t.step.op == opCopy }

// Append appends to dst the value at the start of src, transcoded, and returns what follows the value in src. After
// an error the bytes appended mean nothing. Errors wrap connectors.ErrTruncated or connectors.ErrMalformed.
func (t *Transcoder) Append(dst, src []byte) (out, rest []byte, err error) {
	r := run{limit: len(dst) + maxGrowth}
	return r.do(&t.step, dst, src)
}

type op uint8

const (
	opCopy   op = iota // the layouts agree
	opBranch           // a union with null: the branches' numbers, then what is not null
	opStruct           // each field
	opArray            // blocks of elements
	opMap              // blocks of a string key and a value
	opEnum             // the symbol instead of its number
	opFixed            // the length before the bytes
	opUnion            // a struct of branches instead of a number and a value
)

// step is one node of a compiled transcoder.
type step struct {
	op      op
	to      *connectors.Schema
	symbols []string
	size    int
	null    int // opBranch, opUnion: the writer's branch that is null, or -1
	steps   []step
	fields  []int // opUnion: the field of each branch
}

// compile returns the step from s to t. Both have the same shape, as ToConnect made t of s.
func compile(s *Schema, t *connectors.Schema) step {
	switch s.Type {
	case Enum:
		return step{op: opEnum, to: t, symbols: s.Symbols}
	case Fixed:
		return step{op: opFixed, to: t, size: s.Size}
	case Union:
		if of := optionalOf(s); of != nil {
			return compileOptional(s, of, t)
		}
		return compileUnion(s, t)
	case Array:
		return compileArray(s, t)
	case Map:
		elem := compile(s.Elem, t.Elem)
		return container(opMap, t, elem)
	case Record:
		c := step{op: opStruct, to: t, steps: make([]step, len(s.Fields))}
		identity := true
		for i := range s.Fields {
			c.steps[i] = compile(s.Fields[i].Schema, t.Fields[i].Schema)
			identity = identity && c.steps[i].op == opCopy
		}
		if identity {
			c.op = opCopy
		}
		return c
	}
	return step{op: opCopy, to: t}
}

func container(o op, t *connectors.Schema, elems ...step) step {
	c := step{op: opCopy, to: t, steps: elems}
	for i := range elems {
		if elems[i].op != opCopy {
			c.op = o
		}
	}
	return c
}

func compileArray(s *Schema, t *connectors.Schema) step {
	if t.Type == connectors.Map { // an entry is a key and a value with nothing between, as in opMap
		return container(opMap, t, compile(s.Elem.Fields[0].Schema, t.Key), compile(s.Elem.Fields[1].Schema, t.Elem))
	}
	return container(opArray, t, compile(s.Elem, t.Elem))
}

func compileOptional(s, of *Schema, t *connectors.Schema) step {
	required := *t
	required.Optional = false
	c := step{op: opBranch, to: t, steps: []step{compile(of, &required)}}
	if s.Branches[1].Type == Null {
		c.null = 1
	}
	if c.steps[0].op == opCopy && c.null == int(connectors.AppendNull(nil, t)[0])/2 {
		c.op = opCopy
	}
	return c
}

func compileUnion(s *Schema, t *connectors.Schema) step {
	c := step{op: opUnion, to: t, null: -1, steps: make([]step, len(s.Branches)), fields: make([]int, len(s.Branches))}
	next := 0
	for i, b := range s.Branches {
		if b.Type == Null {
			c.null = i
			continue
		}
		required := *t.Fields[next].Schema
		required.Optional = false
		c.steps[i], c.fields[i] = compile(b, &required), next
		next++
	}
	return c
}

// run is the transcoding of one value.
type run struct{ limit int }

func (r *run) do(c *step, dst, src []byte) (out, rest []byte, err error) {
	if len(dst) > r.limit {
		return nil, nil, fmt.Errorf("%w: the value grows beyond %d bytes", connectors.ErrMalformed, maxGrowth)
	}
	switch c.op {
	case opCopy:
		if rest, err = connectors.SkipValue(c.to, src); err != nil {
			return nil, nil, err
		}
		return append(dst, src[:len(src)-len(rest)]...), rest, nil
	case opBranch:
		return r.branch(c, dst, src)
	case opStruct:
		for i := range c.steps {
			if dst, src, err = r.do(&c.steps[i], dst, src); err != nil {
				return nil, nil, fmt.Errorf("field %s: %w", c.to.Fields[i].Name, err)
			}
		}
		return dst, src, nil
	case opArray, opMap:
		return r.blocks(c, dst, src)
	case opEnum:
		i, rest, err := index(src, len(c.symbols))
		if err != nil {
			return nil, nil, err
		}
		return connectors.AppendString(dst, c.symbols[i]), rest, nil
	case opFixed:
		if len(src) < c.size {
			return nil, nil, connectors.ErrTruncated
		}
		return connectors.AppendBytes(dst, src[:c.size]), src[c.size:], nil
	}
	return r.union(c, dst, src)
}

// index reads the number of a branch or symbol.
func index(src []byte, n int) (i int, rest []byte, err error) {
	v, rest, err := connectors.ReadInt(src)
	if err != nil {
		return 0, nil, err
	}
	if v < 0 || v >= int64(n) {
		return 0, nil, fmt.Errorf("%w: number %d of %d", connectors.ErrMalformed, v, n)
	}
	return int(v), rest, nil
}

func (r *run) branch(c *step, dst, src []byte) (out, rest []byte, err error) {
	i, src, err := index(src, 2)
	if err != nil {
		return nil, nil, err
	}
	if i == c.null {
		return connectors.AppendNull(dst, c.to), src, nil
	}
	return r.do(&c.steps[0], connectors.AppendPresent(dst, c.to), src)
}

func (r *run) union(c *step, dst, src []byte) (out, rest []byte, err error) {
	i, src, err := index(src, len(c.steps))
	if err != nil {
		return nil, nil, err
	}
	if i == c.null {
		return connectors.AppendNull(dst, c.to), src, nil
	}
	dst = connectors.AppendPresent(dst, c.to)
	for f := range c.to.Fields {
		of := c.to.Fields[f].Schema
		if f != c.fields[i] {
			dst = connectors.AppendNull(dst, of)
			continue
		}
		if dst, src, err = r.do(&c.steps[i], connectors.AppendPresent(dst, of), src); err != nil {
			return nil, nil, fmt.Errorf("branch %s: %w", c.to.Fields[f].Name, err)
		}
	}
	return dst, src, nil
}

// blocks transcodes the blocks of an array or map. A block's size in bytes is dropped, because it changes.
func (r *run) blocks(c *step, dst, src []byte) (out, rest []byte, err error) {
	for {
		var n int64
		if n, src, err = connectors.ReadInt(src); err != nil {
			return nil, nil, err
		}
		if n == 0 {
			return append(dst, 0), src, nil
		}
		if n < 0 {
			if _, src, err = connectors.ReadInt(src); err != nil {
				return nil, nil, err
			}
			n = -n
		}
		if n < 0 || n > int64(len(src)) {
			return nil, nil, connectors.ErrTruncated
		}
		dst = connectors.AppendInt(dst, n)
		from, left := len(dst), len(src)
		for range n {
			if dst, src, err = r.item(c, dst, src); err != nil {
				return nil, nil, err
			}
		}
		// As in package connectors: an element has a byte at least, on both sides.
		if n > int64(min(len(dst)-from, left-len(src))) {
			return nil, nil, fmt.Errorf("%w: %d elements in %d bytes", connectors.ErrMalformed, n, left-len(src))
		}
	}
}

func (r *run) item(c *step, dst, src []byte) (out, rest []byte, err error) {
	if c.op == opMap && len(c.steps) == 1 { // Avro's own map
		key, rest, err := connectors.ReadBytes(src)
		if err != nil {
			return nil, nil, err
		}
		dst, src = connectors.AppendBytes(dst, key), rest
	}
	for i := range c.steps {
		if dst, src, err = r.do(&c.steps[i], dst, src); err != nil {
			return nil, nil, err
		}
	}
	return dst, src, nil
}
