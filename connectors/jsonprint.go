package connectors

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
)

// DecimalFormat says how a Decimal is written as JSON.
type DecimalFormat uint8

const (
	// DecimalBase64 writes the unscaled value in base64, as JsonConverter does by default.
	DecimalBase64 DecimalFormat = iota
	// DecimalNumeric writes a number with all its digits (decimal.format=NUMERIC).
	DecimalNumeric
	// DecimalDouble writes the nearest double, as Confluent's Elasticsearch sink does.
	DecimalDouble
)

// MapFormat says how a map is written as JSON.
type MapFormat uint8

const (
	// MapsAsConnect writes maps with string keys as objects, others as arrays of [key,value], as JsonConverter does.
	MapsAsConnect MapFormat = iota
	// MapsCompact writes maps with string keys as objects, others as arrays of {"key":…,"value":…}.
	MapsCompact
	// MapsAsEntries writes all maps as arrays of {"key":…,"value":…}.
	MapsAsEntries
)

// JSONOptions are the choices in writing and reading JSON. The zero value is what Connect's JsonConverter does with
// schemas.enable=false.
type JSONOptions struct {
	// Envelope wraps each value as {"schema":…,"payload":…} (schemas.enable=true).
	Envelope bool
	Decimal  DecimalFormat
	Maps     MapFormat
	// KeepNull leaves a null that has a default null (replace.null.with.default=false). Otherwise the default takes
	// its place, in writing and in reading.
	KeepNull bool
}

// JSONPrinter writes the encoded values of one schema as JSON text, byte for byte as Connect's JsonConverter does. It
// is a program compiled once; printing decodes no Value and allocates nothing but what dst needs to grow.
//
// A JSONPrinter is immutable and may be used by several goroutines.
type JSONPrinter struct {
	root           printNode
	prefix, suffix []byte
}

// printNode prints the values of one schema.
type printNode struct {
	typ      Type
	optional bool
	null     byte   // branch of null
	whenNull []byte // text of null: "null", or the default
	decimal  bool
	scale    int
	format   DecimalFormat
	fields   []printField // struct
	key      *printNode   // map
	elem     *printNode   // array, map
	entries  mapStyle
}

type printField struct {
	prefix []byte // {"name": or ,"name":
	node   printNode
}

// mapStyle is the punctuation of a map.
type mapStyle struct{ open, key, value, end, close string }

var (
	objectStyle = mapStyle{"{", "", ":", "", "}"}
	pairStyle   = mapStyle{"[", "[", ",", "]", "]"}
	entryStyle  = mapStyle{"[", `{"key":`, `,"value":`, "}", "]"}
)

// NewJSONPrinter compiles the printer of a schema. It fails if the schema cannot be printed: no type, a default that
// does not fit, a Decimal without a scale, nesting without end.
func NewJSONPrinter(schema *Schema, o JSONOptions) (*JSONPrinter, error) {
	root, err := o.compile(schema, maxDepth)
	if err != nil {
		return nil, fmt.Errorf("compile JSON printer: %w", err)
	}
	p := &JSONPrinter{root: root}
	if o.Envelope {
		if p.prefix, err = AppendJSONSchema([]byte(`{"schema":`), schema, o); err != nil {
			return nil, err
		}
		p.prefix, p.suffix = append(p.prefix, `,"payload":`...), []byte{'}'}
	}
	return p, nil
}

func (o JSONOptions) compile(s *Schema, depth int) (n printNode, err error) {
	if s == nil {
		return n, fmt.Errorf("a schema is missing")
	}
	if depth == 0 {
		return n, fmt.Errorf("schema is nested deeper than %d", maxDepth)
	}
	n = printNode{typ: s.Type, optional: s.Optional, null: s.nullBranch(), whenNull: []byte("null"), format: o.Decimal}
	switch s.Type {
	case Boolean, Int8, Int16, Int32, Int64, Float32, Float64, String, Bytes:
		err = n.compileDecimal(s)
	case Struct:
		n.fields, err = o.compileFields(s, depth)
	case Map:
		err = o.compileMap(&n, s, depth)
	case Array:
		n.elem, err = o.compileElem(s.Elem, depth)
	default:
		err = fmt.Errorf("a schema without a type")
	}
	if err != nil || !s.Optional || s.Default == nil || s.Default.IsNull() || o.KeepNull {
		return n, err
	}
	n.whenNull, err = n.appendDefault(nil, s)
	return n, err
}

// compileDecimal makes n print a Decimal, if s is one.
func (n *printNode) compileDecimal(s *Schema) (err error) {
	if s.Type != Bytes || s.Name != DecimalName {
		return nil
	}
	n.decimal = true
	if n.scale, err = DecimalScale(s); err != nil && n.format != DecimalBase64 {
		return err
	}
	return nil
}

// DecimalScale returns the scale of a Decimal schema.
func DecimalScale(s *Schema) (int, error) {
	scale, err := strconv.ParseInt(s.Parameter("scale"), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%s has no valid scale: %q", DecimalName, s.Parameter("scale"))
	}
	return int(scale), nil
}

func (o JSONOptions) compileFields(s *Schema, depth int) ([]printField, error) {
	fields := make([]printField, len(s.Fields))
	for i, f := range s.Fields {
		node, err := o.compile(f.Schema, depth-1)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
		prefix := []byte{','}
		if i == 0 {
			prefix[0] = '{'
		}
		fields[i] = printField{append(AppendJSONString(prefix, []byte(f.Name)), ':'), node}
	}
	return fields, nil
}

func (o JSONOptions) compileElem(s *Schema, depth int) (*printNode, error) {
	n, err := o.compile(s, depth-1)
	if err != nil {
		return nil, fmt.Errorf("element: %w", err)
	}
	return &n, nil
}

