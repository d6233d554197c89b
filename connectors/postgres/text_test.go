package postgres

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jackc/pglogrepl"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
	"github.com/sluicehub/sluice/connectors/cdc/goldentest"
)

// TestUnchangedHstore has a placeholder that is JSON, as all values of the column.
func TestUnchangedHstore(t *testing.T) {
	c, _ := testCompiler(t, map[string]string{"unavailable.value.placeholder": `a"b`})
	if k, ok := c.codecs.extension("hstore", noModifier); !ok || k.kept == nil || k.kept.Text() != `{"a\"b":"a\"b"}` {
		t.Errorf("%t, %v", ok, k.kept)
	}
}

// TestText reads values of each form that the server prints, and refuses what it does not print.
func TestText(t *testing.T) {
	plain, _ := testCompiler(t, nil)
	other, _ := testCompiler(t, map[string]string{"interval.handling.mode": "string", "time.precision.mode": "isostring", "decimal.handling.mode": "string", "binary.handling.mode": "base64-url-safe"})
	for _, c := range []struct {
		c    *compiler
		oid  uint32
		mod  int32
		text string
		want string // "" is an error
	}{
		{plain, 16, -1, "t", "true"}, {plain, 16, -1, "x", ""},
		{plain, 21, -1, "-32768", "-32768"}, {plain, 21, -1, "32768", ""}, {plain, 23, -1, "", ""}, {plain, 23, -1, "1x", ""},
		{plain, 20, -1, "-9223372036854775808", "-9223372036854775808"}, {plain, 20, -1, "9223372036854775808", ""}, {plain, 20, -1, "-", ""},
		{plain, 700, -1, "1e40", `"Infinity"`}, {plain, 701, -1, "-Infinity", `"-Infinity"`}, {plain, 701, -1, "one", ""},
		{plain, 790, -1, "-$1,234.50", `"/h3G"`}, {plain, 790, -1, "($1.00)", `"nA=="`}, {plain, 790, -1, "$", ""},
		{plain, 17, -1, `\x00fF`, `"AP8="`}, {plain, 17, -1, `\x0`, ""}, {plain, 17, -1, `\x0g`, ""}, {plain, 17, -1, "abc", ""},
		{other, 17, -1, `\xfbff`, `"-_8="`},
		{plain, 1560, 3, "101", `"BQ=="`}, {plain, 1560, 1, "1", "true"}, {plain, 1560, 3, "102", ""}, {plain, 1560, 1, "11", ""},
		{plain, 600, -1, "(1e300,-0)", ""}, {plain, 600, -1, "(1)", ""},
		{plain, 1082, -1, "2024-02-29", "19782"}, {plain, 1082, -1, "0044-03-15 BC", "-735160"}, {plain, 1082, -1, "infinity", "2147483647"},
		{plain, 1082, -1, "2024-13-01", ""}, {plain, 1082, -1, "2024-01-01 AD", ""}, {plain, 1082, -1, "24-01-01", ""},
		{other, 1082, -1, "-infinity", `"-infinity"`},
		{plain, 1083, -1, "24:00:00", "86400000000"}, {plain, 1083, 3, "12:34:56.789", "45296789"}, {plain, 1083, -1, "25:00:00", ""}, {plain, 1083, -1, "12:34", ""},
		{plain, 1266, -1, "10:00:00.5+05:30", `"04:30:00.5Z"`}, {plain, 1266, -1, "01:00:00+02:00:30", `"22:59:30Z"`}, {plain, 1266, -1, "10:00:00", ""},
		{plain, 1114, -1, "2024-02-29 12:34:56.789012", "1709210096789012"}, {plain, 1114, 0, "1960-05-05 05:05:05", "-304800895000"}, {plain, 1114, -1, "2024-02-29", ""},
		{plain, 1184, -1, "2024-02-29 12:34:56+00", `"2024-02-29T12:34:56.000000Z"`}, {plain, 1184, 0, "2024-02-29 12:34:56+00", `"2024-02-29T12:34:56Z"`},
		{plain, 1184, 3, "2024-02-29 12:34:56.7+00", `"2024-02-29T12:34:56.700Z"`}, {plain, 1184, -1, "2024-02-29 12:34:56.5+02", `"2024-02-29T10:34:56.500000Z"`},
		{plain, 1184, -1, "12345-02-28 12:34:56+00", `"+12345-02-28T12:34:56.000000Z"`}, {plain, 1184, -1, "0001-01-01 00:00:00+00 BC", `"0000-01-01T00:00:00.000000Z"`}, {plain, 1184, -1, "2024-02-29 12:34:56", ""},
		{plain, 1186, -1, "1 mon", "2629800000000"}, {plain, 1186, -1, "-1 years -2 days +03:00:00", "-31719600000000"}, {plain, 1186, -1, "1000:00:00.000001", "3600000000001"},
		{plain, 1186, -1, "infinity", "9223372036854775807"}, {plain, 1186, -1, "-infinity", "-9223372036854775808"}, {other, 1186, -1, "-infinity", `"-infinity"`}, {other, 1186, -1, "infinity", `"infinity"`},
		{plain, 1186, -1, "292271 years", "9223371309600000000"}, {plain, 1186, -1, "292272 years", "9223372036854775807"}, {plain, 1186, -1, "-1 mons +00:00:01", "-2629799000000"}, {plain, 1186, -1, "-2562047788:00:54.775808", "-9223372036854775808"}, {plain, 1186, -1, "1 day 2562047788:00:54.775807", "9223372036854775807"}, {plain, 1186, -1, "178000000 years", "9223372036854775807"}, {plain, 1186, -1, "-178000000 years", "-9223372036854775808"}, {plain, 1186, -1, "2147483647 days", "9223372036854775807"},
		{other, 1186, -1, "-178000000 years -11 mons", `"P-178000000Y-11M0DT0H0M0S"`}, {plain, 1186, -1, "-2562047788:00:54.775807", "-9223372036854775807"},
		{plain, 1186, -1, "1 week", ""}, {plain, 1186, -1, "1 day ", ""}, {plain, 1186, -1, "", ""},
		{other, 1186, -1, "1 year 2 mons 3 days 04:05:06.78", `"P1Y2M3DT4H5M6.78S"`}, {other, 1186, -1, "-00:00:00.5", `"P0Y0M0DT0H0M-0.5S"`},
		{other, 1700, -1, "-1.10", `"-1.10"`}, {other, 1700, -1, "NaN", `"NAN"`}, {plain, 1700, -1, "NaN", ""}, {plain, 1700, 5<<16 + 2 + 4, "1.234", ""},
		{plain, 1009, -1, `{a,"b,\"c\"",NULL,"NULL"}`, `["a","b,\"c\"",null,"NULL"]`}, {plain, 1009, -1, "[0:1]={a,b}", `["a","b"]`}, {plain, 1009, -1, "{}", "[]"},
		{plain, 1009, -1, "{{a},{b}}", ""}, {plain, 1009, -1, `{"a`, ""}, {plain, 1009, -1, `{"a"b}`, ""}, {plain, 1007, -1, "{1,x}", ""}, {plain, 1009, -1, "a", ""},
	} {
		ty, _ := c.c.lookup(c.oid)
		k, ok := c.c.codecs.of(ty, c.mod, c.c.lookup)
		if !ok {
			t.Fatalf("no codec for type %d", c.oid)
		}
		got := ""
		b, err := k.append(nil, []byte(c.text))
		if err == nil {
			v, rest, err := connectors.ReadValue(k.schema, b)
			if err != nil || len(rest) > 0 {
				t.Errorf("%s %q: %v, %d bytes left", ty.Name, c.text, err, len(rest))
			}
			got = goldentest.JSON(k.schema, v)
		}
		if c.oid == 600 && err == nil {
			continue // a point beyond float32 is one all the same
		}
		if got != c.want {
			t.Errorf("%s %q: %s (%v), want %s", ty.Name, c.text, got, err, c.want)
		}
	}
}

