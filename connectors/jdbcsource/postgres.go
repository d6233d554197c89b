package jdbcsource

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/sluicehub/sluice/connectors/sqldb"
)

// postgres is the dialect of PostgreSQL. Values come as text.
type postgres struct {
	config    *pgconn.Config
	isolation string
}

func (d *postgres) connect(ctx context.Context) (conn, error) {
	c, err := pgconn.ConnectConfig(ctx, d.config)
	if err != nil {
		return nil, err
	}
	p := &postgresConn{conn: c}
	session := "SET extra_float_digits = 3; SET bytea_output = 'hex'; SET lc_monetary = 'C'"
	if d.isolation != "" {
		session += "; SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL " + d.isolation
	}
	if _, err := p.ask(ctx, session); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (*postgres) quote(name string) string       { return sqldb.Quoted(`"`, name) }
func (*postgres) comparable(stamp string) string { return stamp }
func (*postgres) exact(at instant) instant       { return at }

func (*postgres) moment(at instant, of sqlType) string {
	text := at.appendTo([]byte{'\''}, ' ', 6)
	if of == sqlZonedTimestamp {
		text = append(text, "+00"...)
	}
	return string(append(text, '\''))
}

type postgresConn struct{ conn *pgconn.PgConn }

// goodbye is how long the end of a connection may take.
const goodbye = 5 * time.Second

func (c *postgresConn) close() {
	ctx, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	_ = c.conn.Close(ctx) // the connection is gone either way
	<-c.conn.CleanupDone()
}

// ask returns the answer to the last of the statements as text; null is empty.
func (c *postgresConn) ask(ctx context.Context, statements string) ([][]string, error) {
	results, err := c.conn.Exec(ctx, statements).ReadAll()
	if err != nil || len(results) == 0 {
		return nil, err
	}
	var out [][]string
	for _, row := range results[len(results)-1].Rows {
		texts := make([]string, len(row))
		for i, v := range row {
			texts[i] = string(v)
		}
		out = append(out, texts)
	}
	return out, nil
}

func (c *postgresConn) now(ctx context.Context) (instant, error) {
	rows, err := c.ask(ctx, "SELECT clock_timestamp()")
	if err != nil {
		return instant{}, err
	}
	at, _, err := parseInstant([]byte(rows[0][0]))
	return at, err
}

func (c *postgresConn) tables(ctx context.Context) ([]table, error) {
	rows, err := c.ask(ctx, `SELECT n.nspname, c.relname, CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'v' THEN 'VIEW' WHEN 'p' THEN 'PARTITIONED TABLE'
		WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'FOREIGN TABLE' END
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'v', 'p', 'm', 'f') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'`)
	var out []table
	for _, r := range rows {
		out = append(out, table{schema: r[0], name: r[1], kind: r[2]})
	}
	return out, err
}

// describe lets the server prepare the statement, which tells all but nullability; that is the catalog's.
func (c *postgresConn) describe(ctx context.Context, q question) ([]column, error) {
	prepared, err := c.conn.Prepare(ctx, "", q.sql, nil)
	if err != nil {
		return nil, err
	}
	columns := make([]column, len(prepared.Fields))
	var unknown, attributes []string
	for i := range prepared.Fields {
		f := &prepared.Fields[i]
		columns[i] = postgresColumn(f)
		if columns[i].native == "" {
			unknown = append(unknown, strconv.FormatUint(uint64(f.DataTypeOID), 10))
		}
		if f.TableOID != 0 && q.table != nil {
			attributes = append(attributes, fmt.Sprintf("(%d,%d)", f.TableOID, f.TableAttributeNumber))
		}
	}
	if err := c.nameTypes(ctx, columns, prepared.Fields, unknown); err != nil {
		return nil, err
	}
	return columns, c.nameAttributes(ctx, columns, prepared.Fields, attributes)
}

// nameTypes asks for types that have no fixed number: enumerations, and those of extensions.
func (c *postgresConn) nameTypes(ctx context.Context, columns []column, fields []pgconn.FieldDescription, unknown []string) error {
	if len(unknown) == 0 {
		return nil
	}
	rows, err := c.ask(ctx, "SELECT oid, typname, typtype = 'e' OR typcategory = 'S' FROM pg_catalog.pg_type WHERE oid IN ("+strings.Join(unknown, ",")+")")
	if err != nil {
		return err
	}
	for _, r := range rows {
		for i := range fields {
			if strconv.FormatUint(uint64(fields[i].DataTypeOID), 10) != r[0] {
				continue
			}
			if columns[i].native = r[1]; r[2] == "t" {
				columns[i].typ = sqlText
			}
		}
	}
	return nil
}

// nameAttributes asks for what a table says of its columns. Those of a query may be null all the same: of an outer join.
func (c *postgresConn) nameAttributes(ctx context.Context, columns []column, fields []pgconn.FieldDescription, attributes []string) error {
	if len(attributes) == 0 {
		return nil
	}
	rows, err := c.ask(ctx, `SELECT a.attrelid, a.attnum, a.attnotnull, a.attidentity <> '' OR COALESCE(pg_catalog.pg_get_expr(d.adbin, d.adrelid), '') LIKE 'nextval(%'
		FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE (a.attrelid, a.attnum) IN (`+strings.Join(attributes, ",")+")")
	if err != nil {
		return err
	}
	for _, r := range rows {
		for i := range fields {
			if fmt.Sprint(fields[i].TableOID) == r[0] && fmt.Sprint(fields[i].TableAttributeNumber) == r[1] {
				columns[i].nullable, columns[i].numbered = r[2] != "t", r[3] == "t"
			}
		}
	}
	return nil
}

func (c *postgresConn) query(ctx context.Context, sql string, described []column) (cursor, error) {
	rr := c.conn.ExecParams(ctx, sql, nil, nil, nil, nil)
	fields := rr.FieldDescriptions()
	if fields == nil {
		_, err := rr.Close()
		if err == nil {
			err = wrong("ask the database", "make it a SELECT", "the statement has no answer")
		}
		return nil, err
	}
	same := len(fields) == len(described)
	for i := 0; same && i < len(fields); i++ {
		now := postgresColumn(&fields[i])
		same = now.name == described[i].name && (now.native == "" || now.typ == described[i].typ)
	}
	if !same {
		return nil, errChanged
	}
	return &postgresCursor{result: rr, described: described, row: make([]cell, len(fields))}, nil
}

type postgresCursor struct {
	result    *pgconn.ResultReader
	described []column
	row       []cell
}

func (c *postgresCursor) columns() []column { return c.described }

func (c *postgresCursor) next() ([]cell, error) {
	if !c.result.NextRow() {
		if _, err := c.result.Close(); err != nil {
			return nil, err
		}
		return nil, io.EOF
	}
	for i, v := range c.result.Values() {
		c.row[i] = cell{}
		if v != nil {
			c.row[i] = cell{kind: cellText, b: v}
		}
	}
	return c.row, nil
}

func (c *postgresCursor) close() error {
	_, err := c.result.Close()
	return err
}

// postgresColumn returns what a field's description tells. native is "" for a type without a fixed number (pg_type.dat).
func postgresColumn(f *pgconn.FieldDescription) column {
	c := column{name: f.Name, nullable: true}
	simple := func(native string, t sqlType) { c.native, c.typ = native, t }
	integer := func(native string, bits int) { c.native, c.typ, c.bits = native, sqlInt, bits }
	switch f.DataTypeOID {
	case 16:
		simple("bool", sqlBool)
	case 17:
		simple("bytea", sqlHex)
	case 18, 19, 25, 114, 142, 1042, 1043, 2950, 3802:
		simple("text", sqlText) // "char", name, text, json, xml, char, varchar, uuid, jsonb
	case 20:
		integer("int8", 64)
	case 21:
		integer("int2", 16)
	case 23:
		integer("int4", 32)
	case 26:
		integer("oid", 64)
	case 700:
		simple("float4", sqlFloat32)
	case 701:
		simple("float8", sqlFloat64)
	case 790:
		simple("money", sqlMoney)
	case 1082:
		simple("date", sqlDate)
	case 1083:
		simple("time", sqlTime)
	case 1266:
		simple("timetz", sqlTime)
	case 1114:
		simple("timestamp", sqlTimestamp)
	case 1184:
		simple("timestamptz", sqlZonedTimestamp)
	case 1560:
		simple("bit", sqlBits)
		c.precision = int(f.TypeModifier)
	case 1700:
		simple("numeric", sqlAnyDecimal)
		if m := f.TypeModifier - 4; f.TypeModifier >= 4 { // precision in 16 bits, scale in 11 with its sign
			c.typ, c.precision, c.scale = sqlDecimal, int(m>>16&0xffff), int((m&0x7ff)^1024)-1024
		}
	}
	return c
}
