package mock

import (
	"fmt"
	"strconv"

	"github.com/sluicehub/sluice/connectors"
)

var (
	decimalSchema   = &connectors.Schema{Type: connectors.Bytes, Name: connectors.DecimalName, Version: 1, Parameters: []connectors.Parameter{{Name: "scale", Value: "2"}}}
	dateSchema      = &connectors.Schema{Type: connectors.Int32, Name: connectors.DateName, Version: 1}
	timestampSchema = &connectors.Schema{Type: connectors.Int64, Name: connectors.TimestampName, Version: 1}

	keySchema = &connectors.Schema{Type: connectors.Struct, Name: "mock.Key", Fields: []connectors.Field{
		{Name: "id", Schema: connectors.Int64Schema},
	}}
	rowSchema = &connectors.Schema{Type: connectors.Struct, Name: "mock.Row", Fields: []connectors.Field{
		{Name: "id", Schema: connectors.Int64Schema},
		{Name: "row", Schema: connectors.Int64Schema},
		{Name: "name", Schema: connectors.StringSchema},
		{Name: "active", Schema: connectors.BooleanSchema},
		{Name: "quantity", Schema: connectors.Int32Schema},
		{Name: "level", Schema: connectors.Int8Schema},
		{Name: "price", Schema: decimalSchema},
		{Name: "ratio", Schema: connectors.Float64Schema},
		{Name: "day", Schema: dateSchema},
		{Name: "created_at", Schema: timestampSchema},
		{Name: "note", Schema: connectors.OptionalStringSchema},
		{Name: "tags", Schema: &connectors.Schema{Type: connectors.Array, Elem: connectors.StringSchema}},
		{Name: "payload", Schema: connectors.StringSchema},
	}}
)

// epoch is created_at of row 0: 2024-01-01T00:00:00Z. Each row is a second later.
const epoch = 1_704_067_200_000

var names = [...]string{"anchor", "basket", "candle", "drum", "engine", "feather", "garnet", "hammer"}

// rows makes the rows of one seed.
type rows struct {
	seed    uint64
	keys    int64
	payload int
	text    []byte // random letters, from which payloads are cut
}

func newRows(seed, keys int64, payload int) *rows {
	r := &rows{seed: uint64(seed), keys: keys, payload: payload, text: make([]byte, payload+4096)}
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	var bits uint64
	for i := range r.text {
		if i%8 == 0 {
			bits = mix(r.seed + uint64(i))
		}
		r.text[i] = letters[bits&63]
		bits >>= 8
	}
	return r
}

// mix is the output function of SplitMix64: a number that looks random, of any number.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// appendKey appends the key of row n.
func (r *rows) appendKey(dst []byte, n int64) []byte { return connectors.AppendInt(dst, n%r.keys) }

// appendRow appends row n of a table, in the order of rowSchema.
func (r *rows) appendRow(dst []byte, table int, n int64) []byte {
	h := mix(r.seed ^ mix(uint64(table)<<40^uint64(n)))
	dst = connectors.AppendInt(dst, n%r.keys)
	dst = connectors.AppendInt(dst, n)
	dst = connectors.AppendString(dst, names[h&7])
	dst = connectors.AppendBool(dst, h&8 != 0)
	dst = connectors.AppendInt(dst, int64(h>>4&1023))
	dst = connectors.AppendInt(dst, int64(int8(h>>14)))
	dst = append(connectors.AppendInt(dst, 4), 0) // a positive decimal of four bytes
	dst = append(dst, byte(h>>22), byte(h>>30), byte(h>>38))
	dst = connectors.AppendFloat64(dst, float64(h>>40)/(1<<24))
	dst = connectors.AppendInt(dst, 19_000+int64(h>>46&1023))
	dst = connectors.AppendInt(dst, epoch+1000*n)
	if h>>56&3 == 0 {
		dst = connectors.AppendNull(dst, connectors.OptionalStringSchema)
	} else {
		dst = connectors.AppendPresent(dst, connectors.OptionalStringSchema)
		dst = connectors.AppendString(dst, "seen by "+names[h>>58&7])
	}
	if tags := int64(h >> 61 & 3); tags > 0 {
		dst = connectors.AppendInt(dst, tags)
		for i := range tags {
			dst = connectors.AppendString(dst, names[(h>>50+uint64(i))&7])
		}
	}
	dst = append(dst, 0)
	from := int(h >> 20 & 4095)
	return connectors.AppendBytes(dst, r.text[from:from+r.payload])
}

// appendPartition and appendOffset write a source partition and offset, which a fast source does often.
func appendPartition(dst []byte, table int) []byte {
	return fmt.Appendf(dst, `{"table":%d}`, table)
}

func appendOffset(dst []byte, row int64) []byte {
	return append(strconv.AppendInt(append(dst, `{"row":`...), row, 10), '}')
}
