package configs

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestParseFile(t *testing.T) {
	tests := []struct {
		name, path, in string
		want           File
	}{
		{"properties", "c.properties", "name=orders\ntasks.max: 1\n", File{Name: "orders",
			Config: map[string]string{"name": "orders", "tasks.max": "1"}, Lines: map[string]int{"name": 1, "tasks.max": 2}}},
		{"flat", "c.json", "{\n \"name\": \"orders\",\n \"tasks.max\": 1, \"x\": 1.50,\n \"y\": true, \"z\": 1E5}", File{Name: "orders",
			Config: map[string]string{"name": "orders", "tasks.max": "1", "x": "1.50", "y": "true", "z": "1E5"},
			Lines:  map[string]int{"name": 2, "tasks.max": 3, "x": 3, "y": 4, "z": 4}}},
		{"wrapped", "c.json", "{\"name\": \"orders\",\n \"config\": {\n  \"a\": \"\\u00e9\\n\"\n }, \"initial_state\": \"paused\"}", File{Name: "orders",
			InitialState: "PAUSED", Config: map[string]string{"name": "orders", "a": "é\n"}, Lines: map[string]int{"name": 1, "a": 3}}},
		{"JSON by content", "c.conf", "\ufeff\n{\"config\": \"text\"}", File{Config: map[string]string{"config": "text"}, Lines: map[string]int{"config": 2}}},
		{"empty", "c", "", File{Config: map[string]string{}, Lines: map[string]int{}}},
	}
	for _, tt := range tests {
		got, problems := ParseFile(tt.path, []byte(tt.in))
		tt.want.Path = tt.path
		if len(problems) > 0 || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v %v", tt.name, got, problems)
		}
	}
}

func TestParseFileProblems(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"line comment", "{\n  // hi\n  \"a\": 1}", "c.json:2:3: not JSON: JSON has no comments"},
		{"comment behind", "{\"a\": 1, /* b */ \"c\": 2}", "c.json:1:10: not JSON: JSON has no comments"},
		{"comment first", "# hi\n{}", "c.json:1:1: not JSON: JSON has no comments"},
		{"trailing comma", "{\n  \"a\": 1,\n}", "c.json:2:9: not JSON: the comma before the } is one too many"},
		{"single quotes", "{'a': 1}", "c.json:1:2: not JSON: names and texts stand between double quotes"},
		{"missing comma", "{\"a\": 1\n \"b\": 2}", "c.json:2:2: not JSON: invalid character '\"' after object key:value pair; a comma or a } is missing"},
		{"end", "{\"a\": 1", "c.json:1:8: not JSON: the text ends too early"},
		{"more", "{} {}", "c.json:1:4: not JSON: there is more text after the end"},
		{"list", "[1]", "c.json:1:1: a JSON object is needed here"},
		{"nothing", "", "c.json:1:1: not JSON: the text ends too early"},
		{"null", "{\"a\": null}", "c.json:1: Invalid value null for configuration a: a value is needed"},
		{"nested", "{\"é\": 1, \"a\": {}}", "c.json:1:15: Invalid value for configuration a: a text, a number, true or false is needed, not an object"},
		{"nested list", "{\"a\": [1]}", "c.json:1:7: Invalid value for configuration a: a text, a number, true or false is needed, not a list"},
		{"twice", "{\"a\": 1,\n \"a\": 2}", "c.json:2: warning: a was given before on line 1; this value counts."},
		{"two names", "{\"name\": \"x\", \"config\": {\"name\": \"y\"}}", "c.json:1: Connector name configuration (y) doesn't match connector name in the request (x)"},
		{"state", "{\"config\": {}, \"initial_state\": \"STOPED\"}", "c.json:1: Invalid value STOPED for initial_state: String must be one of: RUNNING, PAUSED, STOPPED"},
		{"more members", "{\"config\": {}, \"tasks\": 1}", "c.json:1: tasks: warning"},
	}
	for _, tt := range tests {
		_, problems := ParseFile("c.json", []byte(tt.in))
		if tt.name == "more members" {
			tt.want = "c.json:1: warning: \"tasks\" beside \"config\" is ignored"
		}
		if len(problems) != 1 || !strings.HasPrefix(problems[0].String(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.name, problems, tt.want)
		}
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.properties")
	if err := os.WriteFile(path, []byte("\n\ntopic.prefx=x\nratio=7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, problems := Load(path)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	_, problems = sample().Parse(f.Config)
	var lines []string
	for _, p := range f.Locate(problems) {
		lines = append(lines, strings.ReplaceAll(p.String(), path, "F"))
	}
	want := []string{
		`F: Missing required configuration "topic.prefix" which has no default value.`,
		`F:4: Invalid value 7 for configuration ratio: Value must be no more than 1.0`,
		`F:3: warning: Unknown configuration "topic.prefx" is ignored; did you mean "topic.prefix"?`,
	}
	if !reflect.DeepEqual(lines, want) {
		t.Errorf("got\n%s", strings.Join(lines, "\n"))
	}
	if _, problems := Load(path + "x"); len(problems) != 1 || problems[0].String() != path+"x: cannot be read: no such file or directory" {
		t.Error(problems)
	}
}

func TestDecodeObject(t *testing.T) {
	got, err := DecodeObject([]byte(`{"a": null, "b": 12345678901234567890, "c": false, "d": "x"}`))
	if err != nil || got["a"] != nil || *got["b"] != "12345678901234567890" || *got["c"] != "false" || *got["d"] != "x" || len(got) != 4 {
		t.Error(got, err)
	}
	for _, bad := range []string{``, `[]`, `{"a": {}}`, `{"a": 1,}`, `null`, `{} x`} {
		if _, err := DecodeObject([]byte(bad)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

// FuzzJSON: any text parses without harm; a flat object of texts is read as encoding/json reads it; positions are in
// the text.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{`{"a":"b"}`, `{"name":"x","config":{"a":1},"initial_state":"STOPPED"}`, `{"a":[{}],"b":null}`, "{\n//", `{"a":1,}`, `"`, "{\"\xff\":\"\xff\"}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, problems := ParseFile("c.json", []byte(text))
		lines := 1 + strings.Count(text, "\n")
		for _, p := range problems {
			if p.Line < 0 || p.Line > lines || p.Message == "" || p.File == "" {
				t.Fatalf("%+v", p)
			}
		}
		for key, line := range file.Lines {
			if line < 1 || line > lines {
				t.Fatalf("%s on line %d of %d", key, line, lines)
			}
		}
		var want map[string]*string
		if json.Unmarshal([]byte(text), &want) != nil || want == nil {
			return
		}
		got, err := DecodeObject([]byte(text))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%v %v, want %v", got, err, want)
		}
	})
}
