package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehub/sluice/connectors/cdc"
)

// catalog reads what the log does not say: types, nullability, defaults, keys. It shows the present, which may be
// later than the log; what must agree with the log (names, types) is taken from the log.
type catalog struct {
	conn  *pgx.Conn
	types map[uint32]typ
	// err is the first error of a lookup of a type.
	err error
}

func newCatalog(conn *pgx.Conn) *catalog { return &catalog{conn: conn, types: map[uint32]typ{}} }

// entry is a table as the catalog has it.
type entry struct {
	shape
	oid      uint32
	kind     byte // pg_class.relkind: r table, p partitioned table
	identity byte // pg_class.relreplident: d default, n nothing, f full, i index
	primary  []string
	unique   []string
	columns  []string // of the snapshot: all but generated ones
	pages    int64    // the table's size
	file     uint32   // that it is in, another one when it was rewritten; 0 is none
	rows     float64  // estimated
	leaf     bool     // it is a partition
	owned    bool
	readable bool // we may SELECT from it
	secured  bool // but a policy hides rows from us
}

const tablesSQL = `SELECT c.oid, n.nspname, c.relname, c.relkind::text, c.relreplident::text, c.relispartition,
  CASE WHEN c.relkind = 'r' THEN pg_relation_size(c.oid) / current_setting('block_size')::bigint ELSE 0 END, c.reltuples,
  pg_has_role(c.relowner, 'USAGE'), has_table_privilege(c.oid, 'SELECT'), row_security_active(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND n.nspname NOT LIKE 'pg\_temp\_%%' %s ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"`

// tables returns the tables that captures allows, in the order of their names, without columns.
func (c *catalog) tables(ctx context.Context, captures func(cdc.Table) bool, condition string) ([]*entry, error) {
	rows, err := c.conn.Query(ctx, fmt.Sprintf(tablesSQL, condition))
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	defer rows.Close()
	var out []*entry
	for rows.Next() {
		e := &entry{}
		var kind, identity string
		if err := rows.Scan(&e.oid, &e.Table.Schema, &e.Table.Name, &kind, &identity, &e.leaf, &e.pages, &e.rows, &e.owned, &e.readable, &e.secured); err != nil {
			return nil, fmt.Errorf("list tables: %w", err)
		}
		e.kind, e.identity = kind[0], identity[0]
		if captures(e.Table) {
			out = append(out, e)
		}
	}
	return out, rows.Err()
}

const columnsSQL = `SELECT a.attname, a.atttypid, a.atttypmod, a.attnotnull OR (t.typtype = 'd' AND t.typnotnull),
  CASE WHEN a.attgenerated = '' THEN coalesce(pg_get_expr(d.adbin, d.adrelid), '') ELSE '' END, a.attgenerated <> '',
  coalesce(col_description(a.attrelid, a.attnum), '')
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = %d AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`

// An index on a condition or on an expression is no key.
const indexesSQL = `SELECT i.indisprimary, ARRAY(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(n, o)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.n WHERE k.o <= i.indnkeyatts ORDER BY k.o)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = %d AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
ORDER BY i.indisprimary DESC, c.relname COLLATE "C"`