func (o JSONOptions) compileMap(n *printNode, s *Schema, depth int) (err error) {
	if n.key, err = o.compileElem(s.Key, depth); err != nil {
		return err
	}
	stringKeys := s.Key.Type == String
	switch {
	case stringKeys && o.Maps != MapsAsEntries:
		n.entries = objectStyle
		n.key.whenNull = []byte(`"null"`) // an object's member must have a name
	case o.Maps == MapsAsConnect:
		n.entries = pairStyle
	default:
		n.entries = entryStyle
	}
	n.elem, err = o.compileElem(s.Elem, depth)
	return err
}

// appendDefault prints the default of s.
func (n *printNode) appendDefault(dst []byte, s *Schema) ([]byte, error) {
	encoded, err := AppendValue(nil, s, *s.Default)
	if err != nil {
		return dst, fmt.Errorf("default of %s: %w", s.describe(), err)
	}
	dst, _, err = n.append(dst, encoded)
	return dst, err
}

// Append appends the JSON text of the value at the start of src and returns what follows the value.
func (p *JSONPrinter) Append(dst, src []byte) (out, rest []byte, err error) {
	out, rest, err = p.root.append(append(dst, p.prefix...), src)
	if err != nil {
		return dst, nil, fmt.Errorf("print as JSON: %w", err)
	}
	return append(out, p.suffix...), rest, nil
}

func (n *printNode) append(dst, src []byte) ([]byte, []byte, error) {
	if n.optional {
		if len(src) == 0 {
			return dst, nil, ErrTruncated
		}
		branch := src[0]
		src = src[1:]
		if branch == n.null {
			return append(dst, n.whenNull...), src, nil
		}
		if branch != n.null^2 {
			return dst, nil, ErrMalformed
		}
	}
	switch n.typ {
	case Int8, Int16, Int32, Int64:
		u, size := binary.Uvarint(src)
		if size <= 0 {
			_, _, err := ReadInt(src)
			return dst, nil, err
		}
		return strconv.AppendInt(dst, int64(u>>1)^-int64(u&1), 10), src[size:], nil
	case String:
		b, rest, err := ReadBytes(src)
		if err != nil {
			return dst, nil, err
		}
		return AppendJSONString(dst, b), rest, nil
	case Struct:
		return n.appendStruct(dst, src)
	case Boolean:
		return appendJSONBool(dst, src)
	case Bytes:
		return n.appendBytes(dst, src)
	case Float64:
		if len(src) < 8 {
			return dst, nil, ErrTruncated
		}
		return AppendJSONFloat(dst, math.Float64frombits(binary.LittleEndian.Uint64(src)), 64), src[8:], nil
	case Float32:
		if len(src) < 4 {
			return dst, nil, ErrTruncated
		}
		f := math.Float32frombits(binary.LittleEndian.Uint32(src))
		return AppendJSONFloat(dst, float64(f), 32), src[4:], nil
	}
	return n.appendItems(dst, src)
}

func (n *printNode) appendStruct(dst, src []byte) ([]byte, []byte, error) {
	if len(n.fields) == 0 {
		return append(dst, '{', '}'), src, nil
	}
	var err error
	for i := range n.fields {
		f := &n.fields[i]
		dst = append(dst, f.prefix...)
		if dst, src, err = f.node.append(dst, src); err != nil {
			return dst, nil, fmt.Errorf("field %s %w", f.prefix[1:len(f.prefix)-1], err)
		}
	}
	return append(dst, '}'), src, nil
}

func appendJSONBool(dst, src []byte) ([]byte, []byte, error) {
	if len(src) == 0 {
		return dst, nil, ErrTruncated
	}
	switch src[0] {
	case 0:
		return append(dst, "false"...), src[1:], nil
	case 1:
		return append(dst, "true"...), src[1:], nil
	}
	return dst, nil, ErrMalformed
}

func (n *printNode) appendBytes(dst, src []byte) ([]byte, []byte, error) {
	b, rest, err := ReadBytes(src)
	if err != nil {
		return dst, nil, err
	}
	if !n.decimal || n.format == DecimalBase64 {
		return AppendJSONBytes(dst, b), rest, nil
	}
	if n.format == DecimalNumeric {
		return AppendDecimal(dst, b, n.scale), rest, nil
	}
	var buf [64]byte
	f, err := strconv.ParseFloat(string(AppendDecimal(buf[:0], b, n.scale)), 64)
	if err != nil {
		return dst, nil, fmt.Errorf("decimal is no double: %w", err)
	}
	return AppendJSONFloat(dst, f, 64), rest, nil
}

// appendItems prints an array or a map.
func (n *printNode) appendItems(dst, src []byte) ([]byte, []byte, error) {
	style := n.entries
	if n.typ == Array {
		style = mapStyle{open: "[", close: "]"}
	}
	dst = append(dst, style.open...)
	first := true
	for {
		count, rest, err := readBlock(src)
		if err != nil {
			return dst, nil, err
		}
		if src = rest; count == 0 {
			return append(dst, style.close...), src, nil
		}
		for range count {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			if n.typ == Map {
				dst = append(dst, style.key...)
				if dst, src, err = n.key.append(dst, src); err != nil {
					return dst, nil, err
				}
				dst = append(dst, style.value...)
			}
			if dst, src, err = n.elem.append(dst, src); err != nil {
				return dst, nil, err
			}
			dst = append(dst, style.end...)
		}
		if err := checkBlock(count, len(rest)-len(src)); err != nil {
			return dst, nil, err
		}
	}
}
