package connectors

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
)

// JSONParser reads the JSON text of values of one schema, as JsonConverter writes them, into their encoding. Members
// may come in any order; those that the schema does not know are ignored; absent ones are null. A null takes the
// default of its schema, unless KeepNull is set.
//
// It is stricter than Connect where Connect makes up a value: text where a number belongs, a fraction or too large a
// number for an integer, and a Decimal with more digits than its scale are errors.
//
// A JSONParser keeps scratch memory: it is for one goroutine at a time.
type JSONParser struct {
	root    parseNode
	reader  jsonReader
	scratch []byte
	offsets []int // of the members of the structs being read out of order
}

// parseNode reads the values of one schema.
type parseNode struct {
	typ      Type
	optional bool
	null     byte
	whenNull []byte // encoding that null gets; nil: null is an error
	decimal  bool
	scale    int
	fields   []parseField
	key      *parseNode
	elem     *parseNode
}

type parseField struct {
	name []byte
	node parseNode
}

// NewJSONParser compiles the parser of a schema. Of the options only KeepNull matters.
func NewJSONParser(schema *Schema, o JSONOptions) (*JSONParser, error) {
	root, err := o.compileParse(schema, maxDepth)
	if err != nil {
		return nil, fmt.Errorf("compile JSON parser: %w", err)
	}
	return &JSONParser{root: root}, nil
}

func (o JSONOptions) compileParse(s *Schema, depth int) (n parseNode, err error) {
	if s == nil || s.Type == Invalid || s.Type > Struct || depth == 0 {
		return n, fmt.Errorf("a schema is missing, has no type, or is nested deeper than %d", maxDepth)
	}
	n = parseNode{typ: s.Type, optional: s.Optional, null: s.nullBranch()}
	if s.Type == Bytes && s.Name == DecimalName {
		n.decimal = true
		if n.scale, err = DecimalScale(s); err != nil {
			return n, err
		}
	}
	for _, f := range s.Fields {
		node, err := o.compileParse(f.Schema, depth-1)
		if err != nil {
			return n, fmt.Errorf("field %s: %w", f.Name, err)
		}
		n.fields = append(n.fields, parseField{[]byte(f.Name), node})
	}
	if s.Type == Map || s.Type == Array {
		elem, err := o.compileParse(s.Elem, depth-1)
		if err != nil {
			return n, err
		}
		n.elem = &elem
	}
	if s.Type == Map {
		key, err := o.compileParse(s.Key, depth-1)
		if err != nil {
			return n, err
		}
		n.key = &key
	}
	switch hasDefault := s.Default != nil && !s.Default.IsNull(); {
	case hasDefault && !(o.KeepNull && s.Optional):
		n.whenNull, err = AppendValue(nil, s, *s.Default)
	case s.Optional:
		n.whenNull = AppendNull(nil, s)
	}
	return n, err
}

// Append appends the encoding of the value whose JSON text is given; nothing may follow the value. An empty text is
// null.
func (p *JSONParser) Append(dst, text []byte) ([]byte, error) {
	p.reader = jsonReader{src: text}
	p.offsets = p.offsets[:0]
	out, err := p.appendOrNull(dst, &p.root, len(text) > 0)
	if err == nil {
		err = p.reader.end()
	}
	p.reader = jsonReader{}
	if err != nil {
		return dst, fmt.Errorf("read JSON: %w", err)
	}
	return out, nil
}

