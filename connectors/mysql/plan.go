package mysql

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/sluicehub/sluice/connectors/cdc"
)

// source prepares to read a table.
func (sn *snapshot) source(ctx context.Context, e *entry) (*source, error) {
	t := sn.t
	tb, err := t.compiler.compile(ctx, e.name, e.def)
	if err != nil {
		return nil, wrong("prepare table "+e.name.String(), "check message.key.columns", "%w", err)
	}
	if len(tb.dropped) > 0 {
		t.log.Warn("columns of types without a mapping are left out", "table", tb.id, "columns", tb.dropped)
	}
	src := &source{table: tb, reader: tb.texts(), from: quoteTable(e.name), form: tb.def.form()}
	for i, f := range tb.fields {
		if k := e.def.primaryKey(); len(k) == 1 && strings.EqualFold(k[0], f.name) {
			switch e.def.Columns[i].Type {
			case "tinyint", "smallint", "mediumint", "int", "bigint":
				src.key, src.keyAt, src.ordered = quote(f.name), i, e.clustered
			}
		}
	}
	src.columns = strings.Join(tb.selected(), ", ")
	for _, o := range t.s.v.List("snapshot.select.statement.overrides") {
		if strings.EqualFold(o, tb.id) {
			sql := t.s.v.String("snapshot.select.statement.overrides." + o)
			src.from, src.key, src.ordered = "("+strings.TrimRight(strings.TrimSpace(sql), ";")+") AS overridden", "", false
			return src, nil
		}
	}
	if src.key == "" && e.clustered {
		src.order()
	}
	if src.ordered || src.cursor != nil { // with another index that has all columns, the server would sort the table
		src.from += " FORCE INDEX (PRIMARY)"
	}
	return src, nil
}

// extent says where a table can be cut: its keys, in steps of about so many rows.
func (sn *snapshot) extent(ctx context.Context, src *source) (cdc.Extent, error) {
	x := cdc.Extent{Table: src.table.name}
	last := uint64(0)
	if sn.inside(src) {
		x.By, x.From = src.key, sn.resumed.From
		last, _ = src.ordinal(x.From)
	}
	if src.key == "" {
		return x, nil
	}
	rows, err := sn.t.catalog.rows(ctx, x.Table)
	chunk := float64(sn.t.s.v.Int("snapshot.chunk.rows"))
	if err != nil || rows <= chunk {
		return x, err
	}
	r, err := sn.idle[0].one(ctx, fmt.Sprintf("SELECT MIN(%s), MAX(%[1]s) FROM %s", src.key, src.from))
	if err != nil || r[0] == "" {
		return x, err
	}
	low, err1 := src.ordinal(r[0])
	high, err2 := src.ordinal(r[1])
	if err1 != nil || err2 != nil {
		return x, nil
	}
	x.By = src.key
	pieces := uint64(rows/chunk) + 1
	step := max((high-low)/pieces, 1)
	for at := low; pieces > 1 && high-at > step; pieces-- {
		if at += step; at > last {
			x.Bounds, last = append(x.Bounds, src.integer(at)), at
		}
	}
	return x, nil
}

// ordinal is the place of an integer among all that the key can have, of which 0 is the least.
func (s *source) ordinal(text string) (uint64, error) {
	if s.table.def.Columns[s.keyAt].Unsigned {
		return strconv.ParseUint(text, 10, 64)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return uint64(n) ^ 1<<63, err
}

// integer is the one at a place.
func (s *source) integer(ordinal uint64) string {
	if s.table.def.Columns[s.keyAt].Unsigned {
		return strconv.FormatUint(ordinal, 10)
	}
	return strconv.FormatInt(int64(ordinal^1<<63), 10)
}

// selectSQL is the statement that reads a chunk.
func (s *source) selectSQL(c cdc.Chunk) string {
	sql := "SELECT " + s.columns + " FROM " + s.from
	if s.cursor != nil {
		return sql + s.cursor.behind(c.From)
	}
	sep := " WHERE "
	if c.From != "" {
		sql += sep + c.By + " >= " + c.From
		sep = " AND "
	}
	if c.To != "" {
		sql += sep + c.By + " < " + c.To
	}
	if s.ordered {
		sql += " ORDER BY " + s.key
	}
	return sql
}
