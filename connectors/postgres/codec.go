package postgres

import (
	"math"
	"strings"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// typ is what the catalog says about a type.
type typ struct {
	OID       uint32
	Schema    string
	Name      string
	Kind      byte // pg_type.typtype: b base, c composite, d domain, e enum, p pseudo, r range, m multirange
	Elem      uint32
	IsArray   bool
	Delimiter byte   // between the elements of an array of it
	Base      uint32 // of a domain
	BaseMod   int32
	Labels    []string // of an enum, in order
}

// codec says how values of a type are written.
type codec struct {
	schema *connectors.Schema // required
	append appendFunc
	// generated is the text that stands for a default that is a call of a function (now(), nextval('s')), nil if such
	// a default is left out; expressions says that it stands for other expressions too.
	generated   *string
	expressions bool
	// zero stands for a NOT NULL value that the log does not have.
	zero connectors.Value
	// kept stands for a value that an update did not change, nil if unchanged says it.
	kept *connectors.Value
	// places is how many digits behind the point a default gets.
	places int
	// cannotDefault: the schema takes no default (structs, in Connect).
	cannotDefault bool
}

// codecs makes codecs under the settings.
type codecs struct {
	modes valueModes
	// unchecked: the server does not check that text is valid in its encoding (SQL_ASCII).
	unchecked bool
}

// The type modifier of a column: for most types its length or precision plus 4.
const noModifier = -1

// digits returns the digits of a fraction of a second that a time type keeps.
func digits(mod int32) int {
	if mod == noModifier {
		return 6
	}
	return int(mod)
}

// of returns the codec of a type, given how to look up others; ok is false if there is no mapping.
func (c *codecs) of(t typ, mod int32, lookup func(oid uint32) (typ, bool)) (codec, bool) {
	switch {
	case t.Kind == 'd':
		base, ok := lookup(t.Base)
		if !ok {
			return codec{}, false
		}
		if mod == noModifier {
			mod = t.BaseMod
		}
		k, ok := c.of(base, mod, lookup)
		return k.bare(), ok
	case t.Kind == 'e':
		return text(cdc.Enum(cdc.EnumName, strings.Join(t.Labels, ",")), ""), true
	case t.IsArray:
		return c.array(t, mod, lookup)
	case t.Schema == "pg_catalog":
		if k, ok := c.builtin(t.Name, mod); ok {
			return c.guarded(k), true
		}
	case t.Kind == 'b':
		if k, ok := c.extension(t.Name, mod); ok {
			return c.guarded(k), true
		}
	}
	return c.unknown()
}

// guarded checks text that the server did not check.
func (c *codecs) guarded(k codec) codec {
	if c.unchecked && k.schema.Type == connectors.String {
		k.append = checked(k.append)
	}
	return k
}

func (c *codecs) unknown() (codec, bool) {
	if !c.modes.unknownToo {
		return codec{}, false
	}
	return codec{schema: c.modes.binary.Schema(), append: func(dst, text []byte) ([]byte, error) {
		return c.modes.binary.Append(dst, text), nil
	}, zero: c.zeroBinary()}, true
}

func (c *codecs) zeroBinary() connectors.Value {
	if c.modes.binary == cdc.RawBinary {
		return connectors.BytesValue(nil)
	}
	return connectors.StringValue("")
}

// text is a codec of a string that is written as the server sends it.
func text(s *connectors.Schema, zero string) codec {
	return codec{schema: s, append: appendString, zero: connectors.StringValue(zero)}
}

// calls returns the codec with a stand-in for defaults that are calls.
func (k codec) calls(generated string) codec {
	k.generated = &generated
	return k
}

// any returns the codec with a stand-in for defaults of any expression.
func (k codec) any(generated string) codec {
	k.generated, k.expressions = &generated, true
	return k
}

// bare returns the codec without defaults: Debezium shows none for the type.
func (k codec) bare() codec {
	k.cannotDefault = true
	return k
}

func integer(t connectors.Type, s *connectors.Schema, f appendFunc) codec {
	return codec{schema: s, append: f, zero: connectors.IntValue(t, 0)}.calls("0")
}

// builtin returns the codec of a type of pg_catalog.
func (c *codecs) builtin(name string, mod int32) (codec, bool) {
	switch name {
	case "bool":
		return codec{schema: connectors.BooleanSchema, append: appendBool, zero: connectors.BoolValue(false)}.any("f"), true
	case "int2":
		return integer(connectors.Int16, connectors.Int16Schema, rangeChecked(math.MinInt16, math.MaxInt16)), true
	case "int4":
		return integer(connectors.Int32, connectors.Int32Schema, rangeChecked(math.MinInt32, math.MaxInt32)), true
	case "int8":
		return integer(connectors.Int64, connectors.Int64Schema, appendInt), true
	case "oid":
		return integer(connectors.Int64, connectors.Int64Schema, appendInt).bare(), true
	case "float4":
		return codec{schema: connectors.Float32Schema, append: appendFloat32, zero: connectors.FloatValue(connectors.Float32, 0)}.calls("0"), true
	case "float8":
		return codec{schema: connectors.Float64Schema, append: appendFloat64, zero: connectors.FloatValue(connectors.Float64, 0)}.calls("0"), true
	case "numeric":
		return c.numeric(mod), true
	case "money":
		return c.money(), true
	case "text", "varchar", "bpchar":
		return text(connectors.StringSchema, "").calls(""), true
	case "name", "char", "inet", "cidr", "macaddr", "macaddr8", "int4range", "int8range", "numrange", "tsrange", "tstzrange", "daterange":
		return text(connectors.StringSchema, "").bare(), true
	case "json", "jsonb":
		return text(cdc.Logical(connectors.String, cdc.JSONName), "").calls("{}"), true
	case "xml":
		return text(cdc.Logical(connectors.String, cdc.XMLName), "").calls(""), true
	case "uuid":
		return text(cdc.Logical(connectors.String, cdc.UUIDName), "").calls("00000000-0000-0000-0000-000000000000"), true
	case "tsvector":
		return text(cdc.Logical(connectors.String, cdc.TsvectorName), "").bare(), true
	case "bytea":
		return codec{schema: c.modes.binary.Schema(), append: appendBytea(c.modes.binary), zero: c.zeroBinary(), cannotDefault: true}, true
	case "bit", "varbit":
		return bitString(mod), true
	case "point":
		return codec{schema: cdc.Point(), append: appendPoint, cannotDefault: true, zero: zeroPoint()}, true
	}
	return c.temporal(name, mod)
}

func bitString(mod int32) codec {
	if mod == 1 {
		return codec{schema: connectors.BooleanSchema, append: appendBit, zero: connectors.BoolValue(false)}.calls("0")
	}
	length := math.MaxInt32
	if mod != noModifier {
		length = int(mod)
	}
	return codec{schema: cdc.Bits(length), append: appendBits, zero: connectors.BytesValue(nil)}
}

func zeroPoint() connectors.Value {
	b, _ := appendPoint(nil, []byte("(0,0)"))
	v, _, _ := connectors.ReadValue(cdc.Point(), b)
	return v
}

// temporal returns the codec of a date or time type.
func (c *codecs) temporal(name string, mod int32) (codec, bool) {
	number := func(t cdc.Temporal, f appendFunc, generated, iso string) (codec, bool) {
		k := codec{schema: t.Schema, append: f, zero: connectors.IntValue(t.Schema.Type, 0)}.any(generated)
		if t.Schema.Type == connectors.String {
			k.zero = connectors.StringValue(iso)
		}
		return k, true
	}
	switch name {
	case "date":
		t := c.modes.times.Date()
		return number(t, appendDate(t), "1970-01-01", "1970-01-01Z")
	case "time":
		t := c.modes.times.Time(digits(mod))
		return number(t, appendTime(t), "00:00:00", "00:00:00Z")
	case "timestamp":
		t := c.modes.times.Timestamp(digits(mod))
		return number(t, appendTimestamp(t), "1970-01-01 00:00:00", "1970-01-01T00:00:00Z")
	case "timestamptz":
		k := text(cdc.Logical(connectors.String, cdc.ZonedTimestampName), "1970-01-01T00:00:00Z").any("1970-01-01 00:00:00+00")
		k.append = appendTimestampTZ(digits(mod))
		return k, true
	case "timetz":
		k := text(cdc.Logical(connectors.String, cdc.ZonedTimeName), "00:00:00Z").bare()
		k.append = appendTimeTZ
		return k, true
	case "interval":
		if c.modes.intervalISO {
			k := text(cdc.Logical(connectors.String, cdc.IntervalName), "P0Y0M0DT0H0M0S").any("00:00:00")
			k.append = appendISOInterval
			return k, true
		}
		return codec{schema: cdc.Logical(connectors.Int64, cdc.MicroDurationName), append: appendMicroDuration,
			zero: connectors.IntValue(connectors.Int64, 0)}.any("00:00:00"), true
	}
	return codec{}, false
}

// precision takes the modifier of numeric apart: ((precision << 16) | scale) + 4, the scale having 11 bits and a sign
// since PostgreSQL 15.
func precision(mod int32) (digits, scale int) {
	mod -= 4
	return int(mod >> 16 & 0xffff), int(mod&0x7ff^1024) - 1024
}

func (c *codecs) numeric(mod int32) codec {
	p, s := 0, 0
	if mod != noModifier {
		p, s = precision(mod)
	}
	zero := "0"
	if s > 0 {
		zero = "0." + strings.Repeat("0", s)
	}
	switch {
	case c.modes.decimals == cdc.DoubleDecimal:
		return codec{schema: connectors.Float64Schema, append: appendFloat64, zero: connectors.FloatValue(connectors.Float64, 0)}.calls("0")
	case c.modes.decimals == cdc.StringDecimal:
		k := text(connectors.StringSchema, zero).calls(zero)
		k.append, k.places = appendNumericText, max(s, 0)
		return k
	case mod == noModifier:
		return codec{schema: cdc.VariableScaleDecimal(), append: cdc.AppendVariableDecimal, cannotDefault: true,
			zero: connectors.ListValue(connectors.Struct, []connectors.Value{connectors.IntValue(connectors.Int32, 0), connectors.BytesValue([]byte{0})})}
	}
	return codec{schema: cdc.Decimal(p, s), zero: connectors.BytesValue([]byte{0}),
		append: func(dst, text []byte) ([]byte, error) { return cdc.AppendDecimal(dst, text, s) }}.calls("0")
}

func (c *codecs) money() codec {
	scale := c.modes.moneyDigits
	switch c.modes.decimals {
	case cdc.DoubleDecimal:
		return codec{schema: connectors.Float64Schema, append: appendMoney(appendFloat64), zero: connectors.FloatValue(connectors.Float64, 0)}.bare()
	case cdc.StringDecimal:
		k := text(connectors.StringSchema, "0.00").bare()
		k.append = appendMoney(appendString)
		return k
	}
	return codec{schema: cdc.Decimal(0, scale), zero: connectors.BytesValue([]byte{0}),
		append: appendMoney(func(dst, text []byte) ([]byte, error) { return cdc.AppendDecimal(dst, text, scale) })}.bare()
}

// extension returns the codec of a type that an extension made, by its name in any schema.
func (c *codecs) extension(name string, mod int32) (codec, bool) {
	switch name {
	case "citext", "isbn", "isbn13", "issn", "issn13", "ismn", "ismn13", "ean13", "upc":
		return text(connectors.StringSchema, "").bare(), true
	case "ltree":
		return text(cdc.Logical(connectors.String, cdc.LtreeName), "").bare(), true
	case "hstore":
		if c.modes.hstoreMap {
			return codec{schema: &connectors.Schema{Type: connectors.Map, Key: connectors.StringSchema, Elem: connectors.OptionalStringSchema},
				append: appendHstoreMap, cannotDefault: true, zero: connectors.ListValue(connectors.Map, nil)}, true
		}
		p := string(connectors.AppendJSONString(nil, c.modes.placeholder))
		kept := connectors.StringValue("{" + p + ":" + p + "}")
		return codec{schema: cdc.Logical(connectors.String, cdc.JSONName), append: appendHstoreJSON(), zero: connectors.StringValue("{}"), kept: &kept}.bare(), true
	case "geometry", "geography":
		s := cdc.Geometry(cdc.GeometryName)
		if name == "geography" {
			s = cdc.Geometry(cdc.GeographyName)
		}
		return codec{schema: s, append: appendGeometry(), cannotDefault: true,
			zero: connectors.ListValue(connectors.Struct, []connectors.Value{connectors.BytesValue(nil), connectors.Null()})}, true
	case "vector":
		s := cdc.Array(connectors.Float64Schema)
		s.Name, s.Version = cdc.DoubleVectorName, 1
		return vector(s, connectors.Float64Schema, appendFloat64), true
	case "halfvec":
		s := cdc.Array(connectors.Float32Schema)
		s.Name, s.Version = cdc.FloatVectorName, 1
		return vector(s, connectors.Float32Schema, appendFloat32), true
	}
	return codec{}, false
}

// vector is pgvector's [1,2.5]: an array of required numbers.
func vector(s, elem *connectors.Schema, item appendFunc) codec {
	s.Elem = elem
	inner := appendArray(elem, ',', item)
	var scratch []byte
	return codec{schema: s, cannotDefault: true, zero: connectors.ListValue(connectors.Array, nil), append: func(dst, text []byte) ([]byte, error) {
		if len(text) < 2 || text[0] != '[' || text[len(text)-1] != ']' {
			return dst, malformed("vector", text)
		}
		scratch = append(append(append(scratch[:0], '{'), text[1:len(text)-1]...), '}')
		return inner(dst, scratch)
	}}
}

func (c *codecs) array(t typ, mod int32, lookup func(oid uint32) (typ, bool)) (codec, bool) {
	elem, ok := lookup(t.Elem)
	if !ok {
		return codec{}, false
	}
	if elem.Schema == "pg_catalog" {
		switch elem.Name {
		case "money", "name", "interval", "varbit", "xml", "point":
			return codec{}, false // Debezium has no arrays of these, nor takes them for unknown
		}
	}
	item, ok := c.unknown() // arrays of domains are
	if elem.Kind != 'd' {
		item, ok = c.of(elem, mod, lookup)
	}
	if !ok {
		return codec{}, false
	}
	s := cdc.Array(item.schema)
	return codec{schema: s, append: appendArray(s.Elem, elem.Delimiter, item.append), zero: connectors.ListValue(connectors.Array, nil), cannotDefault: true}, true
}
