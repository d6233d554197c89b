package jdbc

import (
	"encoding/binary"
	"testing"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// FuzzCells: whatever a value's bytes are, its row has a cell for each column, of the length that it says, or there is an
// error.
func FuzzCells(f *testing.F) {
	var fields []any
	for i, s := range []*connectors.Schema{connectors.Int64Schema, connectors.StringSchema, cdc.Decimal(12, 2), cdc.VariableScaleDecimal(),
		cdc.Logical(connectors.String, cdc.ZonedTimestampName), cdc.Logical(connectors.Int64, cdc.NanoTimestampName), cdc.Logical(connectors.Int64, cdc.MicroTimeName),
		cdc.Bits(10), cdc.Array(connectors.StringSchema), cdc.Array(cdc.Array(connectors.Int32Schema)), cdc.Point(), cdc.Geometry(cdc.GeometryName),
		cdc.Logical(connectors.Int32, cdc.DateName), {Type: connectors.Map, Key: connectors.StringSchema, Elem: connectors.Float64Schema}} {
		fields = append(fields, string(rune('a'+i)), s.AsOptional())
	}
	schema := structOf("row", fields...)
	f.Add(data(schema, []any{1, "it's", []byte{1, 2}, []any{3, []byte{4}}, "2024-02-29T12:21:36.789012Z", 5, 6, []byte{1, 2}, []any{"x", nil},
		[]any{[]any{1}}, []any{1.5, 2.5, nil, nil}, []any{[]byte{1}, nil}, 7, []any{"k", 0.5}}).Bytes)
	f.Add(make([]byte, len(schema.Fields)))
	f.Add([]byte("\x02\xff"))
	dialects := []dialect{&postgres{}, &mysqlDialect{}, &sqliteDialect{}}
	f.Fuzz(func(t *testing.T, value []byte) {
		for _, d := range dialects {
			var columns []column
			for _, field := range schema.Fields {
				of, err := compileType(field.Schema, "__debezium_unavailable_value")
				if err != nil {
					t.Fatal(err)
				}
				columns = append(columns, column{name: field.Name, typed: of})
			}
			w, err := newWalk(schema, columns, 0, func(*walkField) ([]byte, error) { return nil, nil })
			if err != nil {
				t.Fatal(err)
			}
			c := cells{dialect: d}
			c.begin(len(columns))
			row, _, err := w.append(&c, nil, value)
			if err != nil {
				continue
			}
			left := 0
			for _, there := range c.mask {
				left += int(there)
			}
			for ; left > 0; left-- {
				if len(row) < 4 || binary.BigEndian.Uint32(row) != null && int(binary.BigEndian.Uint32(row)) > len(row)-4 {
					t.Fatalf("%T: a cell is cut off", d)
				}
				_, row = nextCell(row)
			}
			if len(row) > 0 {
				t.Fatalf("%T: %d bytes behind the cells", d, len(row))
			}
		}
	})
}

// FuzzTemporal: text that is taken for a timestamp is the same timestamp again when it is printed.
func FuzzTemporal(f *testing.F) {
	for _, seed := range []string{"2024-02-29T12:21:36.789012345Z", "1969-12-31T23:59:59+01:30", "infinity", "-0043-03-15T00:00:00Z", "+12024-01-01T00:00:00Z"} {
		f.Add(seed)
	}
	of, err := compileType(cdc.Logical(connectors.String, cdc.ZonedTimestampName), "")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, ok := of.parseTemporal([]byte(text))
		if !ok {
			return
		}
		printed, ok := appendTimestamp(nil, v, 9)
		if !ok {
			return
		}
		if again, ok := of.parseTemporal(printed); !ok || again.i != v.i || again.nanos != v.nanos {
			t.Fatalf("%q is %v, printed %q, which is %v", text, v, printed, again)
		}
	})
}
