package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// mysqlColumn is a column. What it is called changes, and where it stands; id, its comment, tells it from those that
// had its name before. Each value says of which column and version it is, so that one under another name is found.
type mysqlColumn struct {
	id       int
	name     string
	kind     string
	nullable bool
}

// mysqlWider is what a kind of column can be widened to, "" if nothing.
func mysqlWider(kind string) string {
	return map[string]string{"int": "bigint", "varchar(40)": "varchar(300)", "decimal(10,2)": "decimal(14,2)"}[kind]
}

func (c *mysqlColumn) value(version int64) string {
	switch {
	case strings.HasSuffix(c.kind, "int"):
		return strconv.FormatInt(int64(c.id%1000)*1_000_000+version, 10)
	case strings.HasPrefix(c.kind, "decimal"):
		return fmt.Sprintf("%d.%02d", version, c.id%100)
	}
	return fmt.Sprintf("c%dv%d", c.id, version)
}

// initial is the value of rows that are older than the column.
func (c *mysqlColumn) initial() string {
	if c.nullable {
		return "NULL"
	}
	return c.value(0)
}

func (c *mysqlColumn) sql() string {
	if c.nullable {
		return fmt.Sprintf("%s %s COMMENT '%d'", c.name, c.kind, c.id)
	}
	return fmt.Sprintf("%s %s NOT NULL DEFAULT '%s' COMMENT '%d'", c.name, c.kind, c.initial(), c.id)
}

// mysqlDefiner changes the table's definition.
type mysqlDefiner struct {
	mysqlSession
	rnd *rand.Rand
}

func (d *mysqlDefiner) run(ctx context.Context) error {
	defer func() {
		if d.conn != nil {
			d.conn.Close()
		}
	}()
	pause := time.NewTicker(150 * time.Millisecond)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-pause.C:
		}
		if err := d.alter(); err != nil {
			return err
		}
	}
}

// alter runs a statement, and finds out whether it was executed if the server dies meanwhile.
func (d *mysqlDefiner) alter() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	l := d.l
	l.table.Lock()
	defer l.table.Unlock()
	sql, columns, added := d.statement()
	if err := d.execute(ctx, sql); err != nil {
		if refused(err) {
			return fmt.Errorf("the load's own statement: %w", err)
		}
		l.resolved.Add(1)
		have, err := d.ask(ctx, "SELECT group_concat(concat(COLUMN_NAME, ' ', COLUMN_TYPE, ' ', COLUMN_COMMENT) ORDER BY COLUMN_NAME) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '"+l.db+"' AND TABLE_NAME = 'items' AND COLUMN_NAME NOT IN ('id', 'version')")
		if err != nil {
			return err
		}
		switch have = displayWidth.ReplaceAllString(have, "int"); have {
		case describeColumns(columns):
		case describeColumns(l.columns):
			return nil
		default:
			return fmt.Errorf("after %q the table has the columns %s", sql, have)
		}
	}
	l.columns, l.definitions = columns, l.definitions+1
	if added != nil {
		l.mu.Lock()
		for _, row := range l.rows {
			row.cells[added.id] = added.initial()
		}
		l.mu.Unlock()
	}
	return nil
}

// displayWidth is what MariaDB says of integers.
var displayWidth = regexp.MustCompile(`int\(\d+\)`)

func describeColumns(columns []mysqlColumn) string {
	var all []string
	for _, c := range columns {
		all = append(all, fmt.Sprintf("%s %s %d", c.name, c.kind, c.id))
	}
	slices.Sort(all)
	return strings.Join(all, ",")
}

// statement makes up a statement, the columns that it leaves, and the one that it adds.
func (d *mysqlDefiner) statement() (sql string, columns []mysqlColumn, added *mysqlColumn) {
	columns = slices.Clone(d.l.columns)
	pick := d.rnd.IntN(len(columns))
	c := &columns[pick]
	kind := d.rnd.IntN(100)
	if len(columns) < 3 {
		kind = 0
	} else if len(columns) > 8 {
		kind = 30
	}
	switch {
	case kind < 30:
		d.l.columnID++
		n := mysqlColumn{id: d.l.columnID, name: d.free(), nullable: d.rnd.IntN(3) == 0,
			kind: []string{"int", "varchar(40)", "varchar(40)", "decimal(10,2)"}[d.rnd.IntN(4)]}
		return "ALTER TABLE items ADD COLUMN " + n.sql() + d.place(c.name), append(columns, n), &n
	case kind < 50:
		name := c.name
		return "ALTER TABLE items DROP COLUMN " + name, slices.Delete(columns, pick, pick+1), nil
	case kind < 65:
		old := c.name
		c.name = d.free()
		return fmt.Sprintf("ALTER TABLE items RENAME COLUMN %s TO %s", old, c.name), columns, nil
	case kind < 75: // two change their names
		o := &columns[(pick+1)%len(columns)]
		c.name, o.name = o.name, c.name
		return fmt.Sprintf("ALTER TABLE items RENAME COLUMN %s TO %s, RENAME COLUMN %[2]s TO %[1]s", o.name, c.name), columns, nil
	case kind < 85:
		if wider := mysqlWider(c.kind); wider != "" {
			c.kind = wider
		}
		return "ALTER TABLE items MODIFY COLUMN " + c.sql() + d.place(columns[(pick+1)%len(columns)].name), columns, nil
	case kind < 95:
		old := c.name
		c.name = d.free()
		return fmt.Sprintf("ALTER TABLE items CHANGE %s %s", old, c.sql()) + d.place(columns[(pick+1)%len(columns)].name), columns, nil
	}
	return "ALTER TABLE items COMMENT 'nothing else'", columns, nil
}

// free is a name that no column has, though one may have had it.
func (d *mysqlDefiner) free() string {
	for {
		name := string(rune('a' + d.rnd.IntN(12)))
		if !slices.ContainsFunc(d.l.columns, func(c mysqlColumn) bool { return c.name == name }) {
			return name
		}
	}
}

func (d *mysqlDefiner) place(after string) string {
	return []string{"", " FIRST", " AFTER " + after, " AFTER version"}[d.rnd.IntN(4)]
}
