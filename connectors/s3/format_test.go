package s3

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hamba/avro/v2/ocf"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	parquetformat "github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/schemaregistry/avro"
)

// everySchema has every type, nested and optional.
var everySchema = func() *connectors.Schema {
	inner := &connectors.Schema{Type: connectors.Struct, Name: "inner", Optional: true, Fields: []connectors.Field{
		{Name: "z", Schema: connectors.StringSchema}, {Name: "a", Schema: connectors.OptionalInt64Schema}}}
	return &connectors.Schema{Type: connectors.Struct, Name: "every", Fields: []connectors.Field{
		{Name: "z", Schema: connectors.BooleanSchema}, {Name: "i8", Schema: connectors.Int8Schema}, {Name: "i16", Schema: connectors.Int16Schema},
		{Name: "i32", Schema: connectors.Int32Schema}, {Name: "i64", Schema: connectors.Int64Schema}, {Name: "f32", Schema: connectors.Float32Schema},
		{Name: "f64", Schema: connectors.Float64Schema}, {Name: "s", Schema: connectors.StringSchema}, {Name: "b", Schema: connectors.BytesSchema},
		{Name: "day", Schema: &connectors.Schema{Type: connectors.Int32, Name: connectors.DateName}},
		{Name: "at", Schema: &connectors.Schema{Type: connectors.Int64, Name: connectors.TimestampName, Optional: true}},
		{Name: "price", Schema: &connectors.Schema{Type: connectors.Bytes, Name: connectors.DecimalName, Parameters: []connectors.Parameter{{Name: "scale", Value: "2"}}}},
		{Name: "list", Schema: &connectors.Schema{Type: connectors.Array, Optional: true, Elem: connectors.OptionalStringSchema}},
		{Name: "structs", Schema: &connectors.Schema{Type: connectors.Array, Elem: inner}},
		{Name: "map", Schema: &connectors.Schema{Type: connectors.Map, Key: connectors.StringSchema, Elem: connectors.OptionalInt32Schema}},
		{Name: "inner", Schema: inner},
		{Name: "o", Schema: connectors.OptionalStringSchema},
	}}
}()

func text(s string) connectors.Value { return connectors.StringValue(s) }

// everyValue is value number i of everySchema.
func everyValue(i int) connectors.Value {
	null, n := connectors.Null(), int64(i)
	list := func(t connectors.Type, v ...connectors.Value) connectors.Value { return connectors.ListValue(t, v) }
	num := func(t connectors.Type, n int64) connectors.Value { return connectors.IntValue(t, n) }
	inner := list(connectors.Struct, text(fmt.Sprint("inner", i%3)), num(connectors.Int64, -n))
	v := []connectors.Value{connectors.BoolValue(i%2 == 0), num(connectors.Int8, n%100), num(connectors.Int16, -n), num(connectors.Int32, n*1000), num(connectors.Int64, n<<40),
		connectors.FloatValue(connectors.Float32, float64(i)/2), connectors.FloatValue(connectors.Float64, float64(i)/3), text(fmt.Sprint("text ", i)),
		connectors.BytesValue([]byte{0, byte(i)}), num(connectors.Int32, 20_000+n), num(connectors.Int64, 1_700_000_000_000+n), connectors.BytesValue([]byte{1, byte(i)}),
		list(connectors.Array, text("x"), null, text(fmt.Sprint(i))), list(connectors.Array, inner, null, inner),
		list(connectors.Map, text("k"), num(connectors.Int32, n), text("l"), null), inner, text("o")}
	if i%5 == 4 {
		v[10], v[12], v[13], v[14], v[15], v[16] = null, null, list(connectors.Array), list(connectors.Map), null, null
	}
	if i%5 == 3 {
		v[12] = list(connectors.Array)
	}
	return list(connectors.Struct, v...)
}

func everyRecord(t testing.TB, i int) connectors.Record {
	b, err := connectors.AppendValue(nil, everySchema, everyValue(i))
	if err != nil {
		t.Fatal(err)
	}
	r := order(int64(i), "")
	r.Value = connectors.Data{Schema: everySchema, Bytes: b}
	return r
}

