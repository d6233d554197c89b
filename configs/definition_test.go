package configs

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestFamilies(t *testing.T) {
	x := newIndex(&Definition{Keys: []Key{
		{Name: "topic.creation.<group>.partitions"},
		{Name: "topic.creation.<group>.*"},
		{Name: "overrides.<table>"},
		{Name: "column.truncate.to.<n>.chars"},
		{Name: "producer.override.*"},
		{Name: "transforms"},
		{Name: "transforms.<name>.type"},
		{Name: "transforms.fixed.type"},
	}})
	tests := []struct{ name, want string }{
		{"topic.creation.default.partitions", "topic.creation.<group>.partitions"},
		{"topic.creation.default.cleanup.policy", "topic.creation.<group>.*"},
		{"topic.creation..partitions", ""},
		{"topic.creation.x.", ""},
		{"overrides.public.orders", "overrides.<table>"},
		{"overrides.", ""},
		{"column.truncate.to.20.chars", "column.truncate.to.<n>.chars"},
		{"column.truncate.to.2.0.chars", ""},
		{"column.truncate.to.20.chars.more", ""},
		{"producer.override.sasl.jaas.config", "producer.override.*"},
		{"producer.override.", ""},
		{"transforms.a.type", "transforms.<name>.type"},
		{"transforms.fixed.type", "transforms.fixed.type"},
		{"transforms", "transforms"},
	}
	for _, tt := range tests {
		got := ""
		if k := x.find(tt.name); k != nil {
			got = k.Name
		}
		if got != tt.want {
			t.Errorf("%s is of %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestNearest(t *testing.T) {
	x := newIndex(sample())
	tests := []struct{ name, want string }{
		{"topic.prefx", "topic.prefix"},
		{"topicprefix", "topic.prefix"},
		{"TOPIC.PREFIX", "topic.prefix"},
		{"database.sever.name", "topic.prefix"},
		{"database.hostname ", "database.hostname"},
		{"table.includelist", "table.include.list"},
		{"table.include", "table.include.list"},
		{"producer", ""},
		{"producer.overide.acks", "producer.override.acks"},
		{"ratoi", "ratio"},
		{"completely.different", ""},
		{"x", ""},
		{"", ""},
	}
	for _, tt := range tests {
		if got := x.nearest(tt.name); got != tt.want {
			t.Errorf("nearest to %q: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestDistance(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"ab", "ba", 1}, {"abc", "abd", 1}, {"kitten", "sitting", 3}, {"abcd", "acbd", 1}}
	for _, tt := range tests {
		if got := distance(tt.a, tt.b, 100); got != tt.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestDefinitionAsJSON(t *testing.T) {
	d := sample()
	data, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var back Definition
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	d.Rules[2].Check = nil // functions stay behind
	if !reflect.DeepEqual(d, &back) {
		t.Errorf("got %+v", back)
	}
	if _, problems := back.Parse(map[string]string{"topic.prefix": "p", "database.hostname": "db"}); len(problems) > 0 {
		t.Error(problems)
	}
}

func TestConcat(t *testing.T) {
	d := Concat(&Definition{Keys: []Key{{Name: "a", Default: "1"}, {Name: "b"}}, Rules: []Rule{AtMostOne("a", "b")}}, nil,
		&Definition{Keys: []Key{{Name: "c"}, {Name: "a", Default: "2"}}, Rules: []Rule{AtMostOne("b", "c")}})
	if len(d.Keys) != 3 || d.Keys[0].Default != "2" || d.Keys[2].Name != "c" || len(d.Rules) != 2 {
		t.Errorf("%+v", d)
	}
}

func TestWithPrefix(t *testing.T) {
	inner := &Definition{
		Keys: []Key{{Name: "from", Type: Int, Aliases: []string{"start"}}, {Name: "to", Type: Int, Dependents: []string{"from"},
			DependsOn: []Condition{{Key: "from", Values: []string{"1"}}},
			Recommend: func(v Values) []string { return []string{v.String("label")} }},
			{Name: "label", Type: String, Default: "x"}},
		Rules: []Rule{Check("", []string{"from", "to"}, func(v Values) []Problem {
			if v.Int("from") > v.Int("to") {
				return []Problem{{Key: "from", Message: "must not be above to"}}
			}
			return nil
		})},
	}
	d := inner.WithPrefix("transforms.cut.", "Transforms: cut")
	if err := d.Verify(); err != nil {
		t.Error(err)
	}
	v, problems := d.Parse(map[string]string{"transforms.cut.start": "3", "transforms.cut.to": "2"})
	if len(problems) != 2 || problems[0].String() != "transforms.cut.from: must not be above to" {
		t.Error(problems)
	}
	if v.Sub("transforms.cut.").Int("from") != 3 || !v.Sub("transforms.cut.").Has("to") {
		t.Error("Sub does not see the values")
	}
	infos := d.Validate(map[string]string{"transforms.cut.to": "2"})
	to := infos.Configs[1]
	if to.Value.Visible || to.Value.RecommendedValues[0] != "x" || *to.Definition.Group != "Transforms: cut" || to.Definition.Dependents[0] != "transforms.cut.from" {
		t.Errorf("%+v %+v", to.Definition, to.Value)
	}
	if inner.Keys[0].Name != "from" || inner.Rules[0].Keys[0] != "from" {
		t.Error("the inner definition was changed")
	}
}

func TestVerify(t *testing.T) {
	if err := sample().Verify(); err != nil {
		t.Error(err)
	}
	bad := &Definition{
		Keys: []Key{
			{Name: "a", Type: Int, Default: "x"}, {Name: "a", Type: Int}, {Name: "b", Type: "INTEGER"},
			{Name: "c", Type: String, Pattern: "("}, {Name: "d", Type: String, Min: "1"}, {Name: "e", Type: Int, Max: "many"},
			{Name: "f", Type: Int, Required: true, Default: "1"}, {Name: "g", Type: Int, Dependents: []string{"nope"}},
			{Name: "h", Type: String, Default: "z", Check: func(string) error { return errors.New("never") }},
		},
		Rules: []Rule{AtMostOne("a", "nada")},
	}
	err := bad.Verify()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"key a: default", `key "a"`, "key b: no such type", "key c:", "key d: is bounded", "key e: bound", "key f:", "nope", "never", "nada"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
}

func TestMarkdown(t *testing.T) {
	page := sample().Markdown()
	for _, want := range []string{
		"## Postgres\n\n| Key | Type | Default | Importance | Meaning |\n|---|---|---|---|---|\n",
		"| `topic.prefix` | string | required | high | First part of topic names. Also understood: `database.server.name`. |\n",
		"| `database.port` | int | `5432` | low | From 1 to 65535. |\n",
		"| `poll.interval.ms` | long, ms | `500` | low | At least 1. |\n",
		"- At most one of `table.include.list`, `table.exclude.list` can be given.\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not in:\n%s", want, page)
		}
	}
}
