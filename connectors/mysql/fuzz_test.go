package mysql

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/connectors/cdc"
)

// FuzzJSON reads binary JSON that nobody wrote: it must not crash, and what it prints must be JSON.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{"\x04\x00", "\x05\x01\x00", "\x0c\x03abc", "\x0b\x00\x00\x00\x00\x00\x00\xf8\x3f", "\x02\x00\x00\x04\x00",
		"\x00\x01\x00\x0d\x00\x0b\x00\x01\x00\x05\x02\x00a\x00", "\x02\x02\x00\x0a\x00\x05\x01\x00\x04\x01\x00", "\x0f\xf6\x05\x04\x02\x80\x13\x5a"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		if len(doc) > 1<<12 {
			return
		}
		got, err := appendJSON(nil, doc)
		if err != nil {
			return
		}
		if !json.Valid([]byte(strings.ToValidUTF8(string(got), "?"))) {
			t.Fatalf("%x is printed as %s", doc, got)
		}
	})
}

// FuzzRowImage takes row images apart under descriptions that nobody wrote.
func FuzzRowImage(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 0, 3, 'a', 'b', 'c'}, []byte{0xff}, []byte{typeLong, typeVarchar}, []byte{0, 0, 40, 0})
	f.Add([]byte{2, 5}, []byte{3}, []byte{typeTiny, typeNewDecimal}, []byte{0, 0, 2, 10})
	f.Add([]byte{0, 0x80, 0, 0, 1, 1}, []byte{3}, []byte{typeTime2, typeBit}, []byte{2, 0, 3, 0})
	f.Fuzz(func(t *testing.T, data, present, types, metas []byte) {
		if len(types) > 100 || len(metas) < 2*len(types) || len(present)*8 < len(types) {
			return
		}
		extents := make([]extent, len(types))
		for i, typ := range types {
			var err error
			if extents[i], err = extentOf(typ, uint16(metas[2*i])|uint16(metas[2*i+1])<<8); err != nil {
				return
			}
		}
		cells, rest, err := splitImage(data, present, extents, nil)
		if err != nil {
			return
		}
		if len(cells) != len(types) || len(rest) > len(data) {
			t.Fatalf("%d cells of %d columns, %d bytes left of %d", len(cells), len(types), len(rest), len(data))
		}
		for i, c := range cells {
			if c.kind == cellValue {
				read(t, types[i], uint16(metas[2*i])|uint16(metas[2*i+1])<<8, c.raw)
			}
		}
	})
}

// read reads a value as all columns that its type can be.
func read(t *testing.T, typ byte, meta uint16, raw []byte) {
	c := codecs{modes: valueModes{decimals: cdc.PreciseDecimal, times: cdc.Microseconds, binary: cdc.RawBinary}, charsets: &charsets{}}
	real, _ := realType(typ, meta)
	for _, kind := range []string{"tinyint", "smallint", "mediumint", "int", "bigint", "year", "float", "double", "decimal", "bit", "date", "time", "datetime", "timestamp",
		"char", "enum", "set", "binary", "blob", "json", "geometry", "point", "vector", "uuid", "inet6"} {
		k, ok, err := c.of(t.Context(), &column{Name: "c", Type: kind, Length: 10, Scale: 2, Labels: []string{"a", "b"}})
		if !ok || err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if f := k.log(real, meta); f != nil {
			f(nil, raw)
		}
	}
}

// FuzzText reads texts as the server prints values, and rows.
func FuzzText(f *testing.F) {
	for _, s := range []string{"2024-02-29", "-838:59:59.000001", "2024-02-29 12:34:56.5", "1.5", "\x03abc\xfb\x00", "\xfc\x01\x00a"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		textDate(text)
		textTime(text)
		textDatetime(text)
		if cells, err := splitRow(text, nil); err == nil && len(text) > 0 && len(cells) == 0 {
			t.Fatalf("%x is a row of no columns", text)
		}
		var c column
		if c.setType(string(text)) == nil && c.Type == "" && strings.TrimSpace(string(text)) != "" && text[0] >= 'a' && text[0] <= 'z' {
			t.Fatalf("%q has no type", text)
		}
	})
}

// FuzzGTIDs reads sets of GTIDs: what is taken must print as a set that is taken, too.
func FuzzGTIDs(f *testing.F) {
	for _, s := range []string{"2e3e5335-e597-11f1-bb63-02fc00000001:1-403", "2e3e5335-e597-11f1-bb63-02fc00000001:1-3:5:blue:7-9,\n3e3e5335-e597-11f1-bb63-02fc00000001:2", "0-1-5,1-2-7", "", ":", "a:b:c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, fl := range []flavor{mysqlFlavor(), mariadbFlavor()} {
			set, err := fl.parseGTIDs(text)
			if err != nil {
				continue
			}
			if _, err := fl.parseGTIDs(set.String()); err != nil {
				t.Fatalf("%q is printed as %q, which is not taken: %v", text, set, err)
			}
		}
	})
}

// FuzzDDL reads statements; what cannot be read must be said to be, without a crash.
func FuzzDDL(f *testing.F) {
	b, err := os.ReadFile("testdata/types/common.sql")
	if err != nil {
		f.Fatal(err)
	}
	for _, line := range strings.Split(string(b), "\n") {
		if strings.HasPrefix(line, "CREATE") {
			f.Add(line)
		}
	}
	f.Add("ALTER TABLE orders DROP COLUMN slot, RENAME COLUMN note TO remark, ADD COLUMN first_one int NOT NULL DEFAULT 5 FIRST")
	f.Add("/*!50000 ALTER*/ TABLE a ADD b int")
	d := newDDL(false)
	f.Fuzz(func(_ *testing.T, sql string) { d.read(sql, "db", known{}) })
}
