package mysql

import (
	"regexp"
	"strings"

	"github.com/sluicehub/sluice/connectors/cdc"
)

// keywords returns the first words of a statement in upper case, without comments.
func keywords(sql string, n int) []string {
	var out []string
	for len(out) < n {
		sql = strings.TrimLeft(sql, " \t\r\n(;")
		sql = strings.TrimLeft(strings.TrimPrefix(sql, "*/"), " \t\r\n")
		switch {
		case strings.HasPrefix(sql, "/*"):
			if rest, ok := strings.CutPrefix(sql, "/*!"); ok { // /*!50000 … */ is code
				sql = strings.TrimLeft(rest, "0123456789")
				continue
			}
			_, after, ok := strings.Cut(sql, "*/")
			if !ok {
				return out
			}
			sql = after
			continue
		case strings.HasPrefix(sql, "--"), strings.HasPrefix(sql, "#"):
			_, after, ok := strings.Cut(sql, "\n")
			if !ok {
				return out
			}
			sql = after
			continue
		}
		end := strings.IndexFunc(sql, func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_') })
		if end == 0 || sql == "" {
			return out
		}
		if end < 0 {
			end = len(sql)
		}
		out = append(out, strings.ToUpper(sql[:end]))
		sql = sql[end:]
	}
	return out
}

// kindOf tells by its first words whether a statement may change a table.
func kindOf(sql string) statementKind {
	w := keywords(sql, 6)
	if len(w) == 0 {
		return ofNoConcern
	}
	switch w[0] {
	case "INSERT", "UPDATE", "DELETE", "REPLACE", "LOAD":
		return changesRow
	case "TRUNCATE":
		return truncates
	case "RENAME":
		if len(w) > 1 && w[1] == "TABLE" {
			return changesTable
		}
	case "ALTER", "CREATE", "DROP":
		for _, word := range w[1:] {
			switch word {
			case "TABLE", "INDEX", "DATABASE", "SCHEMA":
				return changesTable
			case "OR", "REPLACE", "ONLINE", "OFFLINE", "IGNORE", "UNIQUE", "FULLTEXT", "SPATIAL", "VECTOR":
				continue
			}
			break // TEMPORARY, VIEW, USER, PROCEDURE, TRIGGER, …
		}
	}
	return ofNoConcern
}

// tableIn returns the table that a statement names behind TABLE, or behind ON for an index.
func tableIn(sql, database string) (name cdc.Table, ok bool) {
	rest := sql
	for {
		word := keywords(rest, 1)
		if len(word) == 0 {
			return name, false
		}
		at := strings.Index(strings.ToUpper(rest), word[0])
		rest = rest[at+len(word[0]):]
		if word[0] == "TABLE" || word[0] == "ON" {
			break
		}
		if word[0] == "INDEX" { // its name, which may look like anything
			_, after, found := strings.Cut(strings.ToUpper(rest), " ON ")
			if !found {
				return name, false
			}
			rest = rest[len(rest)-len(after):]
			break
		}
	}
	for _, word := range []string{"IF", "NOT", "EXISTS"} {
		if w := keywords(rest, 1); len(w) == 1 && w[0] == word {
			rest = rest[strings.Index(strings.ToUpper(rest), word)+len(word):]
		}
	}
	first, rest, ok := identifier(strings.TrimLeft(rest, " \t\r\n"))
	if !ok {
		return name, false
	}
	if after, dotted := strings.CutPrefix(strings.TrimLeft(rest, " "), "."); dotted {
		second, _, ok := identifier(strings.TrimLeft(after, " "))
		return cdc.Table{Schema: first, Name: second}, ok
	}
	return cdc.Table{Schema: database, Name: first}, true
}

// bareStatement is a statement without the comments before and behind it.
func bareStatement(sql string) string {
	for sql = strings.TrimSpace(sql); strings.HasPrefix(sql, "/*") && !strings.HasPrefix(sql, "/*!"); sql = strings.TrimSpace(sql) {
		_, sql, _ = strings.Cut(sql, "*/")
	}
	if at := strings.LastIndex(sql, "/*"); at > 0 && strings.Index(sql[at:], "*/") == len(sql)-at-2 && sql[at+2] != '!' {
		sql = strings.TrimSpace(sql[:at])
	}
	return sql
}

// identifier reads a name, in backquotes, in double quotes, or without.
func identifier(s string) (name, rest string, ok bool) {
	if strings.HasPrefix(s, "`") || strings.HasPrefix(s, `"`) {
		return between(s, false)
	}
	end := strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '$' || r >= 0x80)
	})
	if end < 0 {
		end = len(s)
	}
	return s[:end], s[end:], end > 0
}

// between returns what stands between the quotes with which the text begins, and what follows them. A doubled quote is one;
// escapes says whether a backslash is before a character of the text. ok is false, and text what there is, without an end.
func between(s string, escapes bool) (text, rest string, ok bool) {
	quote := s[0]
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && escapes && i+1 < len(s):
			i++
		case s[i] == quote && i+1 < len(s) && s[i+1] == quote:
			i++
		case s[i] == quote:
			return b.String(), s[i+1:], true
		}
		b.WriteByte(s[i])
	}
	return b.String(), "", false
}

// withoutCompressed returns a statement without the attribute COMPRESSED of MariaDB's columns, which the parser does not
// know, and which says nothing of a column's values.
func withoutCompressed(sql string) string {
	return compressedAttribute.ReplaceAllStringFunc(sql, func(found string) string {
		if strings.EqualFold(found[:min(len(found), len("COMPRESSED"))], "COMPRESSED") {
			return ""
		}
		return found
	})
}

// compressedAttribute finds the attribute, and what has its name inside and is none: texts, names, comments, and the
// format of rows.
var compressedAttribute = regexp.MustCompile(`(?is)'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|` + "`[^`]*`" + `|/\*.*?\*/|(?:--\s|#)[^\n]*|\bROW_FORMAT\s*=?\s*COMPRESSED\b|\bCOMPRESSED\b(?:\s*=\s*\w+)?`)