// fill reads the columns and keys of a table.
func (c *catalog) fill(ctx context.Context, e *entry) error {
	rows, err := c.conn.Query(ctx, fmt.Sprintf(columnsSQL, e.oid))
	if err != nil {
		return fmt.Errorf("read the columns of %s: %w", e.Table, err)
	}
	defer rows.Close()
	e.Attrs, e.columns = nil, nil
	for rows.Next() {
		var a attribute
		var generated bool
		if err := rows.Scan(&a.Name, &a.Type, &a.Mod, &a.NotNull, &a.Default, &generated, &a.Comment); err != nil {
			return fmt.Errorf("read the columns of %s: %w", e.Table, err)
		}
		if !generated { // the log does not have generated columns
			e.Attrs, e.columns = append(e.Attrs, a), append(e.columns, a.Name)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read the columns of %s: %w", e.Table, err)
	}
	return c.fillKeys(ctx, e)
}

func (c *catalog) fillKeys(ctx context.Context, e *entry) error {
	rows, err := c.conn.Query(ctx, fmt.Sprintf(indexesSQL, e.oid))
	if err != nil {
		return fmt.Errorf("read the keys of %s: %w", e.Table, err)
	}
	defer rows.Close()
	for rows.Next() {
		var primary bool
		var columns []string
		if err := rows.Scan(&primary, &columns); err != nil {
			return fmt.Errorf("read the keys of %s: %w", e.Table, err)
		}
		if primary {
			e.primary = columns
		} else if e.unique == nil {
			e.unique = columns
		}
	}
	return rows.Err()
}

// keyed sets the key of the table: the configured columns, else the primary key, else the first unique index.
func (e *entry) keyed(keys cdc.KeyColumns) {
	if e.Key = keys.For(e.Table.String(), e.columns); e.Key == nil {
		e.Key = e.ownKey()
	}
}

// ownKey is the key that the table has: the primary key, else the first unique index.
func (e *entry) ownKey() []string {
	if e.primary != nil {
		return e.primary
	}
	return e.unique
}

// merge returns the shape of a relation of the log, completed with what the catalog knows of its columns.
func (r *relation) merge(e *entry, keys cdc.KeyColumns) shape {
	s := shape{Table: cdc.Table{Schema: r.schema, Name: r.name}}
	names := r.names()
	if s.Key = keys.For(s.Table.String(), names); s.Key == nil || !within(names, s.Key) {
		s.Key = r.key(e)
	}
	for _, rc := range r.columns {
		a := attribute{Name: rc.name, Type: rc.typ, Mod: rc.mod, NotNull: rc.key && r.identity == 'd'}
		if e != nil {
			if i := slices.IndexFunc(e.Attrs, func(x attribute) bool { return x.Name == rc.name }); i >= 0 {
				a.NotNull, a.Comment = a.NotNull || e.Attrs[i].NotNull, e.Attrs[i].Comment
				if e.Attrs[i].Type == rc.typ {
					a.Default = e.Attrs[i].Default
				}
			}
		}
		s.Attrs = append(s.Attrs, a)
	}
	return s
}

// key returns the key that the relation had when the log was written. The catalog, which knows the order of its columns
// and unique indexes, may be later: where the log says what the primary key was, and it was another one (a column was
// renamed since, the key was changed, or the table was dropped), the log's is taken. A key of columns that the log does not
// have is none.
func (r *relation) key(e *entry) []string {
	var known, logged []string
	if e != nil {
		known = e.ownKey()
	}
	for _, c := range r.columns {
		if c.key && r.identity == 'd' {
			logged = append(logged, c.name)
		}
	}
	if logged != nil && !(len(logged) == len(known) && within(logged, known)) {
		return logged
	}
	if !within(r.names(), known) {
		return nil
	}
	return known
}

// within reports whether all of the columns are among those.
func within(those, columns []string) bool {
	return !slices.ContainsFunc(columns, func(c string) bool { return !slices.Contains(those, c) })
}

const typesSQL = `SELECT t.oid, n.nspname, t.typname, t.typtype::text, t.typelem, t.typdelim::text, t.typbasetype, t.typtypmod,
  t.typcategory = 'A' AND t.typtype = 'b' AND t.typelem <> 0 AND t.typlen = -1 AND t.typname NOT IN ('int2vector', 'oidvector'),
  ARRAY(SELECT enumlabel::text FROM pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder)
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.oid = %d`

// lookup returns a type; ok is false if it does not exist (any more).
func (c *catalog) lookup(ctx context.Context, oid uint32) (typ, bool) {
	if t, ok := c.types[oid]; ok {
		return t, t.OID != 0
	}
	var t typ
	var kind, delimiter string
	err := c.conn.QueryRow(ctx, fmt.Sprintf(typesSQL, oid)).Scan(&t.OID, &t.Schema, &t.Name, &kind, &t.Elem, &delimiter,
		&t.Base, &t.BaseMod, &t.IsArray, &t.Labels)
	switch {
	case err == nil:
		t.Kind, t.Delimiter = kind[0], delimiter[0]
		c.types[oid] = t
		return t, true
	case strings.Contains(err.Error(), "no rows"):
		c.types[oid] = typ{}
	case c.err == nil:
		c.err = fmt.Errorf("read type %d: %w", oid, err)
	}
	return typ{}, false
}

// forgetEnums makes the next lookups of enumerations and domains read them again: they change without a word in the
// log.
func (c *catalog) forgetEnums() {
	for oid, t := range c.types {
		if t.Kind == 'e' || t.OID == 0 {
			delete(c.types, oid)
		}
	}
}

// byOID returns a table with its columns and keys, or nil if it does not exist any more.
func (c *catalog) byOID(ctx context.Context, oid uint32) (*entry, error) {
	all := func(cdc.Table) bool { return true }
	list, err := c.tables(ctx, all, fmt.Sprintf("AND c.oid = %d", oid))
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list[0], c.fill(ctx, list[0])
}

// partitions returns the partitions of a table at all levels, and the table itself.
func (c *catalog) partitions(ctx context.Context, root uint32) (map[uint32]bool, error) {
	rows, err := c.conn.Query(ctx, fmt.Sprintf("SELECT relid::oid FROM pg_partition_tree(%d)", root))
	if err != nil {
		return nil, fmt.Errorf("read the partitions: %w", err)
	}
	oids, err := pgx.CollectRows(rows, pgx.RowTo[uint32])
	out := map[uint32]bool{}
	for _, oid := range oids {
		out[oid] = true
	}
	return out, err
}
