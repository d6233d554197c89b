package jdbcsource

import (
	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// sqlType is what a column holds, whatever its database calls it.
type sqlType uint8

const (
	unsupported       sqlType = iota // no type of Connect's is like it
	sqlBool                          //
	sqlInt                           // of column.bits
	sqlFloat32                       //
	sqlFloat64                       //
	sqlDecimal                       // of column.precision and scale
	sqlAnyDecimal                    // each with a scale of its own
	sqlText                          //
	sqlBytes                         //
	sqlHex                           // bytes as PostgreSQL prints them: \x and digits
	sqlBits                          // of column.precision bits; text of 0 and 1, or bytes
	sqlMoney                         // as PostgreSQL prints it where lc_monetary is C
	sqlDate                          //
	sqlYear                          //
	sqlTime                          //
	sqlTimestamp                     // of db.timezone
	sqlZonedTimestamp                // of UTC, or with its zone
)

// column is a column of a table or of a query's answer.
type column struct {
	name      string
	native    string // what the database calls its type
	typ       sqlType
	bits      int // of an integer
	precision int // of a decimal or bit string; 0 is unknown
	scale     int
	nullable  bool
	numbered  bool // the database gives it the next number by itself
}

// longestInteger is how many digits surely fit into 64 bits (Confluent's bound).
const longestInteger = 18

// field returns the schema of a column's values and what reads them; nil if there is no such schema.
func (s *settings) field(c *column) (*connectors.Schema, reader) {
	plain := func(t connectors.Type, r reader) (*connectors.Schema, reader) { return &connectors.Schema{Type: t}, r }
	var schema *connectors.Schema
	var read reader
	switch c.typ {
	case sqlBool:
		schema, read = plain(connectors.Boolean, readBool)
	case sqlInt:
		schema, read = plain(intType(c.bits), readInt(c.bits))
	case sqlFloat32:
		schema, read = plain(connectors.Float32, readFloat32)
	case sqlFloat64, sqlMoney:
		schema, read = plain(connectors.Float64, readFloat64)
	case sqlDecimal:
		schema, read = s.decimal(c)
	case sqlAnyDecimal:
		if s.numerics == numericsEagerlyDouble {
			schema, read = plain(connectors.Float64, readFloat64)
		} else {
			schema, read = cdc.VariableScaleDecimal(), readAnyDecimal
		}
	case sqlText:
		schema, read = plain(connectors.String, readText)
	case sqlBytes:
		schema, read = plain(connectors.Bytes, readBytes)
	case sqlHex:
		schema, read = plain(connectors.Bytes, readHex)
	case sqlBits:
		schema, read = bitField(c)
	case sqlDate:
		schema, read = cdc.Logical(connectors.Int32, connectors.DateName), readDate
	case sqlYear:
		schema, read = cdc.Logical(connectors.Int32, connectors.DateName), readYear
	case sqlTime:
		schema, read = cdc.Logical(connectors.Int32, connectors.TimeName), readTime
	case sqlTimestamp, sqlZonedTimestamp:
		schema, read = s.timestampField(c)
	default:
		return nil, nil
	}
	schema.Optional = c.nullable
	return schema, read
}

func intType(bits int) connectors.Type {
	return map[int]connectors.Type{8: connectors.Int8, 16: connectors.Int16, 32: connectors.Int32, 64: connectors.Int64}[bits]
}

// decimal is the field of a decimal, by numeric.mapping.
func (s *settings) decimal(c *column) (*connectors.Schema, reader) {
	digits := c.precision - min(c.scale, 0) // in front of the point; PostgreSQL has negative scales
	fits := c.precision > 0 && digits <= longestInteger
	switch {
	case s.numerics == numericsDecimal:
	case c.scale <= 0 && fits:
		bits := 64
		switch {
		case digits <= 2:
			bits = 8
		case digits <= 4:
			bits = 16
		case digits <= 9:
			bits = 32
		}
		return &connectors.Schema{Type: intType(bits)}, readInt(bits)
	case c.scale > 0 && (s.numerics == numericsEagerlyDouble || s.numerics == numericsBestFit && fits):
		return &connectors.Schema{Type: connectors.Float64}, readFloat64
	}
	return cdc.Decimal(c.precision, max(0, c.scale)), readDecimal(max(0, c.scale))
}

// bitField is the field of a bit string: one bit is a boolean in PostgreSQL, which prints bits, and a number in MySQL.
func bitField(c *column) (*connectors.Schema, reader) {
	switch printed := c.native == "bit"; {
	case c.precision == 1 && printed:
		return &connectors.Schema{Type: connectors.Boolean}, readBool
	case c.precision > 0 && c.precision < 8:
		return &connectors.Schema{Type: connectors.Int8}, readBits
	case printed:
		return &connectors.Schema{Type: connectors.Bytes}, readPrintedBits
	}
	return &connectors.Schema{Type: connectors.Bytes}, readBytes
}

func (s *settings) timestampField(c *column) (*connectors.Schema, reader) {
	of := func(then func(dst []byte, at instant) ([]byte, error)) reader {
		return func(dst []byte, v *cell) ([]byte, error) {
			at, err := s.instant(c, v)
			if err != nil {
				return dst, err
			}
			return then(dst, at)
		}
	}
	switch s.granularity {
	case nanosLong:
		return &connectors.Schema{Type: connectors.Int64}, of(appendNanos)
	case nanosString:
		return &connectors.Schema{Type: connectors.String}, of(appendNanosText)
	case nanosISO:
		zone := s.zone
		return &connectors.Schema{Type: connectors.String}, of(func(dst []byte, at instant) ([]byte, error) {
			var text [40]byte
			return connectors.AppendBytes(dst, at.wall(zone).appendTo(text[:0], 'T', 9)), nil
		})
	}
	return cdc.Logical(connectors.Int64, connectors.TimestampName), of(func(dst []byte, at instant) ([]byte, error) {
		return connectors.AppendInt(dst, at.milliseconds()), nil
	})
}
