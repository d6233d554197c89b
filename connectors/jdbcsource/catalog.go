package jdbcsource

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors/sqldb"
)

// table is a table or view of the database. A part that the database does not have is "".
type table struct {
	catalog, schema, name string
	kind                  string // one of tableTypes
}

// String returns the name by which source partitions know the table. It is what Confluent's connector has there: the
// parts that the JDBC driver tells, and PostgreSQL's tells no catalog.
func (t table) String() string { return dotted(t.catalog, t.schema, t.name) }

func dotted(parts ...string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(parts), func(s string) bool { return s == "" }), ".")
}

// tableTypes are the types of tables that the databases have, named as JDBC drivers do.
func tableTypes() []string {
	return []string{"TABLE", "VIEW", "PARTITIONED TABLE", "MATERIALIZED VIEW", "FOREIGN TABLE"}
}

// foreignTypes are types that other databases have, or none that is worth reading. They are taken and match nothing.
func foreignTypes() []string {
	return []string{"SYSTEM TABLE", "SYSTEM VIEW", "GLOBAL TEMPORARY", "LOCAL TEMPORARY", "ALIAS", "SYNONYM"}
}

// filter chooses tables.
type filter struct {
	include, exclude []string
	types            []string
	catalog, schema  *string // patterns of LIKE; nil: any
	database         string  // of PostgreSQL, of which it is the catalog
}

func newFilter(v configs.Values, a sqldb.Address) filter {
	f := filter{include: unquoted(v.List(keyWhitelist)), exclude: unquoted(v.List(keyBlacklist)), types: v.List(keyTypes)}
	for i := range f.types {
		f.types[i] = strings.ToUpper(f.types[i])
	}
	pattern := func(key string) *string {
		if !v.Has(key) {
			return nil
		}
		p := v.String(key)
		return &p
	}
	f.catalog, f.schema = pattern("catalog.pattern"), pattern("schema.pattern")
	if a.Kind == sqldb.PostgreSQL {
		f.database = a.Database
	}
	return f
}

// unquoted takes the quotes off names, which Confluent's connector allows.
func unquoted(names []string) []string {
	drop := strings.NewReplacer(`"`, "", "`", "")
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = drop.Replace(n)
	}
	return out
}

// names reports whether one of the names is the table's.
func (f *filter) names(list []string, t table) bool {
	return slices.ContainsFunc(list, func(n string) bool {
		return n == t.name || n == t.String() || t.schema != "" && n == dotted(f.database, t.schema, t.name)
	})
}

// ownTables begin the names of tables that Sluice's sinks make beside those of the user.
const ownTables = "_sluice_"

// wants reports whether the table is to be read. home is the catalog that the connection is in, "" if none.
func (f *filter) wants(t table, home string) bool {
	if !slices.Contains(f.types, t.kind) {
		return false
	}
	catalog := t.catalog
	if t.schema != "" {
		catalog = f.database
	}
	if f.catalog != nil && !like(*f.catalog, catalog) || f.schema != nil && !like(*f.schema, t.schema) {
		return false
	}
	if strings.HasPrefix(t.name, ownTables) && !f.names(f.include, t) {
		return false
	}
	// Without a pattern a table of another catalog must be named in full.
	if f.catalog == nil && t.catalog != home && home != "" && !slices.Contains(f.include, t.String()) {
		return false
	}
	if len(f.include) > 0 {
		return f.names(f.include, t)
	}
	return !f.names(f.exclude, t)
}

// missing returns the names of the whitelist that are no table's.
func (f *filter) missing(tables []table) []string {
	return slices.DeleteFunc(slices.Clone(f.include), func(n string) bool {
		return slices.ContainsFunc(tables, func(t table) bool { return f.names([]string{n}, t) })
	})
}

// like reports whether a text matches a pattern of LIKE: % is any text, _ any character, a backslash takes the next one
// as it is.
func like(pattern, text string) bool {
	switch {
	case pattern == "":
		return text == ""
	case pattern[0] == '%':
		return like(pattern[1:], text) || text != "" && like(pattern, text[1:])
	case text == "":
		return false
	case pattern[0] == '\\' && len(pattern) > 1:
		return pattern[1] == text[0] && like(pattern[2:], text[1:])
	}
	return (pattern[0] == '_' || pattern[0] == text[0]) && like(pattern[1:], text[1:])
}

// chosen returns the tables that are to be read, in the order of their names. Two that would be written to one topic are
// an error.
func (f *filter) chosen(all []table, home string) ([]table, error) {
	out := slices.DeleteFunc(slices.Clone(all), func(t table) bool { return !f.wants(t, home) })
	slices.SortFunc(out, func(a, b table) int { return cmp.Compare(a.String(), b.String()) })
	names := map[string]table{}
	for _, t := range out {
		if other, ok := names[t.name]; ok {
			return nil, wrong("choose the tables", "name one of them in table.whitelist or table.blacklist, or set schema.pattern or catalog.pattern",
				"%s and %s have the same name, so their rows would be in one topic", other, t)
		}
		names[t.name] = t
	}
	return out, nil
}

// keyTables is what Plan adds to the configuration of each task: the tables of each, as JSON.
const keyTables = "tables"

// shares are the tables that each of the tasks reads, by their names. Nil is one task that reads all.
type shares [][]string

// spread gives the tables out to tasks, one by one in turn.
func spread(tables []table, tasks int) shares {
	out := make(shares, max(1, min(tasks, len(tables))))
	for i, t := range tables {
		out[i%len(out)] = append(out[i%len(out)], t.String())
	}
	return out
}

func (s shares) String() string {
	b, err := json.Marshal(s)
	if err != nil {
		panic("jdbcsource: " + err.Error()) // strings only
	}
	return string(b)
}

func parseShares(text string) (shares, error) {
	var s shares
	if text == "" {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil || len(s) == 0 {
		return nil, fmt.Errorf("%s: must be a list of lists of tables, as the connector makes it for its tasks", keyTables)
	}
	return s, nil
}

// owner returns the task that reads a table. One that was not there when the tables were given out is any task's, but by
// its name always the same one's.
func (s shares) owner(t table) int {
	for i, list := range s {
		if slices.Contains(list, t.String()) {
			return i
		}
	}
	if len(s) < 2 {
		return 0
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(t.String())) // it never fails
	return int(h.Sum32() % uint32(len(s)))
}
