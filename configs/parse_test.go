package configs

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestTypesLikeKafka compares with what Kafka's ConfigDef.parseType and convertToString answered.
func TestTypesLikeKafka(t *testing.T) {
	type line struct {
		Type         Type
		In           string
		Value, Error *string
	}
	eachLine(t, "configdef.jsonl", func(c line) {
		d := &Definition{Keys: []Key{{Name: "x", Type: c.Type}}}
		v, problems := d.Parse(map[string]string{"x": c.In})
		if c.Type == Double && strings.ContainsAny(c.In, "xX") {
			return // hexadecimal numbers: Java only
		}
		if c.Error != nil {
			if len(problems) != 1 || problems[0].Message != *c.Error {
				t.Errorf("%s %q: %v, want %q", c.Type, c.In, problems, *c.Error)
			}
			return
		}
		got := v.index.find("x").print(v.parsed["x"])
		if len(problems) > 0 || got == nil || *got != *c.Value {
			t.Errorf("%s %q: %v %v, want %q", c.Type, c.In, got, problems, *c.Value)
		}
	})
}

func TestParseDefaults(t *testing.T) {
	v, problems := sample().Parse(map[string]string{"topic.prefix": " shop ", "topic.creation.big.partitions": "6"})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if v.String("topic.prefix") != "shop" || v.Int("database.port") != 5432 || v.Duration("poll.interval.ms") != 500*time.Millisecond ||
		v.Float("ratio") != 0.5 || !v.Bool("tombstones.on.delete") || v.String("database.hostname") != "" || v.Long("poll.interval.ms") != 500 {
		t.Error("wrong defaults")
	}
	if v.Int("topic.creation.big.partitions") != 6 || v.Int("topic.creation.small.partitions") != -1 {
		t.Error("a family's value or default is wrong")
	}
	if v.Has("database.port") || !v.Has("topic.prefix") || v.Has("topic.creation.small.partitions") {
		t.Error("Has does not tell given from default")
	}
	if got := v.Prefixed("topic.creation."); !reflect.DeepEqual(got, map[string]string{"big.partitions": "6"}) {
		t.Error(got)
	}
	if v.Password("database.password").Reveal() != "" || v.List("table.include.list") != nil {
		t.Error("null is not empty")
	}
}

