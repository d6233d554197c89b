package sqldb

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseURL(t *testing.T) {
	t.Parallel()
	none := map[string]string{}
	for _, c := range []struct {
		text string
		want Address
	}{
		{"jdbc:postgresql://db:5433/shop", Address{Kind: PostgreSQL, Hosts: []string{"db:5433"}, Database: "shop", Params: none}},
		{"jdbc:postgresql:shop", Address{Kind: PostgreSQL, Hosts: []string{"localhost:5432"}, Database: "shop", Params: none}},
		{"JDBC:postgresql://db", Address{Kind: PostgreSQL, Hosts: []string{"db:5432"}, Params: none}},
		{"jdbc:postgresql://a,b:1/x%20y?user=u&password=p%26q&ssl=true&currentSchema=s&reWriteBatchedInserts=true",
			Address{Kind: PostgreSQL, Hosts: []string{"a:5432", "b:1"}, Database: "x y", User: "u", Password: "p&q", TLS: "verify-full",
				Params: map[string]string{"search_path": "s"}, Ignored: []string{"reWriteBatchedInserts"}}},
		{"postgres://u:p%40w@[::1]:5432/shop?sslmode=disable", Address{Kind: PostgreSQL, Hosts: []string{"[::1]:5432"}, Database: "shop",
			User: "u", Password: "p@w", TLS: "disable", Params: none}},
		{"jdbc:mysql://db/shop?useSSL=false&serverTimezone=UTC", Address{Kind: MySQL, Hosts: []string{"db:3306"}, Database: "shop", TLS: "false",
			Params: none, Ignored: []string{"serverTimezone"}}},
		{"jdbc:mariadb://db:3307/shop?sslMode=verify-full", Address{Kind: MariaDB, Hosts: []string{"db:3307"}, Database: "shop", TLS: "true", Params: none}},
		{"u:p:w@tcp(db:3306)/shop", Address{Kind: MySQL, Hosts: []string{"db:3306"}, Database: "shop", User: "u", Password: "p:w", Params: none}},
		{"jdbc:sqlite:/var/lib/x.db", Address{Kind: SQLite, Database: "/var/lib/x.db", Params: none}},
		{"jdbc:sqlite:///var/lib/x.db", Address{Kind: SQLite, Database: "/var/lib/x.db", Params: none}},
		{"sqlite:data/x.db?mode=rwc", Address{Kind: SQLite, Database: "data/x.db", Params: none, Ignored: []string{"mode"}}},
	} {
		got, err := ParseURL(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", c.text, d)
		}
	}
	for _, bad := range []string{"", "x", "jdbc:oracle:thin:@db:1521:x", "jdbc:mysql:shop", "jdbc:postgresql://db:port/x", "jdbc:sqlite::memory:",
		"jdbc:sqlite:", "jdbc:postgresql://::1/x", "u:secret@tcp(db", "jdbc:mysql://u:secret%@db/x", "jdbc:postgresql://db/x?password=%zz"} {
		if _, err := ParseURL(bad); err == nil {
			t.Errorf("%s was taken", bad)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error repeats a password: %v", bad, err)
		}
	}
}

// FuzzParseURL: an address that is taken is whole, and neither its name nor an error repeats the password.
func FuzzParseURL(f *testing.F) {
	for _, seed := range []string{"jdbc:postgresql://h:1,g/d?user=u&password=s3cr3t", "jdbc:mysql://u:s3cr3t@h/d?useSSL=true", "u:s3cr3t@tcp(h:1)/d",
		"jdbc:sqlite:x.db", "postgres://[::1]/d?ssl", "jdbc:mariadb://h/", "file:x?y"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseURL(text)
		if err != nil {
			if strings.Contains(err.Error(), "s3cr3t") {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if a.Kind == SQLite {
			if a.Database == "" {
				t.Fatalf("%q has no file", text)
			}
			return
		}
		if len(a.Hosts) == 0 || slices.ContainsFunc(a.Hosts, func(h string) bool { return !strings.Contains(h, ":") }) {
			t.Fatalf("%q has hosts %q", text, a.Hosts)
		}
		if a.Kind == PostgreSQL {
			_, _ = a.Postgres("", "") // it may refuse, but must not panic
		} else {
			_, _ = a.MySQL("", "")
		}
	})
}
