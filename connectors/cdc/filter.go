package cdc

import (
	"fmt"
	"regexp"
	"slices"
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
		re, err := wholeName(p)
		if err != nil {
			return nil, err
		}
		out = append(out, re)
	}
	return out, nil
}

// wholeName compiles an expression that matches whole names, in upper or lower case.
func wholeName(expr string) (*regexp.Regexp, error) {
	re, err := regexp.Compile("(?i)^(?:" + expr + ")$")
	if err != nil {
		return nil, fmt.Errorf("%q is not a regular expression: %w", expr, err)
	}
	return re, nil
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

// Rank returns the place in the list of the first pattern that matches the name, the list's length if none does.
// Debezium's snapshots read the tables in the order of their patterns.
func (p Patterns) Rank(name string) int {
	for i, re := range p {
		if re.MatchString(name) {
			return i
		}
	}
	return len(p)
}

// Filter decides by an include and an exclude list. An empty include list includes everything.
type Filter struct{ Include, Exclude Patterns }

// Allows reports whether the name is included and not excluded.
func (f Filter) Allows(name string) bool {
	return (len(f.Include) == 0 || f.Include.Match(name)) && !f.Exclude.Match(name)
}

// KeyColumns is a parsed message.key.columns: for which tables which columns make the key.
type KeyColumns []keyColumn

type keyColumn struct {
	table  *regexp.Regexp
	name   string
	column *regexp.Regexp
}

// ParseKeyColumns parses "table-regex:column-regex,column-regex;table-regex:column-regex".
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
		table, err := wholeName(strings.TrimSpace(entry[:at]))
		if err != nil {
			return nil, err
		}
		for _, name := range strings.Split(entry[at+1:], ",") {
			name = strings.TrimSpace(name)
			column, err := wholeName(name)
			if err != nil {
				return nil, err
			}
			out = append(out, keyColumn{table, name, column})
		}
	}
	return out, nil
}

// For returns those of a table's columns that make its key, in the order in which they are configured: of all entries that
// name the table, as in Debezium, and without those that it does not have. If it has none of them they are returned as
// they were written; nil is for a table that is not named.
func (k KeyColumns) For(table string, columns []string) []string {
	var key, named []string
	for _, e := range k {
		if !e.table.MatchString(table) {
			continue
		}
		named = append(named, e.name)
		for _, c := range columns {
			if e.column.MatchString(c) && !slices.Contains(key, c) {
				key = append(key, c)
			}
		}
	}
	if key == nil {
		return named
	}
	return key
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
