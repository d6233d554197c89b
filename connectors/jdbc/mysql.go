package jdbc

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/sluicehub/sluice/connectors/sqldb"
)

// mysqlDialect is the dialect of MySQL and MariaDB. A cell is a literal of SQL.
type mysqlDialect struct {
	configs []*mysql.Config // of each host
	maria   bool
	zone    *time.Location // of instants in columns without one; nil is UTC
}

// mysqlSession makes a session in which literals mean what appendCell writes, and lanes lock no more than their rows.
func mysqlSession() []string {
	return []string{"SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO'",
		"SET SESSION time_zone = '+00:00'", "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"}
}

func (d *mysqlDialect) connect(ctx context.Context) (conn, error) {
	var errs []error
	for _, config := range d.configs {
		c, err := d.connectTo(ctx, config)
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func (d *mysqlDialect) connectTo(ctx context.Context, config *mysql.Config) (conn, error) {
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	m := &mysqlConn{textConn: textConn{db: db, conn: c}}
	if _, err = m.exec(ctx, mysqlSession()...); err == nil {
		err = m.ask(ctx)
	}
	if err == nil && d.zone != nil {
		err = m.setZone(ctx, d.zone.String())
	}
	if err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

func (*mysqlDialect) fold(name string) string    { return name }
func (*mysqlDialect) stored(name string) string  { return name }
func (*mysqlDialect) quote(name string) string   { return sqldb.Quoted("`", name) }
func (*mysqlDialect) literal(text string) string { return sqldb.Quoted("'", text) }
func (*mysqlDialect) checkNow() string           { return "" }
func (*mysqlDialect) claim(values string) string {
	return "INSERT INTO " + offsetsTable + " (connector, topic, part, slot, epoch, next_offset) VALUES " + values + " ON DUPLICATE KEY UPDATE epoch = epoch + 1"
}

// keyCollation compares keys as the source does: byte by byte, blanks at the end included.
func (d *mysqlDialect) keyCollation() string {
	if d.maria {
		return " CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"
	}
	return " CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin"
}

func (d *mysqlDialect) tableOptions() string { return d.keyCollation() }

// Longest bit string and number that MySQL has columns for.
const (
	mysqlBits      = 64
	mysqlPrecision = 65
	mysqlScale     = 30
)

func (d *mysqlDialect) columnType(t *typed, key bool) string {
	text := "longtext"
	if key {
		text = "varchar(255)" + d.keyCollation()
	}
	switch t.meaning {
	case meansBool:
		return "boolean"
	case meansInt:
		return map[int]string{8: "tinyint", 16: "smallint", 32: "int", 64: "bigint"}[t.bits]
	case meansYear:
		return "smallint" // the type year holds 1901 to 2155
	case meansDuration:
		return "bigint"
	case meansFloat32:
		return "float"
	case meansFloat64:
		return "double"
	case meansBytes, meansWKB:
		if key {
			return "varbinary(255)"
		}
		return "longblob"
	case meansDecimal:
		if t.scale < 0 || t.scale > mysqlScale || t.precision > mysqlPrecision {
			return text // exact, where a number would be rounded
		}
		precision := t.precision
		if precision < max(t.scale, 1) {
			precision = mysqlPrecision
		}
		return fmt.Sprintf("decimal(%d,%d)", precision, t.scale)
	case meansDate:
		return "date"
	case meansTime:
		return "time" + mysqlDigits(t.perSecond)
	case meansTimestamp, meansZonedTimestamp:
		return "datetime" + mysqlDigits(t.perSecond)
	case meansJSON, meansArray:
		return "json"
	case meansUUID:
		return "char(36)" + d.keyCollation()
	case meansBits:
		if t.length > 0 && t.length <= mysqlBits {
			return fmt.Sprintf("bit(%d)", t.length)
		}
	}
	return text
}

func mysqlDigits(perSecond int) string {
	if perSecond == 1000 {
		return "(3)"
	}
	return "(6)"
}

func (d *mysqlDialect) appendCell(dst []byte, t *typed, v scalar) ([]byte, error) {
	switch t.meaning {
	case meansBool, meansInt, meansYear, meansDuration:
		return strconv.AppendInt(dst, v.i, 10), nil
	case meansFloat32, meansFloat64:
		if math.IsNaN(v.f) || math.IsInf(v.f, 0) {
			return dst, errors.New("not a number, or infinite, which this database has no value for")
		}
		// The digits that are enough for a float32 may be a number that is beyond the largest one.
		return strconv.AppendFloat(dst, v.f, 'e', -1, 64), nil
	case meansBytes, meansWKB:
		return append(hex.AppendEncode(append(dst, 'x', '\''), v.b), '\''), nil
	case meansBits:
		if t.length > 0 && t.length <= mysqlBits {
			return append(append(append(dst, 'b', '\''), v.b...), '\''), nil
		}
	case meansDecimal:
		// As text it would be compared as a double; with an exponent it would be one.
		if !strings.ContainsRune(string(v.b), 'E') {
			return append(dst, v.b...), nil
		}
	case meansZonedTimestamp:
		if t.zone != nil {
			v.i = wallClock(v.i, t.zone)
		}
		dst, ok := appendTimestamp(append(dst, '\''), v, 6)
		if !ok {
			return dst, errCalendar
		}
		return append(dst, '\''), nil
	}
	start := len(dst) + 1
	dst, err := t.appendText(append(dst, '\''), v, 6)
	if err != nil {
		return dst, err
	}
	return append(doubleQuotes(dst, start), '\''), nil
}

// constant implements dialect. Types that are kept beside the row take an expression only. Text in one is in
// hexadecimal: the server prints an expression to keep it, and then cannot read the quotes in it.
func (d *mysqlDialect) constant(t *typed, v scalar) (string, error) {
	literal, err := d.appendCell(nil, t, v)
	of := d.columnType(t, false)
	if err != nil || of != "json" && !strings.HasPrefix(of, "long") {
		return string(literal), err
	}
	if literal[0] == '\'' && len(literal) > 2 {
		text := bytes.ReplaceAll(literal[1:len(literal)-1], []byte("''"), []byte("'"))
		return fmt.Sprintf("(CONVERT(x'%x' USING utf8mb4))", text), nil
	}
	return "(" + string(literal) + ")", nil
}

// doubleQuotes doubles the quotes in what begins at start.
func doubleQuotes(dst []byte, start int) []byte {
	n := 0
	for _, b := range dst[start:] {
		if b == '\'' {
			n++
		}
	}
	if n == 0 {
		return dst
	}
	from := len(dst) - 1
	for range n {
		dst = append(dst, 0)
	}
	for to := len(dst) - 1; to > from; to, from = to-1, from-1 {
		dst[to] = dst[from]
		if dst[from] == '\'' {
			to--
			dst[to] = '\''
		}
	}
	return dst
}

// verdict implements dialect, by MySQL's and MariaDB's error numbers.
func (*mysqlDialect) verdict(err error) verdict {
	var me *mysql.MySQLError
	if errors.As(err, &me) {
		return mysqlVerdict(me.Number)
	}
	var ne net.Error
	switch {
	case errors.Is(err, mysql.ErrPktTooLarge):
		return refusedRow
	case errors.Is(err, mysql.ErrInvalidConn), errors.Is(err, driver.ErrBadConn), errors.Is(err, sql.ErrConnDone), errors.Is(err, io.EOF),
		errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.As(err, &ne):
		return passing
	}
	return unknownError
}

func mysqlVerdict(number uint16) verdict {
	switch number {
	case 1205, 1206, 1213, 1614, 1020, 1412, 3101, // locks, and what another transaction, DDL or another node was in the way of
		1021, 1030, 1037, 1041, 1114, 1180, // disk, tables and memory full
		1040, 1047, 1053, 1129, 1152, 1158, 1159, 1160, 1161, 1203, 1226, 1927, 2006, 2013, 4031, // connections, shutdown, a node without its cluster
		1290, 1792, 1836, // read-only
		1317, 1969, 3024: // statements that took too long
		return passing
	case 1022, 1062, 1169, 1048, 1364, 1451, 1452, 1216, 1217, 1644, 3819, 4025, // constraints and triggers
		1264, 1265, 1292, 1300, 1366, 1367, 1406, 1411, 1525, 1690, 3140, 3141, 3156, // values
		1118, 1153: // sizes
		return refusedRow
	case 1054, 1136, 1146:
		return staleTable
	case 1044, 1045, 1049, 1130, 1142, 1143, 1227, 1698, 1820, 1862, 3118:
		return refusedUser
	}
	return unknownError
}

func (d *mysqlDialect) describe(ctx context.Context, c conn, name tableName) (described, error) {
	schema := "DATABASE()"
	if name.schema != "" {
		schema = d.literal(name.schema)
	}
	where := " WHERE table_schema = " + schema + " AND table_name = " + d.literal(name.name)
	rows, err := c.query(ctx, `SELECT column_name, data_type, is_nullable = 'NO' AND column_default IS NULL AND extra NOT LIKE '%auto_increment%',
		extra LIKE '%GENERATED%' AND extra NOT LIKE '%DEFAULT_GENERATED%' FROM information_schema.columns`+where+" ORDER BY ordinal_position")
	if err != nil {
		return described{}, err
	}
	var out described
	for _, row := range rows {
		if m, ok := c.(*mysqlConn); ok && m.zoneless != "" && row[1] == "timestamp" {
			return described{}, m.noZone(row[0])
		}
		out.columns = append(out.columns, target{name: row[0], sqlType: row[1], required: row[2] == "1", computed: row[3] == "1"})
	}
	rows, err = c.query(ctx, "SELECT index_name, column_name FROM information_schema.statistics"+where+" AND non_unique = 0 ORDER BY index_name, seq_in_index")
	last := ""
	for _, row := range rows {
		if row[0] != last {
			last = row[0]
			out.uniques = append(out.uniques, nil)
		}
		i := len(out.uniques) - 1
		out.uniques[i] = append(out.uniques[i], row[1])
	}
	return out, err
}
