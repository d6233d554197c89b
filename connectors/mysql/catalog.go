package mysql

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sluicehub/sluice/connectors/cdc"
)

// catalog reads the definitions of tables as they are now, which may be later than the log.
type catalog struct {
	s      *settings
	conn   *session
	server *server
}

// entry is a table as the catalog has it.
type entry struct {
	name cdc.Table
	// clustered says that rows lie in the order of the primary key.
	clustered bool
	def       *definition
}

const tablesSQL = `SELECT TABLE_SCHEMA, TABLE_NAME, COALESCE(ENGINE, '') FROM information_schema.TABLES
WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND TABLE_SCHEMA NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')
ORDER BY CAST(TABLE_SCHEMA AS BINARY), CAST(TABLE_NAME AS BINARY)`

// tables returns the tables that captures allows, in the order of their names, without definitions.
func (c *catalog) tables(ctx context.Context, captures func(cdc.Table) bool) ([]*entry, error) {
	ctx, cancel := c.s.queryContext(ctx)
	defer cancel()
	rows, err := c.conn.query(ctx, tablesSQL)
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	var out []*entry
	for _, r := range rows {
		e := &entry{name: cdc.Table{Schema: r[0], Name: r[1]}, clustered: r[2] == "InnoDB"}
		if captures(e.name) {
			out = append(out, e)
		}
	}
	return out, nil
}

// rows returns about how many rows a table has now, as its engine counts them: what MySQL has in the catalog may be of a day
// before (information_schema_stats_expiry).
func (c *catalog) rows(ctx context.Context, name cdc.Table) (float64, error) {
	r, err := c.conn.query(ctx, fmt.Sprintf("SELECT COALESCE(TABLE_ROWS, 0) FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s", quoteText(name.Schema), quoteText(name.Name)))
	if err != nil || len(r) == 0 {
		return 0, err
	}
	return strconv.ParseFloat(r[0][0], 64)
}

const columnsSQL = `SELECT COLUMN_NAME, COLUMN_TYPE, COALESCE(CHARACTER_SET_NAME, ''), IS_NULLABLE, COLUMN_DEFAULT IS NULL, COALESCE(COLUMN_DEFAULT, ''), EXTRA, COLUMN_COMMENT,
  GENERATION_EXPRESSION IS NOT NULL AND GENERATION_EXPRESSION <> '' FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION`

const tableSQL = `SELECT COALESCE(c.CHARACTER_SET_NAME, ''), t.TABLE_COMMENT, t.TABLE_TYPE = 'SYSTEM VERSIONED' FROM information_schema.TABLES t
LEFT JOIN information_schema.COLLATIONS c ON c.COLLATION_NAME = t.TABLE_COLLATION WHERE t.TABLE_SCHEMA = %s AND t.TABLE_NAME = %s`

// define reads the definition of a table, nil if there is none.
func (c *catalog) define(ctx context.Context, name cdc.Table) (*definition, error) {
	ctx, cancel := c.s.queryContext(ctx)
	defer cancel()
	query := func(sql string) ([][]string, error) {
		rows, err := c.conn.query(ctx, fmt.Sprintf(sql, quoteText(name.Schema), quoteText(name.Name)))
		if err != nil {
			return nil, fmt.Errorf("read the definition of %s: %w", name, err)
		}
		return rows, nil
	}
	head, err := query(tableSQL)
	if err != nil || len(head) == 0 {
		return nil, err
	}
	def := &definition{Charset: head[0][0], Comment: head[0][1], Versioned: head[0][2] == "1"}
	rows, err := query(columnsSQL)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		col := column{Name: r[0], Charset: r[2], NotNull: r[3] == "NO", Comment: r[7], Generated: r[8] == "1"}
		if err := col.setType(r[1]); err != nil {
			return nil, fmt.Errorf("read the definition of %s, column %s: %w", name, col.Name, err)
		}
		extra := strings.ToLower(r[6])
		col.Increment = strings.Contains(extra, "auto_increment")
		if r[4] == "0" && !col.Generated {
			col.Default = c.s.flavor.constant(&col, r[5], strings.Contains(extra, "default_generated"))
		}
		def.Columns = append(def.Columns, col)
	}
	// It has the indexes as SHOW CREATE TABLE does: the primary key, those on NOT NULL columns, in the order of their
	// making. The catalog's own table has them by name only.
	if rows, err = c.conn.query(ctx, "SHOW INDEX FROM "+quoteTable(name)); err != nil {
		return nil, fmt.Errorf("read the indexes of %s: %w", name, err)
	}
	def.addIndexes(rows)
	return def, nil
}

// addIndexes adds the unique ones of what SHOW INDEX says, which is a row for each part: the table, whether it is not
// unique, the index, the number of the part, the column. A part that is an expression has none, and its index is no key.
func (d *definition) addIndexes(rows [][]string) {
	const notUnique, name, column = 1, 2, 4
	for _, r := range rows {
		if r[notUnique] != "0" {
			continue
		}
		if n := len(d.Unique); n == 0 || d.Unique[n-1].Name != r[name] {
			d.Unique = append(d.Unique, index{Name: r[name]})
		}
		last := &d.Unique[len(d.Unique)-1]
		last.Columns = append(last.Columns, r[column])
	}
	d.Unique = slices.DeleteFunc(d.Unique, func(u index) bool { return slices.Contains(u.Columns, "") })
}

// now is what Debezium shows for a default that is the time of the insert.
const now = "1970-01-01 00:00:00"

// constant returns the default of a column from what the catalog says, nil if it is an expression. MySQL gives the
// constant itself and marks expressions; MariaDB gives SQL.
func (f flavor) constant(c *column, text string, expression bool) *string {
	lower := strings.ToLower(text)
	isNow := strings.HasPrefix(lower, "current_timestamp") || strings.HasPrefix(lower, "now(")
	s := text
	switch {
	case c.Type == "bit" && strings.HasPrefix(lower, "b'"):
		s = bitDigits(s)
	case !f.mariadb && strings.HasSuffix(c.Type, "binary"): // 0x6162
		b, err := hex.DecodeString(strings.TrimPrefix(s, "0x"))
		if err != nil || len(b) == 0 || !utf8.Valid(b) {
			return nil
		}
		s = string(b)
	case isNow:
		s = now
	case f.mariadb && strings.HasPrefix(text, "'"):
		var rest string
		var ok bool
		if s, rest, ok = unquote(text[1:]); !ok || rest != "" {
			return nil
		}
	case f.mariadb && (lower == "null" || !isNumber(text) && !strings.HasPrefix(lower, "b'")):
		return nil
	case expression:
		return nil
	}
	return &s
}

func isNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

// createSQL returns the statement that makes the table.
func (c *catalog) createSQL(ctx context.Context, name cdc.Table) (string, error) {
	ctx, cancel := c.s.queryContext(ctx)
	defer cancel()
	r, err := c.conn.one(ctx, "SHOW CREATE TABLE "+quoteTable(name))
	if err != nil {
		return "", err
	}
	return r[1], nil
}

// databaseCharset returns character set and collation that tables of the database get.
func (c *catalog) databaseCharset(ctx context.Context, name string) (charset, collation string, err error) {
	ctx, cancel := c.s.queryContext(ctx)
	defer cancel()
	r, err := c.conn.query(ctx, "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = "+quoteText(name))
	if err != nil || len(r) == 0 {
		return "utf8mb4", "", err
	}
	return r[0][0], r[0][1], nil
}