// writeEvery writes n records into one file and returns its name and contents.
func writeEvery(t testing.TB, n int, config ...string) (name string, contents []byte) {
	t.Helper()
	st := newFakeStore()
	r := startRun(t, st, baseConfig(append([]string{"flush.size", fmt.Sprint(n)}, config...)...))
	defer r.stop()
	for i := range n {
		r.put(everyRecord(t, i))
	}
	if got := r.flush(); got != int64(n) || len(r.bad) > 0 {
		t.Fatalf("position %d, want %d; reported %v", got, n, r.bad)
	}
	names := st.names()
	if len(names) != 1 {
		t.Fatalf("objects %q, want one", names)
	}
	return names[0], []byte(st.content(names[0]))
}

const oneName = "topics/orders/partition=0/orders+0+0000000000"

func TestAvroFiles(t *testing.T) {
	for _, codec := range []string{"null", "deflate", "snappy", "zstandard"} {
		t.Run(codec, func(t *testing.T) {
			const n = 2000
			name, contents := writeEvery(t, n, "format.class", "avro", "avro.codec", codec)
			if name != oneName+".avro" {
				t.Errorf("name %s", name)
			}
			d, err := ocf.NewDecoder(bytes.NewReader(contents))
			if err != nil {
				t.Fatal(err)
			}
			if got := string(d.Metadata()["avro.codec"]); got != codec {
				t.Errorf("codec %s", got)
			}
			i := 0
			for ; d.HasNext(); i++ {
				var v map[string]any
				if err := d.Decode(&v); err != nil {
					t.Fatal(err)
				}
				inner, _ := v["inner"].(map[string]any)
				if v["s"] != fmt.Sprint("text ", i) || (inner == nil) != (i%5 == 4) {
					t.Fatalf("value %d is %v", i, v)
				}
			}
			if d.Error() != nil || i != n {
				t.Errorf("%d values, want %d; error %v", i, n, d.Error())
			}
			if _, again := writeEvery(t, n, "format.class", "avro", "avro.codec", codec); !bytes.Equal(contents, again) {
				t.Error("the same records gave other bytes")
			}
		})
	}
}

// TestAvroBzip2 compares the blocks of a file compressed with bzip2, which the library does not read, with those of one
// that is not.
func TestAvroBzip2(t *testing.T) {
	const n = 2000
	blocks := func(codec string) (counts []int64, values [][]byte) {
		name, b := writeEvery(t, n, "format.class", "avro", "avro.codec", codec)
		schema, err := avro.FromConnect(everySchema)
		if err != nil {
			t.Fatal(err)
		}
		marker := syncMarker(name)
		b, ok := bytes.CutPrefix(b, avroHead(schema, codec, marker))
		if !ok {
			t.Fatalf("the file begins with %q", b[:min(len(b), 100)])
		}
		for len(b) > 0 {
			count, rest, err := connectors.ReadInt(b)
			if err != nil {
				t.Fatal(err)
			}
			block, rest, err := connectors.ReadBytes(rest)
			if err != nil {
				t.Fatal(err)
			}
			if b, ok = bytes.CutPrefix(rest, marker[:]); !ok {
				t.Fatal("no marker after a block")
			}
			if codec == "bzip2" {
				if block, err = io.ReadAll(bzip2.NewReader(bytes.NewReader(block))); err != nil {
					t.Fatal(err)
				}
			}
			counts, values = append(counts, count), append(values, block)
		}
		return counts, values
	}
	wantCounts, want := blocks("null")
	gotCounts, got := blocks("bzip2")
	if len(want) < 2 || !slices.Equal(gotCounts, wantCounts) || !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("blocks of %d values, want %d", gotCounts, wantCounts)
	}
}

// everyRow is everySchema as parquet-go reads it.
type everyRow struct {
	Z     bool      `parquet:"z"`
	I64   int64     `parquet:"i64"`
	F32   float32   `parquet:"f32"`
	S     string    `parquet:"s"`
	B     []byte    `parquet:"b"`
	Day   int32     `parquet:"day,date"`
	At    *int64    `parquet:"at,timestamp"`
	List  []*string `parquet:"list,list,optional"`
	Inner *struct {
		Z string `parquet:"z"`
		A *int64 `parquet:"a"`
	} `parquet:"inner"`
	O *string `parquet:"o"`
}