// appendOrNull reads the next value, or takes null if it is absent.
func (p *JSONParser) appendOrNull(dst []byte, n *parseNode, present bool) ([]byte, error) {
	if !present || p.reader.peek() == 'n' {
		if present {
			if err := p.reader.literal("null"); err != nil {
				return dst, err
			}
		}
		if n.whenNull == nil {
			return dst, fmt.Errorf("null for a required %s", n.typ)
		}
		return append(dst, n.whenNull...), nil
	}
	if n.optional {
		dst = append(dst, n.null^2)
	}
	switch n.typ {
	case Int8, Int16, Int32, Int64:
		i, err := p.integer(n.typ)
		return AppendInt(dst, i), err
	case String:
		text, scratch, err := p.reader.text(p.scratch)
		p.scratch = scratch
		return AppendBytes(dst, text), err
	case Boolean:
		if p.reader.peek() == 't' {
			return append(dst, 1), p.reader.literal("true")
		}
		return append(dst, 0), p.reader.literal("false")
	case Bytes:
		return p.bytes(dst, n)
	case Float32:
		f, err := p.float(32)
		return AppendFloat32(dst, float32(f)), err
	case Float64:
		f, err := p.float(64)
		return AppendFloat64(dst, f), err
	case Struct:
		return p.structure(dst, n)
	}
	return p.items(dst, n)
}

func (p *JSONParser) integer(t Type) (int64, error) {
	text, integer, err := p.reader.number()
	if err != nil {
		return 0, err
	}
	if !integer {
		unscaled, err := parseDecimal(text, 0)
		if err != nil || !unscaled.IsInt64() {
			return 0, fmt.Errorf("%s is no %s", text, t)
		}
		text = unscaled.Append(nil, 10)
	}
	i, err := strconv.ParseInt(string(text), 10, 8<<(t-Int8))
	if err != nil {
		return 0, fmt.Errorf("%s is no %s", text, t)
	}
	return i, nil
}

func (p *JSONParser) float(bits int) (float64, error) {
	if p.reader.peek() != '"' {
		text, _, err := p.reader.number()
		if err != nil {
			return 0, err
		}
		f, err := strconv.ParseFloat(string(text), bits)
		if err != nil {
			return 0, fmt.Errorf("%s is no float of %d bits", text, bits)
		}
		return f, nil
	}
	text, _, err := p.reader.raw()
	if err != nil {
		return 0, err
	}
	switch string(text) {
	case "NaN":
		return math.NaN(), nil
	case "Infinity":
		return math.Inf(1), nil
	case "-Infinity":
		return math.Inf(-1), nil
	}
	return 0, fmt.Errorf("%q is no number", text)
}

func (p *JSONParser) bytes(dst []byte, n *parseNode) ([]byte, error) {
	if n.decimal && p.reader.peek() != '"' {
		text, _, err := p.reader.number()
		if err != nil {
			return dst, err
		}
		unscaled, err := parseDecimal(text, n.scale)
		if err != nil {
			return dst, err
		}
		p.scratch = AppendDecimalInt(p.scratch[:0], unscaled)
		return AppendBytes(dst, p.scratch), nil
	}
	text, scratch, err := p.reader.text(p.scratch)
	if err != nil {
		return dst, err
	}
	// The decoded bytes go behind the text, which may stand in the scratch.
	mark := 0
	if len(text) > 0 && len(scratch) > 0 && &text[0] == &scratch[0] {
		mark = len(scratch)
	}
	p.scratch, err = base64.StdEncoding.AppendDecode(scratch[:mark], text)
	if err != nil {
		return dst, fmt.Errorf("%q is not base64", text)
	}
	return AppendBytes(dst, p.scratch[mark:]), nil
}

// parseDecimal returns the unscaled value of a JSON number at a scale. It fails if digits would be lost.
func parseDecimal(text []byte, scale int) (*big.Int, error) {
	digits, exp, ok := decimalParts(nil, text)
	if !ok || exp+scale > 10_000 {
		return nil, fmt.Errorf("%s is out of range", text)
	}
	if len(digits) == 0 {
		return new(big.Int), nil
	}
	if exp+scale < 0 {
		return nil, fmt.Errorf("%s has more digits than the scale %d", text, scale)
	}
	unscaled, ok := new(big.Int).SetString(string(digits), 10)
	if !ok {
		return nil, fmt.Errorf("%s is no number", text)
	}
	unscaled.Mul(unscaled, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(exp+scale)), nil))
	if text[0] == '-' {
		unscaled.Neg(unscaled)
	}
	return unscaled, nil
}

