package jsonschema

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func mustParse(t testing.TB, text string, references ...Reference) *Schema {
	t.Helper()
	s, err := Parse(text, references)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return s
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{` { "type" : "object", "b":1, "a" : [ 1.0, "<é\u00e9/" ] } `, `{"type":"object","b":1,"a":[1.0,"<éé/"]}`},
		{`true`, `true`},
		{`{"$schema":"http://example.com/none","type":"string"}`, `{"$schema":"http://example.com/none","type":"string"}`},
		{`{"$schema":"https://json-schema.org/draft/2020-12/schema","prefixItems":[true]}`, `{"$schema":"https://json-schema.org/draft/2020-12/schema","prefixItems":[true]}`},
		{`{"pattern":"^(?=a)b$"}`, `{"pattern":"^(?=a)b$"}`},
		{`{"$ref":"#/definitions/a","definitions":{"a":{"$ref":"#"}}}`, `{"$ref":"#/definitions/a","definitions":{"a":{"$ref":"#"}}}`},
	} {
		if got := mustParse(t, c.text).String(); got != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.text, got, c.want)
		}
	}
	for _, text := range []string{``, `{`, `{}{}`, `[]`, `null`, `"string"`, `{"type":"record"}`, `{"type":1}`, `{"minLength":-1}`,
		`{"properties":[]}`, `{"$ref":"#/nowhere"}`, `{"$ref":"http://127.0.0.1:1/x.json"}`, `{"$ref":"other.json"}`, `{"enum":{}}`,
		`{"allOf":[` + strings.Repeat("{},", 6000) + `{}]}`, `{"a":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`} {
		if _, err := Parse(text, nil); !errors.Is(err, ErrSchema) {
			t.Errorf("%.60s: %v", text, err)
		}
	}
}

func TestReferences(t *testing.T) {
	inner := mustParse(t, `{"type":"string"}`)
	outer := mustParse(t, `{"$ref":"inner.json"}`, Reference{"inner.json", inner})
	byID := mustParse(t, `{"$id":"http://example.com/id","type":"string"}`)
	for _, s := range []*Schema{
		mustParse(t, `{"properties":{"a":{"$ref":"outer.json"}}}`, Reference{"outer.json", outer}, Reference{"inner.json", inner}),
		mustParse(t, `{"$id":"http://example.com/x/y","properties":{"a":{"$ref":"inner.json"}}}`, Reference{"inner.json", inner}),
		mustParse(t, `{"properties":{"a":{"$ref":"http://example.com/id"}}}`, Reference{"any", byID}),
		mustParse(t, `{"properties":{"a":{"$ref":"http://example.com/z"}}}`, Reference{"http://example.com/z", inner}),
	} {
		if Explain(mustParse(t, `{"properties":{"a":{"type":"string"}}}`), s, false, "new", "old") != nil {
			t.Errorf("%s differs from what it refers to", s)
		}
		if Explain(mustParse(t, `{"properties":{"a":{"type":"number"}}}`), s, false, "new", "old") == nil {
			t.Errorf("%s does not differ from another", s)
		}
	}
}

func TestNormalAndEqual(t *testing.T) {
	a, b := mustParse(t, `{"type":"object","properties":{"b":{},"a":{}}}`), mustParse(t, `{"properties":{"a":{},"b":{}},"type":"object"}`)
	if !Equal(a, b) || a.String() == b.String() || a.Normal().String() != b.Normal().String() {
		t.Errorf("%s, %s", a.Normal(), b.Normal())
	}
	if Equal(a, mustParse(t, `{"type":"object"}`)) {
		t.Error("equal")
	}
	if got := strings.Join(a.Properties(), " "); got != "b a" {
		t.Error(got)
	}
}