func TestParquetFiles(t *testing.T) {
	for _, codec := range []string{"none", "snappy", "gzip", "zstd", "brotli"} {
		t.Run(codec, func(t *testing.T) {
			const n = 2000
			name, contents := writeEvery(t, n, "format.class", "parquet", "parquet.codec", codec)
			extension := map[string]string{"none": "", "snappy": ".snappy", "gzip": ".gz", "zstd": ".zstd", "brotli": ".br"}[codec]
			if name != oneName+extension+".parquet" {
				t.Errorf("name %s", name)
			}
			file, err := parquet.OpenFile(bytes.NewReader(contents), int64(len(contents)))
			if err != nil {
				t.Fatal(err)
			}
			checkParquetSchema(t, file.Schema())
			rows, err := parquet.Read[everyRow](bytes.NewReader(contents), int64(len(contents)))
			if err != nil || len(rows) != n {
				t.Fatalf("%d rows, want %d: %v", len(rows), n, err)
			}
			for i, row := range rows {
				if row.S != fmt.Sprint("text ", i) || row.I64 != int64(i)<<40 || (row.Inner == nil) != (i%5 == 4) || row.Inner != nil && *row.Inner.A != -int64(i) {
					t.Fatalf("row %d is %+v", i, row)
				}
			}
			if _, again := writeEvery(t, n, "format.class", "parquet", "parquet.codec", codec); !bytes.Equal(contents, again) {
				t.Error("the same records gave other bytes")
			}
		})
	}
}

// TestParquetLZ4 compares the pages of a file with those of one that is not compressed, because the library's reader of
// LZ4 loses bytes of some pages.
func TestParquetLZ4(t *testing.T) {
	const n = 2000
	pages := func(codec string, is parquetformat.CompressionCodec) (all [][]byte) {
		name, contents := writeEvery(t, n, "format.class", "parquet", "parquet.codec", codec)
		if want := oneName + ".lz4raw.parquet"; codec != "none" && name != want {
			t.Errorf("name %s, want %s", name, want)
		}
		file, err := parquet.OpenFile(bytes.NewReader(contents), int64(len(contents)))
		if err != nil {
			t.Fatal(err)
		}
		for _, group := range file.Metadata().RowGroups {
			for _, column := range group.Columns {
				if column.MetaData.Codec != is {
					t.Errorf("column %q is compressed with %s", column.MetaData.PathInSchema, column.MetaData.Codec)
				}
				from := column.MetaData.DataPageOffset
				if d := column.MetaData.DictionaryPageOffset; d > 0 {
					from = d
				}
				all = append(all, pagesOf(t, contents[from:from+column.MetaData.TotalCompressedSize], is)...)
			}
		}
		return all
	}
	want := pages("none", parquetformat.Uncompressed)
	for _, codec := range []string{"LZ4", "lz4_raw"} {
		if got := pages(codec, parquetformat.Lz4Raw); len(want) < 17 || !slices.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("%s: %d pages, and %d that are not compressed; or their contents differ", codec, len(got), len(want))
		}
	}
}

// pagesOf returns the contents of the pages of a column chunk.
func pagesOf(t *testing.T, chunk []byte, codec parquetformat.CompressionCodec) (all [][]byte) {
	t.Helper()
	for len(chunk) > 0 {
		in := bytes.NewReader(chunk)
		var header parquetformat.PageHeader
		if err := thrift.NewDecoder(new(thrift.CompactProtocol).NewReader(in)).Decode(&header); err != nil {
			t.Fatal(err)
		}
		chunk = chunk[len(chunk)-in.Len():]
		page := chunk[:header.CompressedPageSize]
		chunk = chunk[header.CompressedPageSize:]
		if codec == parquetformat.Lz4Raw {
			out := make([]byte, header.UncompressedPageSize)
			n, err := lz4.UncompressBlock(page, out)
			if err != nil || n != len(out) {
				t.Fatalf("a page of %d bytes gave %d, want %d: %v", len(page), n, len(out), err)
			}
			page = out
		}
		all = append(all, page)
	}
	return all
}

func checkParquetSchema(t *testing.T, s *parquet.Schema) {
	t.Helper()
	var names []string
	for _, f := range s.Fields() {
		names = append(names, f.Name())
	}
	var want []string
	for _, f := range everySchema.Fields {
		want = append(want, f.Name)
	}
	if !slices.Equal(names, want) {
		t.Errorf("columns %q, want the order of the schema %q", names, want)
	}
	for _, line := range []string{"required int32 day (DATE)", "optional int64 at (TIMESTAMP(", "required binary price (DECIMAL(", "optional group list (LIST)",
		"required group map (MAP)", "required binary s (STRING)"} {
		if !strings.Contains(s.String(), line) {
			t.Errorf("the schema has no %q:\n%s", line, s)
		}
	}
}