// structure reads an object. As long as the members come in the order of the fields it encodes them on the way; from the
// first that does not, it only notes where the values of the other fields are, and goes back to them at the end. So
// every value is encoded once. A field that is named twice is an error.
func (p *JSONParser) structure(dst []byte, n *parseNode) ([]byte, error) {
	base, next, inOrder := len(p.offsets), 0, true
	err := p.reader.members(func(name []byte, escaped bool) (err error) {
		if inOrder && !escaped && next < len(n.fields) && bytes.Equal(name, n.fields[next].name) {
			f := &n.fields[next]
			next++
			if dst, err = p.appendOrNull(dst, &f.node, true); err != nil {
				return fmt.Errorf("field %s: %w", f.name, err)
			}
			return nil
		}
		if inOrder {
			inOrder = false
			for range n.fields[next:] {
				p.offsets = append(p.offsets, -1)
			}
		}
		return p.note(n, base, next, name, escaped)
	})
	if err != nil {
		return dst, err
	}
	end := p.reader.pos
	for i := next; i < len(n.fields); i++ {
		at := -1
		if !inOrder {
			at = p.offsets[base+i-next]
		}
		p.reader.pos = max(at, 0)
		if dst, err = p.appendOrNull(dst, &n.fields[i].node, at >= 0); err != nil {
			return dst, fmt.Errorf("field %s: %w", n.fields[i].name, err)
		}
	}
	p.reader.pos = end
	p.offsets = p.offsets[:base]
	return dst, nil
}

// note skips a member and keeps its place, if it is a field that is still to come.
func (p *JSONParser) note(n *parseNode, base, next int, name []byte, escaped bool) error {
	if escaped {
		p.scratch = unescape(p.scratch[:0], name)
		name = p.scratch
	}
	i := slices.IndexFunc(n.fields, func(f parseField) bool { return bytes.Equal(f.name, name) })
	if i >= 0 && (i < next || p.offsets[base+i-next] >= 0) {
		return fmt.Errorf("field %s is given twice", name)
	}
	if i >= 0 {
		p.offsets[base+i-next] = p.reader.pos
	}
	return p.reader.skip(maxJSONDepth)
}

// items reads an array, or a map in any of the three forms.
func (p *JSONParser) items(dst []byte, n *parseNode) (_ []byte, err error) {
	mark, count := len(dst), int64(0)
	switch {
	case n.typ == Array:
		err = p.reader.elements(func() (err error) {
			count++
			dst, err = p.appendOrNull(dst, n.elem, true)
			return err
		})
	case p.reader.peek() == '{' && n.key.typ == String:
		err = p.reader.members(func(name []byte, escaped bool) (err error) {
			count++
			if escaped {
				p.scratch = unescape(p.scratch[:0], name)
				name = p.scratch
			}
			if n.key.optional {
				dst = append(dst, n.key.null^2)
			}
			dst, err = p.appendOrNull(AppendBytes(dst, name), n.elem, true)
			return err
		})
	default:
		err = p.reader.elements(func() (err error) {
			count++
			dst, err = p.pair(dst, n)
			return err
		})
	}
	if err != nil || count == 0 {
		return append(dst, 0), err
	}
	// The count goes before the items.
	var head [10]byte
	return append(slices.Insert(dst, mark, AppendInt(head[:0], count)...), 0), nil
}

// pair reads [key,value].
func (p *JSONParser) pair(dst []byte, n *parseNode) ([]byte, error) {
	err := p.reader.expect('[')
	if err != nil {
		return dst, err
	}
	if dst, err = p.appendOrNull(dst, n.key, true); err != nil {
		return dst, err
	}
	if err = p.reader.expect(','); err != nil {
		return dst, err
	}
	if dst, err = p.appendOrNull(dst, n.elem, true); err != nil {
		return dst, err
	}
	return dst, p.reader.expect(']')
}
