package mysql

import (
	"context"
	"fmt"
	"math"
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
	src := &source{table: tb, reader: tb.texts(), from: quoteTable(e.name), rows: e.rows, form: tb.def.form()}
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
	return src, nil
}

// extent says where a table can be cut: its keys, in steps of about so many rows.
func (sn *snapshot) extent(ctx context.Context, src *source) (cdc.Extent, error) {
	x := cdc.Extent{Table: src.table.name}
	last := int64(math.MinInt64)
	if sn.inside(src) {
		x.By, x.From = src.key, sn.resumed.From
		last, _ = strconv.ParseInt(x.From, 10, 64)
	}
	chunk := float64(sn.t.s.v.Int("snapshot.chunk.rows"))
	if src.key == "" || src.rows <= chunk {
		return x, nil
	}
	r, err := sn.idle[0].one(ctx, fmt.Sprintf("SELECT MIN(%s), MAX(%[1]s) FROM %s", src.key, src.from))
	if err != nil || r[0] == "" {
		return x, err
	}
	low, err1 := strconv.ParseFloat(r[0], 64)
	high, err2 := strconv.ParseFloat(r[1], 64)
	if err1 != nil || err2 != nil || high-low > 1<<62 {
		return x, nil
	}
	x.By = src.key
	pieces := int(src.rows/chunk) + 1
	step := max((high-low)/float64(pieces), 1)
	for i := 1; i < pieces; i++ {
		at := low + step*float64(i)
		if n := int64(at); at < high && n > last {
			x.Bounds, last = append(x.Bounds, strconv.FormatInt(n, 10)), n
		}
	}
	return x, nil
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
