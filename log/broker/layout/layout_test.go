package layout

import (
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		text     string
		version  int16
		flexible bool
		b        string
		want     int
		err      string
	}{
		{"i8 i16 i32 i64 uuid", 0, false, strings.Repeat("x", 32), 31, ""},
		{"i8 i16 i32 i64 uuid", 0, false, strings.Repeat("x", 30), 0, "31 bytes at byte 0, where 30 bytes are left"},
		{"i8:2+ i16:1-2 i32:0", 0, false, "xxxx", 4, ""},
		{"i8:2+ i16:1-2 i32:0", 1, false, "xxxx", 2, ""},
		{"i8:2+ i16:1-2 i32:0", 2, false, "xxxx", 3, ""},
		{"i8:2+ i16:1-2 i32:0", 3, false, "xxxx", 1, ""},
		{"string bytes", 0, false, "\x00\x01x\xff\xff\xff\xff", 7, ""},
		{"string bytes", 0, false, "\xff\xff\x00\x00\x00\x02xx", 8, ""},
		{"string bytes", 0, true, "\x00\x03xx\x00", 5, ""},
		{"string", 0, true, "\xff\xff\xff\xff\x1f", 0, "a varint"},
		{"[i32]", 0, false, "\x00\x00\x00\x02xxxxxxxx", 12, ""},
		{"[i32]", 0, false, "\x00\x00\x00\x03xxxxxxxxxxx", 0, "an array of 3 elements at byte 4, where 11 bytes are left"},
		{"[i32]", 0, false, "\xff\xff\xff\xff", 4, ""},
		{"[{i8 string}]", 0, true, "\x03x\x01\x00x\x02y\x00\x00", 9, ""},
		{"[{i8 string}]", 0, true, "\x04x\x00\x00x\x00\x00x\x00", 0, "an array of 3"},
		{"?{i16}", 0, true, "\xff\x00", 2, ""},
		{"?{i16}", 0, true, "\x01xx\x00\x00", 5, ""},
		{"", 0, true, "\x02\x07\x00\x09\x02xx", 7, ""},
		{"", 0, true, "\xff\xff\xff\xff\x0f\x00\x00", 0, "4294967295 tagged fields at byte 5"},
		{"", 0, true, "\x01\x07\x03xx", 0, "a tagged field of 3 bytes"},
		{"<1={i8}>", 0, true, "\x01\x01\x03x\x00!", 6, ""},
		{"<1={i8}>", 0, true, "\x01\x01\x03x\x02\x00", 0, "2 tagged fields"},
		{"[string]", 0, false, "\x00\x10\x00\x01" + strings.Repeat("\x00\x00", maxParts+1), 0, "more than"},
		{"[i8]", 0, false, "\x00\x10\x00\x01" + strings.Repeat("x", maxParts+1), maxParts + 5, ""},
	} {
		n, err := Compile(c.text, c.version, c.flexible).Check([]byte(c.b))
		if err == nil && n != c.want || (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q v%d, %.30q: %d bytes, %v; want %d, %q", c.text, c.version, c.b, n, err, c.want, c.err)
		}
	}
}

func TestCompileRefusesMistakes(t *testing.T) {
	for _, text := range []string{"int", "[i32", "{i32", "i32}", "i32:x", "?i32", "<x=i32>"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q was taken", text)
				}
			}()
			Compile(text, 0, true)
		}()
	}
}

// FuzzCheck: whatever the bytes are, the check ends, and never says that there are more of them.
func FuzzCheck(f *testing.F) {
	f.Add([]byte("\x03x\x01\x00x\x02y\x00\x00"), true)
	f.Add([]byte("\x00\x00\x00\x02xxxxxxxx"), false)
	f.Fuzz(func(t *testing.T, b []byte, flexible bool) {
		l := Compile("[{i8 string [i32] ?{bytes}}] <1={i32 [string]}>", 0, flexible)
		n, err := l.Check(b)
		if n > len(b) {
			t.Fatalf("%d of %d bytes", n, len(b))
		}
		if again, _ := l.Check(b[:n]); err == nil && again != n {
			t.Errorf("%d bytes, and %d of these", n, again)
		}
	})
}
