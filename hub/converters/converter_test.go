package converters

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/connectors"
)

// memory is a registry in memory.
type memory struct {
	subjects []string
	texts    []string // by id-1
	asked    int
}

func (m *memory) Register(_ context.Context, subject, schema string) (int, error) {
	m.asked++
	if id, err := m.Lookup(context.Background(), subject, schema); err == nil {
		return id, nil
	}
	m.subjects, m.texts = append(m.subjects, subject), append(m.texts, schema)
	return len(m.texts), nil
}

func (m *memory) Lookup(_ context.Context, subject, schema string) (int, error) {
	for i := range m.texts {
		if m.subjects[i] == subject && m.texts[i] == schema {
			return i + 1, nil
		}
	}
	return 0, errors.New("schema not found")
}

func (m *memory) Latest(_ context.Context, subject string) (int, string, error) {
	for i := len(m.texts) - 1; i >= 0; i-- {
		if m.subjects[i] == subject {
			return i + 1, m.texts[i], nil
		}
	}
	return 0, "", errors.New("subject not found")
}

func (m *memory) ByID(_ context.Context, id int) (string, error) {
	m.asked++
	if id < 1 || id > len(m.texts) {
		return "", errors.New("schema not found")
	}
	return m.texts[id-1], nil
}

func mustNew(t testing.TB, class string, config map[string]string, role Role, deps Deps) Converter {
	t.Helper()
	c, err := New(class, config, role, deps)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func data(t testing.TB, s *connectors.Schema, v connectors.Value) connectors.Data {
	t.Helper()
	b, err := connectors.AppendValue(nil, s, v)
	if err != nil {
		t.Fatal(err)
	}
	return connectors.Data{Schema: s, Bytes: b}
}

func pointSchema() *connectors.Schema {
	return &connectors.Schema{Type: connectors.Struct, Name: "geo.Point", Optional: true, Fields: []connectors.Field{
		{Name: "x", Schema: connectors.Int32Schema}, {Name: "label", Schema: connectors.OptionalStringSchema}}}
}

func point(x int64, label connectors.Value) connectors.Value {
	return connectors.ListValue(connectors.Struct, []connectors.Value{connectors.IntValue(connectors.Int32, x), label})
}

const pointJSON = `{"type":"struct","fields":[{"type":"int32","optional":false,"field":"x"},{"type":"string","optional":true,"field":"label"}],"optional":true,"name":"geo.Point"}`

func TestDefinitionsAreSound(t *testing.T) {
	for _, c := range Classes() {
		if err := c.Config.Verify(); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		for _, name := range append(c.Aliases, c.Name, simpleName(c.Aliases[0])) {
			if got, err := Find(name); err != nil || got.Name != c.Name {
				t.Errorf("%s finds %q: %v", name, got.Name, err)
			}
		}
	}
	if _, err := Find("io.example.Avro"); err == nil || !strings.Contains(err.Error(), "json") {
		t.Errorf("unknown class: %v", err)
	}
	if _, err := New("json", map[string]string{"schemas.enable": "maybe"}, Value, Deps{}); err == nil || !strings.Contains(err.Error(), "schemas.enable") {
		t.Errorf("bad value: %v", err)
	}
}

// TestBothWays writes data, compares the bytes, and reads them back; got is what reading gives as schemaless JSON or
// with its schema.
func TestBothWays(t *testing.T) {
	s := pointSchema()
	on, off := map[string]string{}, map[string]string{"schemas.enable": "false"}
	str := func(text string) connectors.Data {
		return data(t, connectors.OptionalStringSchema, connectors.StringValue(text))
	}
	for name, c := range map[string]struct {
		class  string
		config map[string]string
		in     connectors.Data
		want   string
		back   connectors.Data
	}{
		"json":                 {"json", off, data(t, s, point(1, connectors.Null())), `{"x":1,"label":null}`, connectors.Data{Bytes: []byte(`{"x":1,"label":null}`)}},
		"json null in schema":  {"json", off, data(t, s, connectors.Null()), `null`, connectors.Data{}},
		"json schemaless":      {"json", off, connectors.Data{Bytes: []byte(` {"a": 1.50}`)}, `{"a":1.5}`, connectors.Data{Bytes: []byte(`{"a":1.5}`)}},
		"envelope":             {"json", on, data(t, s, point(1, connectors.StringValue("é"))), `{"schema":` + pointJSON + `,"payload":{"x":1,"label":"é"}}`, data(t, s, point(1, connectors.StringValue("é")))},
		"envelope null":        {"json", on, data(t, s, connectors.Null()), `{"schema":` + pointJSON + `,"payload":null}`, data(t, s, connectors.Null())},
		"envelope schemaless":  {"json", on, connectors.Data{Bytes: []byte(`[1]`)}, `{"schema":null,"payload":[1]}`, connectors.Data{Bytes: []byte(`[1]`)}},
		"string":               {"string", nil, str("héllo"), "héllo", str("héllo")},
		"empty string":         {"string", nil, str(""), "", str("")},
		"latin":                {"string", map[string]string{"converter.encoding": "ISO-8859-1"}, str("héllo€"), "h\xe9llo?", str("héllo?")},
		"struct as string":     {"string", nil, data(t, s, point(3, connectors.Null())), "Struct{x=3}", str("Struct{x=3}")},
		"JSON text as string":  {"string", nil, connectors.Data{Bytes: []byte(`"a\nb"`)}, "a\nb", str("a\nb")},
		"bytes":                {"bytearray", nil, data(t, connectors.BytesSchema, connectors.BytesValue([]byte{0, 255})), "\x00\xff", data(t, connectors.OptionalBytesSchema, connectors.BytesValue([]byte{0, 255}))},
		"empty bytes":          {"bytearray", nil, data(t, connectors.BytesSchema, connectors.BytesValue(nil)), "", data(t, connectors.OptionalBytesSchema, connectors.BytesValue(nil))},
		"int":                  {"integer", nil, data(t, connectors.Int32Schema, connectors.IntValue(connectors.Int32, -2)), "\xff\xff\xff\xfe", data(t, connectors.OptionalInt32Schema, connectors.IntValue(connectors.Int32, -2))},
		"long":                 {"long", nil, connectors.Data{Bytes: []byte("7")}, "\x00\x00\x00\x00\x00\x00\x00\x07", data(t, connectors.OptionalInt64Schema, connectors.IntValue(connectors.Int64, 7))},
		"short":                {"short", nil, data(t, connectors.Int16Schema, connectors.IntValue(connectors.Int16, 258)), "\x01\x02", data(t, &connectors.Schema{Type: connectors.Int16, Optional: true}, connectors.IntValue(connectors.Int16, 258))},
		"boolean":              {"boolean", nil, data(t, connectors.BooleanSchema, connectors.BoolValue(true)), "\x01", data(t, connectors.OptionalBooleanSchema, connectors.BoolValue(true))},
		"double":               {"double", nil, data(t, connectors.Float64Schema, connectors.FloatValue(connectors.Float64, math.Pi)), "\x40\x09\x21\xfb\x54\x44\x2d\x18", data(t, connectors.OptionalFloat64Schema, connectors.FloatValue(connectors.Float64, math.Pi))},
		"float":                {"float", nil, data(t, connectors.Float32Schema, connectors.FloatValue(connectors.Float32, -1.5)), "\xbf\xc0\x00\x00", data(t, &connectors.Schema{Type: connectors.Float32, Optional: true}, connectors.FloatValue(connectors.Float32, -1.5))},
		"avro":                 {"avro", nil, data(t, s, point(1, connectors.Null())), "\x00\x00\x00\x00\x01\x02\x02\x00", data(t, s, point(1, connectors.Null()))},
		"avro bytes by itself": {"avro", nil, data(t, connectors.BytesSchema, connectors.BytesValue([]byte("ab"))), "\x00\x00\x00\x00\x01ab", data(t, connectors.BytesSchema, connectors.BytesValue([]byte("ab")))},
	} {
		conv := mustNew(t, c.class, c.config, Value, Deps{Registry: &memory{}})
		for range 2 { // the second time from the caches
			out, err := conv.FromConnect([]byte("before"), "t", c.in)
			if err != nil || string(out) != "before"+c.want {
				t.Errorf("%s: %v: got %q, want %q", name, err, out, c.want)
				break
			}
			b := out[len("before"):]
			d, grown, err := conv.ToConnect([]byte("before"), "t", b)
			if err != nil || !d.Schema.Equal(c.back.Schema) || !bytes.Equal(d.Bytes, c.back.Bytes) || (d.Bytes == nil) != (c.back.Bytes == nil) {
				t.Errorf("%s: %v: read back %+v, want %+v", name, err, d, c.back)
			}
			if !bytes.HasPrefix(grown, []byte("before")) {
				t.Errorf("%s: dst was not kept: %q", name, grown)
			}
		}
	}
}

func TestNullIsNil(t *testing.T) {
	for _, class := range Classes() {
		c := mustNew(t, class.Name, nil, Value, Deps{Registry: &memory{}})
		if out, err := c.FromConnect([]byte("x"), "t", connectors.Data{}); out != nil || err != nil {
			t.Errorf("%s: null became %q, %v", class.Name, out, err)
		}
		if d, out, err := c.ToConnect([]byte("x"), "t", nil); !d.IsNull() || string(out) != "x" || err != nil {
			t.Errorf("%s: null bytes became %+v, %v", class.Name, d, err)
		}
		empty, err := mustNew(t, "string", nil, Value, Deps{}).FromConnect(nil, "t", data(t, connectors.StringSchema, connectors.StringValue("")))
		if empty == nil || err != nil {
			t.Errorf("an empty string is nil: %v", err)
		}
	}
}

func TestConvertersRefuse(t *testing.T) {
	text := data(t, connectors.StringSchema, connectors.StringValue("x"))
	for name, c := range map[string]struct {
		class string
		in    connectors.Data
		read  []byte
	}{
		"avro without schema": {class: "avro", in: connectors.Data{Bytes: []byte("1")}},
		"avro bad name":       {class: "avro", in: data(t, &connectors.Schema{Type: connectors.Struct, Name: "a-b", Fields: []connectors.Field{{Name: "1", Schema: connectors.Int32Schema}}}, connectors.ListValue(connectors.Struct, []connectors.Value{connectors.IntValue(connectors.Int32, 1)}))},
		"bytes from text":     {class: "bytearray", in: text},
		"int from text":       {class: "integer", in: text},
		"json trailing":       {class: "json", in: connectors.Data{Schema: connectors.Int32Schema, Bytes: []byte{2, 2}}},
		"json truncated":      {class: "json", in: connectors.Data{Schema: connectors.StringSchema, Bytes: []byte{8}}},
		"read no magic":       {class: "avro", read: []byte("{}")},
		"read unknown id":     {class: "avro", read: []byte{0, 0, 0, 0, 9, 1}},
		"read short int":      {class: "integer", read: []byte{1}},
		"read no boolean":     {class: "boolean", read: []byte("1")},
		"read no envelope":    {class: "json", read: []byte(`{"a":1}`)},
		"read three members":  {class: "json", read: []byte(`{"schema":{"type":"int32"},"payload":1,"x":1}`)},
		"read bad payload":    {class: "json", read: []byte(`{"schema":{"type":"int32"},"payload":"1"}`)},
		"read half a text":    {class: "json", read: []byte(`{"schema":`)},
		"read empty":          {class: "json", read: []byte{}},
	} {
		conv := mustNew(t, c.class, nil, Value, Deps{Registry: &memory{}})
		if c.read != nil {
			if d, _, err := conv.ToConnect(nil, "topic1", c.read); err == nil || !strings.Contains(err.Error(), "topic1") {
				t.Errorf("%s: %+v, error %v", name, d, err)
			}
			continue
		}
		if out, err := conv.FromConnect(nil, "topic1", c.in); err == nil || !strings.Contains(err.Error(), "topic1") && name == "avro without schema" {
			t.Errorf("%s: %q, error %v", name, out, err)
		}
	}
}

// Without schemas no bytes at all are null, as in Connect: some producers write tombstones so.
func TestEmptyJSONIsNull(t *testing.T) {
	c := mustNew(t, "json", map[string]string{"schemas.enable": "false"}, Value, Deps{})
	for _, text := range []string{"", "  ", "null"} {
		if d, _, err := c.ToConnect(nil, "t", []byte(text)); err != nil || !d.IsNull() {
			t.Errorf("%q: %+v, %v", text, d, err)
		}
	}
}

func TestEnvelopeGuessIsChecked(t *testing.T) {
	c := mustNew(t, "json", nil, Value, Deps{})
	first := []byte(`{"schema":{"type":"int32"},"payload":1}`)
	for _, text := range []string{string(first), `{"schema":{"type":"int32"},"payload":2}`, ` {"payload":3, "schema":{"type":"int32"}}`, `{"schema":{"type":"string"},"payload":"4"}`} {
		if _, _, err := c.ToConnect(nil, "t", []byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, _, err := c.ToConnect(nil, "t", []byte(`{"schema":{"type":"string"},"payload":"4","x":"}"}`)); err == nil {
		t.Error("a third member is accepted behind a known schema")
	}
	a, _, _ := c.ToConnect(nil, "t", first)
	b, _, _ := c.ToConnect(nil, "t", first)
	if a.Schema != b.Schema {
		t.Error("the same schema text gave two schemas")
	}
}

func TestSchemaContentAndDecimals(t *testing.T) {
	c := mustNew(t, "json", map[string]string{"schema.content": pointJSON}, Value, Deps{})
	d, _, err := c.ToConnect(nil, "t", []byte(`{"label":"a","x":5}`))
	if err != nil || !bytes.Equal(d.Bytes, data(t, pointSchema(), point(5, connectors.StringValue("a"))).Bytes) {
		t.Errorf("%+v, %v", d, err)
	}
	dec := &connectors.Schema{Type: connectors.Bytes, Name: connectors.DecimalName, Parameters: []connectors.Parameter{{Name: "scale", Value: "2"}}}
	numeric := mustNew(t, "json", map[string]string{"schemas.enable": "false", "decimal.format": "numeric"}, Value, Deps{})
	out, err := numeric.FromConnect(nil, "t", data(t, dec, connectors.BytesValue([]byte{0x07, 0xcf})))
	if err != nil || string(out) != "19.99" {
		t.Errorf("%s, %v", out, err)
	}
}

func TestAvroSubjectsAndCaches(t *testing.T) {
	const prefix = "io.confluent.kafka.serializers.subject."
	s := pointSchema()
	for _, c := range []struct {
		role         Role
		config, want string
	}{
		{Value, "", "t-value"}, {Key, "", "t-key"}, {Value, prefix + "RecordNameStrategy", "geo.Point"}, {Key, "TopicRecordNameStrategy", "t-geo.Point"},
	} {
		m := &memory{}
		config := map[string]string{}
		if c.config != "" {
			config[string(c.role)+".subject.name.strategy"] = c.config
		}
		conv := mustNew(t, "avro", config, c.role, Deps{Registry: m})
		for range 3 {
			if _, err := conv.FromConnect(nil, "t", data(t, s, point(1, connectors.Null()))); err != nil {
				t.Fatal(err)
			}
		}
		if m.asked != 1 || m.subjects[0] != c.want {
			t.Errorf("%s %s: subject %v, asked %d times", c.role, c.config, m.subjects, m.asked)
		}
	}
	m := &memory{}
	strict := mustNew(t, "avro", map[string]string{"auto.register.schemas": "false"}, Value, Deps{Registry: m})
	if _, err := strict.FromConnect(nil, "t", data(t, s, point(1, connectors.Null()))); err == nil {
		t.Error("a schema was registered although auto.register.schemas=false")
	}
	_, _ = m.Register(context.Background(), "t-value", `{"type":"record","name":"Other","fields":[]}`)
	latest := mustNew(t, "avro", map[string]string{"auto.register.schemas": "false", "use.latest.version": "true"}, Value, Deps{Registry: m})
	if _, err := latest.FromConnect(nil, "t", data(t, s, point(1, connectors.Null()))); err == nil {
		t.Error("values were written under a schema of another layout")
	}
	scrub := mustNew(t, "avro", map[string]string{"scrub.invalid.names": "true"}, Value, Deps{Registry: m})
	bad := &connectors.Schema{Type: connectors.Struct, Name: "a-b.1c", Fields: []connectors.Field{{Name: "é x", Schema: connectors.Int32Schema}}}
	if _, err := scrub.FromConnect(nil, "t", data(t, bad, connectors.ListValue(connectors.Struct, []connectors.Value{connectors.IntValue(connectors.Int32, 1)}))); err != nil {
		t.Error(err)
	} else if text := m.texts[len(m.texts)-1]; !strings.Contains(text, `"_1c"`) || !strings.Contains(text, `"__x"`) || !strings.Contains(text, `"a_b"`) {
		t.Error(text)
	}
}

func TestAvroReadsForeignSchemas(t *testing.T) {
	m := &memory{texts: []string{`{"type":"record","name":"R","fields":[{"name":"color","type":{"type":"enum","name":"C","symbols":["RED","BLUE"]}}]}`}}
	c := mustNew(t, "avro", nil, Value, Deps{Registry: m})
	d, _, err := c.ToConnect(nil, "t", []byte{0, 0, 0, 0, 1, 2})
	if err != nil {
		t.Fatal(err)
	}
	v, _, err := connectors.ReadValue(d.Schema, d.Bytes)
	if err != nil || v.List()[0].Text() != "BLUE" {
		t.Errorf("%v, %v", v, err)
	}
	if _, _, err := c.ToConnect(nil, "t", []byte{0, 0, 0, 0, 1, 2, 2}); err == nil {
		t.Error("bytes after the value are accepted")
	}
}

// Confluent's converters take the keys of TLS behind schema.registry.
func TestRemoteRegistryWithTLS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := `{"subject":"t-value","version":1,"id":7,"schema":"\"string\""}`
		if strings.HasSuffix(r.URL.Path, "versions") && r.Method == http.MethodGet {
			answer = `[{"subject":"t-value","version":1}]`
		}
		fmt.Fprint(w, answer)
	}))
	defer server.Close()
	trusted := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(trusted, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	value := connectors.Data{Schema: connectors.StringSchema, Bytes: connectors.AppendString(nil, "x")}
	for key, refused := range map[string]bool{"schema.registry.ssl.truststore.location": false, "schema.registry.ssl.truststore.type": true} {
		c := mustNew(t, "avro", map[string]string{"schema.registry.url": server.URL, key: map[bool]string{false: trusted, true: "PEM"}[refused]}, Value, Deps{})
		if b, err := c.FromConnect(nil, "t", value); (err != nil) != refused || err == nil && b[4] != 7 {
			t.Errorf("with %s: %x, %v", key, b, err)
		}
	}
	if _, err := New("avro", map[string]string{"schema.registry.url": server.URL, "schema.registry.ssl.truststore.location": trusted + "x"}, Value, Deps{}); err == nil ||
		!strings.Contains(err.Error(), "schema.registry.ssl.truststore.location") {
		t.Errorf("a truststore that is not there: %v", err)
	}
}

