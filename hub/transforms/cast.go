package transforms

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

func castDefinition() *configs.Definition {
	return &configs.Definition{Keys: []configs.Key{
		{Name: "spec", Type: configs.List, Required: true, Importance: configs.High, Example: "price:float64,id:string",
			Check: func(text string) error { _, _, err := parseCasts(names(text)); return err },
			Doc:   "Fields and their new types, as field:type; a type alone casts the whole value. Types: int8, int16, int32, int64, float32, float64, boolean, string."},
		replaceNull()}}
}

// castTypes are the types that there are casts to.
var castTypes = map[string]connectors.Type{"int8": connectors.Int8, "int16": connectors.Int16, "int32": connectors.Int32, "int64": connectors.Int64,
	"float32": connectors.Float32, "float64": connectors.Float64, "boolean": connectors.Boolean, "string": connectors.String}

func parseCasts(list []string) (fields map[string]connectors.Type, whole connectors.Type, err error) {
	fields = map[string]connectors.Type{}
	for _, item := range list {
		i := strings.LastIndexByte(item, ':')
		typ, ok := castTypes[strings.ToLower(strings.TrimSpace(item[i+1:]))]
		switch {
		case !ok:
			return nil, 0, fmt.Errorf("has the type %q, which is none of int8, int16, int32, int64, float32, float64, boolean and string", item[i+1:])
		case i < 0:
			whole = typ
		default:
			fields[strings.TrimSpace(item[:i])] = typ
		}
	}
	if whole != connectors.Invalid && len(fields) > 0 {
		return nil, 0, fmt.Errorf("casts fields and the whole value")
	}
	return fields, whole, nil
}

// cast changes the type of fields or of the whole value. As in Connect, numbers that do not fit wrap around, fractions
// are cut off, and text must be a number of the type. Null stays null.
type cast struct {
	structs
	fields   map[string]connectors.Type
	whole    connectors.Type
	defaults bool
	wholes   cache[*connectors.Schema]
	object   object
}

func newCast(v configs.Values, at side, a *arena) (transform, error) {
	fields, whole, err := parseCasts(v.List("spec"))
	return &cast{structs: structs{at: at, arena: a}, fields: fields, whole: whole, defaults: v.Bool("replace.null.with.default")}, err
}

func (t *cast) apply(r *connectors.Record) (bool, error) {
	d := t.at.of(r)
	switch {
	case isNull(*d):
		return true, nil
	case d.Schema == nil:
		return true, t.schemaless(d)
	case t.whole == connectors.Invalid:
		return true, t.structs.apply(r, t.build)
	}
	to, err := t.wholes.get(d.Schema, func(s *connectors.Schema) (*connectors.Schema, error) {
		to, err := castSchema(s, t.whole)
		if err == nil {
			to.Name, to.Version, to.Doc, to.Parameters = s.Name, s.Version, s.Doc, s.Parameters
		}
		return to, err
	})
	if err != nil {
		return false, err
	}
	out, err := castRaw(t.arena.take(), d.Bytes, d.Schema, to)
	if err != nil {
		return false, err
	}
	*d = connectors.Data{Schema: to, Bytes: t.arena.keep(out)}
	return true, nil
}

func (t *cast) schemaless(d *connectors.Data) error {
	if t.whole != connectors.Invalid {
		out, err := castJSON(d.Bytes, t.whole)
		*d = connectors.Data{Bytes: out}
		return err
	}
	if err := t.object.parse(*d); err != nil {
		return err
	}
	for name, to := range t.fields {
		value := t.object.get(name)
		if value == nil || string(value) == "null" {
			t.object.set(name, []byte("null"))
			continue
		}
		out, err := castJSON(value, to)
		if err != nil {
			return fmt.Errorf("field %s: %w", name, err)
		}
		t.object.set(name, out)
	}
	*d = t.object.data(t.arena)
	return nil
}

func (t *cast) build(s *connectors.Schema) (*plan, error) {
	p := &plan{out: basics(s)}
	p.out.Optional = s.Optional
	for i, f := range s.Fields {
		o, err := copyOp(s, i, t.defaults)
		if err != nil {
			return nil, err
		}
		if typ, ok := t.fields[f.Name]; ok {
			to, err := castSchema(f.Schema, typ)
			if err != nil {
				return nil, fmt.Errorf("field %s: %w", f.Name, err)
			}
			from := f.Schema
			o.convert = func(dst, raw []byte, _ *connectors.Record) ([]byte, error) { return castRaw(dst, raw, from, to) }
			f.Schema = to
		}
		p.out.Fields = append(p.out.Fields, f)
		p.ops = append(p.ops, o)
	}
	return p, nil
}

// castSchema returns the schema of cast values: the plain type, optional and with a default where there was one.
func castSchema(s *connectors.Schema, to connectors.Type) (*connectors.Schema, error) {
	out := &connectors.Schema{Type: to, Optional: s.Optional}
	if s.Default != nil && !s.Default.IsNull() {
		v, err := castValue(s, *s.Default, to)
		if err != nil {
			return nil, fmt.Errorf("default: %w", err)
		}
		out.Default = &v
	}
	return out, nil
}

