package cdc

import (
	"bytes"
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

func TestColumnRules(t *testing.T) {
	text := ColumnFacts{Table: "shop.people", Column: "name", Type: "varchar", Length: 20, HasScale: true, Characters: true}
	number := ColumnFacts{Table: "shop.people", Column: "age", Type: "int4", Length: 10, HasScale: true}
	for _, c := range []struct {
		name    string
		config  map[string]string
		facts   ColumnFacts
		schema  *connectors.Schema
		in, out string
		params  string
	}{
		{"mask", map[string]string{"column.mask.with.3.chars": `shop\.people\.name`}, text, connectors.StringSchema, "Ann", "***", "masked=true"},
		{"mask with nothing", map[string]string{"column.mask.with.0.chars": `SHOP\..*`}, text, connectors.StringSchema, "Ann", "", "masked=true"},
		{"mask of a number", map[string]string{"column.mask.with.3.chars": `.*`}, number, connectors.Int32Schema, "7", "7", "masked=true"},
		{"truncate", map[string]string{"column.truncate.to.2.chars": `.*`}, text, connectors.StringSchema, "äöü", "äö", "truncateLength=2"},
		{"truncate bytes", map[string]string{"column.truncate.to.2.chars": `.*`}, text, connectors.BytesSchema, "abc", "ab", "truncateLength=2"},
		{"truncate what is shorter", map[string]string{"column.truncate.to.20.chars": `.*`}, text, connectors.StringSchema, "Ann", "Ann", "-"},
		{"truncate before mask", map[string]string{"column.truncate.to.2.chars": `.*`, "column.mask.with.3.chars": `.*`}, text, connectors.StringSchema, "Ann", "An", "truncateLength=2"},
		{"hash", map[string]string{"column.mask.hash.v2.SHA-256.with.salt.a.b": `.*`, "column.propagate.source.type": ".*"}, text, connectors.StringSchema, "Ann", "1e6812f4e007ab5af549", "masked=true"},
		{"no rule", map[string]string{"column.mask.with.3.chars": `shop\.people`}, text, connectors.StringSchema, "Ann", "Ann", "-"},
		{"type by column", map[string]string{"column.propagate.source.type": `shop\.people\..*`}, number, connectors.Int32Schema, "7", "7",
			"__debezium.source.column.type=INT4 __debezium.source.column.length=10 __debezium.source.column.scale=0 __debezium.source.column.name=age"},
		{"type by type", map[string]string{"datatype.propagate.source.type": `.+\.VARCHAR`}, text, connectors.StringSchema, "Ann", "Ann",
			"__debezium.source.column.type=VARCHAR __debezium.source.column.length=20 __debezium.source.column.scale=0 __debezium.source.column.name=name"},
		{"type by another type", map[string]string{"datatype.propagate.source.type": `varchar`}, text, connectors.StringSchema, "Ann", "Ann", "-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rules, err := ParseColumnRules(c.config)
			if err != nil {
				t.Fatal(err)
			}
			rule, params := rules.For(c.facts), "-"
			if rule == nil {
				rule = &ColumnRule{}
			} else {
				var list []string
				for _, p := range rule.Parameters {
					list = append(list, p.Name+"="+p.Value)
				}
				params = strings.Join(list, " ")
			}
			if params != c.params {
				t.Errorf("parameters %s, want %s", params, c.params)
			}
			out := []byte(c.in)
			if rule.ChangesValues(c.schema) {
				dst := connectors.AppendString([]byte("before"), c.in)
				v, rest, err := connectors.ReadValue(c.schema, rule.Rewrite(dst, len("before"), c.schema)[len("before"):])
				if err != nil || len(rest) > 0 {
					t.Fatalf("%v, %d bytes left", err, len(rest))
				}
				out = []byte(v.Text())
			}
			if string(out) != c.out {
				t.Errorf("%q, want %q", out, c.out)
			}
		})
	}
}

