package avro

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// readLines calls do with each line of a file of JSON objects, and fails if there are fewer than least.
func readLines(t *testing.T, file string, least int, do func(line []byte)) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	lines := bufio.NewScanner(f)
	for lines.Buffer(nil, 1<<20); lines.Scan(); n++ {
		do(lines.Bytes())
	}
	if err := lines.Err(); err != nil || n < least {
		t.Fatalf("%s: %d lines, want %d at least (%v)", file, n, least, err)
	}
}

// The file says what Apache Avro 1.12.0 for Java, with strict names and defaults, answers to each schema: its text, or
// an error.
func TestParseAnswersAsJava(t *testing.T) {
	readLines(t, "testdata/java-parse.jsonl", 200, func(line []byte) {
		var c struct{ Schema, Text, Canonical, Error string }
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		s, err := Parse(c.Schema)
		switch {
		case err != nil && c.Error == "":
			t.Errorf("%s\nrefused: %v", c.Schema, err)
		case err == nil && c.Error != "":
			t.Errorf("%s\naccepted as %s\nJava: %s", c.Schema, s, c.Error)
		case err != nil && !errors.Is(err, ErrSchema):
			t.Errorf("%s\n%v is no ErrSchema", c.Schema, err)
		case err == nil && s.String() != c.Text:
			t.Errorf("%s\ngot  %s\nwant %s", c.Schema, s, c.Text)
		case err == nil && s.ParsingForm() != c.Canonical:
			t.Errorf("%s\ncanonical\ngot  %s\nwant %s", c.Schema, s.ParsingForm(), c.Canonical)
		}
	})
}

func TestParseStoredTakesWhatOlderAvrosTook(t *testing.T) {
	for _, text := range []string{
		`{"type":"record","name":"Order","namespace":"my-company.shop","fields":[{"name":"a-b","type":"int","default":"x"},{"name":"string","type":"string"}]}`,
		`{"type":"enum","name":"E","symbols":["A-b"]}`,
	} {
		if _, err := Parse(text); err == nil {
			t.Errorf("Parse accepts %s", text)
		}
		s, err := ParseStored(text)
		if err != nil {
			t.Error(err)
			continue
		}
		if s.String() != text {
			t.Errorf("%s became %s", text, s)
		}
		if _, err := ToConnect(s); err == nil != (s.Type == Enum) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := ParseStored(`{"type":"record","name":"R","fields":[{"name":"a","type":"Missing"}]}`); !errors.Is(err, ErrSchema) {
		t.Error(err)
	}
}

func TestParserWithTypesOfOthers(t *testing.T) {
	money := mustParse(t, `{"type":"record","name":"shop.Money","fields":[{"name":"cur","type":{"type":"enum","name":"Cur","symbols":["EUR"]}}]}`)
	p := Parser{Types: []*Schema{money}}
	const text = `{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"price","type":"Money"},{"name":"cur","type":"Cur","default":"EUR"}]}`
	s, err := p.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.StringUsing(p.Types); got != text {
		t.Errorf("got %s, want %s", got, text)
	}
	whole := mustParse(t, s.String())
	if !Equal(s, whole) {
		t.Errorf("%s is another schema", whole)
	}
	for _, bad := range []string{
		`{"type":"record","name":"O","fields":[{"name":"a","type":"Money"}]}`, // another namespace
		`{"type":"enum","name":"shop.Cur","symbols":["USD"]}`,                 // the name is taken
	} {
		if s, err := p.Parse(bad); err == nil {
			t.Errorf("%s accepted as %s", bad, s)
		}
	}
}

func TestFingerprint(t *testing.T) {
	// From Avro's share/test/data/schema-tests.txt.
	for text, want := range map[string]uint64{
		`"null"`: 7195948357588979594,
		`"int"`:  8247732601305521295,
		`{"fields":[], "type":"record", "name":"foo"}`: 0xbd0c50c84319be7e,
	} {
		s, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Fingerprint(); got != want {
			t.Errorf("%s: %d (%#x), want %d", text, int64(got), got, int64(want))
		}
	}
}

func TestHostileTextIsRefusedFast(t *testing.T) {
	deep := strings.Repeat(`{"type":"array","items":`, 100_000)
	wide := `{"type":"record","name":"R0","fields":[]}`
	var chain strings.Builder
	chain.WriteString(`[`)
	for i := range 20_000 {
		chain.WriteString(`{"type":"record","name":"R` + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + `","fields":[{"name":"a","type":"R","default":{}}]},`)
	}
	var back strings.Builder // each type uses the next one before it is defined, and all of them the first
	back.WriteString(`{"type":"record","name":"R0","fields":[`)
	for i := range 20_000 {
		fmt.Fprintf(&back, `{"name":"a%d","type":{"type":"record","name":"R%d","fields":[{"name":"a","type":"R%d"},{"name":"b","type":"R0"}]}},`, i, i+1, i+2)
	}
	back.WriteString(`{"name":"end","type":{"type":"fixed","name":"R20001","size":1}}]}`)
	for name, text := range map[string]string{
		"deep":             deep,
		"back and forth":   back.String(),
		"deep list":        strings.Repeat("[", 1_000_000),
		"too long":         strings.Repeat(" ", maxText+1),
		"cyclic default":   `{"type":"record","name":"R","fields":[{"name":"a","type":"R","default":{}}]}`,
		"doubling default": `{"type":"record","name":"R","fields":[{"name":"a","type":"R","default":{}},{"name":"b","type":"R","default":{}}]}`,
		"not closed":       chain.String() + wide,
		"digits":           `{"type":"int","x":` + strings.Repeat("9", 1_000_000) + `}`,
	} {
		start := time.Now()
		if _, err := Parse(text); err == nil {
			t.Errorf("%s: no error", name)
		}
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%s took %v", name, d)
		}
	}
}

