package mysql

import (
	"bytes"
	"compress/zlib"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
)

// zlibbed is a value as the server compresses it with column_compression_zlib_wrap=ON.
func zlibbed(t testing.TB, value string) []byte {
	t.Helper()
	b := bytes.NewBuffer([]byte{methodZlib<<4 | 4, byte(len(value) >> 24), byte(len(value) >> 16), byte(len(value) >> 8), byte(len(value))})
	w := zlib.NewWriter(b)
	w.Write([]byte(value))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestCompressedValues reads what a MariaDB 10.11 has written, one after the other with the same reader, and what none has.
func TestCompressedValues(t *testing.T) {
	original := func(dst, raw []byte) ([]byte, error) { return append(dst, raw...), nil }
	read := inflated(original, typeVarcharCompressed, 1201)
	long := strings.Repeat("incompressible? no, long ", 48)
	for _, c := range []struct{ hex, want string }{
		{"", ""},
		{"0073686f7274", "short"},
		{"89c8aba8181e0000", strings.Repeat("x", 200)},
		{"81c8789caba8181e0000d0c45dc1", strings.Repeat("x", 200)},
		{"8a03e84b4c4a1c85a370140e730800", strings.Repeat("ab", 500)},
		{"8203e8789c4b4c4a1c85a370140e730800caa47cec", strings.Repeat("ab", 500)},
		{"89967bf972300200", strings.Repeat("\xe9", 150)},
		{hex.EncodeToString(zlibbed(t, long)), long},
	} {
		if got, err := read(nil, unhex(t, c.hex)); err != nil || string(got) != c.want {
			t.Errorf("%s is %q, %v; want %q", c.hex, got, err, c.want)
		}
	}
	for name, bad := range map[string]string{
		"a method that is not known":       "90c8aba8181e0000",
		"nothing after the head":           "89",
		"a length that is cut off":         "8401",
		"a longer value than the column":   "8a04b2aba8181e0000",
		"a longer value than the stream":   "89c9aba8181e0000",
		"a shorter value than the stream":  "89c7aba8181e0000",
		"more than a stream can stand for": "8a0400ab",
		"a stream that is cut off":         "89c8aba818",
		"a wrong checksum":                 "81c8789caba8181e0000d0c45dc2",
		"a checksum that is cut off":       "81c8789caba8181e0000d0c4",
		"no header of zlib's":              "81c8aba8181e0000",
		"no deflate stream":                "89c8ffffffffffff",
	} {
		if got, err := read(nil, unhex(t, bad)); !errors.Is(err, errCompressed) {
			t.Errorf("%s (%s) gives %q, %v", name, bad, got, err)
		}
	}
	if got, err := read(nil, unhex(t, "89c8aba8181e0000")); err != nil || len(got) != 200 {
		t.Errorf("after the damaged ones: %q, %v", got, err)
	}
	// The claim of 4 GiB must not be believed.
	claim := append([]byte{methodZlib<<4 | 8 | 4, 0xff, 0xff, 0xff, 0xff}, bytes.Repeat([]byte{0}, 1000)...)
	blob := inflated(original, typeBlobCompressed, 4)
	if n := testing.AllocsPerRun(1, func() {
		if _, err := blob(nil, claim); !errors.Is(err, errCompressed) {
			t.Errorf("a claim of 4 GiB gives %v", err)
		}
	}); n > 20 {
		t.Errorf("a claim of 4 GiB takes %v allocations", n)
	}
}

// TestCompressedMetas reads the meta data between which the compressed columns' stand.
func TestCompressedMetas(t *testing.T) {
	types := []byte{3, 255, 141, 140, 254, 141, 254, 15, 254, 15, 140, 246, 17}
	meta := unhex(t, "04b10402fe101500fe102800f7010a00020a0206")
	got, err := metasOf(types, meta)
	want := []uint16{0, 4, 1201, 2, 0xfe10, 21, 0xfe10, 40, 0xf701, 10, 2, 0x0a02, 6}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	if _, err := metasOf(types, meta[:len(meta)-1]); !errors.Is(err, errTableMap) {
		t.Errorf("meta data that is cut off: %v", err)
	}
}

// TestCompressedStatements reads statements with the attribute, and leaves alone what only looks like it.
func TestCompressedStatements(t *testing.T) {
	for _, c := range [][2]string{
		{"CREATE TABLE t (a varchar(9) COMPRESSED, b text compressed=zlib NOT NULL)", "CREATE TABLE t (a varchar(9) , b text  NOT NULL)"},
		{"CREATE TABLE t (a text COMPRESSED DEFAULT 'it''s COMPRESSED' COMMENT \"\\\" COMPRESSED\", `COMPRESSED` int) ROW_FORMAT=COMPRESSED", "CREATE TABLE t (a text  DEFAULT 'it''s COMPRESSED' COMMENT \"\\\" COMPRESSED\", `COMPRESSED` int) ROW_FORMAT=COMPRESSED"},
		{"ALTER TABLE t /* COMPRESSED */ ROW_FORMAT COMPRESSED, ADD uncompressed int -- COMPRESSED", "ALTER TABLE t /* COMPRESSED */ ROW_FORMAT COMPRESSED, ADD uncompressed int -- COMPRESSED"},
	} {
		if got := withoutCompressed(c[0]); got != c[1] {
			t.Errorf("%s\nis %s", c[0], got)
		}
	}
	st, err := newDDL(false).read("CREATE TABLE t (id int PRIMARY KEY, a varchar(9) CHARACTER SET latin1 COMPRESSED NOT NULL DEFAULT 'x')", "db", known{})
	if err != nil || st.kind != changesTable || len(st.changes) != 1 || len(st.changes[0].def.Columns) != 2 || !st.changes[0].def.Columns[1].NotNull {
		t.Errorf("%+v, %v", st, err)
	}
}

// FuzzCompressed reads values that nobody compressed, and then one that somebody did.
func FuzzCompressed(f *testing.F) {
	for _, s := range []string{"", "0073", "89c8aba8181e0000", "81c8789caba8181e0000d0c45dc1", "8a03e84b4c4a1c85a370140e730800", "8f"} {
		f.Add(unhex(f, s))
	}
	after := zlibbed(f, "after")
	f.Fuzz(func(t *testing.T, raw []byte) {
		i := inflater{most: 1 << 16}
		got, err := i.value(raw)
		if err == nil && len(got) > 1<<16 && raw[0]>>4 != 0 {
			t.Fatalf("%d bytes", len(got))
		}
		if got, err := i.value(after); err != nil || string(got) != "after" {
			t.Fatalf("after it: %q, %v", got, err)
		}
	})
}

// FuzzMetas reads meta data that nobody wrote.
func FuzzMetas(f *testing.F) {
	f.Add([]byte{3, 141, 140, 254, 246}, unhex(f, "b10402fe100a02"))
	f.Fuzz(func(t *testing.T, types, b []byte) {
		if metas, err := metasOf(types, b); err == nil && len(metas) != len(types) {
			t.Fatalf("%d meta data of %d columns", len(metas), len(types))
		}
	})
}
