package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// builtins are types by the OIDs that PostgreSQL gives them.
func builtins() map[uint32]typ {
	out := map[uint32]typ{}
	for name, oid := range map[string]uint32{"bool": 16, "bytea": 17, "int8": 20, "int2": 21, "int4": 23, "text": 25, "oid": 26, "json": 114,
		"xml": 142, "point": 600, "float4": 700, "float8": 701, "money": 790, "macaddr": 829, "cidr": 650, "inet": 869, "bpchar": 1042, "varchar": 1043,
		"date": 1082, "time": 1083, "timestamp": 1114, "timestamptz": 1184, "interval": 1186, "timetz": 1266, "bit": 1560, "varbit": 1562,
		"numeric": 1700, "uuid": 2950, "tsvector": 3614, "jsonb": 3802, "int4range": 3904} {
		out[oid] = typ{OID: oid, Schema: "pg_catalog", Name: name, Kind: 'b', Delimiter: ','}
	}
	for elem, oid := range map[uint32]uint32{23: 1007, 25: 1009, 1700: 1231, 1184: 1185, 2950: 2951, 17: 1001, 20: 1016} {
		out[oid] = typ{OID: oid, Schema: "pg_catalog", Name: "_" + out[elem].Name, Kind: 'b', Elem: elem, IsArray: true, Delimiter: ','}
	}
	return out
}

func testCompiler(tb testing.TB, more map[string]string) (*compiler, *emitter) {
	tb.Helper()
	config := map[string]string{"topic.prefix": "p", "database.hostname": "h", "database.dbname": "d"}
	for k, v := range more {
		config[k] = v
	}
	s, err := parse(config)
	if err != nil {
		tb.Fatal(err)
	}
	types := builtins()
	c := &compiler{s: s, source: sourceSchema(), block: cdc.Block(), codecs: codecs{modes: s.values},
		lookup: func(oid uint32) (typ, bool) { t, ok := types[oid]; return t, ok }}
	e := &emitter{s: s, database: "d", now: time.Now, origin: noOrigin(), context: cdc.ContextHeaders("p", 0, connectorName, "run")}
	return c, e
}

// orders is the table of the project's speed goals.
func ordersShape() shape {
	return shape{Table: cdc.Table{Schema: "public", Name: "orders"}, Key: []string{"id"}, Attrs: []attribute{
		{Name: "id", Type: 20, Mod: -1, NotNull: true}, {Name: "customer", Type: 23, Mod: -1, NotNull: true}, {Name: "status", Type: 25, Mod: -1},
		{Name: "total", Type: 1700, Mod: 12<<16 + 2 + 4}, {Name: "currency", Type: 1042, Mod: 7}, {Name: "note", Type: 25, Mod: -1},
		{Name: "created", Type: 1184, Mod: -1}, {Name: "updated", Type: 1184, Mod: -1}, {Name: "quantity", Type: 23, Mod: -1}}}
}

func ordersRow() []string {
	return []string{"123456", "4711", "shipped", "1234.56", "EUR", strings.Repeat("n", 64), "2024-02-29 12:34:56.789012+00", "2024-03-01 08:00:00+00", "3"}
}

func insertMessage(oid uint32, row []string) []byte {
	b := binary.BigEndian.AppendUint32([]byte{'I'}, oid)
	b = binary.BigEndian.AppendUint16(append(b, 'N'), uint16(len(row)))
	for _, v := range row {
		b = binary.BigEndian.AppendUint32(append(b, 't'), uint32(len(v)))
		b = append(b, v...)
	}
	return b
}

func BenchmarkStreamInsert(b *testing.B) {
	c, e := testCompiler(b, nil)
	t, err := c.compile(ordersShape())
	if err != nil {
		b.Fatal(err)
	}
	st := &stream{s: c.s, emit: e, relations: map[uint32]*table{7: t}}
	e.at(time.Now().UnixMicro(), 4711, cdc.NoSnapshot)
	msg := insertMessage(7, ordersRow())
	var batch connectors.Batch
	b.SetBytes(int64(len(msg)))
	b.ReportAllocs()
	for b.Loop() {
		if len(batch.Buf) > batchBytes {
			batch.Reset()
		}
		if err := st.event(context.Background(), &batch, 123456789, msg); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSnapshotRow(b *testing.B) {
	c, e := testCompiler(b, nil)
	t, err := c.compile(ordersShape())
	if err != nil {
		b.Fatal(err)
	}
	name := t.Table
	sn := &snapshot{t: &task{s: c.s, emit: e}, plan: cdc.Plan{{Table: name, Last: true}},
		tables: map[cdc.Table]*source{name: {table: t, columnN: len(t.columns)}}, pos: position{Event: 123456789, TxID: 4711, Micros: 1}}
	line := []byte(strings.Join(ordersRow(), "\t") + "\n")
	var batch connectors.Batch
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if len(batch.Buf) > batchBytes {
			batch.Reset()
		}
		if err := sn.row(context.Background(), &batch, line); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkValue(b *testing.B) {
	c, _ := testCompiler(b, nil)
	for _, v := range []struct {
		oid  uint32
		mod  int32
		text string
	}{{20, -1, "1234567890123"}, {25, -1, strings.Repeat("n", 64)}, {1700, 12<<16 + 6, "1234.56"}, {1700, -1, "123.4500"}, {1184, -1, "2024-02-29 12:34:56.789012+00"},
		{1114, -1, "2024-02-29 12:34:56.789012"}, {701, -1, "0.30000000000000004"}, {17, -1, `\x` + strings.Repeat("ab", 32)}, {1009, -1, `{new,"v,ip",NULL}`}} {
		t, _ := c.lookup(v.oid)
		k, _ := c.codecs.of(t, v.mod, c.lookup)
		b.Run(fmt.Sprint(t.Name, v.mod), func(b *testing.B) {
			var dst []byte
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if dst, err = k.append(dst[:0], []byte(v.text)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
