package filestream

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sluicehub/sluice/connectors"
)

func TestDefinitions(t *testing.T) {
	if err := sourceDefinition.Verify(); err != nil {
		t.Error(err)
	}
	if err := sinkDefinition.Verify(); err != nil {
		t.Error(err)
	}
}

func TestLinesEndAsInConnect(t *testing.T) {
	for text, want := range map[string][]string{
		"":                 nil,
		"a":                nil,
		"a\n":              {"a"},
		"a\r\nb\n":         {"a", "b"},
		"a\rb\r":           {"a"}, // the second may be half of a CRLF
		"a\r\r\nb":         {"a", ""},
		"\n\n":             {"", ""},
		"a\nb\rc\r\nd\re":  {"a", "b", "c", "d"},
		"one\rtwo\nthree":  {"one", "two"},
		"the end is far\r": nil,
	} {
		var got []string
		rest, size := []byte(text), 0
		for {
			line, n, ok := nextLine(rest)
			if !ok {
				break
			}
			got = append(got, string(line))
			rest, size = rest[n:], size+n
		}
		if diff := cmp.Diff(want, got); diff != "" || size+len(rest) != len(text) {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

func FuzzNextLine(f *testing.F) {
	f.Add([]byte("a\r\nb\rc\n"))
	f.Add([]byte("\r"))
	f.Fuzz(func(t *testing.T, text []byte) {
		line, n, ok := nextLine(text)
		if !ok {
			if bytes.IndexByte(text, '\n') >= 0 {
				t.Fatalf("%q has a line", text)
			}
			return
		}
		if n <= len(line) || n > len(line)+2 || bytes.ContainsAny(line, "\r\n") || !bytes.HasPrefix(text, line) {
			t.Fatalf("%q begins with line %q of %d bytes", text, line, n)
		}
	})
}

// reading starts a task on a file, and returns a function that reads the next lines.
func reading(t *testing.T, path string, offset string) (*sourceTask, func() ([]string, error)) {
	t.Helper()
	task := &sourceTask{}
	start := connectors.SourceStart{Connector: "c", Config: map[string]string{"file": path, "topic": "t"}}
	if offset != "" {
		start.Offsets = []connectors.SourceOffset{
			{Partition: []byte(`{"filename":"/another"}`), Offset: []byte(`{"position":1}`)},
			{Partition: connectors.MarshalOffset(sourcePartition{path}), Offset: []byte(offset)},
		}
	}
	if err := task.Start(t.Context(), start); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { task.Stop(context.Background()) })
	return task, func() ([]string, error) {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
		defer cancel()
		var b connectors.Batch
		err := task.Read(ctx, &b)
		var lines []string
		for _, r := range b.Records {
			v, _, err := connectors.ReadValue(r.Value.Schema, r.Value.Bytes)
			if err != nil || r.Topic != "t" || r.Partition != connectors.AnyPartition || !r.Key.IsNull() {
				t.Fatalf("record %+v, %v", r, err)
			}
			lines = append(lines, v.Text())
		}
		return lines, err
	}
}

func write(t *testing.T, path, text string, flags int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|flags, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	f.Close()
}

func TestSourceFollowsAGrowingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "in")
	_, next := reading(t, path, "") // before the file exists
	time.AfterFunc(10*time.Millisecond, func() { write(t, path, "first\nsec", os.O_APPEND) })
	expect := func(want ...string) {
		t.Helper()
		got, err := next()
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Fatal(err, diff)
		}
	}
	expect("first")
	write(t, path, "ond\r", os.O_APPEND)
	time.AfterFunc(10*time.Millisecond, func() { write(t, path, "\nbad \xff bytes\n", os.O_APPEND) })
	expect("second", "bad \uFFFD bytes")
	long := strings.Repeat("x", 700<<10)
	write(t, path, long+"\n", os.O_APPEND)
	expect(long)
}

func TestSourceGoesOnAtItsOffset(t *testing.T) {
	path := filepath.Join(t.TempDir(), "in")
	write(t, path, "one\ntwo\nthree\n", 0)
	_, next := reading(t, path, `{"position":4}`)
	if got, err := next(); err != nil || !cmp.Equal(got, []string{"two", "three"}) {
		t.Fatal(got, err)
	}
}