// TestStandIns makes what stands for missing and unchanged values of every type: none may panic.
func TestStandIns(t *testing.T) {
	for _, modes := range []map[string]string{nil, {"decimal.handling.mode": "string", "time.precision.mode": "isostring", "binary.handling.mode": "hex", "unavailable.value.placeholder": "hex:ff00"}, {"decimal.handling.mode": "double", "time.precision.mode": "connect"}} {
		c, _ := testCompiler(t, modes)
		for oid, ty := range builtins() {
			for _, notNull := range []bool{true, false} {
				if _, ok := c.column(attribute{Name: "x", Type: oid, Mod: -1, NotNull: notNull, Default: "now()"}); !ok {
					t.Errorf("no mapping of %s", ty.Name)
				}
			}
		}
	}
}

func TestLiteral(t *testing.T) {
	for expr, want := range map[string]string{
		"'EUR'::bpchar": "EUR", "'it''s'::text": "it's", `E'a\\b'::text`: `a\b`, "'-1'::integer": "-1", "(-1)": "-1", "1.5": "1.5", "true": "true",
		"'x'::character varying(10)": "x", "'{}'::text[]": "{}", "NULL::text": "null", "now()": "call", "nextval('a_id_seq'::regclass)": "call",
		"CURRENT_DATE": "expression", "('x'::text || 'y'::text)": "expression", "(2 + 3)": "expression", "'a": "expression", "B'101'::\"bit\"": "expression",
		"upper('abc'::text)": "call", "(now() + '1 day'::interval)": "call",
	} {
		got, kind := literal(expr)
		switch kind {
		case isNull:
			got = "null"
		case isCall:
			got = "call"
		case isExpression:
			got = "expression"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", expr, got, want)
		}
	}
}

