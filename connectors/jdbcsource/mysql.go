package jdbcsource

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/sluicehub/sluice/connectors/sqldb"
)

// mysqlDialect is the dialect of MySQL and MariaDB. Answers come in the binary protocol: its text has six digits of a
// float only.
type mysqlDialect struct {
	configs   []*mysql.Config // of each host
	isolation string
}

func (d *mysqlDialect) connect(ctx context.Context) (conn, error) {
	var errs []error
	for _, config := range d.configs {
		connector, err := mysql.NewConnector(config)
		if err != nil {
			return nil, err
		}
		c, err := connector.Connect(ctx)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		m := &driverConn{conn: c}
		// Who reads slowly keeps the server waiting, which gives up after a minute by default.
		session := []string{"SET SESSION time_zone = '+00:00'", "SET SESSION net_write_timeout = 3600"}
		if d.isolation != "" {
			session = append(session, "SET SESSION TRANSACTION ISOLATION LEVEL "+d.isolation)
		}
		if err := m.exec(ctx, session...); err != nil {
			m.close()
			return nil, err
		}
		return &mysqlConn{m}, nil
	}
	return nil, errors.Join(errs...)
}

func (*mysqlDialect) quote(name string) string       { return sqldb.Quoted("`", name) }
func (*mysqlDialect) comparable(stamp string) string { return stamp }
func (*mysqlDialect) exact(at instant) instant       { return at }

func (*mysqlDialect) moment(at instant, _ sqlType) string {
	return string(append(at.appendTo([]byte("TIMESTAMP'"), ' ', 6), '\''))
}

// literal returns text as a literal.
func literal(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", "''").Replace(text) + "'"
}

type mysqlConn struct{ *driverConn }

func (c *mysqlConn) now(ctx context.Context) (instant, error) {
	rows, err := c.ask(ctx, "SELECT CAST(NOW(6) AS CHAR)")
	if err != nil {
		return instant{}, err
	}
	at, _, err := parseInstant([]byte(rows[0][0]))
	return at, err
}

func (c *mysqlConn) tables(ctx context.Context) ([]table, error) {
	rows, err := c.ask(ctx, `SELECT table_schema, table_name, CASE table_type WHEN 'VIEW' THEN 'VIEW' ELSE 'TABLE' END FROM information_schema.tables
		WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED', 'VIEW') AND table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')`)
	var out []table
	for _, r := range rows {
		out = append(out, table{catalog: r[0], name: r[1], kind: r[2]})
	}
	return out, err
}

func (c *mysqlConn) describe(ctx context.Context, q question) ([]column, error) {
	if !q.where {
		return nil, nil
	}
	cursor, err := c.query(ctx, q.sql+nothing, nil)
	if err != nil {
		return nil, err
	}
	columns := cursor.columns()
	if _, err := cursor.next(); err != io.EOF {
		return nil, errors.Join(err, cursor.close())
	}
	if err := cursor.close(); err != nil || q.table == nil {
		return columns, err
	}
	rows, err := c.ask(ctx, `SELECT column_name, extra LIKE '%auto_increment%', COALESCE(numeric_precision, 0) FROM information_schema.columns
		WHERE table_schema = `+literal(q.table.catalog)+" AND table_name = "+literal(q.table.name))
	for _, r := range rows {
		if of := find(columns, r[0]); of != nil {
			of.numbered = r[1] == "1"
			if of.sized() {
				of.precision, _ = strconv.Atoi(r[2])
			}
		}
	}
	return columns, err
}

func (c *mysqlConn) query(ctx context.Context, sql string, described []column) (cursor, error) {
	return c.open(ctx, sql, func(rows driver.Rows, i int) column {
		out := mysqlColumn(rows, i)
		if known := find(described, out.name); known != nil && out.sized() && known.precision > 0 {
			out.precision = known.precision
		}
		return out
	})
}

// sized reports whether an answer does not tell the precision (of bits), or not for sure (of unsigned decimals).
func (c *column) sized() bool { return c.typ == sqlBits || c.typ == sqlDecimal }

// mysqlColumn returns what the answer tells of a column.
func mysqlColumn(rows driver.Rows, i int) column {
	c := column{name: rows.Columns()[i], nullable: true}
	if r, ok := rows.(driver.RowsColumnTypeDatabaseTypeName); ok {
		c.native = r.ColumnTypeDatabaseTypeName(i)
	}
	if r, ok := rows.(driver.RowsColumnTypeNullable); ok {
		nullable, known := r.ColumnTypeNullable(i)
		c.nullable = nullable || !known
	}
	name, unsigned := strings.CutPrefix(c.native, "UNSIGNED ")
	integer := func(bits int) {
		c.typ, c.bits = sqlInt, bits
		if unsigned && bits < 64 {
			c.bits *= 2
		}
	}
	switch name {
	case "TINYINT":
		integer(8)
	case "SMALLINT":
		integer(16)
	case "MEDIUMINT", "INT":
		integer(32)
	case "BIGINT":
		integer(64)
	case "FLOAT":
		c.typ = sqlFloat32
	case "DOUBLE":
		c.typ = sqlFloat64
	case "DECIMAL":
		c.typ = sqlDecimal
		if r, ok := rows.(driver.RowsColumnTypePrecisionScale); ok {
			precision, scale, _ := r.ColumnTypePrecisionScale(i)
			c.precision, c.scale = int(min(precision, math.MaxInt32)), int(min(scale, math.MaxInt32))
		}
	case "CHAR", "VARCHAR", "TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT", "ENUM", "SET", "JSON":
		c.typ = sqlText
	case "BINARY", "VARBINARY", "TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB", "GEOMETRY", "VECTOR":
		c.typ = sqlBytes
	case "BIT":
		c.typ = sqlBits
	case "DATE":
		c.typ = sqlDate
	case "YEAR":
		c.typ = sqlYear
	case "TIME":
		c.typ = sqlTime
	case "DATETIME":
		c.typ = sqlTimestamp
	case "TIMESTAMP":
		c.typ = sqlZonedTimestamp
	}
	return c
}
