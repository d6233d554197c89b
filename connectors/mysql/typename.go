package mysql

import (
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
)

// nameTypes gives the definitions of columns in a statement the names of their types as it has them, as their text: the
// parser has one name for INT and INTEGER, for TINYINT(1) and BOOLEAN. Defaults get the word behind DEFAULT, which is a
// parenthesis for an expression.
func nameTypes(node ast.StmtNode, sql string) {
	words := lex(sql)
	name := func(list []*ast.ColumnDef) {
		for _, c := range list {
			var word string
			if word, words = typeOf(words, c.Name.Name.O); word == "" {
				continue
			}
			c.SetText(nil, word)
			for _, o := range c.Options {
				if at := slices.IndexFunc(words, func(l lexeme) bool { return l.kind == bare && strings.EqualFold(l.text, "DEFAULT") }); o.Tp == ast.ColumnOptionDefaultValue && at >= 0 && at+1 < len(words) {
					o.Expr.SetText(nil, words[at+1].text)
				}
			}
		}
	}
	switch n := node.(type) {
	case *ast.CreateTableStmt:
		name(n.Cols)
	case *ast.AlterTableStmt:
		for _, spec := range n.Specs {
			name(spec.NewColumns)
		}
	}
}

// typeOf finds the definition of the column, and returns the name of its type in upper case and what follows it. A name
// that is not before a type is a column that is spoken of: a part of a key, the former name in CHANGE.
func typeOf(words []lexeme, column string) (name string, rest []lexeme) {
	for i := 0; i+1 < len(words); i++ {
		if words[i].kind == literal || !strings.EqualFold(words[i].text, column) || words[i+1].kind != bare {
			continue
		}
		name = strings.ToUpper(words[i+1].text)
		if !isTypeName(name) {
			continue
		}
		rest = words[i+2:]
		if name == "DOUBLE" && len(rest) > 0 && strings.EqualFold(rest[0].text, "PRECISION") {
			name, rest = "DOUBLE PRECISION", rest[1:]
		}
		return name, rest
	}
	return "", words
}

// isTypeName reports whether the word is the name of a type that the server has under another name.
func isTypeName(word string) bool {
	return word == "BOOLEAN" || word == "BOOL" || synonym(strings.ToLower(word)) != strings.ToLower(word) || isPlainType(word)
}

// isPlainType reports whether the word is the server's own name of a type.
func isPlainType(word string) bool {
	switch word {
	case "TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL", "BIT", "YEAR", "DATE", "TIME", "DATETIME", "TIMESTAMP", "CHAR",
		"VARCHAR", "BINARY", "VARBINARY", "TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT", "TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB", "ENUM", "SET", "JSON",
		"VECTOR", "NATIONAL", "LONG", "SERIAL":
		return true
	}
	return false
}

// lexeme is a part of a statement. Quotes are off.
type lexeme struct {
	kind lexemeKind
	text string
}

type lexemeKind int

const (
	bare    lexemeKind = iota // a word
	quoted                    // a name in quotes
	literal                   // a string, a sign
)

// lex takes a statement apart, without comments. What stands between double quotes is a name: where it is a string, it is
// not before a type.
func lex(sql string) (out []lexeme) {
	for sql != "" {
		switch {
		case strings.HasPrefix(sql, "/*!"): // code
			sql = strings.TrimLeft(sql[3:], "0123456789")
		case strings.HasPrefix(sql, "*/"):
			sql = sql[2:]
		case strings.HasPrefix(sql, "/*"):
			_, sql, _ = strings.Cut(sql[2:], "*/")
		case strings.HasPrefix(sql, "-- "), sql[0] == '#':
			_, sql, _ = strings.Cut(sql, "\n")
		case sql[0] == '`' || sql[0] == '"':
			text, rest, _ := between(sql, sql[0] == '"')
			out, sql = append(out, lexeme{quoted, text}), rest
		case sql[0] == '\'':
			text, rest, _ := between(sql, true)
			out, sql = append(out, lexeme{literal, text}), rest
		default:
			name, rest, ok := identifier(sql)
			if !ok {
				name, rest = sql[:1], sql[1:]
				if strings.TrimSpace(name) != "" {
					out = append(out, lexeme{literal, name})
				}
			} else {
				out = append(out, lexeme{bare, name})
			}
			sql = rest
		}
	}
	return out
}
