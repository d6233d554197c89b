package jdbc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/sqldb"
)

// mysqlStatementBytes is how long a statement of many rows gets, unless the server takes less. Measured: the server spends
// a sixth more on each row if a statement has a megabyte, and no less if it has 20 KiB.
const mysqlStatementBytes = 128 << 10

// mysqlConn is a connection to MySQL or MariaDB. Rows are written by statements of many rows, with their values as
// literals: one round trip, and nothing to prepare.
type mysqlConn struct {
	textConn
	packet  int  // what a statement may be long
	aliased bool // VALUES may have a name, and VALUES() is on its way out (MySQL 8.0.20)
	text    []byte
	// zoneless is the zone that the session should be in, and that the server does not know.
	zoneless string
}

// setZone puts the session into the zone of the literals, which the server reads in it for columns of the type timestamp.
// Most servers know no zones by name. For the other types it does not matter.
func (c *mysqlConn) setZone(ctx context.Context, zone string) error {
	_, err := c.exec(ctx, "SET SESSION time_zone = "+sqldb.Quoted("'", zone))
	var me *mysql.MySQLError
	if errors.As(err, &me) && me.Number == 1298 { // ER_UNKNOWN_TIME_ZONE
		c.zoneless = zone
		return nil
	}
	return err
}

// noZone is the error of a column whose values would be of another zone than they say.
func (c *mysqlConn) noZone(column string) error {
	return &connectors.Error{Op: "describe a table", Class: connectors.ClassConfig,
		Err:    fmt.Errorf("column %s is a timestamp, which the server reads in the session's zone, and it does not know %s", column, c.zoneless),
		Remedy: "load the zones into the server (mysql_tzinfo_to_sql /usr/share/zoneinfo), make the column a datetime, or leave db.timezone at UTC"}
}

// ask asks the server what it is and what it takes.
func (c *mysqlConn) ask(ctx context.Context) error {
	rows, err := c.query(ctx, "SELECT @@version, @@max_allowed_packet")
	if err != nil {
		return err
	}
	c.packet = mysqlStatementBytes
	if n, err := strconv.Atoi(rows[0][1]); err == nil && n > 0 {
		c.packet = min(c.packet, n-1024)
	}
	var major, minor, patch int
	_, err = fmt.Sscanf(rows[0][0], "%d.%d.%d", &major, &minor, &patch)
	c.aliased = err == nil && !strings.Contains(rows[0][0], "MariaDB") && (major > 8 || major == 8 && (minor > 0 || patch >= 20))
	return nil
}

func (c *mysqlConn) write(ctx context.Context, g *group) error {
	switch g.verb {
	case truncateTable: // TRUNCATE would commit
		_, err := c.exec(ctx, "DELETE FROM "+g.shape.table.quoted)
		return err
	case updateRows, patchRows:
		return c.update(ctx, g)
	case deleteRows:
		of := g.shape
		head := "DELETE FROM " + of.table.quoted + " WHERE (" + c.names(of.columns) + ") IN ("
		return c.many(ctx, g, g.rows, head, ")")
	}
	tail := ""
	if g.verb == upsertRows {
		var err error
		if tail, err = c.onDuplicate(g.shape); err != nil {
			return err
		}
	}
	return c.many(ctx, g, g.rows, c.insert(g.shape), tail)
}

func (*mysqlConn) names(columns []column) string {
	return list(columns, ", ", func(_ int, c *column) string { return sqldb.Quoted("`", c.target.name) })
}

func (c *mysqlConn) insert(of *shape) string {
	return "INSERT INTO " + of.table.quoted + " (" + c.names(of.columns) + ") VALUES "
}

