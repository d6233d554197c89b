package mysql

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unsafe"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// appendFunc appends a value, without what says that it is present.
type appendFunc func(dst, raw []byte) ([]byte, error)

// codec says how values of a column are written: from the text of a SELECT, and from the binary form of the log.
type codec struct {
	schema *connectors.Schema // required
	text   appendFunc
	// log returns how values are read from the log, given their type and meta data there; nil if the column cannot
	// have that type.
	log func(typ byte, meta uint16) appendFunc
	// zero stands for a NOT NULL value that is not there.
	zero connectors.Value
	// cannotDefault: the schema shows no default.
	cannotDefault bool
	// selected is the expression that reads the column in a snapshot, with %s for its name; "" is the column itself.
	selected string
}

// codecs makes codecs under the settings.
type codecs struct {
	modes    valueModes
	charsets *charsets
	mariadb  bool
}

// view returns the bytes as a string, which must not outlive them.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// of returns the codec of a column; ok is false if its type has no mapping.
func (c *codecs) of(ctx context.Context, col *column) (codec, bool, error) {
	switch col.Type {
	case "tinyint":
		if col.isFlag() {
			return truth(true), true, nil // negative ones, too
		}
		return integer(connectors.Int16Schema, typeTiny, col.Unsigned), true, nil
	case "smallint":
		if col.Unsigned {
			return integer(connectors.Int32Schema, typeShort, true), true, nil
		}
		return integer(connectors.Int16Schema, typeShort, false), true, nil
	case "mediumint":
		return integer(connectors.Int32Schema, typeInt24, col.Unsigned), true, nil
	case "int":
		if col.Unsigned {
			return integer(connectors.Int64Schema, typeLong, true), true, nil
		}
		return integer(connectors.Int32Schema, typeLong, false), true, nil
	case "bigint":
		return c.bigint(col.Unsigned), true, nil
	case "year":
		k := integer(cdc.Logical(connectors.Int32, cdc.YearName), typeYear, true)
		k.log = only(typeYear, func(dst, raw []byte) ([]byte, error) {
			if raw[0] == 0 {
				return connectors.AppendInt(dst, 0), nil
			}
			return connectors.AppendInt(dst, 1900+int64(raw[0])), nil
		})
		return k, true, nil
	case "float":
		return float(col.Scale < 0), true, nil
	case "double":
		return float(false), true, nil
	case "decimal":
		return c.decimal(col.Length, col.Scale), true, nil
	case "bit":
		return bits(col.Length), true, nil
	case "date", "time", "datetime", "timestamp":
		return c.temporal(col), true, nil
	case "char", "varchar", "tinytext", "text", "mediumtext", "longtext":
		k, err := c.str(ctx, col)
		return k, true, err
	case "enum", "set":
		return labelled(col), true, nil
	case "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob":
		return c.binary(col), true, nil
	case "json":
		return document(), true, nil
	case "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geometrycollection":
		return geometry(col.Type == "point"), true, nil
	case "vector":
		return vector(), true, nil
	case "uuid":
		return uuid(), true, nil
	case "inet4", "inet6":
		return inet(), true, nil
	}
	return codec{}, false, nil
}

// only is the log function of a column that has one type in the log.
func only(typ byte, f appendFunc) func(byte, uint16) appendFunc {
	return func(t byte, _ uint16) appendFunc {
		if t == typ {
			return f
		}
		return nil
	}
}

func integer(s *connectors.Schema, typ byte, unsigned bool) codec {
	k := codec{schema: s, zero: connectors.IntValue(s.Type, 0), text: func(dst, text []byte) ([]byte, error) {
		n, err := strconv.ParseInt(view(text), 10, 64)
		if err != nil {
			return dst, fmt.Errorf("%q: %w", text, errText)
		}
		return connectors.AppendInt(dst, n), nil
	}}
	if unsigned {
		k.log = only(typ, func(dst, raw []byte) ([]byte, error) { return connectors.AppendInt(dst, int64(little(raw))), nil })
	} else {
		k.log = only(typ, func(dst, raw []byte) ([]byte, error) { return connectors.AppendInt(dst, signed(raw)), nil })
	}
	return k
}

func (c *codecs) bigint(unsigned bool) codec {
	k := integer(connectors.Int64Schema, typeLongLong, false)
	if !unsigned {
		return k
	}
	if !c.modes.unsignedPrecise {
		k.text = func(dst, text []byte) ([]byte, error) {
			n, err := strconv.ParseUint(view(text), 10, 64)
			if err != nil {
				return dst, fmt.Errorf("%q: %w", text, errText)
			}
			return connectors.AppendInt(dst, int64(n)), nil
		}
		return k
	}
	k = codec{schema: cdc.Decimal(20, 0), zero: connectors.BytesValue([]byte{0}),
		text: func(dst, text []byte) ([]byte, error) { return cdc.AppendDecimal(dst, text, 0) }}
	var buf [20]byte
	k.log = only(typeLongLong, func(dst, raw []byte) ([]byte, error) {
		return cdc.AppendDecimal(dst, strconv.AppendUint(buf[:0], little(raw), 10), 0)
	})
	return k
}