func castRaw(dst, raw []byte, from, to *connectors.Schema) ([]byte, error) {
	v, _, err := connectors.ReadValue(from, raw)
	if err != nil {
		return dst, err
	}
	if v, err = castValue(from, v, to.Type); err != nil {
		return dst, err
	}
	return connectors.AppendValue(dst, to, v)
}

// castValue casts a decoded value.
func castValue(s *connectors.Schema, v connectors.Value, to connectors.Type) (connectors.Value, error) {
	decimal := s.Type == connectors.Bytes && s.Name == connectors.DecimalName
	switch {
	case v.IsNull():
		return v, nil
	case to == connectors.String || decimal:
		if s.Type == connectors.Struct || s.Type == connectors.Array || s.Type == connectors.Map {
			return v, fmt.Errorf("a value of type %s cannot be cast", s.Type)
		}
		plain := *s
		plain.Optional, plain.Default = false, nil
		b, err := connectors.AppendValue(nil, &plain, v)
		if err == nil {
			b, err = connectors.AppendText(nil, connectors.Data{Schema: &plain, Bytes: b}, connectors.HeaderText)
		}
		if err != nil || to == connectors.String {
			return connectors.StringBytesValue(b), err
		}
		f, err := strconv.ParseFloat(string(b), 64)
		if err != nil {
			return v, err
		}
		return castFloat(f, to), nil
	}
	switch v.Type {
	case connectors.Int8, connectors.Int16, connectors.Int32, connectors.Int64:
		return castInt(v.Int(), to), nil
	case connectors.Boolean:
		n := int64(0)
		if v.Bool() {
			n = 1
		}
		return castInt(n, to), nil
	case connectors.Float32, connectors.Float64:
		return castFloat(v.Float(), to), nil
	case connectors.String:
		return castText(v.Text(), to)
	}
	return v, fmt.Errorf("a value of type %s cannot be cast to %s", v.Type, to)
}

func castInt(n int64, to connectors.Type) connectors.Value {
	switch to {
	case connectors.Int8:
		n = int64(int8(n))
	case connectors.Int16:
		n = int64(int16(n))
	case connectors.Int32:
		n = int64(int32(n))
	case connectors.Float32:
		return connectors.FloatValue(to, float64(float32(n)))
	case connectors.Float64:
		return connectors.FloatValue(to, float64(n))
	case connectors.Boolean:
		return connectors.BoolValue(n != 0)
	}
	return connectors.IntValue(to, n)
}

// castFloat casts as Java does: NaN is 0, what is too large is the largest, and the small integers are cut out of 32
// bits.
func castFloat(f float64, to connectors.Type) connectors.Value {
	switch to {
	case connectors.Float32:
		return connectors.FloatValue(to, float64(float32(f)))
	case connectors.Float64:
		return connectors.FloatValue(to, f)
	}
	low, high := int64(math.MinInt32), int64(math.MaxInt32)
	if to == connectors.Int64 || to == connectors.Boolean {
		low, high = math.MinInt64, math.MaxInt64
	}
	n := int64(0)
	switch {
	case f >= float64(high):
		n = high
	case f <= float64(low):
		n = low
	case !math.IsNaN(f):
		n = int64(f)
	}
	return castInt(n, to)
}

func castText(text string, to connectors.Type) (v connectors.Value, err error) {
	switch to {
	case connectors.Boolean:
		return connectors.BoolValue(strings.EqualFold(text, "true")), nil
	case connectors.Float32, connectors.Float64:
		bits := 64
		if to == connectors.Float32 {
			bits = 32
		}
		f, err := strconv.ParseFloat(strings.TrimSpace(text), bits)
		if err != nil && !math.IsInf(f, 0) {
			return v, fmt.Errorf("%q is no %s", text, to)
		}
		return connectors.FloatValue(to, f), nil
	}
	n, err := strconv.ParseInt(text, 10, 8<<(to-connectors.Int8))
	if err != nil {
		return v, fmt.Errorf("%q is no %s", text, to)
	}
	return connectors.IntValue(to, n), nil
}

// castJSON casts a schemaless value.
func castJSON(value []byte, to connectors.Type) ([]byte, error) {
	v, err := jsonValue(value)
	if err != nil {
		return nil, err
	}
	out, err := castValue(&connectors.Schema{Type: v.Type}, v, to)
	if err != nil {
		return nil, err
	}
	s := &connectors.Schema{Type: to}
	printer, err := connectors.NewJSONPrinter(s, connectors.JSONOptions{})
	if err != nil {
		return nil, err
	}
	encoded, err := connectors.AppendValue(nil, s, out)
	if err != nil {
		return nil, err
	}
	text, _, err := printer.Append(nil, encoded)
	return text, err
}

// jsonValue reads a schemaless string, boolean or number, which is an Int64 or a Float64.
func jsonValue(text []byte) (connectors.Value, error) {
	switch {
	case len(text) > 0 && text[0] == '"':
		s, err := connectors.AppendJSONText(nil, text)
		return connectors.StringBytesValue(s), err
	case string(text) == "true" || string(text) == "false":
		return connectors.BoolValue(text[0] == 't'), nil
	}
	if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		return connectors.IntValue(connectors.Int64, n), nil
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil || text[0] > '9' {
		return connectors.Value{}, fmt.Errorf("%.20s is no text, number or boolean", text)
	}
	return connectors.FloatValue(connectors.Float64, f), nil
}
