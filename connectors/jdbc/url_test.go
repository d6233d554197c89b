package jdbc

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
		want address
	}{
		{"jdbc:postgresql://db:5433/shop", address{kind: postgreSQL, hosts: []string{"db:5433"}, database: "shop", params: none}},
		{"jdbc:postgresql:shop", address{kind: postgreSQL, hosts: []string{"localhost:5432"}, database: "shop", params: none}},
		{"JDBC:postgresql://db", address{kind: postgreSQL, hosts: []string{"db:5432"}, params: none}},
		{"jdbc:postgresql://a,b:1/x%20y?user=u&password=p%26q&ssl=true&currentSchema=s&reWriteBatchedInserts=true",
			address{kind: postgreSQL, hosts: []string{"a:5432", "b:1"}, database: "x y", user: "u", password: "p&q", tls: "verify-full",
				params: map[string]string{"search_path": "s"}, ignored: []string{"reWriteBatchedInserts"}}},
		{"postgres://u:p%40w@[::1]:5432/shop?sslmode=disable", address{kind: postgreSQL, hosts: []string{"[::1]:5432"}, database: "shop",
			user: "u", password: "p@w", tls: "disable", params: none}},
		{"jdbc:mysql://db/shop?useSSL=false&serverTimezone=UTC", address{kind: mySQL, hosts: []string{"db:3306"}, database: "shop", tls: "false",
			params: none, ignored: []string{"serverTimezone"}}},
		{"jdbc:mariadb://db:3307/shop?sslMode=verify-full", address{kind: mariaDB, hosts: []string{"db:3307"}, database: "shop", tls: "true", params: none}},
		{"u:p:w@tcp(db:3306)/shop", address{kind: mySQL, hosts: []string{"db:3306"}, database: "shop", user: "u", password: "p:w", params: none}},
		{"jdbc:sqlite:/var/lib/x.db", address{kind: sqLite, database: "/var/lib/x.db", params: none}},
		{"jdbc:sqlite:///var/lib/x.db", address{kind: sqLite, database: "/var/lib/x.db", params: none}},
		{"sqlite:data/x.db?mode=rwc", address{kind: sqLite, database: "data/x.db", params: none, ignored: []string{"mode"}}},
	} {
		got, err := parseURL(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if d := cmp.Diff(c.want, got, cmp.AllowUnexported(address{})); d != "" {
			t.Errorf("%s: %s", c.text, d)
		}
	}
	for _, bad := range []string{"", "x", "jdbc:oracle:thin:@db:1521:x", "jdbc:mysql:shop", "jdbc:postgresql://db:port/x", "jdbc:sqlite::memory:",
		"jdbc:sqlite:", "jdbc:postgresql://::1/x", "u:secret@tcp(db", "jdbc:mysql://u:secret%@db/x", "jdbc:postgresql://db/x?password=%zz"} {
		if _, err := parseURL(bad); err == nil {
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
		a, err := parseURL(text)
		if err != nil {
			if strings.Contains(err.Error(), "s3cr3t") {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if a.kind == sqLite {
			if a.database == "" {
				t.Fatalf("%q has no file", text)
			}
			return
		}
		if len(a.hosts) == 0 || slices.ContainsFunc(a.hosts, func(h string) bool { return !strings.Contains(h, ":") }) {
			t.Fatalf("%q has hosts %q", text, a.hosts)
		}
		if a.kind == postgreSQL {
			_, _ = postgresConfig(a, "", "") // it may refuse, but must not panic
		} else {
			_, _ = mysqlConfig(a, "", "")
		}
	})
}
