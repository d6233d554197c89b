package jdbc

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/sluicehub/sluice/connectors/sqldb"
)

// postgres is the dialect of PostgreSQL. A cell is a value in the binary form of its wire type (see wireTypes), which
// depends on the record's schema alone; the server casts it to the column's type.
type postgres struct {
	config *pgconn.Config
}

func (d *postgres) connect(ctx context.Context) (conn, error) {
	c, err := pgconn.ConnectConfig(ctx, d.config)
	if err != nil {
		return nil, err
	}
	p := &postgresConn{conn: c, staged: map[int]bool{}, used: map[int]bool{}, statements: map[int]*postgresStatements{}}
	if err = p.detectPooler(ctx); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (*postgres) fold(name string) string    { return strings.ToLower(name) }
func (*postgres) stored(name string) string  { return clipped(name) }
func (*postgres) quote(name string) string   { return sqldb.Quoted(`"`, name) }
func (*postgres) literal(text string) string { return sqldb.Quoted("'", text) }
func (*postgres) tableOptions() string       { return "" }
func (*postgres) checkNow() string           { return "SET CONSTRAINTS ALL IMMEDIATE" }
func (*postgres) claim(values string) string { return claimOnConflict(values) }

// clipped returns the characters of a name that are whole within 63 bytes (PostgreSQL's NAMEDATALEN - 1).
func clipped(name string) string {
	end := min(len(name), 63)
	for end < len(name) && !utf8.RuneStart(name[end]) {
		end--
	}
	return name[:end]
}

// claimOnConflict is the claim of PostgreSQL and SQLite.
func claimOnConflict(values string) string {
	return "INSERT INTO " + offsetsTable + " (connector, topic, part, slot, epoch, next_offset) VALUES " + values +
		" ON CONFLICT (connector, topic, part, slot) DO UPDATE SET epoch = " + offsetsTable + ".epoch + 1"
}

func (d *postgres) columnType(t *typed, _ bool) string {
	switch t.meaning {
	case meansBool:
		return "boolean"
	case meansInt:
		return map[int]string{8: "smallint", 16: "smallint", 32: "integer", 64: "bigint"}[t.bits]
	case meansFloat32:
		return "real"
	case meansFloat64:
		return "double precision"
	case meansBytes, meansWKB:
		return "bytea"
	case meansDecimal:
		if t.scale >= 0 && t.precision >= t.scale && t.precision > 0 && t.precision <= 1000 {
			return fmt.Sprintf("numeric(%d,%d)", t.precision, t.scale)
		}
		return "numeric"
	case meansDate:
		return "date"
	case meansTime:
		return "time" + digits(t.perSecond)
	case meansTimestamp:
		return "timestamp" + digits(t.perSecond)
	case meansZonedTimestamp:
		return "timestamptz"
	case meansZonedTime:
		return "timetz"
	case meansJSON:
		return "json"
	case meansXML:
		return "xml"
	case meansUUID:
		return "uuid"
	case meansTsvector:
		return "tsvector"
	case meansInterval, meansDuration:
		return "interval"
	case meansYear:
		return "integer"
	case meansBits:
		if t.length > 0 {
			return fmt.Sprintf("bit varying(%d)", t.length)
		}
		return "bit varying"
	case meansPoint:
		return "point"
	case meansArray:
		if inner := d.columnType(t.elem, false); t.elem.meaning == meansArray {
			return inner
		} else {
			return inner + "[]"
		}
	}
	return "text"
}

// digits is the precision of a temporal column that holds units of so many in a second.
func digits(perSecond int) string {
	if perSecond == 1000 {
		return "(3)"
	}
	return "" // microseconds, which is all there is
}

// Days and microseconds from 1970-01-01 to 2000-01-01, which PostgreSQL counts from.
const (
	postgresDays   = 10957
	postgresMicros = postgresDays * microsPerDay
)

// appendCell appends the binary form of the value's wire type.
func (d *postgres) appendCell(dst []byte, t *typed, v scalar) ([]byte, error) {
	be := binary.BigEndian
	switch t.meaning {
	case meansBool:
		return append(dst, byte(v.i)), nil
	case meansInt:
		switch t.bits {
		case 8, 16:
			return be.AppendUint16(dst, uint16(v.i)), nil
		case 32:
			return be.AppendUint32(dst, uint32(v.i)), nil
		}
		return be.AppendUint64(dst, uint64(v.i)), nil
	case meansYear:
		return be.AppendUint32(dst, uint32(v.i)), nil
	case meansFloat32:
		return be.AppendUint32(dst, math.Float32bits(float32(v.f))), nil
	case meansFloat64:
		return be.AppendUint64(dst, math.Float64bits(v.f)), nil
	case meansDate:
		if v.i == endOfTime || v.i >= endOfDays {
			return be.AppendUint32(dst, math.MaxInt32), nil
		}
		if v.i == startOfTime || v.i <= startOfDays {
			return be.AppendUint32(dst, 1<<31), nil
		}
		return be.AppendUint32(dst, uint32(v.i-postgresDays)), nil
	case meansTime:
		return be.AppendUint64(dst, uint64(v.i)), nil
	case meansTimestamp, meansZonedTimestamp:
		switch v.i {
		case endOfTime:
			return be.AppendUint64(dst, math.MaxInt64), nil
		case startOfTime:
			return be.AppendUint64(dst, 1<<63), nil
		}
		return be.AppendUint64(dst, uint64(v.i-postgresMicros)), nil
	case meansDuration:
		return fmt.Appendf(dst, "%d microseconds", v.i), nil
	case meansPoint:
		return fmt.Appendf(dst, "(%v,%v)", v.x, v.y), nil
	case meansArray:
		return appendArrayText(dst, t, v.b)
	}
	return append(dst, v.b...), nil
}

// constant implements dialect: the literal takes the column's type.
func (d *postgres) constant(t *typed, v scalar) (string, error) {
	if name, _ := wireType(t); name == "text" {
		text, err := d.appendCell(nil, t, v)
		return d.literal(string(text)), err
	}
	text, err := t.appendText(nil, v, 6)
	return d.literal(string(text)), err
}

// verdict implements dialect, by SQLSTATE (PostgreSQL's documentation, appendix A).
func (*postgres) verdict(err error) verdict {
	var pe *pgconn.PgError
	if !errors.As(err, &pe) {
		var config *pgconn.ParseConfigError
		if errors.As(err, &config) {
			return unknownError
		}
		return passing // the connection, or what was on the way to it
	}
	switch pe.Code {
	case "55P03", "25006", "25P03", "25P04": // locks, a standby, what ends a session that waits in a transaction
		return passing
	case "42P01", "42703", "42804":
		return staleTable
	case "42501", "3D000", "3F000":
		return refusedUser
	}
	switch pe.Code[:2] {
	case "08", "40", "53", "57", "58", "XX": // 57 is a shutdown, a timeout of a statement or of an idle session
		return passing
	case "21", "22", "23", "44", "54", "P0": // 44 is a view's check, 54 too long for an index, P0 what a trigger raises
		return refusedRow
	case "28":
		return refusedUser
	}
	return unknownError
}

func (*postgres) describe(ctx context.Context, c conn, name tableName) (described, error) {
	of := (&postgres{}).literal(qualified(&postgres{}, name))
	rows, err := c.query(ctx, `SELECT a.attname, pg_catalog.format_type(a.atttypid, -1),
		a.attnotnull AND NOT a.atthasdef AND a.attidentity = '', a.attgenerated <> ''
		FROM pg_catalog.pg_attribute a WHERE a.attrelid = pg_catalog.to_regclass(`+of+`) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`)
	if err != nil {
		return described{}, err
	}
	var out described
	for _, row := range rows {
		out.columns = append(out.columns, target{name: row[0], sqlType: row[1], required: row[2] == "t", computed: row[3] == "t"})
	}
	return out, nil
}