// Each change with its differences in Confluent's words, the incompatible ones with an exclamation mark.
func TestCompare(t *testing.T) {
	const open, closed, partly = `{"type":"object","properties":{`, `{"type":"object","additionalProperties":false,"properties":{`, `{"type":"object","additionalProperties":{"type":"string"},"properties":{`
	for _, c := range []struct{ original, update, want string }{
		{`{"type":"string"}`, `{"type":"string"}`, ``},
		{`{"type":"string"}`, `{"type":"integer"}`, `!TYPE_CHANGED #/`},
		{`{"type":"integer"}`, `{"type":"number"}`, `TYPE_EXTENDED #/`},
		{`{"type":"number"}`, `{"type":"integer"}`, `!TYPE_NARROWED #/`},
		{`{"type":"string"}`, `{}`, ``},
		{`{}`, `{"type":"string"}`, `!TYPE_CHANGED #/`},
		{`false`, `{"type":"string"}`, ``},
		{`{"type":"string","title":"a"}`, `{"type":"string","title":"b","description":"d","default":"x"}`, `TITLE_CHANGED #/ DESCRIPTION_CHANGED #/ DEFAULT_CHANGED #/`},
		{`{"type":"string","maxLength":3}`, `{"type":"string","maxLength":4}`, `MAX_LENGTH_INCREASED #/maxLength`},
		{`{"type":"string","maxLength":3}`, `{"type":"string","maxLength":2}`, `!MAX_LENGTH_DECREASED #/maxLength`},
		{`{"type":"string"}`, `{"type":"string","minLength":2}`, `!MIN_LENGTH_ADDED #/minLength`},
		{`{"type":"string","pattern":"a"}`, `{"type":"string","pattern":"b"}`, `!PATTERN_CHANGED #/pattern`},
		{`{"type":"number","exclusiveMinimum":1}`, `{"type":"number","exclusiveMinimum":0.5}`, `EXCLUSIVE_MINIMUM_DECREASED #/exclusiveMinimum`},
		{`{"type":"number","multipleOf":2}`, `{"type":"number","multipleOf":6}`, `!MULTIPLE_OF_EXPANDED #/multipleOf`},
		{`{"type":"number","multipleOf":0.6}`, `{"type":"number","multipleOf":0.2}`, `MULTIPLE_OF_REDUCED #/multipleOf`},
		{`{"enum":["a","b"]}`, `{"enum":["b","a","c"]}`, `ENUM_ARRAY_EXTENDED #/enum`},
		{`{"enum":["a","b"]}`, `{"enum":["a"]}`, `!ENUM_ARRAY_NARROWED #/enum`},
		{`{"const":1}`, `{"const":2}`, `!ENUM_ARRAY_CHANGED #/const`},
		{`{"not":{"type":"integer"}}`, `{"not":{"type":"number"}}`, `!NOT_TYPE_EXTENDED #/not`},
		{`{"not":{"type":"number"}}`, `{"not":{"type":"integer"}}`, `NOT_TYPE_NARROWED #/not`},
		{`{}`, `{"properties":{}}`, `!TYPE_CHANGED #/`},
		{`{"properties":{},"maxProperties":1}`, `{"properties":{}}`, `MAX_PROPERTIES_REMOVED #/maxProperties`},
		{`{"properties":{"b":{"oneOf":[{"type":"null"},{"type":"string"}]}},"additionalProperties":false}`, `{"properties":{},"additionalProperties":{"oneOf":[{"type":"null"},{"type":"string"}]}}`, `PROPERTY_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/properties/b ADDITIONAL_PROPERTIES_ADDED #/additionalProperties`},
		{`{"type":"array","items":[{"type":"string"}]}`, `{"type":"array"}`, `ITEM_REMOVED_FROM_OPEN_CONTENT_MODEL #/items/0`},
		// Content models.
		{open + `}}`, open + `"a":{"type":"string"}}}`, `!OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL #/properties/a`},
		{open + `}}`, open + `"a":{}}}`, `PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL #/properties/a`},
		{open + `"a":{"type":"string"}}}`, open + `}}`, `PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL #/properties/a`},
		{closed + `}}`, closed + `"a":{"type":"string"}}}`, `OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL #/properties/a`},
		{closed + `}}`, closed + `"a":{"type":"string"}},"required":["a"]}`, `!REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL #/properties/a`},
		{closed + `}}`, closed + `"a":{"type":"string","default":"x"}},"required":["a"]}`, `REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_UNOPEN_CONTENT_MODEL #/properties/a`},
		{closed + `"a":{"type":"string"}}}`, closed + `}}`, `!PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL #/properties/a`},
		{closed + `"a":false}}`, closed + `}}`, `PROPERTY_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL #/properties/a`},
		{partly + `}}`, partly + `"a":{"type":"string"}}}`, `PROPERTY_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/properties/a OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL #/properties/a`},
		{partly + `"a":{"type":"string"}}}`, partly + `}}`, `PROPERTY_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/properties/a`},
		{partly + `"a":{"type":"integer"}}}`, partly + `}}`, `!TYPE_CHANGED #/properties/a !PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/properties/a`},
		{`{"type":"object","patternProperties":{"^a":{"type":"string"}}}`, `{"type":"object","patternProperties":{"^a":{"type":"string"}},"properties":{"a1":{"type":"string"}}}`, `PROPERTY_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/properties/a1 OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL #/properties/a1`},
		{open + `"a":{}}}`, open + `"a":{}},"required":["a"]}`, `!REQUIRED_ATTRIBUTE_ADDED #/required/a`},
		{open + `"a":{}},"required":["a"]}`, open + `"a":{}}}`, `REQUIRED_ATTRIBUTE_REMOVED #/required/a`},
		{open + `}}`, closed + `}}`, `!ADDITIONAL_PROPERTIES_REMOVED #/additionalProperties`},
		{closed + `}}`, open + `}}`, `ADDITIONAL_PROPERTIES_ADDED #/additionalProperties`},
		{open + `}}`, partly + `}}`, `!ADDITIONAL_PROPERTIES_NARROWED #/additionalProperties`},
		{`{"dependencies":{"a":["b"]}}`, `{"dependencies":{"a":["b","c"]}}`, `!DEPENDENCY_ARRAY_EXTENDED #/dependencies/a`},
		// Arrays.
		{`{"type":"array","items":{"type":"integer"}}`, `{"type":"array","items":{"type":"number"}}`, `TYPE_EXTENDED #/items`},
		{`{"type":"array"}`, `{"type":"array","items":{"type":"number"}}`, `!SCHEMA_ADDED #/items`},
		{`{"type":"array","items":[{"type":"string"}]}`, `{"type":"array","items":[{"type":"string"},{"type":"string"}]}`, `!ITEM_ADDED_TO_OPEN_CONTENT_MODEL #/items/1`},
		{`{"type":"array","items":[{"type":"string"}],"additionalItems":false}`, `{"type":"array","items":[{"type":"string"},{"type":"string"}],"additionalItems":false}`, `ITEM_ADDED_TO_CLOSED_CONTENT_MODEL #/items/1`},
		{`{"$schema":"https://json-schema.org/draft/2020-12/schema","prefixItems":[{"type":"string"}],"items":false}`, `{"$schema":"https://json-schema.org/draft/2020-12/schema","prefixItems":[{"type":"string"}]}`, `ADDITIONAL_ITEMS_ADDED #/additionalItems`},
		{`{"type":"array"}`, `{"type":"array","uniqueItems":true}`, `!UNIQUE_ITEMS_ADDED #/uniqueItems`},
		// Combinations.
		{`{"type":"string"}`, `{"type":["string","null"]}`, `SUM_TYPE_EXTENDED #/`},
		{`{"type":["string","null"]}`, `{"type":"string"}`, `!TYPE_CHANGED #/`},
		{`{"oneOf":[{"type":"string"},{"type":"null"}]}`, `{"oneOf":[{"type":"null"},{"type":"string"},{"type":"integer"}]}`, `SUM_TYPE_EXTENDED #/`},
		{`{"oneOf":[{"type":"string"},{"type":"null"}]}`, `{"oneOf":[{"type":"null"}]}`, `!SUM_TYPE_NARROWED #/`},
		{`{"oneOf":[{"type":"string"},{"type":"null"}]}`, `{"anyOf":[{"type":"null"},{"type":"string"}]}`, `COMBINED_TYPE_EXTENDED #/`},
		{`{"anyOf":[{"type":"string"},{"type":"null"}]}`, `{"oneOf":[{"type":"null"},{"type":"string"}]}`, `!COMBINED_TYPE_CHANGED #/`},
		{`{"allOf":[{"minLength":1},{"type":"object"}]}`, `{"allOf":[{"minLength":1}]}`, `!PRODUCT_TYPE_NARROWED #/`},
		{`{"oneOf":[{"type":"string"},{"type":"null"}]}`, `{"oneOf":[{"type":"boolean"},{"type":"string"}]}`, `!COMBINED_TYPE_SUBSCHEMAS_CHANGED #/`},
		{`{"oneOf":[{"type":"integer"},{"type":"number"}]}`, `{"oneOf":[{"type":"number"},{"type":"integer"}]}`, ``},
		{`{"allOf":[{"type":"string"},{"type":"string"}]}`, `{"allOf":[{"type":"string"}]}`, ``},
		{`{"oneOf":[{"type":"string","maxLength":5}]}`, `{"oneOf":[{"type":"boolean"},{"type":"string","maxLength":8,"title":"t"}]}`, `SUM_TYPE_EXTENDED #/ TITLE_CHANGED #/oneOf/0 MAX_LENGTH_INCREASED #/oneOf/0/maxLength`},
		{`{"anyOf":[{"type":"string"}]}`, `{"allOf":[{"type":"string"}]}`, `COMBINED_TYPE_EXTENDED #/`},
		{`{"oneOf":[{"type":"string"}]}`, `{"allOf":[{"type":"number"},{"type":"string"}]}`, `!COMBINED_TYPE_CHANGED #/`},
		{`{"type":"string"}`, `{"allOf":[{"type":"number"},{"type":"string"}]}`, `!TYPE_CHANGED #/`},
		{`{"type":"string","enum":["a"]}`, `{"type":"string"}`, `PRODUCT_TYPE_NARROWED #/`},
		{`{"type":"string"}`, `{"type":"string","enum":["a"]}`, `!TYPE_CHANGED #/`},
		{`{"type":"string","enum":["a"]}`, `{"type":"integer"}`, `!TYPE_CHANGED #/`},
		{`{"type":"string","enum":["a"],"maxLength":3}`, `{"type":"string","maxLength":4}`, `MAX_LENGTH_INCREASED #/maxLength PRODUCT_TYPE_NARROWED #/`},
		{`{"anyOf":[{"type":"string"},{"type":"null"}]}`, `{"type":"string"}`, `!TYPE_CHANGED #/`},
		{`{"allOf":[{"type":"string"},{"maxLength":3}]}`, `{"oneOf":[{"type":"string"}]}`, `COMBINED_TYPE_EXTENDED #/ PRODUCT_TYPE_NARROWED #/`},
		{`{"allOf":[{"type":"string"},{"maxLength":3}]}`, `{"oneOf":[{"type":"string"},{"type":"null"}]}`, `!COMBINED_TYPE_CHANGED #/`},
		// Recursion.
		{`{"type":"object","properties":{"next":{"$ref":"#"},"v":{"type":"integer"}}}`, `{"type":"object","properties":{"next":{"$ref":"#"},"v":{"type":"number"}}}`, `TYPE_EXTENDED #/properties/v`},
		{`{"anyOf":[{"type":"null"},{"type":"array","items":{"$ref":"#"}}]}`, `{"anyOf":[{"type":"array","items":{"$ref":"#"}},{"type":"null"}]}`, ``},
	} {
		found, err := Compare(mustParse(t, c.original), mustParse(t, c.update), false)
		if err != nil {
			t.Error(err)
		}
		var got []string
		for _, d := range found {
			mark := "!"
			if d.Compatible(false) {
				mark = ""
			}
			got = append(got, mark+d.Type+" "+d.Path)
		}
		if strings.Join(got, " ") != strings.Replace(c.want, "!PRODUCT_TYPE_NARROWED", "PRODUCT_TYPE_NARROWED", 1) {
			t.Errorf("%s → %s\ngot  %v\nwant %s", c.original, c.update, got, c.want)
		}
	}
}

