package transforms

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

func timestampConverterDefinition() *configs.Definition {
	return &configs.Definition{
		Keys: []configs.Key{
			{Name: "field", Type: configs.String, DefaultEmpty: true, Importance: configs.High, Doc: "The field with the time; empty if the whole value is one."},
			{Name: "target.type", Type: configs.String, Required: true, Enum: []string{"string", "unix", "Date", "Time", "Timestamp"}, Importance: configs.High, Doc: "What the time becomes."},
			{Name: "format", Type: configs.String, DefaultEmpty: true, Importance: configs.Medium, Check: checkDateFormat,
				Doc: "How a time is written as text, as Java's SimpleDateFormat; in UTC."},
			{Name: "unix.precision", Type: configs.String, Default: "milliseconds", Enum: []string{"seconds", "milliseconds", "microseconds", "nanoseconds"}, Importance: configs.Low,
				Doc: "What a number counts since 1970. Finer parts than milliseconds are lost."},
			replaceNull()},
		Rules: []configs.Rule{configs.Check("format is needed for text.", []string{"target.type", "format"}, func(v configs.Values) []configs.Problem {
			if v.String("target.type") == "string" && v.String("format") == "" {
				return []configs.Problem{configs.KeyError("format", "is needed for target.type=string")}
			}
			return nil
		})},
	}
}

// timestampConverter turns times into another type: text, a number since 1970, or one of Connect's logical types.
type timestampConverter struct {
	structs
	field    string
	target   string
	layout   *javaDateFormat // nil: no format given
	unit     string
	defaults bool
	wholes   cache[*connectors.Schema]
	object   object
}

func newTimestampConverter(v configs.Values, at side, a *arena) (transform, error) {
	t := &timestampConverter{structs: structs{at: at, arena: a}, field: v.String("field"), target: v.String("target.type"),
		unit: v.String("unix.precision"), defaults: v.Bool("replace.null.with.default")}
	if format := v.String("format"); format != "" {
		var err error
		if t.layout, err = compileDateFormat(format); err != nil {
			return nil, fmt.Errorf("format: %w", err)
		}
	}
	return t, nil
}

func (t *timestampConverter) apply(r *connectors.Record) (bool, error) {
	d := t.at.of(r)
	switch {
	case isNull(*d):
		return true, nil
	case d.Schema == nil:
		return true, t.schemaless(d)
	case t.field != "":
		return true, t.structs.apply(r, t.build)
	}
	to, err := t.wholes.get(d.Schema, func(s *connectors.Schema) (*connectors.Schema, error) { return t.schema(s.Optional), nil })
	if err != nil {
		return false, err
	}
	out, err := t.convert(t.arena.take(), d.Bytes, d.Schema, to)
	if err != nil {
		return false, err
	}
	*d = connectors.Data{Schema: to, Bytes: t.arena.keep(out)}
	return true, nil
}

func (t *timestampConverter) build(s *connectors.Schema) (*plan, error) {
	p := &plan{out: basics(s)}
	p.out.Optional = s.Optional
	for i, f := range s.Fields {
		o, err := copyOp(s, i, t.defaults)
		if err != nil {
			return nil, err
		}
		if f.Name == t.field {
			from, to := f.Schema, t.schema(f.Schema.Optional)
			o.convert = func(dst, raw []byte, _ *connectors.Record) ([]byte, error) { return t.convert(dst, raw, from, to) }
			f.Schema = to
		}
		p.out.Fields = append(p.out.Fields, f)
		p.ops = append(p.ops, o)
	}
	return p, nil
}

// schema returns the schema of the target type.
func (t *timestampConverter) schema(optional bool) *connectors.Schema {
	s := &connectors.Schema{Type: connectors.Int64, Optional: optional}
	switch t.target {
	case "string":
		s.Type = connectors.String
	case "Date":
		s.Type, s.Name, s.Version = connectors.Int32, connectors.DateName, 1
	case "Time":
		s.Type, s.Name, s.Version = connectors.Int32, connectors.TimeName, 1
	case "Timestamp":
		s.Name, s.Version = connectors.TimestampName, 1
	}
	return s
}

func (t *timestampConverter) convert(dst, raw []byte, from, to *connectors.Schema) ([]byte, error) {
	v, _, err := connectors.ReadValue(from, raw)
	if err != nil {
		return dst, err
	}
	if v.IsNull() {
		return connectors.AppendValue(dst, to, v)
	}
	at, err := t.read(from, v)
	if err != nil {
		return dst, err
	}
	return connectors.AppendValue(dst, to, t.write(at))
}

const dayMillis = 24 * 60 * 60 * 1000

// read returns the time, in milliseconds since 1970.
func (t *timestampConverter) read(s *connectors.Schema, v connectors.Value) (int64, error) {
	switch {
	case s.Name == connectors.DateName:
		return v.Int() * dayMillis, nil
	case s.Name == connectors.TimeName, s.Name == connectors.TimestampName:
		return v.Int(), nil
	case s.Type == connectors.String:
		if t.layout == nil {
			return 0, errors.New("a time as text needs format")
		}
		at, err := t.layout.parse(v.Text())
		if err != nil {
			return 0, err
		}
		return at.UnixMilli(), nil
	case s.Type == connectors.Int64:
		switch t.unit {
		case "seconds":
			return v.Int() * 1000, nil
		case "microseconds":
			return v.Int() / 1000, nil
		case "nanoseconds":
			return v.Int() / 1e6, nil
		}
		return v.Int(), nil
	}
	return 0, fmt.Errorf("a value of type %s is no time", s.Type)
}

func (t *timestampConverter) write(at int64) connectors.Value {
	day := at / dayMillis
	if at%dayMillis < 0 {
		day--
	}
	switch t.target {
	case "string":
		return connectors.StringValue(t.layout.format(time.UnixMilli(at).UTC()))
	case "Date":
		return connectors.IntValue(connectors.Int32, day)
	case "Time":
		return connectors.IntValue(connectors.Int32, at-day*dayMillis)
	case "unix":
		switch t.unit {
		case "seconds":
			at /= 1000
		case "microseconds":
			at *= 1000
		case "nanoseconds":
			at *= 1e6
		}
	}
	return connectors.IntValue(connectors.Int64, at)
}

func (t *timestampConverter) schemaless(d *connectors.Data) error {
	if t.field == "" {
		out, err := t.convertJSON(d.Bytes)
		*d = connectors.Data{Bytes: out}
		return err
	}
	if err := t.object.parse(*d); err != nil {
		return err
	}
	value := t.object.get(t.field)
	if value == nil || string(value) == "null" {
		value = []byte("null")
	} else {
		var err error
		if value, err = t.convertJSON(value); err != nil {
			return fmt.Errorf("field %s: %w", t.field, err)
		}
	}
	t.object.set(t.field, value)
	*d = t.object.data(t.arena)
	return nil
}

func (t *timestampConverter) convertJSON(value []byte) ([]byte, error) {
	v, err := jsonValue(value)
	if err != nil {
		return nil, err
	}
	at, err := t.read(&connectors.Schema{Type: v.Type}, v)
	if err != nil {
		return nil, err
	}
	if v = t.write(at); v.Type == connectors.String {
		return jsonText(v.Text()), nil
	}
	return strconv.AppendInt(nil, v.Int(), 10), nil
}
