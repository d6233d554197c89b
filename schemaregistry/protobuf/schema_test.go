package protobuf

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

func mustParse(t testing.TB, text string, references ...Reference) *Schema {
	t.Helper()
	s, err := Parse(text, references)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return s
}

const everything = `syntax = "proto3";
package a.b;

import public "google/protobuf/any.proto";
import "confluent/meta.proto";

option java_package = "x.\"y";
option (confluent.file_meta) = {
  doc: "the doc"
};

message M {
  reserved 4, 8 to 10, 100 to max;
  reserved "gone";

  option deprecated = true;

  string a = 1;
  repeated .a.b.M list = 2 [deprecated = true];
  optional int32 maybe = 3;
  map<string, N> by = 5 [
    json_name = "By",
    (confluent.field_meta) = {
      params: [
        {
          key: "k",
          value: "v"
        }
      ]
    }
  ];
  google.protobuf.Any any = 6;

  oneof choice {
    int64 x = 20;
    bytes y = 21;
  }

  message N {}
  enum E {
    option allow_alias = true;
    ZERO = 0;
    NULL = 0;
    MINUS = -1;
  }
}

enum Top {
  A = 0;
}

message Empty {}

service S {
  rpc Get (M) returns (stream Empty);
}
`

func TestPrint(t *testing.T) {
	const proto2 = `syntax = "proto2";

message R {
  required string a = 1 [default = "x\"y"];
  optional group Inner = 2 {
    optional int32 i = 1;
  }

  extensions 100 to 199;
}

extend R {
  optional int32 more = 100;
}
`
	for name, text := range map[string]string{"proto3": everything, "proto2": proto2} {
		if got := mustParse(t, text).String(); got != text {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, text)
		}
	}
	loose := "// a comment\n" + strings.ReplaceAll(everything, "  ", "\t") + "/* another */"
	if got := mustParse(t, loose).String(); got != everything {
		t.Errorf("got\n%s", got)
	}
}

// Custom options need not be defined, nor what defines them be imported.
func TestUnknownOptions(t *testing.T) {
	const text = `syntax = "proto3";

import "google/protobuf/descriptor.proto";

option (known.to.nobody) = true;

message M {
  option (about) = "x";

  string a = 1 [(confluent.field_meta) = {
    tags: [
      "T1",
      "T2"
    ],
    doc: "d"
  }];

  oneof one {
    option (about).of.it = 3;
  
    string name = 2;
  }

  enum E {
    option (about) = -1.5;
    ZERO = 0 [(about) = SOME];
  }
}
`
	s := mustParse(t, text)
	if got := s.String(); got != text {
		t.Errorf("got\n%s", got)
	}
	if _, err := s.Serialized(); err != nil {
		t.Error(err)
	}
	user := mustParse(t, "syntax = \"proto3\";\nimport \"m.proto\";\nmessage U {\n  M m = 1;\n}\n", Reference{"m.proto", text})
	if Explain(user, user, "new", "old") != nil {
		t.Error("incompatible with itself")
	}
	if _, err := Parse(strings.Replace(text, "string a", "Nothing a", 1), nil); !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), "Nothing") && !strings.Contains(err.Error(), "known") {
		t.Error(err)
	}
	if _, err := Parse("syntax = \"proto3\";\nmessage M {\n  option no_such_option = true;\n}\n", nil); !errors.Is(err, ErrSchema) {
		t.Error(err)
	}
}

func TestWithoutExtensions(t *testing.T) {
	const text = `syntax = "proto2";

import "confluent/meta.proto";

option java_package = "p";
option (confluent.file_meta) = {
  doc: "d"
};

message M {
  optional string a = 1 [
    deprecated = true,
    (confluent.field_meta).doc = "d"
  ];

  extensions 100 to 199;

  extend M {
    optional int32 inner = 101;
  }
}

message First {}

extend M {
  optional int32 more = 100;
}
`
	const want = `syntax = "proto2";

import "confluent/meta.proto";

option java_package = "p";

message M {
  optional string a = 1 [deprecated = true];
}

message First {}
`
	s := mustParse(t, text)
	if got, err := s.WithoutExtensions(); err != nil || got != want {
		t.Errorf("got\n%s\n%v", got, err)
	}
	if s.String() != text {
		t.Error("the schema was changed")
	}
}