func TestRemoteRegistry(t *testing.T) {
	m := &memory{}
	down := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "u" || password != "p:w" {
			http.Error(w, `{"error_code":401,"message":"who are you"}`, http.StatusUnauthorized)
			return
		}
		if down {
			http.Error(w, `{"error_code":50001,"message":"down"}`, http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/vnd.schemaregistry.v1+json")
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.Method == http.MethodPost:
			var in struct{ Schema string }
			_ = json.Unmarshal(body, &in)
			id, _ := m.Register(r.Context(), "s", in.Schema)
			fmt.Fprintf(w, `{"id":%d}`, id)
		case strings.HasPrefix(r.URL.Path, "/schemas/ids/1/"), strings.HasPrefix(r.URL.Path, "/schemas/ids/1"):
			if strings.HasSuffix(r.URL.Path, "versions") || strings.HasSuffix(r.URL.Path, "subjects") {
				fmt.Fprint(w, `[{"subject":"t-value","version":1}]`)
				return
			}
			_ = json.NewEncoder(w).Encode(map[string]string{"schema": m.texts[0]})
		default:
			fmt.Fprintf(w, `{"subject":"t-value","version":1,"id":1,"schema":%q}`, m.texts[0])
		}
	}))
	defer server.Close()
	config := map[string]string{"schema.registry.url": server.URL, "basic.auth.credentials.source": "USER_INFO", "basic.auth.user.info": "u:p:w"}
	c := mustNew(t, "avro", config, Value, Deps{})
	want := data(t, pointSchema(), point(4, connectors.Null()))
	out, err := c.FromConnect(nil, "t", want)
	if err != nil {
		t.Fatal(err)
	}
	d, _, err := mustNew(t, "avro", config, Value, Deps{}).ToConnect(nil, "t", out)
	if err != nil || !bytes.Equal(d.Bytes, want.Bytes) {
		t.Errorf("%+v, %v", d, err)
	}
	config["basic.auth.user.info"] = "u:secretword"
	_, _, err = mustNew(t, "avro", config, Value, Deps{}).ToConnect(nil, "t", out)
	if err == nil || strings.Contains(err.Error(), "secretword") || connectors.ClassOf(err) != connectors.ClassEnvironment {
		t.Errorf("wrong password: %v", err)
	}
	config["basic.auth.user.info"], down = "u:p:w", true
	_, _, err = mustNew(t, "avro", config, Value, Deps{}).ToConnect(nil, "t", out)
	var classed *connectors.Error
	if !errors.As(err, &classed) || !classed.Retriable {
		t.Errorf("a registry that is down: %v", err)
	}
}