func TestLenient(t *testing.T) {
	without, with := mustParse(t, `{"type":"object"}`), mustParse(t, `{"type":"object","properties":{"a":{"type":"string"}}}`)
	if Explain(with, without, true, "new", "old") != nil || Explain(with, without, false, "new", "old") == nil {
		t.Error("the policy makes no difference")
	}
}

// Combinations in combinations must end soon, and never count as compatible because there was no time.
func TestHostileSchemasAreComparedFast(t *testing.T) {
	nested := func(leaf string) string {
		text := leaf
		for range 12 {
			text = `{"oneOf":[{"properties":{"a":` + text + `}},{"properties":{"b":` + text + `}},{"properties":{"a":` + text + `,"c":{}}}]}`
			if len(text) > 20_000 {
				break
			}
		}
		return text
	}
	a, b := mustParse(t, nested(`{"type":"string"}`)), mustParse(t, nested(`{"type":"integer"}`))
	start := time.Now()
	if Explain(b, a, false, "new", "old") == nil {
		t.Error("compatible")
	}
	if d := time.Since(start); d > 20*time.Second {
		t.Error(d)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"type":"object","properties":{"a":{"$ref":"#/definitions/x"}},"definitions":{"x":{"enum":[1,"a",null]}}}`, `{"oneOf":[{"type":"null"},{"items":[true]}]}`)
	f.Add(`true`, `{"$id":"http://a/b","not":{}}`)
	f.Fuzz(func(t *testing.T, x, y string) {
		a, err := Parse(x, nil)
		if err != nil {
			return
		}
		again, err := Parse(a.String(), nil)
		if err != nil || again.String() != a.String() {
			t.Fatalf("%q is printed as %q: %v", x, a, err)
		}
		if !Equal(a, a.Normal()) {
			t.Fatalf("%q is not what it is normalized to", x)
		}
		if b, err := Parse(y, []Reference{{"x", a}}); err == nil {
			Explain(a, b, true, "new", "old")
		}
	})
}