// onDuplicate is the end of an upsert. It is run for a row that is there under any unique index. If that is not the
// key's alone, the row may be another one: then its key is set to null, which is refused.
func (c *mysqlConn) onDuplicate(of *shape) (string, error) {
	keyed, others := false, false
	for _, unique := range of.table.uniques {
		same := len(unique) == of.keys && !slices.ContainsFunc(of.columns[:of.keys], func(k column) bool { return !slices.Contains(unique, k.target.name) })
		keyed, others = keyed || same, others || !same
	}
	if !keyed {
		return "", &connectors.Error{Op: "write to " + of.table.quoted, Class: connectors.ClassConfig,
			Err:    fmt.Errorf("no primary key or unique index is on exactly %s, so an upsert would insert the same row again and again", c.names(of.columns[:of.keys])),
			Remedy: "ALTER TABLE " + of.table.quoted + " ADD PRIMARY KEY (" + c.names(of.columns[:of.keys]) + ")"}
	}
	alias, given := "", func(k *column) string { return "VALUES(" + sqldb.Quoted("`", k.target.name) + ")" }
	if c.aliased {
		alias, given = " AS _sluice", func(k *column) string { return "_sluice." + sqldb.Quoted("`", k.target.name) }
	}
	there := func(k *column) string { return of.table.quoted + "." + sqldb.Quoted("`", k.target.name) }
	first := &of.columns[0]
	set := sqldb.Quoted("`", first.target.name) + " = " + there(first)
	if others {
		same := list(of.columns[:of.keys], " AND ", func(_ int, k *column) string { return there(k) + " <=> " + given(k) })
		set = sqldb.Quoted("`", first.target.name) + " = IF(" + same + ", " + there(first) + ", NULL)"
	}
	rest := list(of.columns[of.keys:], ", ", func(_ int, k *column) string { return sqldb.Quoted("`", k.target.name) + " = " + given(k) })
	switch {
	case rest != "" && others:
		set += ", " + rest
	case rest != "":
		set = rest
	}
	return alias + " ON DUPLICATE KEY UPDATE " + set, nil
}

// many writes rows by statements as long as the server takes them.
func (c *mysqlConn) many(ctx context.Context, g *group, rows []*row, head, tail string) error {
	for len(rows) > 0 {
		text := append(c.text[:0], head...)
		n := 0
		for ; n < len(rows); n++ {
			before := len(text)
			if n > 0 {
				text = append(text, ',')
			}
			text = appendTuple(text, g.arena[rows[n].start:rows[n].end])
			if n > 0 && len(text)+len(tail) > c.packet {
				text = text[:before]
				break
			}
		}
		text = append(text, tail...)
		c.text = text
		if _, err := c.exec(ctx, string(text)); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// appendTuple appends the literals of a row in parentheses.
func appendTuple(dst, cells []byte) []byte {
	dst = append(dst, '(')
	for first := true; len(cells) > 0; first = false {
		if !first {
			dst = append(dst, ',')
		}
		var cell []byte
		cell, cells = nextCell(cells)
		dst = appendLiteral(dst, cell)
	}
	return append(dst, ')')
}

func appendLiteral(dst, cell []byte) []byte {
	if cell == nil {
		return append(dst, "NULL"...)
	}
	return append(dst, cell...)
}

// update writes rows one by one: those that are there, and of patched ones those that are not.
func (c *mysqlConn) update(ctx context.Context, g *group) error {
	of := g.shape
	for i, r := range g.rows {
		set, where := []byte("UPDATE "+of.table.quoted+" SET "), []byte(" WHERE ")
		cells := g.arena[r.start:r.end]
		for j := range of.columns {
			var cell []byte
			cell, cells = nextCell(cells)
			name := sqldb.Quoted("`", of.columns[j].target.name) + " = "
			if j < of.keys {
				if j > 0 {
					where = append(where, " AND "...)
				}
				where = appendLiteral(append(where, name...), cell)
			}
			if j < of.keys && len(of.columns) > of.keys {
				continue
			}
			if !bytes.HasSuffix(set, []byte(" SET ")) {
				set = append(set, ", "...)
			}
			set = appendLiteral(append(set, name...), cell)
		}
		n, err := c.exec(ctx, string(append(set, where...)))
		if err != nil {
			return err
		}
		if n > 0 || g.verb == updateRows {
			continue
		}
		if err := c.many(ctx, g, g.rows[i:i+1], c.insert(of), ""); err != nil {
			return err
		}
	}
	return nil
}
