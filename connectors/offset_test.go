package connectors

import "testing"

// What is wrong with an offset is said in JSON's words, not in Go's.
func TestUnmarshalOffset(t *testing.T) {
	for text, want := range map[string]string{
		`{"position":"1"}`: "position cannot be of the type string",
		`{"position":{}}`:  "position cannot be of the type object",
		`5`:                "it cannot be of the type number",
		`{"positon":1}`:    `unknown field "positon"`,
		`{} {}`:            "more than one JSON value",
		`{"position":1}`:   "",
	} {
		var o struct {
			Position int64 `json:"position"`
		}
		got := ""
		if err := UnmarshalOffset([]byte(text), &o); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
