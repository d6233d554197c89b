package jdbcsource

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/connectors/sqldb"
)

// complaints returns what is wrong with a configuration: keys in order, warnings in brackets.
func complaints(t *testing.T, config map[string]string) (keys []string, text string) {
	t.Helper()
	_, problems := definition.Parse(config)
	errors := 0
	for _, p := range problems {
		if p.IsError() {
			errors++
		}
	}
	if errors == 0 {
		problems = append(problems, New().Validate(t.Context(), config)...)
	}
	for _, p := range problems {
		key := p.Key
		if !p.IsError() {
			key = "[" + key + "]"
		}
		keys = append(keys, key)
		text += p.String() + "\n"
	}
	slices.Sort(keys)
	return slices.Compact(keys), text
}

func TestRulesAreCheckedAllAtOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want  string
		pairs []string
	}{
		{"connection.url mode", nil},
		{"timestamp.column.name", []string{"mode", "timestamp"}},
		{"timestamp.column.name", []string{"mode", "timestamp+incrementing"}},
		{"incrementing.column.name table.whitelist topic.prefix", []string{"mode", "incrementing", "query", "SELECT 1", "table.whitelist", "t"}},
		{"mode", []string{"mode", "often"}},
		{"db.timezone topic.prefix transaction.isolation.mode", []string{"mode", "bulk", "db.timezone", "Mars/Olympus", "topic.prefix", "a b", "transaction.isolation.mode", "SQL_SERVER_SNAPSHOT"}},
		{"db.timezone", []string{"mode", "bulk", "db.timezone", "Europe/Berlin"}}, // SQLite's are UTC
		{"numeric.mapping table.types timestamp.granularity", []string{"mode", "bulk", "numeric.mapping", "some", "table.types", "TABEL", "timestamp.granularity", "hours"}},
		{"table.whitelist", []string{"mode", "bulk", "table.whitelist", "a", "table.blacklist", "b"}},
	} {
		config := map[string]string{}
		if c.pairs != nil {
			config[keyURL] = "jdbc:sqlite:/none"
		}
		for i := 0; i < len(c.pairs); i += 2 {
			config[c.pairs[i]] = c.pairs[i+1]
		}
		keys, text := complaints(t, config)
		if got := strings.Join(keys, " "); got != c.want && !(c.want == "table.whitelist" && strings.Contains(text, c.want)) {
			t.Errorf("%q: %s\n%s", c.pairs, got, text)
		}
	}
}

// The configuration of Confluent's quick start, as it is published.
func TestTheQuickStartIsValid(t *testing.T) {
	t.Parallel()
	s := onSQLite(t)
	s.exec(t, "CREATE TABLE accounts (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, name VARCHAR(255))", "INSERT INTO accounts (name) VALUES ('alice')")
	config := maps.Clone(s.config)
	maps.Copy(config, map[string]string{"mode": "incrementing", "incrementing.column.name": "id", "topic.prefix": "test-sqlite-jdbc-"})
	if keys, text := complaints(t, config); len(keys) > 0 {
		t.Error(text)
	}
	r := s.start(t, nil, "mode", "incrementing", "incrementing.column.name", "id", "topic.prefix", "test-sqlite-jdbc-")
	want(t, r.next(1), "test-sqlite-jdbc-accounts 1|alice")
}

// What the database knows is said of the right key.
func TestTheDatabaseIsAsked(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		s.exec(t, "CREATE TABLE good (id integer NOT NULL, at "+s.stampType()+" NOT NULL, name varchar(5))", "CREATE TABLE loose (id integer, at "+s.stampType()+" NULL)")
		for _, c := range []struct {
			want, text string
			pairs      []string
		}{
			{"", "", []string{"mode", "bulk"}},
			{"", "", []string{"mode", "timestamp+incrementing", "timestamp.column.name", "at", "incrementing.column.name", "ID", "table.whitelist", "good"}},
			{"incrementing.column.name", "has no column none", []string{"mode", "incrementing", "incrementing.column.name", "none", "table.whitelist", "good"}},
			{"incrementing.column.name", "is nullable", []string{"mode", "incrementing", "incrementing.column.name", "id"}},
			{"", "", []string{"mode", "incrementing", "incrementing.column.name", "id", "validate.non.null", "false"}},
			{"incrementing.column.name", "is no integer", []string{"mode", "incrementing", "incrementing.column.name", "name", "table.whitelist", "good"}},
			{"incrementing.column.name", "numbers by itself", []string{"mode", "incrementing", "table.whitelist", "good"}},
			{"timestamp.column.name", "each is nullable", []string{"mode", "timestamp", "timestamp.column.name", "at"}},
			{"timestamp.column.name", "is no timestamp", []string{"mode", "timestamp", "timestamp.column.name", "name", "table.whitelist", "good"}},
			{"incrementing.column.name timestamp.column.name", "has no column x", []string{"mode", "timestamp+incrementing", "timestamp.column.name", "x", "incrementing.column.name", "y", "table.whitelist", "good"}},
			{"[table.whitelist]", "There is no table of this name (of table.types) yet: goood", []string{"mode", "bulk", "table.whitelist", "good,goood"}},
			{"[timestamp.column.name]", "has no effect", []string{"mode", "bulk", "timestamp.column.name", "at"}},
			{"query", "", []string{"mode", "incrementing", "incrementing.column.name", "id", "topic.prefix", "q", "query", "SELECT * FROM nowhere"}},
			{"query", "", []string{"mode", "incrementing", "incrementing.column.name", "id", "topic.prefix", "q", "query", "SELEC 1"}},
			{"incrementing.column.name", "has no column n", []string{"mode", "incrementing", "incrementing.column.name", "n", "topic.prefix", "q", "query", "SELECT id FROM good"}},
		} {
			keys, text := complaints(t, s.with(c.pairs...))
			if got := strings.Join(keys, " "); got != c.want || !strings.Contains(text, c.text) {
				t.Errorf("%q: %s\n%s", c.pairs, got, text)
			}
		}
		config := s.with("mode", "bulk", "connection.user", "nobody", "connection.password", "s3cr3t")
		switch keys, text := complaints(t, config); {
		case strings.Contains(text, "s3cr3t"):
			t.Errorf("the password is told: %s", text)
		case s.kind == sqldb.MySQL || s.kind == sqldb.MariaDB, s.kind == sqldb.PostgreSQL: // which trusts, but not in a name that is not there
			if !slices.Equal(keys, []string{"connection.user"}) {
				t.Errorf("a user that is not there: %q %s", keys, text)
			}
		}
		config = s.with("mode", "bulk")
		config[keyURL] = strings.Replace(config[keyURL], s.database, "nowhere", 1)
		if s.kind == sqldb.SQLite {
			config[keyURL] += "x"
		}
		if keys, text := complaints(t, config); !slices.Equal(keys, []string{"connection.url"}) {
			t.Errorf("a database that is not there: %q %s", keys, text)
		}
	})
}