func TestEqualLooksAtWhatARegistryTellsApart(t *testing.T) {
	const base = `{"type":"record","name":"R","namespace":"n","doc":"d","fields":[{"name":"a","type":"int","default":1},{"name":"r","type":["null","R"]}],"x":1,"y":{"a":1,"b":2}}`
	for text, want := range map[string]bool{
		base: true,
		`{"fields":[{"type":{"type":"int"},"name":"a","default":1,"order":"ascending"},{"name":"r","type":["null","n.R"]}],"type":"record","y":{"b":2,"a":1},"x":1,"doc":"d","name":"n.R"}`: true,
		strings.Replace(base, `"doc":"d"`, `"doc":"e"`, 1):           false,
		strings.Replace(base, `"default":1`, `"default":2`, 1):       false,
		strings.Replace(base, `"x":1`, `"x":2`, 1):                   false,
		strings.Replace(base, `"x":1,`, `"x":1,"aliases":["q"],`, 1): false,
		strings.Replace(base, `"n"`, `"m"`, 1):                       false,
		`"int"`:                                                      false,
	} {
		a, err := Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		b, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if Equal(a, b) != want || Equal(b, a) != want {
			t.Errorf("Equal = %t, want %t: %s", !want, want, text)
		}
	}
}

func FuzzParse(f *testing.F) {
	readSeeds(f)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(s.String())
		if err != nil {
			t.Fatalf("%q printed as %q: %v", text, s, err)
		}
		if again.ParsingForm() != s.ParsingForm() {
			t.Fatalf("%q printed as %q, then as %q", text, s, again)
		}
		// As in Java, two aliases may be printed alike, and are one when they are read again.
		if third, err := Parse(again.String()); err != nil || third.String() != again.String() {
			t.Fatalf("%q printed as %q, then as %q: %v", text, again, third, err)
		}
		if c, err := ToConnect(s); err == nil {
			if _, err := FromConnect(c); err != nil {
				t.Logf("one way only: %v", err)
			}
		}
	})
}

func readSeeds(f *testing.F) {
	text, err := os.ReadFile("testdata/java-parse.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var c struct{ Schema string }
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			f.Fatal(err)
		}
		f.Add(c.Schema)
	}
}
