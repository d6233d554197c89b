package mysql

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicehub/sluice/connectors/cdc"
)

// column is a column as a table's definition has it.
type column struct {
	Name string `json:"name"`
	// Type is the type's name in lower case, without what follows it: "int", "varchar".
	Type     string `json:"type"`
	Length   int    `json:"length"` // or precision, or digits of a fraction of a second; -1 is none
	Scale    int    `json:"scale"`  // -1 is none
	Unsigned bool   `json:"unsigned,omitempty"`
	Zerofill bool   `json:"zerofill,omitempty"`
	// Word is the type as the statement had it that made the column, if that is another name: INTEGER, BOOLEAN.
	Word string `json:"word,omitempty"`
	// Labels are those of an enum or set.
	Labels    []string `json:"labels,omitempty"`
	Charset   string   `json:"charset,omitempty"` // of text; "" of anything else
	NotNull   bool     `json:"notNull,omitempty"`
	Increment bool     `json:"increment,omitempty"`
	Generated bool     `json:"generated,omitempty"`
	// Default is the constant, nil if there is none. CURRENT_TIMESTAMP is the epoch, as Debezium shows it.
	Default *string `json:"default,omitempty"`
	Comment string  `json:"comment,omitempty"`

	was string // the name before the statement that is being applied
}

// index is a unique index, of columns or of the begins of columns; the primary key is called PRIMARY.
type index struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
}

const primary = "PRIMARY"

// definition is a table as CREATE TABLE and what followed have made it. It is never changed once it is shared.
type definition struct {
	Charset string   `json:"charset,omitempty"` // of columns that name none
	Columns []column `json:"columns"`
	Unique  []index  `json:"unique,omitempty"`
	Comment string   `json:"comment,omitempty"`
	// Versioned: MariaDB keeps the former versions of its rows.
	Versioned bool `json:"versioned,omitempty"`
}

func (d *definition) clone() *definition {
	c := *d
	c.Columns, c.Unique = slices.Clone(d.Columns), slices.Clone(d.Unique)
	for i := range c.Unique {
		c.Unique[i].Columns = slices.Clone(c.Unique[i].Columns)
	}
	return &c
}

// sameDefinition reports whether two definitions say the same.
func sameDefinition(a, b *definition) bool {
	column := func(x, y column) bool {
		return x.Name == y.Name && x.Type == y.Type && x.Length == y.Length && x.Scale == y.Scale && x.Unsigned == y.Unsigned && x.isFlag() == y.isFlag() && slices.Equal(x.Labels, y.Labels) &&
			x.Charset == y.Charset && x.NotNull == y.NotNull && x.Comment == y.Comment && (x.Default == nil) == (y.Default == nil) && (x.Default == nil || *x.Default == *y.Default)
	}
	return a.Versioned == b.Versioned && slices.EqualFunc(a.Columns, b.Columns, column) &&
		slices.EqualFunc(a.Unique, b.Unique, func(x, y index) bool { return x.Name == y.Name && slices.Equal(x.Columns, y.Columns) })
}

func (d *definition) find(name string) int {
	return slices.IndexFunc(d.Columns, func(c column) bool { return strings.EqualFold(c.Name, name) })
}

// primaryKey returns the names of the primary key's columns.
func (d *definition) primaryKey() []string {
	for _, u := range d.Unique {
		if u.Name == primary {
			return u.Columns
		}
	}
	return nil
}

// key returns the names of the key's columns: the configured ones, else those of naturalKey.
func (d *definition) key(name cdc.Table, keys cdc.KeyColumns) []string {
	columns := make([]string, len(d.Columns))
	for i := range d.Columns {
		columns[i] = d.Columns[i].Name
	}
	if k := keys.For(name.String(), columns); k != nil {
		return k
	}
	return d.naturalKey()
}

// naturalKey returns the columns of the primary key, else of the first unique index whose columns are all NOT NULL.
func (d *definition) naturalKey() []string {
	if k := d.primaryKey(); k != nil {
		return k
	}
	nullable := func(name string) bool {
		i := d.find(name)
		return i < 0 || !d.Columns[i].NotNull
	}
	for _, u := range d.Unique {
		if !slices.ContainsFunc(u.Columns, nullable) {
			return u.Columns
		}
	}
	return nil
}