func TestColumnRuleNames(t *testing.T) {
	definition := &configs.Definition{Keys: ColumnKeys("Records", "schema.table.column"), Rules: []configs.Rule{ColumnRulesHold()}}
	for key, want := range map[string]string{
		"column.mask.with.5.chars":                        "",
		"column.mask.with.x.chars":                        "number",
		"column.mask.with.-1.chars":                       "number",
		"column.mask.with.9999999999.chars":               "number",
		"column.truncate.to.5.chars":                      "",
		"column.truncate.to.0.chars":                      "number from 1",
		"column.mask.hash.SHA-256.with.salt.CzQMA.0cB5K":  "",
		"column.mask.hash.v2.sha-512/256.with.salt.salty": "",
		"column.mask.hash.v2.ROT13.with.salt.salty":       "SHA3-512",
		"column.mask.hash.MD2.with.salt.salty":            "MD5",
	} {
		config := map[string]string{key: "public.a.b"}
		_, problems := definition.Parse(config)
		_, err := ParseColumnRules(config)
		if want == "" {
			if len(problems) > 0 || err != nil {
				t.Errorf("%s: %v, %v", key, problems, err)
			}
			continue
		}
		if len(problems) != 1 || !strings.Contains(problems[0].Message, want) || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want %q", key, problems, err, want)
		}
	}
	if _, problems := definition.Parse(map[string]string{"column.mask.with.5.chars": "("}); len(problems) != 1 {
		t.Errorf("a broken expression: %v", problems)
	}
}

func TestCutCharacters(t *testing.T) {
	for _, c := range []struct {
		in   string
		n    int
		want string
	}{{"", 3, ""}, {"abc", 3, "abc"}, {"abcd", 3, "abc"}, {"日本語", 2, "日本"}, {"a😀b", 3, "a😀"}, {"a😀b", 2, "a"}, {"😀", 1, ""}, {"\xff\xfeab", 3, "\xff\xfea"}} {
		if got := cutCharacters([]byte(c.in), c.n); string(got) != c.want {
			t.Errorf("%q cut to %d is %q, want %q", c.in, c.n, got, c.want)
		}
	}
}

// The bytes are those of Java's ObjectOutputStream.
func TestAppendJavaString(t *testing.T) {
	for in, want := range map[string]string{
		"":                                    "aced0005740000",
		"Ann":                                 "aced0005740003416e6e",
		"é":                                   "aced0005740002c3a9",
		"\x00":                                "aced0005740002c080",
		"😀":                                   "aced0005740006eda0bdedb880",
		strings.Repeat("x", math.MaxUint16+1): "aced00057c0000000000010000" + strings.Repeat("78", math.MaxUint16+1),
	} {
		if got := hex.EncodeToString(appendJavaString(nil, []byte(in))); got != want {
			t.Errorf("%.20q is %.60s, want %.60s", in, got, want)
		}
	}
}

func FuzzColumnRule(f *testing.F) {
	f.Add([]byte("größe 😀"), 3)
	f.Add([]byte("\xf0\x9f\x98"), 1)
	f.Add(bytes.Repeat([]byte("x"), 100), 64)
	f.Fuzz(func(t *testing.T, value []byte, n int) {
		n = 1 + (n&0x7f)%100
		cut := cutCharacters(value, n)
		if !bytes.HasPrefix(value, cut) || len(cut) > 3*n+n {
			t.Fatalf("%q cut to %d is %q", value, n, cut)
		}
		rule := ColumnRule{digest: digest("SHA-256")(), java: true, length: n}
		encoded := rule.Rewrite(connectors.AppendBytes(nil, value), 0, connectors.StringSchema)
		v, rest, err := connectors.ReadValue(connectors.StringSchema, encoded)
		if err != nil || len(rest) > 0 || len(v.Text()) != min(n, 64) {
			t.Fatalf("%q, %v", encoded, err)
		}
	})
}

// TestRank finds the first pattern of a list that matches.
func TestRank(t *testing.T) {
	p, err := ParsePatterns(`db\.z, db\.[a-c], db\.a`)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"db.z": 0, "DB.A": 1, "db.c": 1, "db.q": 3} {
		if got := p.Rank(name); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
}