// TestParquetRows compares rows with what the library makes of the same values on its own, levels included.
func TestParquetRows(t *testing.T) {
	const n = 50
	_, contents := writeEvery(t, n, "format.class", "parquet", "parquet.codec", "none")
	file, err := parquet.OpenFile(bytes.NewReader(contents), int64(len(contents)))
	if err != nil {
		t.Fatal(err)
	}
	rows := file.RowGroups()[0].Rows()
	defer rows.Close()
	read := make([]parquet.Row, n)
	got, err := rows.ReadRows(read)
	if got != n || err != nil && err != io.EOF {
		t.Fatalf("%d rows: %v", got, err)
	}
	for i, row := range read {
		out := map[string]any{}
		if err := file.Schema().Reconstruct(&out, row); err != nil {
			t.Fatal(err)
		}
		lists, _ := json.Marshal([]any{out["list"], out["structs"], out["map"]})
		inner := fmt.Sprintf(`{"a":%d,"z":"inner%d"}`, -i, i%3)
		want := fmt.Sprintf(`[["x",null,"%d"],[%s,null,%[2]s],{"k":%[1]d,"l":null}]`, i, inner)
		switch i % 5 {
		case 3:
			want = fmt.Sprintf(`[[],[%s,null,%[1]s],{"k":%[2]d,"l":null}]`, inner, i)
		case 4:
			want = `[null,[],{}]`
		}
		if string(lists) != want {
			t.Errorf("row %d: %s, want %s", i, lists, want)
		}
	}
}

