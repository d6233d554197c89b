package jdbc

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sluicehub/sluice/connectors"
)

// ensure makes the table what a plan needs, as far as auto.create and auto.evolve allow, and fits the plan to it.
func (t *task) ensure(ctx context.Context, p *plan) error {
	if len(p.table.columns) == 0 {
		if err := t.describe(ctx, p.table); err != nil {
			return err
		}
	}
	if len(p.table.columns) == 0 && p.shape == nil {
		return nil // a tombstone of a table that is not there
	}
	if len(p.table.columns) == 0 {
		if err := t.createTable(ctx, p); err != nil {
			return err
		}
	}
	for _, s := range []*shape{p.shape, p.deletes} {
		if s == nil {
			continue
		}
		if err := t.fit(ctx, s); err != nil {
			return err
		}
	}
	if p.shape != nil {
		return t.leaveOutComputed(p)
	}
	return nil
}

// leaveOutComputed drops the columns that the database computes from a plan.
func (t *task) leaveOutComputed(p *plan) error {
	if !slices.ContainsFunc(p.shape.columns, func(c column) bool { return c.target.computed }) {
		return nil
	}
	first := p.row.first
	p.shape.columns = slices.DeleteFunc(p.shape.columns, func(c column) bool { return c.target.computed })
	var err error
	p.row, err = newWalk(p.row.schema, p.shape.columns[first:], first, t.nullCell)
	return err
}

// describe asks the database for a table's columns.
func (t *task) describe(ctx context.Context, of *table) error {
	return t.ask(ctx, "describe table "+of.quoted, func(c conn) error {
		now, err := t.dialect.describe(ctx, c, of.name)
		if err != nil {
			return err
		}
		of.described = now
		of.version++
		return nil
	})
}

// fit brings the columns of a shape and those of its table together.
func (t *task) fit(ctx context.Context, s *shape) error {
	if len(s.fit()) == 0 {
		return nil
	}
	// Somebody else may have added it since. The writer reads what is known of the table, so it must be idle.
	if err := t.settle(ctx); err != nil {
		return err
	}
	if err := t.describe(ctx, s.table); err != nil {
		return err
	}
	missing := s.fit()
	if len(missing) == 0 {
		return nil
	}
	names := list(missing, ", ", func(_ int, c *column) string { return c.name })
	if !t.evolve {
		return &connectors.Error{Op: "write to " + s.table.quoted, Class: connectors.ClassConfig,
			Err:    fmt.Errorf("the table has no column %s", names),
			Remedy: "set auto.evolve=true, add the column by hand, or leave the field out by fields.whitelist"}
	}
	for _, c := range missing {
		if !c.typed.schema.Optional && c.typed.schema.Default == nil {
			return &connectors.Error{Op: "add column " + c.name + " to " + s.table.quoted, Class: connectors.ClassConfig,
				Err:    fmt.Errorf("the field is required and has no default, so the rows that are there would have nothing in the column"),
				Remedy: "ALTER TABLE " + s.table.quoted + " ADD COLUMN by hand, and restart the task"}
		}
	}
	err := t.alter(ctx, "add columns to "+s.table.quoted, func(c conn) error {
		for _, m := range missing {
			statement := "ALTER TABLE " + s.table.quoted + " ADD COLUMN " + t.columnSQL(&m, false)
			if _, err := c.exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
	described := t.describe(ctx, s.table)
	if described != nil {
		return described
	}
	if missing = s.fit(); len(missing) > 0 && err == nil {
		err = fmt.Errorf("the table has no column %s after it was added", missing[0].name)
	}
	if len(missing) > 0 {
		return err
	}
	return nil // added, by this task or another one
}

// createTable makes a table from a plan's columns.
func (t *task) createTable(ctx context.Context, p *plan) error {
	if !t.create {
		return &connectors.Error{Op: "write to " + p.table.quoted, Class: connectors.ClassConfig, Err: fmt.Errorf("there is no such table"),
			Remedy: "set auto.create=true, or create it; its name is what table.name.format (or collection.name.format) makes of the topic"}
	}
	err := t.alter(ctx, "create table "+p.table.quoted, func(c conn) error {
		_, err := c.exec(ctx, t.createSQL(p))
		return err
	})
	if described := t.describe(ctx, p.table); described != nil {
		return described
	}
	if len(p.table.columns) > 0 {
		return nil // created, by this task or another one
	}
	return err
}

func (t *task) createSQL(p *plan) string {
	s := p.shape
	var b strings.Builder
	b.WriteString("CREATE TABLE IF NOT EXISTS " + p.table.quoted + " (")
	b.WriteString(list(s.columns, ", ", func(i int, c *column) string { return t.columnSQL(c, i < s.keys) }))
	if s.keys > 0 {
		b.WriteString(", PRIMARY KEY (" + list(s.columns[:s.keys], ", ", func(_ int, c *column) string { return t.dialect.quote(t.columnName(c)) }) + ")")
	}
	return b.String() + ")"
}

// columnName is the name of a column that is made.
func (t *task) columnName(c *column) string {
	if t.quoted {
		return c.name
	}
	return t.dialect.fold(c.name)
}

// columnSQL defines a column. A record has all its fields, so a default is for the rows that are there when the column is
// added, and for those of others.
func (t *task) columnSQL(c *column, key bool) string {
	sql := t.dialect.quote(t.columnName(c)) + " " + t.dialect.columnType(c.typed, key)
	if key || !c.typed.schema.Optional && c.typed.schema.Default == nil {
		return sql + " NOT NULL"
	}
	if of, ok := t.defaultSQL(c.typed); ok {
		return sql + " DEFAULT " + of
	}
	return sql
}

// defaultSQL returns the default of a column, if its schema has one that the database has a value for.
func (t *task) defaultSQL(of *typed) (sql string, ok bool) {
	d := of.schema.Default
	if d == nil || d.IsNull() {
		return "", false
	}
	encoded, err := connectors.AppendValue(nil, of.required, *d)
	var v scalar
	if err == nil {
		v, _, err = of.read(encoded, nil)
	}
	if err == nil {
		sql, err = t.dialect.constant(of, v)
	}
	return sql, err == nil
}

// alter runs DDL when no transaction of the task is open, because it would wait for it.
func (t *task) alter(ctx context.Context, op string, do func(c conn) error) error {
	if err := t.settle(ctx); err != nil {
		return err
	}
	t.start.Log.Info(op)
	return t.ask(ctx, op, do)
}

// refresh looks again at the tables of a batch that the database refused because they are not as they were.
func (t *task) refresh(ctx context.Context, b *batch) error {
	done := map[*table]bool{}
	for i := range b.rows {
		s := b.rows[i].shape
		if !done[s.table] {
			done[s.table] = true
			if err := t.describe(ctx, s.table); err != nil {
				return err
			}
			if len(s.table.columns) == 0 {
				return &connectors.Error{Op: "write to " + s.table.quoted, Class: connectors.ClassConfig, Err: fmt.Errorf("the table is gone"),
					Remedy: "create it again, or restart the task with auto.create=true"}
			}
		}
		if s.version == s.table.version {
			continue
		}
		if missing := s.fit(); len(missing) > 0 {
			return &connectors.Error{Op: "write to " + s.table.quoted, Class: connectors.ClassConfig,
				Err:    fmt.Errorf("the table has no column %s any more", missing[0].name),
				Remedy: "add it again, or restart the task with auto.evolve=true"}
		}
	}
	return nil
}