func TestSplitCopy(t *testing.T) {
	cells, _ := splitCopy([]byte("a\t\\N\t\tx\\ty\\\\\\n\\b\n"), nil, nil)
	var got []string
	for _, c := range cells {
		if c.kind == cellNull {
			got = append(got, "NULL")
		} else {
			got = append(got, string(c.text))
		}
	}
	if strings.Join(got, "|") != "a|NULL||x\ty\\\n\b" {
		t.Errorf("%q", got)
	}
}

func TestPositionRoundTrip(t *testing.T) {
	tx := cdc.NewTransactions("t", cdc.Block())
	tx.Restore("77", []cdc.Order{{Table: "public.a", Count: 2}})
	p := position{Commit: 10, Event: 20, Count: 3, TxID: 77, Micros: 5, Kind: "INSERT", Signals: 3}
	text := string(p.append(nil, tx))
	if want := `{"transaction_id":"77","lsn_proc":20,"messageType":"INSERT","transaction_data_collection_order_public.a":2,"lsn_commit":10,"lsn":20,"txId":77,"lsn_events_processed":3,"ts_usec":5,"incremental_snapshot_signal_offset":2}`; text != want {
		t.Errorf("%s\nwant %s", text, want)
	}
	got, err := readPosition([]byte(text))
	if err != nil || got.Commit != 10 || got.Event != 20 || got.Count != 3 || got.TxID != 77 || got.TransactionID != "77" || len(got.Orders) != 1 || got.Orders[0].Count != 2 || got.Signals != 3 {
		t.Errorf("%+v %v", got, err)
	}
	for text, usable := range map[string]bool{
		`{"lsn":5,"snapshot":true,"last_snapshot_record":false}`: false, `{"lsn":5,"snapshot":"INITIAL","snapshot_completed":false}`: false,
		`{"lsn":5,"snapshot":"INITIAL","snapshot_completed":true}`: true, `{"lsn":5,"snapshot":true,"last_snapshot_record":true}`: true, `{"lsn":5}`: true,
	} {
		if p, err := readPosition([]byte(text)); err != nil || p.usable() != usable {
			t.Errorf("%s: usable %v, %v", text, p.usable(), err)
		}
	}
}

// FuzzText gives any bytes to the decoder of every type: a value must fit its schema, a refusal must leave dst alone.
func FuzzText(f *testing.F) {
	types := builtins()
	for oid, text := range map[uint32]string{20: "-12", 701: "1e5", 1700: "12.50", 17: `\x00`, 1082: "2024-02-29 BC", 1083: "24:00:00.1", 1266: "10:00:00+05:30", 1114: "2024-02-29 12:34:56",
		1184: "2024-02-29 12:34:56.7+00", 1186: "1 mon -1 days +01:02:03.5", 1009: `{"a\"",NULL}`, 1231: "{1.5}", 600: "(1,2)", 1560: "101", 790: "$1.00", 1042: "x", 1185: `{"2024-02-29 12:34:56+00"}`} {
		f.Add(oid, []byte(text))
	}
	var all []*compiler
	for _, m := range []map[string]string{nil, {"interval.handling.mode": "string", "time.precision.mode": "isostring"}, {"time.precision.mode": "nanoseconds", "decimal.handling.mode": "double"}} {
		c, _ := testCompiler(f, m)
		all = append(all, c)
	}
	f.Fuzz(func(t *testing.T, oid uint32, text []byte) {
		ty, ok := types[oid]
		if !ok || !utf8.Valid(text) {
			return
		}
		for _, c := range all {
			k, _ := c.codecs.of(ty, -1, c.lookup)
			b, err := k.append([]byte("head"), text)
			if err != nil {
				continue
			}
			if !bytes.HasPrefix(b, []byte("head")) {
				t.Fatal("what was there before is gone")
			}
			if _, rest, err := connectors.ReadValue(k.schema, b[4:]); err != nil || len(rest) > 0 {
				t.Fatalf("%s %q: %v, %d bytes left", ty.Name, text, err, len(rest))
			}
		}
	})
}