func TestAShrunkenFileIsGone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "in")
	write(t, path, "one\ntwo\n", 0)
	_, next := reading(t, path, "")
	if _, err := next(); err != nil {
		t.Fatal(err)
	}
	write(t, path, "1\n", os.O_TRUNC)
	_, err := next()
	if connectors.ClassOf(err) != connectors.ClassGone || !strings.Contains(err.Error(), "DELETE /connectors/c/offsets") {
		t.Fatal(err)
	}
	for _, prepare := range []func(){func() {}, func() { os.Remove(path) }} {
		prepare()
		task := &sourceTask{}
		err = task.Start(t.Context(), connectors.SourceStart{Connector: "c", Config: map[string]string{"file": path, "topic": "t"},
			Offsets: []connectors.SourceOffset{{Partition: connectors.MarshalOffset(sourcePartition{path}), Offset: []byte(`{"position":8}`)}}})
		if connectors.ClassOf(err) != connectors.ClassGone {
			t.Fatal(err)
		}
		if err := task.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOffsetsOfPeople(t *testing.T) {
	for name, c := range map[string]struct {
		partition, offset string
		ok                bool
	}{
		"good":           {`{"filename":"/f"}`, `{"position":3}`, true},
		"reset":          {`{"filename":"/f"}`, ``, true},
		"no file":        {`{}`, `{"position":3}`, false},
		"misspelt":       {`{"file":"/f"}`, `{"position":3}`, false},
		"negative":       {`{"filename":"/f"}`, `{"position":-3}`, false},
		"text":           {`{"filename":"/f"}`, `{"position":"3"}`, false},
		"nothing":        {`{"filename":"/f"}`, `{}`, false},
		"two values":     {`{"filename":"/f"}`, `{"position":3} {}`, false},
		"no JSON at all": {`/f`, `3`, false},
	} {
		o := connectors.SourceOffset{Partition: []byte(c.partition)}
		if c.offset != "" {
			o.Offset = []byte(c.offset)
		}
		done, err := Source{}.AlterOffsets(t.Context(), nil, []connectors.SourceOffset{o})
		if done != c.ok || (err == nil) != c.ok {
			t.Errorf("%s: %v, %v", name, done, err)
		}
	}
}

func TestValuesArePrintedAsJavaDoes(t *testing.T) {
	row := &connectors.Schema{Type: connectors.Struct, Name: "Row", Fields: []connectors.Field{
		{Name: "id", Schema: connectors.Int64Schema}, {Name: "note", Schema: connectors.OptionalStringSchema},
		{Name: "tags", Schema: &connectors.Schema{Type: connectors.Array, Elem: connectors.StringSchema}},
		{Name: "map", Schema: &connectors.Schema{Type: connectors.Map, Key: connectors.StringSchema, Elem: connectors.Float64Schema}},
		{Name: "raw", Schema: connectors.BytesSchema}, {Name: "ok", Schema: connectors.BooleanSchema},
	}}
	value := connectors.ListValue(connectors.Struct, []connectors.Value{
		connectors.IntValue(connectors.Int64, 7), connectors.Null(),
		connectors.ListValue(connectors.Array, []connectors.Value{connectors.StringValue("a"), connectors.StringValue("b")}),
		connectors.ListValue(connectors.Map, []connectors.Value{connectors.StringValue("pi"), connectors.FloatValue(connectors.Float64, 3)}),
		connectors.BytesValue([]byte{0xca, 0xfe}), connectors.BoolValue(true),
	})
	encoded, err := connectors.AppendValue(nil, row, value)
	if err != nil {
		t.Fatal(err)
	}
	for want, d := range map[string]connectors.Data{
		"Struct{id=7,tags=[a, b],map={pi=3.0},raw=cafe,ok=true}": {Schema: row, Bytes: encoded},
		"null":       {},
		`a "text"`:   {Bytes: []byte(`"a \"text\""`)},
		`{"a":[1]}`:  {Bytes: []byte(`{"a":[1]}`)},
		"text":       {Schema: connectors.StringSchema, Bytes: connectors.AppendString(nil, "text")},
		"1.5E-7 low": {Bytes: []byte(`"1.5E-7 low"`)},
	} {
		got, err := appendLine(nil, d)
		if err != nil || string(got) != want {
			t.Errorf("%q, %v; wanted %q", got, err, want)
		}
	}
	if _, err := appendLine(nil, connectors.Data{Schema: row, Bytes: encoded[:3]}); err == nil {
		t.Error("half a row was printed")
	}
	for want, f := range map[string]float64{"Infinity": math.Inf(1), "-Infinity": math.Inf(-1), "NaN": math.NaN(), "0.0": 0, "0.001": 1e-3,
		"1.0E7": 1e7, "9999999.5": 9999999.5, "-1.25E-7": -1.25e-7, "1.7976931348623157E308": math.MaxFloat64} {
		if got := string(appendJavaFloat(nil, connectors.Float64, f)); got != want {
			t.Errorf("%s is printed as %s", want, got)
		}
	}
	if got := string(appendJavaFloat(nil, connectors.Float32, float64(float32(0.1)))); got != "0.1" {
		t.Errorf("the float32 0.1 is printed as %s", got)
	}
}

func TestSinkKeepsWhatItCouldNotWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	task := &sinkTask{}
	ctx := t.Context()
	if err := task.Start(ctx, connectors.SinkStart{Config: map[string]string{"file": path}}); err != nil {
		t.Fatal(err)
	}
	part := connectors.TopicPartition{Topic: "t"}
	if _, err := task.Open(ctx, []connectors.TopicPartition{part}); err != nil {
		t.Fatal(err)
	}
	put := func(text string, end int64) {
		t.Helper()
		if err := task.Put(ctx, &connectors.Records{From: part, End: end, List: []connectors.Record{
			{Value: connectors.Data{Schema: connectors.StringSchema, Bytes: connectors.AppendString(nil, text)}}}}); err != nil {
			t.Fatal(err)
		}
	}
	put("one", 1)
	open := task.file
	broken, err := os.Open(path) // cannot be written
	if err != nil {
		t.Fatal(err)
	}
	defer broken.Close()
	task.file = broken
	if _, err := task.Flush(ctx, true); connectors.ClassOf(err) != connectors.ClassEnvironment {
		t.Fatal(err)
	}
	task.file = open
	put("two", 2)
	positions, err := task.Flush(ctx, true)
	if err != nil || len(positions) != 1 || positions[0].Offset != 2 {
		t.Fatal(positions, err)
	}
	if got, _ := os.ReadFile(path); string(got) != "one\ntwo\n" {
		t.Fatalf("%q", got)
	}
	if err := task.Stop(ctx); err != nil {
		t.Fatal(err)
	}
}