// float is a codec of a float (single) or double. A float is selected as a double: its own text has six digits only.
func float(single bool) codec {
	var f32, f64 appendFunc
	k := codec{schema: connectors.Float64Schema, zero: connectors.FloatValue(connectors.Float64, 0), selected: "%s * 1e0"}
	if single {
		k.schema, k.zero = connectors.Float32Schema, connectors.FloatValue(connectors.Float32, 0)
		f32 = func(dst, raw []byte) ([]byte, error) {
			return connectors.AppendFloat32(dst, math.Float32frombits(binary.LittleEndian.Uint32(raw))), nil
		}
		f64 = func(dst, raw []byte) ([]byte, error) {
			return connectors.AppendFloat32(dst, float32(math.Float64frombits(binary.LittleEndian.Uint64(raw)))), nil
		}
	} else {
		f32 = func(dst, raw []byte) ([]byte, error) {
			return connectors.AppendFloat64(dst, float64(math.Float32frombits(binary.LittleEndian.Uint32(raw)))), nil
		}
		f64 = func(dst, raw []byte) ([]byte, error) {
			return connectors.AppendFloat64(dst, math.Float64frombits(binary.LittleEndian.Uint64(raw))), nil
		}
	}
	k.text = func(dst, text []byte) ([]byte, error) {
		f, err := strconv.ParseFloat(view(text), 64)
		if err != nil {
			return dst, fmt.Errorf("%q: %w", text, errText)
		}
		if single {
			return connectors.AppendFloat32(dst, float32(f)), nil
		}
		return connectors.AppendFloat64(dst, f), nil
	}
	k.log = func(t byte, _ uint16) appendFunc {
		switch t {
		case typeFloat:
			return f32
		case typeDouble:
			return f64
		}
		return nil
	}
	return k
}

func (c *codecs) decimal(precision, scale int) codec {
	scale = max(scale, 0)
	var k codec
	switch c.modes.decimals {
	case cdc.DoubleDecimal:
		k = codec{schema: connectors.Float64Schema, zero: connectors.FloatValue(connectors.Float64, 0), text: float(false).text}
	case cdc.StringDecimal:
		zero := "0"
		if scale > 0 {
			zero += "." + strings.Repeat("0", scale)
		}
		k = codec{schema: connectors.StringSchema, zero: connectors.StringValue(zero), text: appendText}
	default:
		k = codec{schema: cdc.Decimal(precision, scale), zero: connectors.BytesValue([]byte{0}),
			text: func(dst, text []byte) ([]byte, error) { return cdc.AppendDecimal(dst, text, scale) }}
	}
	text := k.text
	var scratch []byte
	k.log = func(t byte, meta uint16) appendFunc {
		if t != typeNewDecimal {
			return nil
		}
		p, s := int(meta>>8), int(meta&0xff)
		return func(dst, raw []byte) ([]byte, error) {
			scratch = appendDecimalText(scratch[:0], raw, p, s)
			return text(dst, scratch)
		}
	}
	return k
}

// bits is a codec of a bit string: the server sends it with the highest byte first, Debezium writes the lowest first,
// without zeros at the end.
func bits(length int) codec {
	if length == 1 {
		f := func(dst, raw []byte) ([]byte, error) { return connectors.AppendBool(dst, big(raw) != 0), nil }
		return codec{schema: connectors.BooleanSchema, text: f, log: only(typeBit, f), zero: connectors.BoolValue(false)}
	}
	size := (length + 7) / 8
	f := func(dst, raw []byte) ([]byte, error) {
		dst = connectors.AppendInt(dst, int64(size))
		for i := range size {
			if at := len(raw) - 1 - i; at >= 0 {
				dst = append(dst, raw[at])
			} else {
				dst = append(dst, 0)
			}
		}
		return dst, nil
	}
	return codec{schema: cdc.Bits(length), text: f, log: only(typeBit, f), zero: connectors.BytesValue(make([]byte, size))}
}

// temporal is a codec of a date or time.
func (c *codecs) temporal(col *column) codec {
	m := c.modes.times
	switch col.Type {
	case "date":
		return temporal(m.Date(), textDate, "1970-01-01Z", func(t byte) func([]byte) (int64, error) {
			if t == typeDate {
				return logDate
			}
			return nil
		})
	case "time":
		t := m.Time(col.digits())
		if m == cdc.ConnectTime || m == cdc.ISOString { // a time of day: nothing else fits into it
			inner := t.Append
			t.Append = func(dst []byte, us int64) ([]byte, error) {
				if us < 0 || us >= day {
					return dst, fmt.Errorf("a time beyond a day: %w", cdc.ErrOutOfRange)
				}
				return inner(dst, us)
			}
		}
		return temporal(t, textTime, "00:00:00Z", func(t byte) func([]byte) (int64, error) {
			switch t {
			case typeTime2:
				return logTime
			case typeTime:
				return logOldTime
			}
			return nil
		})
	case "datetime":
		return temporal(m.Timestamp(col.digits()), textDatetime, "1970-01-01T00:00:00Z", func(t byte) func([]byte) (int64, error) {
			switch t {
			case typeDatetime2:
				return logDatetime
			case typeDatetime:
				return logOldDatetime
			}
			return nil
		})
	}
	digits := col.digits()
	return temporal(cdc.Temporal{Schema: cdc.Logical(connectors.String, cdc.ZonedTimestampName),
		Append: func(dst []byte, us int64) ([]byte, error) { return cdc.AppendZonedTimestamp(dst, us, digits), nil }},
		textDatetime, "1970-01-01T00:00:00Z", func(t byte) func([]byte) (int64, error) {
			switch t {
			case typeTimestamp2:
				return logTimestamp
			case typeTimestamp:
				return logOldTimestamp
			}
			return nil
		})
}