func TestAggregate(t *testing.T) {
	for text, want := range map[string]string{
		``:                                      "{\n}",
		`a : 1 b { c : - 2 }`:                   "{\n  a: 1,\n  b: {\n    c: -2\n  }\n}",
		`a : "x" , b < c : [ ] > ; a : "}"`:     "{\n  a: [\n    \"x\",\n    \"}\"\n  ],\n  b: {\n    c: [\n    ]\n  }\n}",
		`[ x . y ] : true`:                      "{\n  [x.y]: true\n}",
		`a : "\" }"`:                            "{\n  a: \"\\\" }\"\n}",
		`a : }`:                                 `{ a : } }`,
		`{`:                                     `{ { }`,
		`a : ` + strings.Repeat("[", 1_000_000): `{ a : ` + strings.Repeat("[", 1_000_000) + ` }`,
	} {
		if got := aggregate(text); got != want {
			t.Errorf("%.100q\ngot  %.100q\nwant %.100q", text, got, want)
		}
	}
}

// What Confluent's clients import without a reference must be there, each in itself.
func TestKnownFiles(t *testing.T) {
	for _, name := range []string{"confluent/meta", "confluent/type/decimal", "google/protobuf/timestamp", "google/type/calendar_period",
		"google/type/color", "google/type/date", "google/type/datetime", "google/type/dayofweek", "google/type/decimal", "google/type/expr",
		"google/type/fraction", "google/type/interval", "google/type/latlng", "google/type/money", "google/type/month",
		"google/type/phone_number", "google/type/postal_address", "google/type/quaternion", "google/type/timeofday"} {
		mustParse(t, "syntax = \"proto3\";\nimport \""+name+".proto\";\nmessage M {}\n")
	}
	if _, err := Parse("syntax = \"proto3\";\nimport \"google/type/nothing.proto\";\nmessage M {}\n", nil); !errors.Is(err, ErrSchema) {
		t.Error(err)
	}
}

