package configs

import (
	"maps"
	"strings"
	"testing"
)

func asMap(entries []Property) map[string]string {
	out := map[string]string{}
	for _, e := range entries {
		out[e.Key] = e.Value
	}
	return out
}

// TestPropertiesLikeJava compares with what java.util.Properties.load answered (null: it refused the text).
func TestPropertiesLikeJava(t *testing.T) {
	type line struct {
		In  string
		Out map[string]string
	}
	eachLine(t, "properties.jsonl", func(c line) {
		entries, problems := ParseProperties([]byte(c.In))
		if refused := Err(problems) != nil; refused != (c.Out == nil) {
			t.Errorf("%q: problems %v, Java: %v", c.In, problems, c.Out)
		} else if !refused && !maps.Equal(asMap(entries), c.Out) {
			t.Errorf("%q: %q, Java: %q", c.In, asMap(entries), c.Out)
		}
	})
}

func TestPropertiesEncodings(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"UTF-8", "a=é", "é"},
		{"ISO-8859-1", "a=\xe9", "é"},
		{"byte order mark", "\ufeffa=é", "é"},
	}
	for _, tt := range tests {
		entries, problems := ParseProperties([]byte(tt.in))
		if len(problems) > 0 || asMap(entries)["a"] != tt.want {
			t.Errorf("%s: %v %v", tt.name, entries, problems)
		}
	}
}

func TestPropertiesLines(t *testing.T) {
	entries, problems := ParseProperties([]byte("# comment\r\n\r\na=1\r\nb=\\\r\n  2\r\n! x\rc=3\n\na=4\nd=\\u00"))
	var got []string
	for _, e := range entries {
		got = append(got, e.Key+e.Value+":"+string(rune('0'+e.Line)))
	}
	if s := strings.Join(got, " "); s != "a1:3 b2:4 c3:7 a4:9" {
		t.Error(s)
	}
	if len(problems) != 2 || problems[0].Line != 9 || problems[0].IsError() || !strings.Contains(problems[0].Message, "line 3") ||
		problems[1].Line != 10 || !problems[1].IsError() {
		t.Errorf("%+v", problems)
	}
}

// FuzzProperties: any text parses without harm, the lines are in the text, and what is written with escapes is read
// back.
func FuzzProperties(f *testing.F) {
	for _, seed := range []string{"a=b", "a\\\n =b", "\\u0041=\\ud83d\\ude00", "#\\\nx", "\xe9", "\\", "a=b\\\r\n\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		entries, _ := ParseProperties([]byte(text))
		last := 0
		lines := 1 + strings.Count(text, "\n") + strings.Count(text, "\r")
		for _, e := range entries {
			if e.Line <= last-1 || e.Line > lines {
				t.Fatalf("line %d of %d after %d", e.Line, lines, last)
			}
			last = e.Line
		}
		var b strings.Builder
		for _, e := range entries {
			b.WriteString(escapeProperty(e.Key) + "=" + escapeProperty(e.Value) + "\n")
		}
		again, problems := ParseProperties([]byte(b.String()))
		if Err(problems) != nil || !maps.Equal(asMap(again), asMap(entries)) {
			t.Fatalf("%q became %q", asMap(entries), asMap(again))
		}
	})
}

func escapeProperty(s string) string {
	return strings.NewReplacer("\\", "\\\\", "\n", "\\n", "\r", "\\r", "\t", "\\t", "\f", "\\f", " ", "\\ ", "=", "\\=", ":", "\\:",
		"#", "\\#", "!", "\\!", "\ufeff", "\\ufeff").Replace(s)
}
