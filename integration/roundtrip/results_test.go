package roundtrip

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Queries for name and type of each column.
const (
	postgresTypes = "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'samples'::regclass AND attnum > 0"
	mysqlTypes    = "SELECT column_name, column_type FROM information_schema.columns WHERE table_schema = database() AND table_name = 'samples'"
	sqliteTypes   = "SELECT name, type FROM pragma_table_info('samples')"
)

func columnTypes(t *testing.T, db *sql.DB, query string) map[string]string {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	types := map[string]string{}
	for rows.Next() {
		var name, of string
		if err := rows.Scan(&name, &of); err != nil {
			t.Fatal(err)
		}
		types[name] = of
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return types
}

// printed is the expression that prints a column %s of a type.
func printed(database, of string) string {
	if database == "PostgreSQL" {
		switch {
		case of == "bytea":
			return "encode(%s, 'hex')"
		case strings.HasSuffix(of, "[]"):
			return "to_json(%s)::text"
		}
		return "%s::text"
	}
	if database == "SQLite" {
		return "CASE typeof(%s) WHEN 'blob' THEN hex(%s) ELSE %s END"
	}
	switch {
	case strings.HasPrefix(of, "bit("):
		return "lpad(bin(%s + 0), " + strings.TrimSuffix(strings.TrimPrefix(of, "bit("), ")") + ", '0')"
	case strings.HasSuffix(of, "blob"), strings.HasPrefix(of, "binary"), strings.HasPrefix(of, "varbinary"):
		return "hex(%s)"
	case of == "float":
		return "CAST(%s AS double)" // a float is printed with six digits
	}
	return "%s"
}

// same reports whether two texts are the same value.
func same(f form, a, b string) bool { return a == b || normal(f, a) == normal(f, b) }

// normal is one text of a value for all that databases print.
func normal(f form, text string) string {
	switch f {
	case asNumber:
		if r, ok := new(big.Rat).SetString(text); ok {
			return r.RatString()
		}
	case asFloat32, asFloat64:
		bits := 64
		if f == asFloat32 {
			bits = 32
		}
		if v, err := strconv.ParseFloat(text, bits); err == nil {
			return strconv.FormatFloat(v, 'g', -1, bits)
		}
	case asBoolean, asBits:
		switch text {
		case "true", "t":
			return "1"
		case "false", "f":
			return "0"
		}
	case asHex:
		return strings.ToLower(text)
	case asTemporal:
		return normalTemporal(text)
	case asInterval:
		for before := ""; before != text; {
			before, text = text, noneOf.ReplaceAllString(text, "$1")
		}
	case asJSON:
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err == nil {
			b, _ := json.Marshal(normalJSON(v)) // of what was decoded
			return string(b)
		}
	}
	return text
}

// noneOf is a part of an interval that is zero.
var noneOf = regexp.MustCompile(`([A-Z])0(?:\.0+)?[A-Z]`)

func normalTemporal(text string) string {
	text = strings.Replace(text, "T", " ", 1)
	for _, utc := range []string{"Z", "+00:00", "+00"} {
		if rest, ok := strings.CutSuffix(text, utc); ok {
			text = rest
			break
		}
	}
	if strings.Contains(text, ".") {
		text = strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// normalJSON makes text of what is no object and no array: a decimal in an array is a text in some databases.
func normalJSON(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = normalJSON(v[i])
		}
		return v
	case map[string]any:
		for name := range v {
			v[name] = normalJSON(v[name])
		}
		return v
	case json.Number:
		return normal(asNumber, v.String())
	case string:
		if text := normalTemporal(v); text != v && strings.Contains(text, ":") {
			return text
		}
		return strings.TrimPrefix(normal(asNumber, v), `\x`)
	}
	return v
}

// line is a line of the table: what becomes of a type in a target.
type line struct {
	column, made string
	values       []string
	reason       string // "" says that all values are exact
}

// judge compares what a target has with what the source has.
func judge(t *testing.T, from *source, to target, rows []value, got arrived) (lines []line) {
	t.Helper()
	for i, c := range from.samples {
		l := line{column: c.column, made: got.types[fmt.Sprintf("c%d", i)]}
		var lossy []string
		for j, row := range rows {
			if row.sample != i {
				continue
			}
			text := short(row.text)
			if got.texts[j] != row.text {
				text += " → " + short(got.texts[j])
			}
			if !same(c.form, row.text, got.texts[j]) {
				lossy = append(lossy, text)
				text = "**" + text + "**"
			}
			l.values = append(l.values, text)
		}
		at := slices.IndexFunc(reasons(), func(r reason) bool { return r.matches(from.name, c.column, to.name) })
		switch {
		case len(lossy) > 0 && at < 0:
			t.Errorf("%s becomes %s, and there is no reason for it: %s", c.column, l.made, strings.Join(lossy, ", "))
		case len(lossy) > 0:
			l.reason = reasons()[at].text
		case at >= 0:
			t.Errorf("%s is exact, though there is a reason why it should not be: %s", c.column, reasons()[at].text)
		}
		lines = append(lines, l)
	}
	return lines
}

func short(text string) string {
	if len(text) > 100 {
		runes := []rune(text)
		text = string(runes[:20]) + fmt.Sprintf("… (%d)", len(runes))
	}
	if text == "" {
		return "empty"
	}
	return "`" + strings.NewReplacer("|", `\|`, "\n", "↵", "\t", "⇥", "`", "'").Replace(text) + "`"
}

// document is the table of results.
func document(sources []*source, targets []target, lines [][]line) string {
	var b strings.Builder
	b.WriteString(preface)
	for i, from := range sources {
		for j, to := range targets {
			fmt.Fprintf(&b, "\n## %s to %s\n\n| source type | column made | values | |\n|---|---|---|---|\n", from.name, to.name)
			for _, l := range lines[i*len(targets)+j] {
				verdict := "exact"
				if l.reason != "" {
					verdict = l.reason
				}
				fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s |\n", l.column, l.made, strings.Join(l.values, "<br>"), verdict)
			}
		}
	}
	return b.String()
}

const preface = `# What becomes of each type

Written by ` + "`go test ./integration/roundtrip -update`" + `: a snapshot of values of every type by the PostgreSQL and MySQL sources, written by the
relational sink with tables that it makes (auto.create). A value stands as the source prints it, and behind an arrow as the
target prints it, where that is another text; in bold where it is another value. "refused" goes to the dead-letter topic.

The sources have their defaults but for interval.handling.mode=string and include.unknown.datatypes=true (PostgreSQL) and
bigint.unsigned.handling.mode=precise (MySQL, MariaDB).
`