func TestHstoreJSON(t *testing.T) {
	for in, want := range map[string]string{
		``:                              `{}`,
		`"a"=>"1", "b"=>NULL`:           `{"a":"1","b":null}`,
		`"q\"\\"=>"😀é/"`:                `{"q\"\\":"😀é/"}`,
		"\"c\"=>\"\b\f\n\r\t\x01\x1f\"": `{"c":"\b\f\n\r\t\u0001\u001F"}`,
	} {
		got, err := appendHstoreJSON()(nil, []byte(in))
		if err != nil {
			t.Fatalf("%q: %v", in, err)
		}
		v, _, err := connectors.ReadValue(connectors.StringSchema, got)
		if err != nil || v.Text() != want {
			t.Errorf("%q is %s, want %s (%v)", in, v.Text(), want, err)
		}
	}
}

// FuzzHstore gives any bytes to the decoders of hstore.
func FuzzHstore(f *testing.F) {
	f.Add([]byte(`"a"=>"1", "b c"=>NULL, "q"=>"x\"y"`))
	f.Fuzz(func(t *testing.T, text []byte) {
		j := appendHstoreJSON()
		if b, err := j(nil, text); err == nil {
			if _, rest, err := connectors.ReadBytes(b); err != nil || len(rest) > 0 {
				t.Fatal(err)
			}
		}
		s := &connectors.Schema{Type: connectors.Map, Key: connectors.StringSchema, Elem: connectors.OptionalStringSchema}
		if b, err := appendHstoreMap(nil, text); err == nil {
			if _, rest, err := connectors.ReadValue(s, b); err != nil || len(rest) > 0 {
				t.Fatal(err)
			}
		}
	})
}

// FuzzStream gives any bytes as a message of pgoutput: it must be refused or make records that fit their schemas.
func FuzzStream(f *testing.F) {
	c, e := testCompiler(f, map[string]string{"provide.transaction.metadata": "true", "skipped.operations": "none"})
	f.Add(insertMessage(7, ordersRow()))
	update := insertMessage(7, ordersRow())
	f.Add(append(append([]byte{'U', 0, 0, 0, 7, 'K'}, update[6:]...), update[5:]...))
	f.Add(append([]byte{'D', 0, 0, 0, 7, 'O'}, update[6:]...))
	f.Add([]byte{'B', 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3})
	f.Add([]byte{'C', 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3})
	f.Add([]byte{'T', 0, 0, 0, 1, 0, 0, 0, 0, 7})
	f.Add([]byte{'M', 1, 0, 0, 0, 0, 0, 0, 0, 1, 'p', 0, 0, 0, 0, 1, 'x'})
	f.Add([]byte{'O', 0, 0, 0, 0, 0, 0, 0, 1, 'o', 0})
	f.Fuzz(func(t *testing.T, msg []byte) {
		if len(msg) == 0 || msg[0] == 'R' || !utf8.Valid(msg) {
			return // relations ask the catalog: FuzzRelation
		}
		tb, err := c.compile(ordersShape())
		if err != nil {
			t.Fatal(err)
		}
		e.txmeta = cdc.NewTransactions("t", c.block)
		st := &stream{s: c.s, emit: e, comp: c, cat: &catalog{}, relations: map[uint32]*table{7: tb}, versions: map[string]*table{}, messages: newMessages(c.s, c.source, c.block)}
		e.at(1, 1, cdc.NoSnapshot)
		var b connectors.Batch
		err = st.event(context.Background(), &b, pglogrepl.LSN(5), msg)
		var classed *connectors.Error
		if err != nil && !errors.Is(err, errPgoutput) && !errors.As(err, &classed) {
			t.Fatalf("an error without a class: %v", err)
		}
		for _, r := range b.Records {
			for _, d := range []connectors.Data{r.Key, r.Value} {
				if d.IsNull() {
					continue
				}
				if _, rest, err := connectors.ReadValue(d.Schema, d.Bytes); err != nil || len(rest) > 0 {
					t.Fatalf("%q: %v, %d bytes left", msg, err, len(rest))
				}
			}
		}
	})
}

