package cdc

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/sluicehub/sluice/connectors"
)

func TestAppendDecimal(t *testing.T) {
	for _, c := range []struct {
		text  string
		scale int
		want  string // hex of the unscaled value
	}{
		{"19.99", 2, "07cf"}, {"0.00", 2, "00"}, {"-0.01", 2, "ff"}, {"9999999999.99", 2, "00e8d4a50fff"},
		{"127", 0, "7f"}, {"128", 0, "0080"}, {"-128", 0, "80"}, {"-129", 0, "ff7f"}, {"1200", -2, "0c"},
		{"1", 3, "03e8"}, {"1e3", 0, "03e8"}, {"-1", 20, "fa9438a1d29cf00000"}, {"999999999999999999", 0, "0de0b6b3a763ffff"},
		{"9223372036854775808", 0, "008000000000000000"}, {"-9223372036854775808", 0, "8000000000000000"},
	} {
		got, err := AppendDecimal(nil, []byte(c.text), c.scale)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		raw, _, _ := connectors.ReadBytes(got)
		if hex.EncodeToString(raw) != c.want {
			t.Errorf("%s with scale %d: %x, want %s", c.text, c.scale, raw, c.want)
		}
	}
	for _, bad := range []string{"", "NaN", "Infinity", "-", "1.2.3", "1e", "12x", "0.001"} {
		if _, err := AppendDecimal(nil, []byte(bad), 2); err == nil {
			t.Errorf("%q was taken for a decimal with scale 2", bad)
		}
	}
	if _, err := AppendDecimal(nil, []byte("NaN"), 2); !errors.Is(err, ErrNoDecimal) {
		t.Errorf("NaN: %v", err)
	}
}

func TestAppendVariableDecimal(t *testing.T) {
	for text, want := range map[string]string{
		"0.5": "scale 1 05", "-1.10": "scale 1 f5", "0": "scale 0 00", "100": "scale 0 64", "0.000": "scale 0 00",
		"123456789012345678901234567890.0000000010": "scale 9 5ce0e9a56015fec5aadfa328a6ddb401",
	} {
		got, err := AppendVariableDecimal(nil, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		v, _, err := connectors.ReadValue(VariableScaleDecimal(), got)
		if err != nil {
			t.Fatal(err)
		}
		f := v.List()
		if s := "scale " + big.NewInt(f[0].Int()).String() + " " + hex.EncodeToString(f[1].Raw()); s != want {
			t.Errorf("%s: %s, want %s", text, s, want)
		}
	}
}

func FuzzAppendDecimal(f *testing.F) {
	for _, s := range []string{"19.99", "-0.01", "1e-5", "123456789012345678901234567890.5", "NaN", "."} {
		f.Add([]byte(s), 2)
	}
	f.Fuzz(func(t *testing.T, text []byte, scale int) {
		scale = min(max(scale, -50), 200)
		got, err := AppendDecimal(nil, text, scale)
		if err != nil || bytes.ContainsAny(text, "eE") {
			return
		}
		raw, _, err := connectors.ReadBytes(got)
		if err != nil {
			t.Fatal(err)
		}
		i := new(big.Int).SetBytes(raw)
		if raw[0]&0x80 != 0 {
			i.Sub(i, new(big.Int).Lsh(big.NewInt(1), uint(8*len(raw))))
		}
		want, ok := new(big.Rat).SetString(string(text))
		if !ok {
			return // ".": big.Rat is stricter
		}
		have := new(big.Rat).SetInt(i)
		pow := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(scale, -scale))), nil)
		if scale < 0 {
			have.Mul(have, new(big.Rat).SetInt(pow))
		} else {
			have.Quo(have, new(big.Rat).SetInt(pow))
		}
		if have.Cmp(want) != 0 {
			t.Fatalf("%s with scale %d became %s", text, scale, have)
		}
	})
}

