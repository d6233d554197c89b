package transforms

import (
	"testing"
	"time"
)

// TestJavaDateFormat compares with what SimpleDateFormat of JDK 25 wrote (English, UTC).
func TestJavaDateFormat(t *testing.T) {
	for _, c := range []struct {
		pattern string
		millis  int64
		want    string
	}{
		{"yyyy-MM-dd'T'HH:mm:ss.SSSXXX", 1709280000123, "2024-03-01T08:00:00.123Z"},
		{"yy/M/d h:m:s a", 1709280000123, "24/3/1 8:0:0 AM"},
		{"EEE, dd MMM yyyy HH:mm:ss Z", 0, "Thu, 01 Jan 1970 00:00:00 +0000"},
		{"yyyyMMddHHmmssSSS", 1709280000123, "20240301080000123"},
		{"HH 'o''clock' X", 1709280000123, "08 o'clock Z"},
		{"LLL z", 1709280000123, "Mar UTC"},
		{"hh:mm:ss.SSSSSS", 1709280000123, "08:00:00.000123"},
		{"YYYY-DDD u", 1854269908736, "2028-278 3"},
		{"YYYY", 1735603200000, "2025"}, // 2024-12-31
	} {
		f, err := compileDateFormat(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.format(time.UnixMilli(c.millis).UTC()); got != c.want {
			t.Errorf("%s: got %s, want %s", c.pattern, got, c.want)
		}
	}
	for _, c := range []struct {
		pattern, text string
		want          int64 // -1: an error
	}{
		{"yyyy-MM-dd HH:mm:ss", "2024-03-01 08:00:00 and more", 1709280000000},
		{"yyyy-MM-dd HH:mm:ss.SSS", "2024-03-01 08:00:00.5", 1709280000005},
		{"yyyyMMddHHmmss", "20240301080000", 1709280000000},
		{"yyyy-MM-dd'T'HH:mm:ssX", "2024-03-01T10:00:00+02", 1709280000000},
		{"yyyy-MM-dd'T'HH:mm:ssZ", "2024-03-01T07:30:00-0030", 1709280000000},
		{"d MMMM yyyy", "1 mar 2024", 1709251200000},
		{"dd.MM.yy", "01.03.24", 1709251200000},
		{"yyyy-MM-dd", "2024-02-30", 1709251200000}, // carries over
		{"yyyy-MM-dd", "March", -1},
		{"YYYY", "2024", -1},
		{"yyyy X", "2024 +", -1},
		{"HH:mm a", "10:00 x", -1},
	} {
		f, err := compileDateFormat(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.parse(c.text)
		if c.want == -1 && err == nil || c.want != -1 && (err != nil || got.UnixMilli() != c.want) {
			t.Errorf("%s: %s gives %d, %v; want %d", c.pattern, c.text, got.UnixMilli(), err, c.want)
		}
	}
}

func FuzzDateFormat(f *testing.F) {
	f.Add("yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "2024-03-01T08:00:00.123Z")
	f.Add("EEE, d MMM yy hh:mm a Z", "Fri, 1 Mar 24 08:00 AM +0100")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if format, err := compileDateFormat(pattern); err == nil {
			_, _ = format.parse(text)
			format.format(time.UnixMilli(1709280000123).UTC())
		}
	})
}

func TestFieldPath(t *testing.T) {
	for text, want := range map[string][]string{"a": {"a"}, "a.b": {"a", "b"}, "`a.b`.c": {"a.b", "c"}, "a.`b.c`": {"a", "b.c"}, "`a": nil, "a`b": {"a`b"}} {
		got, err := fieldPath(text)
		if (err != nil) != (want == nil) || len(got) < len(want) {
			t.Errorf("%s: %q, %v", text, got, err)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: %q, want %q", text, got, want)
			}
		}
	}
}