// FuzzRelation gives any bytes as the description of a table.
func FuzzRelation(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x07public\x00orders\x00d\x00\x01\x01id\x00\x00\x00\x00\x17\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := parseRelation(b); err == nil {
			r.merge(nil, nil)
		}
	})
}

// FuzzCopy splits any line.
func FuzzCopy(f *testing.F) {
	f.Add([]byte("a\t\\N\t\\\\x\n"))
	f.Fuzz(func(t *testing.T, line []byte) {
		cells, _ := splitCopy(line, nil, nil)
		if len(cells) != bytes.Count(bytes.TrimSuffix(line, []byte{'\n'}), []byte{'\t'})+1 {
			t.Fatalf("%d cells of %q", len(cells), line)
		}
	})
}

// FuzzPosition reads any stored offset.
func FuzzPosition(f *testing.F) {
	f.Add([]byte(`{"lsn_proc":5,"lsn_commit":"6","lsn":5,"snapshot":true,"transaction_data_collection_order_a":1}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if p, err := readPosition(raw); err == nil {
			p.append(nil, nil)
		}
	})
}

// FuzzLiteral takes any default expression apart.
func FuzzLiteral(f *testing.F) {
	f.Add("'it''s'::text")
	f.Add("(-1)")
	f.Fuzz(func(t *testing.T, expr string) { literal(expr) })
}

// FuzzWire cuts any bytes into messages.
func FuzzWire(f *testing.F) {
	f.Add([]byte{'d', 0, 0, 0, 5, 'x', 'Z', 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if whole, _, err := wholeMessages(b); err == nil && whole > len(b) {
			t.Fatal("more than there is")
		}
	})
}

func TestDefinition(t *testing.T) {
	if err := definition.Verify(); err != nil {
		t.Fatal(err)
	}
	config := map[string]string{"topic.prefix": "p", "database.hostname": "h", "database.dbname": "d", "plugin.name": "decoderbufs", "database.server.name": "p"}
	delete(config, "topic.prefix")
	_, problems := definition.Parse(config)
	if len(problems) != 2 || problems[0].IsError() || problems[1].IsError() {
		t.Errorf("%v", problems)
	}
}

// Files that were made for the first Debezium keep their meaning.
func TestOldNames(t *testing.T) {
	s, err := parse(map[string]string{"database.server.name": "p", "database.hostname": "h", "database.dbname": "d",
		"snapshot.mode": "exported", "schema.whitelist": "inventory", "table.blacklist": "inventory.audit"})
	if err != nil || s.snapshotMode != "initial" || !s.v.Has("schema.include.list") || !s.v.Has("table.exclude.list") {
		t.Errorf("%v, %+v", err, s)
	}
	if _, err := parse(map[string]string{"topic.prefix": "p", "database.hostname": "h", "database.dbname": "d", "converters": "isbn"}); err == nil {
		t.Error("a converter of Java's is passed over")
	}
}

// TestOptions knows Debezium's keys, and refuses what would change records if it were passed over.
func TestOptions(t *testing.T) {
	if names, err := goldentest.Unknown(definition, "testdata/options.txt"); err != nil || names != nil {
		t.Errorf("unknown: %v, %v", names, err)
	}
	base := map[string]string{"topic.prefix": "p", "database.hostname": "h", "database.dbname": "d"}
	for key, value := range map[string]string{"post.processors": "reselector", "signal.data.collection": "public.a,public.b"} {
		config := maps.Clone(base)
		config[key] = value
		if _, err := parse(config); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
	base["heartbeat.action.query"] = "SELECT 1"
	if _, problems := definition.Parse(base); len(problems) != 1 || problems[0].IsError() || problems[0].Key != "heartbeat.action.query" {
		t.Errorf("%v", problems)
	}
}
