package cdc

import (
	"fmt"
	"regexp"
	"strings"
)

// Patterns is a list of regular expressions as Debezium's include and exclude lists have it: separated by commas
// (a comma inside an expression is written \,), each matching a whole name, in upper or lower case.
type Patterns []*regexp.Regexp

// ParsePatterns parses a list. Expressions are RE2, which has no look-around.
func ParsePatterns(list string) (Patterns, error) {
	var out Patterns
	for _, p := range splitEscaped(list, ',') {
		p = strings.TrimSpace(p)
		if p == "" {
			continue
		}
		re, err := regexp.Compile("(?i)^(?:" + p + ")$")
		if err != nil {
			return nil, fmt.Errorf("%q is not a regular expression: %w", p, err)
		}
		out = append(out, re)
	}
	return out, nil
}

// Match reports whether one of the patterns matches the name.
func (p Patterns) Match(name string) bool {
	for _, re := range p {
		if re.MatchString(name) {
			return true
		}
	}
	return false
}

// Filter decides by an include and an exclude list. An empty include list includes everything.
type Filter struct{ Include, Exclude Patterns }

// Allows reports whether the name is included and not excluded.
func (f Filter) Allows(name string) bool {
	return (len(f.Include) == 0 || f.Include.Match(name)) && !f.Exclude.Match(name)
}

// KeyColumns is a parsed message.key.columns: for which tables which columns make the key.
type KeyColumns []keyColumns

type keyColumns struct {
	table   *regexp.Regexp
	columns []string
}

// ParseKeyColumns parses "table-regex:column,column;table-regex:column".
func ParseKeyColumns(text string) (KeyColumns, error) {
	var out KeyColumns
	for _, entry := range strings.Split(text, ";") {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		at := strings.LastIndexByte(entry, ':')
		if at <= 0 || at == len(entry)-1 {
			return nil, fmt.Errorf("%q must be TABLE:COLUMN,COLUMN", entry)
		}
		re, err := regexp.Compile("(?i)^(?:" + strings.TrimSpace(entry[:at]) + ")$")
		if err != nil {
			return nil, fmt.Errorf("%q is not a regular expression: %w", entry[:at], err)
		}
		k := keyColumns{table: re}
		for _, c := range strings.Split(entry[at+1:], ",") {
			k.columns = append(k.columns, strings.TrimSpace(c))
		}
		out = append(out, k)
	}
	return out, nil
}

// For returns the key columns of a table, nil if it is not named.
func (k KeyColumns) For(table string) []string {
	for _, e := range k {
		if e.table.MatchString(table) {
			return e.columns
		}
	}
	return nil
}

// splitEscaped splits at sep, unless a backslash stands before it, which is then removed.
func splitEscaped(s string, sep byte) []string {
	var out []string
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == sep:
			b.WriteByte(sep)
			i++
		case s[i] == sep:
			out = append(out, b.String())
			b.Reset()
		default:
			b.WriteByte(s[i])
		}
	}
	return append(out, b.String())
}