func TestGzip(t *testing.T) {
	name, packed := writeEvery(t, 2000, "s3.compression.type", "gzip", "s3.compression.level", "9")
	_, plain := writeEvery(t, 2000)
	if name != oneName+".json.gz" {
		t.Errorf("name %s", name)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(z)
	if err != nil || !bytes.Equal(got, plain) {
		t.Errorf("%d bytes unpacked, want %d: %v", len(got), len(plain), err)
	}
	if z.ModTime.Unix() > 0 || z.Name != "" {
		t.Errorf("the header holds time %v and name %q", z.ModTime, z.Name)
	}
	if _, again := writeEvery(t, 2000, "s3.compression.type", "gzip", "s3.compression.level", "9"); !bytes.Equal(packed, again) {
		t.Error("the same records gave other bytes")
	}
}

func TestJSONLines(t *testing.T) {
	_, contents := writeEvery(t, 5)
	first, _, _ := strings.Cut(string(contents), "\n")
	want := `{"z":true,"i8":0,"i16":0,"i32":0,"i64":0,"f32":0.0,"f64":0.0,"s":"text 0","b":"AAA=","day":20000,"at":1700000000000,"price":"AQA=",` +
		`"list":["x",null,"0"],"structs":[{"z":"inner0","a":0},null,{"z":"inner0","a":0}],"map":{"k":0,"l":null},"inner":{"z":"inner0","a":0},"o":"o"}`
	if d := cmp.Diff(want, first); d != "" {
		t.Error(d)
	}
	_, contents = writeEvery(t, 1, "json.decimal.format", "NUMERIC")
	if !bytes.Contains(contents, []byte(`"price":2.56,`)) {
		t.Errorf("decimal is not a number in %s", contents)
	}
}

func TestBytes(t *testing.T) {
	for _, c := range []struct {
		config []string
		ext    string
		want   string
	}{
		{nil, ".bin", "a\nb\n"},
		{[]string{"format.bytearray.separator", `\r\n`, "format.bytearray.extension", ".raw"}, ".raw", "a\r\nb\r\n"},
		{[]string{"format.bytearray.separator", ""}, ".bin", "ab"},
	} {
		st := newFakeStore()
		r := startRun(t, st, baseConfig(append([]string{"format.class", "bytes", "flush.size", "2"}, c.config...)...))
		for i, s := range []string{"a", "b"} {
			rec := order(int64(i), "")
			rec.Value = connectors.Data{Schema: connectors.OptionalBytesSchema,
				Bytes: connectors.AppendBytes(connectors.AppendPresent(nil, connectors.OptionalBytesSchema), []byte(s))}
			r.put(rec)
		}
		r.put(order(2, "{}")) // not bytes
		r.flush()
		if got := st.content(oneName + c.ext); got != c.want || len(r.bad) != 1 {
			t.Errorf("%v: %q, want %q; reported %v", c.config, got, c.want, r.bad)
		}
		r.stop()
	}
}

func TestKeyAndHeaderFiles(t *testing.T) {
	headers := []connectors.Header{{Key: "h", Value: connectors.Data{Schema: connectors.StringSchema, Bytes: connectors.AppendString(nil, "v")}},
		{Key: "n", Value: connectors.Data{Schema: connectors.Int32Schema, Bytes: connectors.AppendInt(nil, 7)}}, {Key: "null"}}
	for _, of := range []string{"json", "avro", "parquet"} {
		t.Run(of, func(t *testing.T) {
			st := newFakeStore()
			r := startRun(t, st, baseConfig("store.kafka.keys", "true", "store.kafka.headers", "true", "keys.format.class", of, "headers.format.class", of))
			defer r.stop()
			var records []connectors.Record
			for i := range 5 {
				rec := order(int64(i), fmt.Sprint(i))
				rec.Key = connectors.Data{Schema: connectors.StringSchema, Bytes: connectors.AppendString(nil, fmt.Sprint("k", i))}
				rec.Headers = headers
				records = append(records, rec)
			}
			records[1].Key = connectors.Data{}
			records[2].Headers = nil
			r.put(records...)
			r.flush()
			if len(r.bad) != 2 || r.bad[0].Offset != 1 || r.bad[1].Offset != 2 {
				t.Errorf("reported %v, want 1 (no key) and 2 (no headers)", r.bad)
			}
			extension := map[string]string{"json": ".json", "avro": ".avro", "parquet": ".snappy.parquet"}[of]
			want := []string{oneName + ".headers" + extension, oneName + ".json", oneName + ".keys" + extension}
			slices.Sort(want)
			if !slices.Equal(st.names(), want) {
				t.Fatalf("objects %q, want %q", st.names(), want)
			}
			if of == "json" {
				line := `[{"key":"h","value":"v"},{"key":"n","value":"7"},{"key":"null","value":null}]` + "\n"
				if got := st.content(oneName + ".headers.json"); got != strings.Repeat(line, 3) {
					t.Errorf("headers %q", got)
				}
				if got := st.content(oneName + ".keys.json"); got != "\"k0\"\n\"k3\"\n\"k4\"\n" {
					t.Errorf("keys %q", got)
				}
			}
			if of == "parquet" {
				keys := st.content(oneName + ".keys" + extension)
				rows, err := parquet.Read[struct {
					Keys string `parquet:"keys"`
				}](strings.NewReader(keys), int64(len(keys)))
				if err != nil || len(rows) != 3 || !reflect.DeepEqual(rows[2].Keys, "k4") {
					t.Errorf("keys %v, error %v", rows, err)
				}
			}
		})
	}
}

// TestFrames reads values that are longer than the reader's buffer and ones that lie across its end.
func TestFrames(t *testing.T) {
	b := newBlob(newMemory(1 << 30))
	defer b.release()
	var want [][]byte
	for i, size := range []int{0, 1, chunkSize - 10, chunkSize, 3 * chunkSize, 5, 100_000} {
		v := connectors.AppendBytes(nil, bytes.Repeat([]byte{byte(i)}, size))
		want = append(want, v)
		framed{}.write(b, v)
	}
	for _, spilled := range []bool{false, true} {
		if spilled {
			if err := b.spill(); err != nil {
				t.Fatal(err)
			}
		}
		values := newFrames(b.reader(0, b.size()))
		for i, w := range want {
			if got, err := values.next(); err != nil || !bytes.Equal(got, w) {
				t.Fatalf("value %d: %d bytes, want %d: %v", i, len(got), len(w), err)
			}
		}
		if _, err := values.next(); err != io.EOF {
			t.Errorf("after the last value: %v", err)
		}
	}
	if _, err := newFrames(b.reader(0, b.size()-1)).next(); err != nil {
		t.Error(err)
	}
}

func unzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