func temporal(t cdc.Temporal, text func([]byte) (int64, error), zero string, log func(typ byte) func([]byte) (int64, error)) codec {
	k := codec{schema: t.Schema, zero: connectors.IntValue(t.Schema.Type, 0)}
	if t.Schema.Type == connectors.String {
		k.zero = connectors.StringValue(zero)
	}
	through := func(read func([]byte) (int64, error)) appendFunc {
		return func(dst, raw []byte) ([]byte, error) {
			v, err := read(raw)
			if err != nil {
				return dst, err
			}
			return t.Append(dst, v)
		}
	}
	k.text = through(text)
	k.log = func(typ byte, _ uint16) appendFunc {
		if read := log(typ); read != nil {
			return through(read)
		}
		return nil
	}
	return k
}

// errUTF8 says that text is not valid in its character set.
var errUTF8 = fmt.Errorf("text is not valid in its character set")

// geometry is a codec of a geometry: SRID as uint32 | well-known binary.
func geometry(point bool) codec {
	k := codec{schema: cdc.Geometry(cdc.GeometryName), cannotDefault: true,
		zero: connectors.ListValue(connectors.Struct, []connectors.Value{connectors.BytesValue(nil), connectors.Null()})}
	srid := func(dst, raw []byte) []byte {
		if n := littleUint32(raw); n != 0 {
			return cdc.AppendOptionalInt(dst, int64(n))
		}
		return cdc.AppendOptionalNull(dst)
	}
	f := func(dst, raw []byte) ([]byte, error) {
		if len(raw) < 4 {
			return dst, errImage
		}
		return srid(connectors.AppendBytes(dst, raw[4:]), raw), nil
	}
	if point {
		zero := connectors.FloatValue(connectors.Float64, 0)
		k.schema, k.zero = cdc.Point(), connectors.ListValue(connectors.Struct, []connectors.Value{zero, zero, connectors.Null(), connectors.Null()})
		f = func(dst, raw []byte) ([]byte, error) {
			if len(raw) != 25 {
				return dst, errImage
			}
			order := binary.ByteOrder(binary.BigEndian)
			if raw[4] == 1 {
				order = binary.LittleEndian
			}
			dst = connectors.AppendFloat64(dst, math.Float64frombits(order.Uint64(raw[9:])))
			dst = connectors.AppendFloat64(dst, math.Float64frombits(order.Uint64(raw[17:])))
			return srid(connectors.AppendBytes(append(dst, 2), raw[4:]), raw), nil
		}
	}
	k.text, k.log = f, func(t byte, _ uint16) appendFunc {
		if t == typeGeometry || t == typeBlob {
			return f
		}
		return nil
	}
	return k
}

// vector is a codec of a vector: single floats one behind the other.
func vector() codec {
	s := &connectors.Schema{Type: connectors.Array, Name: cdc.FloatVectorName, Version: 1, Elem: connectors.Float32Schema}
	f := func(dst, raw []byte) ([]byte, error) {
		if len(raw)%4 != 0 {
			return dst, errImage
		}
		if len(raw) > 0 {
			dst = connectors.AppendInt(dst, int64(len(raw)/4))
		}
		return append(append(dst, raw...), 0), nil // both are little-endian
	}
	return codec{schema: s, cannotDefault: true, zero: connectors.ListValue(connectors.Array, nil), text: f, log: func(t byte, _ uint16) appendFunc {
		switch t {
		case typeVector, typeBlob, typeVarchar, typeString:
			return f
		}
		return nil
	}}
}

// uuid is a codec of MariaDB's uuid: 16 bytes in the log, of which those at the end that are zero are left out.
func uuid() codec {
	return codec{schema: cdc.Logical(connectors.String, cdc.UUIDName), text: appendUTF8, zero: connectors.StringValue("00000000-0000-0000-0000-000000000000"),
		log: asString(func(dst, raw []byte) ([]byte, error) {
			var u [16]byte
			if copy(u[:], raw) < len(raw) {
				return dst, errImage
			}
			dst = connectors.AppendInt(dst, 36)
			const hex = "0123456789abcdef"
			for i, b := range u {
				if i == 4 || i == 6 || i == 8 || i == 10 {
					dst = append(dst, '-')
				}
				dst = append(dst, hex[b>>4], hex[b&15])
			}
			return dst, nil
		})}
}