func TestParseProblems(t *testing.T) {
	base := map[string]string{"topic.prefix": "p"}
	tests := []struct {
		name  string
		extra map[string]string
		want  []string // the problems as lines
	}{
		{"required", map[string]string{"topic.prefix": ""}, []string{
			`Invalid value  for configuration topic.prefix: String must be non-empty`}},
		{"range", map[string]string{"database.port": "0", "ratio": "2"}, []string{
			"Invalid value 0 for configuration database.port: Value must be at least 1",
			"Invalid value 2 for configuration ratio: Value must be no more than 1.0"}},
		{"enum", map[string]string{"snapshot.mode": "inital"}, []string{
			"Invalid value inital for configuration snapshot.mode: String must be one of: initial, never, always"}},
		{"enum ignores case", map[string]string{"snapshot.mode": "NEVER"}, nil},
		{"pattern", map[string]string{"slot.name": "Slot-1"}, []string{
			"Invalid value Slot-1 for configuration slot.name: Value must match the regular expression [a-z0-9_]{1,63}"}},
		{"all at once", map[string]string{"database.port": "x", "ratio": "y"}, []string{
			"Invalid value x for configuration database.port: Not a number of type INT",
			"Invalid value y for configuration ratio: Not a number of type DOUBLE"}},
		{"exclusive", map[string]string{"table.include.list": "a", "table.exclude.list": "b"}, []string{
			"Only one of table.include.list, table.exclude.list can be given.",
			"Only one of table.include.list, table.exclude.list can be given."}},
		{"exclusive, one empty", map[string]string{"table.include.list": "a", "table.exclude.list": ""}, nil},
		{"requires", map[string]string{"database.password": "hunter2"}, []string{
			"database.password needs database.hostname, which is missing."}},
		{"check", map[string]string{"database.hostname": "db"}, []string{"database.port: db listens on port 1"}},
		{"check waits for its keys", map[string]string{"database.hostname": "db", "database.port": "q"}, []string{
			"Invalid value q for configuration database.port: Not a number of type INT"}},
		{"unknown", map[string]string{"databse.hostnmae": "x", "zzz": "y"}, []string{
			`warning: Unknown configuration "databse.hostnmae" is ignored; did you mean "database.hostname"?`,
			`warning: Unknown configuration "zzz" is ignored.`}},
		{"unknown of a family", map[string]string{"transforms.unwrap.tpye": "x"}, []string{
			`warning: Unknown configuration "transforms.unwrap.tpye" is ignored; did you mean "transforms.unwrap.type"?`}},
		{"notice", map[string]string{"plugin.name": "wal2json"}, []string{
			"warning: plugin.name has no effect: pgoutput is used."}},
		{"alias and name", map[string]string{"database.server.name": "q"}, []string{
			"warning: database.server.name is another name of topic.prefix, which is given too and is the one that counts."}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			raw := map[string]string{}
			for _, m := range []map[string]string{base, tt.extra} {
				for k, v := range m {
					raw[k] = v
				}
			}
			_, problems := sample().Parse(raw)
			var got []string
			for _, p := range problems {
				got = append(got, p.String())
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

func TestParseMissing(t *testing.T) {
	_, problems := sample().Parse(nil)
	err := Err(problems)
	if err == nil || err.Error() != `Missing required configuration "topic.prefix" which has no default value.` {
		t.Error(err)
	}
}

func TestParseAlias(t *testing.T) {
	v, problems := sample().Parse(map[string]string{"database.server.name": "shop"})
	if v.String("topic.prefix") != "shop" || !v.Has("topic.prefix") {
		t.Error("the alias does not count")
	}
	if len(problems) != 1 || problems[0].IsError() || problems[0].Near != "topic.prefix" {
		t.Error(problems)
	}
}

func TestSecretValueIsNotInProblems(t *testing.T) {
	d := &Definition{Keys: []Key{{Name: "token", Type: Password, Check: func(value string) error {
		return KeyError("", "what is "+value+"?")
	}}, {Name: "pin", Type: Int, Secret: true}}}
	_, problems := d.Parse(map[string]string{"token": "s3cr3t-value", "pin": "x9x9"})
	for _, p := range problems {
		if strings.Contains(p.Message+p.Value, "s3cr3t-value") || strings.Contains(p.Message+p.Value, "x9x9") {
			t.Errorf("secret in %+v", p)
		}
	}
	if len(problems) != 2 || problems[0].Message != "Invalid value [hidden] for configuration token: what is [hidden]?" {
		t.Error(problems)
	}
}

func TestUndeclaredKeyPanics(t *testing.T) {
	v, _ := sample().Parse(nil)
	for name, get := range map[string]func(){
		"no.such.key":   func() { v.String("no.such.key") },
		"database.port": func() { v.Bool("database.port") },
	} {
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, name) {
					t.Errorf("%s: panic %q", name, text)
				}
			}()
			get()
		}()
	}
}

func TestDuration(t *testing.T) {
	d := &Definition{Keys: []Key{{Name: "a.ms", Type: Long}, {Name: "b.seconds", Type: Int}, {Name: "c", Type: Long, Unit: "h"}}}
	v, _ := d.Parse(map[string]string{"a.ms": "-1", "b.seconds": "90", "c": "9223372036854775807"})
	if v.Duration("a.ms") != -time.Millisecond || v.Duration("b.seconds") != 90*time.Second || v.Duration("c") != 1<<63-1 {
		t.Error(v.Duration("a.ms"), v.Duration("b.seconds"), v.Duration("c"))
	}
}