// Clients in Python send descriptors.
func TestSerialized(t *testing.T) {
	const text = "syntax = \"proto3\";\npackage p;\n\nmessage M {\n  optional string a = 1;\n  repeated .p.M list = 2 [packed = false];\n  map<string, int32> m = 3;\n}\n"
	s := mustParse(t, strings.Replace(text, " [packed = false]", "", 1))
	encoded, err := s.Serialized()
	if err != nil {
		t.Fatal(err)
	}
	again := mustParse(t, encoded)
	if !Equal(s, again) {
		t.Errorf("got\n%s\nwant\n%s", again, s)
	}
	b, _ := base64.StdEncoding.DecodeString(encoded)
	file := &descriptorpb.FileDescriptorProto{}
	if err := proto.Unmarshal(b, file); err != nil || file.MessageType[0].GetName() != "M" {
		t.Fatalf("%v, %v", file, err)
	}
	for _, f := range file.MessageType[0].Field {
		f.JsonName = nil // as Python's descriptors have it
	}
	b, _ = proto.Marshal(file)
	if again := mustParse(t, base64.StdEncoding.EncodeToString(b)); !Equal(s, again) {
		t.Errorf("got\n%s\nwant\n%s", again, s)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{`message`, `syntax = "proto3"; message M { Unknown u = 1; }`, `syntax = "proto3"; import "none.proto"; message M {}`,
		`syntax = "proto3"; message M { string a = 1; string b = 1; }`, `{"type":"string"}`, `"string"`, "aGVsbG8=",
		`syntax = "proto3"; ` + strings.Repeat("message M {", 200) + strings.Repeat("}", 200)} {
		if s, err := Parse(text, nil); !errors.Is(err, ErrSchema) {
			t.Errorf("%.60q: %v, %v", text, s, err)
		}
	}
}

func TestNormal(t *testing.T) {
	a := mustParse(t, `syntax = "proto3"; package p; import "b.proto"; import "a.proto"; option java_package = "x"; option go_package = "y"; message M { N n = 2; string s = 1; A a = 3; } message N {}`,
		Reference{"a.proto", `syntax = "proto3"; package p; message A {}`}, Reference{"b.proto", `syntax = "proto3";`})
	const want = "syntax = \"proto3\";\npackage p;\n\nimport \"a.proto\";\nimport \"b.proto\";\n\noption go_package = \"y\";\noption java_package = \"x\";\n\n" +
		"message M {\n  string s = 1;\n  .p.N n = 2;\n  .p.A a = 3;\n}\n\nmessage N {}\n"
	if got := a.Normal().String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := strings.Join(a.Fields(), " "); got != "n s a" {
		t.Error(got)
	}
}

// Each change with its differences in Confluent's words, the incompatible ones with an exclamation mark.
func TestCompare(t *testing.T) {
	m := func(fields string) string { return "message M {" + fields + "}" }
	for _, c := range []struct{ original, update, want string }{
		{m(`string a = 1;`), m(`string a = 1;`), ``},
		{`package p; ` + m(``), `package q; ` + m(``), `PACKAGE_CHANGED #/`},
		{m(``) + `message N {}`, `message N {}`, `!MESSAGE_REMOVED #/M MESSAGE_MOVED #/N`},
		{`message N {}`, m(``) + `message N {}`, `MESSAGE_ADDED #/M MESSAGE_MOVED #/N`},
		{m(`message N {}`), m(``), `!MESSAGE_REMOVED #/M/N`},
		{m(`string a = 1;`), m(`string b = 1;`), `FIELD_NAME_CHANGED #/M/1`},
		{m(`string a = 1;`), m(``), `FIELD_REMOVED #/M/1`},
		{m(``), m(`string a = 1;`), `FIELD_ADDED #/M/1`},
		{m(`string a = 1;`), m(`bytes a = 1;`), ``},
		{m(`int32 a = 1;`), m(`bool a = 1;`), ``},
		{m(`int32 a = 1;`), m(`sint32 a = 1;`), `!FIELD_SCALAR_KIND_CHANGED #/M/1`},
		{m(`fixed32 a = 1;`), m(`sfixed32 a = 1;`), ``},
		{m(`fixed32 a = 1;`), m(`fixed64 a = 1;`), `!FIELD_SCALAR_KIND_CHANGED #/M/1`},
		{m(`float a = 1;`), m(`double a = 1;`), `!FIELD_SCALAR_KIND_CHANGED #/M/1`},
		{m(`int32 a = 1;`) + `enum E { Z = 0; }`, m(`E a = 1;`) + `enum E { Z = 0; O = 1; }`, `ENUM_CONST_ADDED #/E/1`},
		{m(`string a = 1;`) + `message N {}`, m(`N a = 1;`) + `message N {}`, `!FIELD_KIND_CHANGED #/M/1`},
		{m(`N a = 1;`) + `message N {} message O {}`, m(`O a = 1;`) + `message N {} message O {}`, `!FIELD_NAMED_TYPE_CHANGED #/M/1`},
		{m(`map<string, int32> a = 1;`), m(`map<string, string> a = 1;`), `!FIELD_SCALAR_KIND_CHANGED #/M/1`},
		{m(`map<string, int32> a = 1;`), m(`string a = 1;`), `!FIELD_KIND_CHANGED #/M/1`},
		{m(`string a = 1;`), m(`repeated string a = 1;`), `FIELD_STRING_OR_BYTES_LABEL_CHANGED #/M/1`},
		{m(`int32 a = 1;`), m(`repeated int32 a = 1;`), `!FIELD_NUMERIC_LABEL_CHANGED #/M/1`},
		{m(`string a = 1;`), m(`optional string a = 1;`), ``},
		{m(`oneof o { string a = 1; string b = 2; }`), m(`oneof o { string a = 1; }`), `!ONEOF_FIELD_REMOVED #/M/o/2`},
		{m(`oneof o { string a = 1; string b = 2; }`), m(``), `ONEOF_REMOVED #/M/o`},
		{m(`oneof o { string a = 1; }`), m(`oneof o { string a = 1; string b = 2; }`), `ONEOF_FIELD_ADDED #/M/o/2`},
		{m(`string a = 1; string b = 2;`), m(`oneof o { string a = 1; string b = 2; }`), `!MULTIPLE_FIELDS_MOVED_TO_ONEOF #/M/o ONEOF_ADDED #/M/o`},
		{m(`string a = 1;`), m(`oneof o { string a = 1; string b = 2; }`), `ONEOF_ADDED #/M/o`},
		{m(`string a = 1; oneof o { string b = 2; }`), m(`oneof o { string a = 1; string b = 2; }`), `!FIELD_MOVED_TO_EXISTING_ONEOF #/M/o ONEOF_FIELD_ADDED #/M/o/1`},
		{m(`oneof o { int32 a = 1; }`), m(`oneof p { string a = 1; }`), `ONEOF_REMOVED #/M/o ONEOF_ADDED #/M/p !FIELD_SCALAR_KIND_CHANGED #/M/1`},
		{m(`M m = 1; int32 a = 2;`), m(`M m = 1; string a = 2;`), `!FIELD_SCALAR_KIND_CHANGED #/M/2`},
	} {
		var got []string
		for _, d := range Compare(mustParse(t, `syntax = "proto3"; `+c.original), mustParse(t, `syntax = "proto3"; `+c.update)) {
			mark := "!"
			if d.Compatible() {
				mark = ""
			}
			got = append(got, mark+d.Type+" "+d.Path)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s → %s\ngot  %v\nwant %s", c.original, c.update, got, c.want)
		}
	}
	without, with := mustParse(t, `syntax = "proto2"; message M {}`), mustParse(t, `syntax = "proto2"; message M { required string a = 1; }`)
	if Explain(with, without, "new", "old") == nil || Explain(without, with, "new", "old") == nil {
		t.Error("required fields can come and go")
	}
}

func TestCompareFollowsImports(t *testing.T) {
	const text = `syntax = "proto3"; import "n.proto"; message M { n.N a = 1; }`
	a := mustParse(t, text, Reference{"n.proto", `syntax = "proto3"; package n; message N { string s = 1; }`})
	b := mustParse(t, text, Reference{"n.proto", `syntax = "proto3"; package n; message N { int32 s = 1; }`})
	found := Explain(b, a, "new", "old")
	if len(found) != 2 || !strings.Contains(found[0], "FIELD_SCALAR_KIND_CHANGED") || !strings.Contains(found[1], "FIELD_NAMED_TYPE_CHANGED") {
		t.Error(found)
	}
	if found := Explain(a, a, "new", "old"); found != nil {
		t.Error(found)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(everything)
	f.Add(`syntax = "proto2"; message M { optional group G = 1 { extensions 4 to max; } } extend M { }`)
	f.Add(`edition = "2023"; message M { string a = 1 [default = "\001\xff"]; }`)
	f.Add("CgFhEgFi")
	f.Add("YgG0")                                                                                      // the syntax of a descriptor that is none
	f.Add("\"\\\xe6\xe6\xe6\xe6n=\"\\\x1c\x1d\x1c\x1cmem@\x00agditio Ah    [ =a1aH 0exit,\xec\\x0\"}") // the parser panics
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text, nil)
		if err != nil {
			return
		}
		again, err := Parse(s.String(), nil)
		if err != nil || again.String() != s.String() {
			t.Fatalf("%q is printed as %q: %v", text, s, err)
		}
		normal, err := Parse(s.Normal().String(), nil)
		if err != nil || normal.Normal().String() != s.Normal().String() {
			t.Fatalf("%q is normalized to %q: %v", text, s.Normal(), err)
		}
		Compare(s, s)
	})
}