func TestTemporal(t *testing.T) {
	us := time.Date(1960, 5, 5, 5, 5, 5, 500_000_000, time.UTC).UnixMicro()
	for _, c := range []struct {
		name string
		of   Temporal
		in   int64
		want string
	}{
		{"micro", Adaptive.Timestamp(6), us, "io.debezium.time.MicroTimestamp -304800894500000"},
		{"milli", Adaptive.Timestamp(3), us, "io.debezium.time.Timestamp -304800894500"},
		{"connect", ConnectTime.Timestamp(6), us - 1, "org.apache.kafka.connect.data.Timestamp -304800894501"},
		{"nanos", Nanoseconds.Timestamp(6), us, "io.debezium.time.NanoTimestamp -304800894500000000"},
		{"iso", ISOString.Timestamp(6), us, "io.debezium.time.IsoTimestamp 1960-05-05T05:05:05.5Z"},
		{"iso infinity", ISOString.Timestamp(6), PositiveInfinity, "io.debezium.time.IsoTimestamp +294247-01-10T04:00:25.2Z"},
		{"iso -infinity", ISOString.Timestamp(6), NegativeInfinity, "io.debezium.time.IsoTimestamp -290308-12-21T19:59:27.6Z"},
		{"nanos infinity", Nanoseconds.Timestamp(6), PositiveInfinity, "io.debezium.time.NanoTimestamp 9223372036854775807"},
		{"date", Adaptive.Date(), 19787, "io.debezium.time.Date 19787"},
		{"iso date", ISOString.Date(), 19787, "io.debezium.time.IsoDate 2024-03-05Z"},
		{"iso date before Christ", ISOString.Date(), EpochDays(-4712, 1, 1), "io.debezium.time.IsoDate -4712-01-01Z"},
		{"time", Adaptive.Time(6), 86399999999, "io.debezium.time.MicroTime 86399999999"},
		{"connect time", ConnectTime.Time(6), 86399999999, "org.apache.kafka.connect.data.Time 86399999"},
		{"iso time", ISOString.Time(6), 86399999999, "io.debezium.time.IsoTime 23:59:59.999999Z"},
	} {
		got, err := c.of.Append(nil, c.in)
		if err != nil {
			t.Fatal(err)
		}
		v, rest, err := connectors.ReadValue(c.of.Schema, got)
		if err != nil || len(rest) > 0 {
			t.Fatalf("%s: %v, %d bytes left", c.name, err, len(rest))
		}
		text := v.Text()
		if v.Type != connectors.String {
			text = big.NewInt(v.Int()).String()
		}
		if have := c.of.Schema.Name + " " + text; have != c.want {
			t.Errorf("%s: %s, want %s", c.name, have, c.want)
		}
	}
	if _, err := Nanoseconds.Timestamp(6).Append(nil, time.Date(2263, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()); !errors.Is(err, ErrOutOfRange) {
		t.Errorf("nanoseconds of the year 2263: %v", err)
	}
}

func TestCivilDatesAreThoseOfTheStandardLibrary(t *testing.T) {
	for d := int64(-800000); d < 800000; d += 97 {
		y, m, dom := CivilDate(d)
		want := time.Unix(d*86400, 0).UTC()
		if int(y) != want.Year() || time.Month(m) != want.Month() || int(dom) != want.Day() || EpochDays(y, m, dom) != d {
			t.Fatalf("day %d is %d-%d-%d, and back %d; want %s", d, y, m, dom, EpochDays(y, m, dom), want)
		}
	}
}

func TestMarkers(t *testing.T) {
	for rows, want := range map[string]string{
		"":        "",
		"a":       "last",
		"ab":      "first last",
		"aabbb":   "first last_in_data_collection first_in_data_collection true last",
		"abc":     "first last_in_data_collection last",
		"aaabbcc": "first true last_in_data_collection first_in_data_collection last_in_data_collection first_in_data_collection last",
	} {
		var m Markers
		var got []string
		for i := range rows {
			if s, ok := m.Row(i == 0 || rows[i] != rows[i-1]); ok {
				got = append(got, string(s))
			}
		}
		if s, ok := m.End(); ok {
			got = append(got, string(s))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("rows %q: %v, want %s", rows, got, want)
		}
	}
}

func TestPlan(t *testing.T) {
	a, b := Table{"public", "a"}, Table{"public", "b"}
	got := NewPlan([]Extent{{Table: a}, {Table: b, By: "ctid", Bounds: []string{"10", "20"}}})
	want := Plan{
		{Table: a, Last: true},
		{Table: b, Range: Range{By: "ctid", To: "10"}},
		{Table: b, Index: 1, Range: Range{By: "ctid", From: "10", To: "20"}},
		{Table: b, Index: 2, Last: true, Range: Range{By: "ctid", From: "20"}},
	}
	if len(got) != len(want) {
		t.Fatalf("%d chunks, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("chunk %d is %+v, want %+v", i, got[i], want[i])
		}
	}
}

func TestFilterAndKeyColumns(t *testing.T) {
	p, err := ParsePatterns(`public.orders.(payload|details|raw), public\.customers.tags`)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"public.orders.raw": true, "PUBLIC.orders.details": true, "public.orders.rawer": false, "public.customers.tags": true, "public.x": false} {
		if p.Match(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
	if _, err := ParsePatterns("a("); err == nil {
		t.Error("a broken expression was taken")
	}
	if p, err = ParsePatterns(`a{1\,3}`); err != nil || !p.Match("aaa") || p.Match("aaaa") {
		t.Errorf("escaped comma: %v", err)
	}
	k, err := ParseKeyColumns("public.orders:customer,currency; (.*).audit:actor ")
	if err != nil {
		t.Fatal(err)
	}
	columns := []string{"id", "Actor", "currency", "customer", "part_a", "part_b"}
	if got := strings.Join(k.For("public.orders", columns), "+"); got != "customer+currency" {
		t.Errorf("orders: %s", got)
	}
	if got := strings.Join(k.For("x.audit", columns), "+"); got != "Actor" || k.For("public.stock", columns) != nil {
		t.Errorf("audit: %s", got)
	}
	if got := strings.Join(k.For("x.audit", []string{"id"}), "+"); got != "actor" {
		t.Errorf("a table without the column: %s", got)
	}
	// As io.debezium.relational.Key of 3.5: all entries that name the table, columns by expressions, and those that a table
	// does not have are left out.
	k, err = ParseKeyColumns("(.*).t:part_.*,tenant,id;s.t:customer,id")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(k.For("s.t", columns), "+"); got != "part_a+part_b+id+customer" {
		t.Errorf("two entries: %s", got)
	}
	for _, bad := range []string{"orders", "orders:", ":a", "(:a", "a:(b"} {
		if _, err := ParseKeyColumns(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestNaming(t *testing.T) {
	n := Naming{Prefix: "p", Delimiter: "."}
	if got := n.Topic("public", `Ä b"c`); got != "p.public.__b_c" {
		t.Error(got)
	}
	if got := n.Topic("public", "\U0001f600é"); got != "p.public.___" {
		t.Error(got)
	}
	for _, c := range []struct {
		mode     Adjustment
		in, want string
	}{{AsItIs, "1a-b", "1a-b"}, {Avro, "1a-b", "_1a_b"}, {AvroUnicode, "1a-b_", "_u0031a_u002db_u005f"}} {
		if got := c.mode.Field(c.in); got != c.want {
			t.Errorf("%s of %s: %s, want %s", c.mode, c.in, got, c.want)
		}
	}
}

func TestRunID(t *testing.T) {
	id := NewRunID(time.UnixMilli(1795257467792))
	if len(id) != 36 || !strings.HasPrefix(id, "01a1fdaf-0390-7") || id == NewRunID(time.UnixMilli(1795257467792)) {
		t.Error(id)
	}
}

func TestSideRecordsFitTheirSchemas(t *testing.T) {
	var b connectors.Batch
	NewHeartbeats("__debezium-heartbeat.p", "p").Append(&b, 7)
	tx := NewTransactions("p.transaction", Block())
	tx.Begin(&b, "12", "12:100", 5)
	block := append([]byte(nil), tx.Next("public.a", "12:101")...)
	tx.Next("public.a", "12:102")
	tx.End(&b, "12:103", 5)
	for i, r := range b.Records {
		for _, d := range []connectors.Data{r.Key, r.Value} {
			if _, rest, err := connectors.ReadValue(d.Schema, d.Bytes); err != nil || len(rest) > 0 {
				t.Errorf("record %d: %v, %d bytes left", i, err, len(rest))
			}
		}
	}
	if schema, err := connectors.AppendJSONSchema(nil, b.Records[1].Value.Schema, connectors.JSONOptions{}); err != nil || !strings.Contains(string(schema),
		`{"type":"array","items":{"type":"struct","fields":[{"type":"string","optional":false,"field":"data_collection"},{"type":"int64","optional":false,"field":"event_count"}],"optional":true,"name":"event.collection","version":1},"optional":true,"field":"data_collections"}`) {
		t.Errorf("%s, %v", schema, err)
	}
	if v, _, err := connectors.ReadValue(Block(), block); err != nil || v.List()[0].Text() != "12:101" || v.List()[2].Int() != 1 {
		t.Errorf("block: %v %v", v, err)
	}
	if got := string(tx.AppendOffsetOrders(tx.AppendOffsetID(nil))); got != `"transaction_id":"12","transaction_data_collection_order_public.a":2,` {
		t.Error(got)
	}
}

// TestTransactionOffset stores counts of tables whose names JSON writes in another way than Go.
func TestTransactionOffset(t *testing.T) {
	tx := NewTransactions("p.transaction", Block())
	tx.Restore("1", nil)
	const name = "s.a\x7f\a\U000E0001"
	tx.Next(name, "1")
	var m map[string]any
	if err := json.Unmarshal(append(tx.AppendOffsetOrders([]byte("{")), `"x":0}`...), &m); err != nil || m[OrderKey+name] != 1.0 {
		t.Errorf("%v, %v", m, err)
	}
}