// synonyms are other names of types.
func synonym(name string) string {
	switch name {
	case "integer", "int4":
		return "int"
	case "int1":
		return "tinyint"
	case "int2":
		return "smallint"
	case "int3", "middleint":
		return "mediumint"
	case "int8":
		return "bigint"
	case "numeric", "dec", "fixed":
		return "decimal"
	case "real", "float8":
		return "double"
	case "float4":
		return "float"
	case "nchar", "character":
		return "char"
	case "nvarchar":
		return "varchar"
	case "geomcollection":
		return "geometrycollection"
	}
	return name
}

// setType reads a type as COLUMN_TYPE of the catalog prints it: int unsigned, decimal(12,2), enum('a','it”s').
func (c *column) setType(text string) error {
	text = strings.TrimSpace(text)
	end := strings.IndexAny(text, "( ")
	if end < 0 {
		end = len(text)
	}
	c.Type, c.Length, c.Scale, c.Labels = synonym(strings.ToLower(text[:end])), -1, -1, nil
	rest := strings.TrimSpace(text[end:])
	if strings.HasPrefix(rest, "(") {
		var err error
		if rest, err = c.setArguments(rest[1:]); err != nil {
			return fmt.Errorf("type %q: %w", text, err)
		}
	}
	for _, word := range strings.Fields(strings.ToLower(rest)) {
		c.Unsigned = c.Unsigned || word == "unsigned" || word == "zerofill"
		c.Zerofill = c.Zerofill || word == "zerofill"
	}
	switch {
	case c.Type == "boolean" || c.Type == "bool":
		c.Type, c.Length = "tinyint", 1
	case c.Type == "decimal" && c.Length < 0:
		c.Length, c.Scale = 10, 0
	case c.Type == "decimal" && c.Scale < 0:
		c.Scale = 0
	case (c.Type == "char" || c.Type == "binary" || c.Type == "bit") && c.Length < 0:
		c.Length = 1
	case c.Type == "vector" && c.Length < 0:
		c.Length = 2048
	case c.Type == "float" && c.Scale < 0 && c.Length > 24:
		c.Type = "double"
	}
	return nil
}

// setArguments reads what stands between parentheses, and returns what follows them.
func (c *column) setArguments(s string) (rest string, err error) {
	var numbers []int
	for {
		s = strings.TrimLeft(s, " ,")
		switch {
		case s == "":
			return "", fmt.Errorf("no closing parenthesis")
		case s[0] == ')':
			if len(numbers) > 0 {
				c.Length = numbers[0]
			}
			if len(numbers) > 1 {
				c.Scale = numbers[1]
			}
			return s[1:], nil
		case s[0] == '\'':
			label, after, ok := unquote(s[1:])
			if !ok {
				return "", fmt.Errorf("no closing quote")
			}
			c.Labels, s = append(c.Labels, label), after
		default:
			end := strings.IndexAny(s, ",)")
			if end < 0 {
				return "", fmt.Errorf("no closing parenthesis")
			}
			n, err := strconv.Atoi(strings.TrimSpace(s[:end]))
			if err != nil {
				return "", err
			}
			numbers, s = append(numbers, n), s[end:]
		}
	}
}

// unquote reads up to the closing quote, which is doubled inside, and returns what follows it.
func unquote(s string) (text, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\'' && i+1 < len(s) && s[i+1] == '\'':
			i++
			b.WriteByte('\'')
		case s[i] == '\'':
			return b.String(), s[i+1:], true
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}

// isText reports whether values are text in the column's character set.
func (c *column) isText() bool {
	switch c.Type {
	case "char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set":
		return true
	}
	return false
}

// isFlag reports whether the column was made as a BOOLEAN, by a statement in the log. The server has a tinyint(1) then.
func (c *column) isFlag() bool {
	return c.Type == "tinyint" && (c.Word == "BOOLEAN" || c.Word == "BOOL")
}

// digits are those of a fraction of a second.
func (c *column) digits() int { return max(c.Length, 0) }

// quote quotes an identifier.
func quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// quoteTable quotes the name of a table.
func quoteTable(t cdc.Table) string { return quote(t.Schema) + "." + quote(t.Name) }

// quoteText quotes a literal, for a session with any sql_mode.
func quoteText(s string) string {
	return "'" + strings.ReplaceAll(strings.ReplaceAll(s, `\`, `\\`), "'", "''") + "'"
}
