package jdbcsource

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sluicehub/sluice/configs"
)

// criteria is what the statements of a question are made of: the same for all polls until the columns change. A column
// is nil, or the list empty, where the mode does not go by it.
type criteria struct {
	growing *column
	stamps  []*column
}

// criteria finds the columns that the mode goes by, and says which are not there or not fit.
func (s *settings) criteria(of fmt.Stringer, columns []column) (by criteria, problems []configs.Problem) {
	fail := func(key, format string, args ...any) {
		problems = append(problems, configs.KeyError(key, fmt.Sprintf(format, args...)))
	}
	checked := s.nonNull && s.query == "" // of a query's columns it is not known what is nullable
	if s.mode.increments() {
		by.growing = s.growingColumn(columns)
		switch {
		case by.growing == nil && s.growing == "":
			fail(keyIncrementing, "%s has no column that the database numbers by itself: name the column in %s", of, keyIncrementing)
		case by.growing == nil:
			fail(keyIncrementing, "%s has no column %s", of, s.growing)
		case by.growing.typ != sqlInt && (by.growing.typ != sqlDecimal || by.growing.scale > 0) && by.growing.typ != sqlAnyDecimal:
			fail(keyIncrementing, "column %s of %s is no integer", by.growing.name, of)
		case by.growing.nullable && checked:
			fail(keyIncrementing, "column %s of %s is nullable, and rows that are null there would never be read: make it NOT NULL, or set validate.non.null=false", by.growing.name, of)
		}
	}
	if !s.mode.stamped() {
		return by, problems
	}
	nullable := true
	for _, name := range s.stamps {
		c := find(columns, name)
		switch {
		case c == nil:
			fail(keyTimestamp, "%s has no column %s", of, name)
		case c.typ != sqlTimestamp && c.typ != sqlZonedTimestamp && c.typ != sqlDate:
			fail(keyTimestamp, "column %s of %s is no timestamp", name, of)
		default:
			by.stamps = append(by.stamps, c)
			nullable = nullable && c.nullable
		}
	}
	if nullable && len(by.stamps) == len(s.stamps) && checked {
		fail(keyTimestamp, "%s of %s: each is nullable, and rows that are null there would never be read: make one NOT NULL, or set validate.non.null=false",
			strings.Join(s.stamps, ", "), of)
	}
	return by, problems
}

func (s *settings) growingColumn(columns []column) *column {
	if s.growing != "" {
		return find(columns, s.growing)
	}
	for i := range columns {
		if columns[i].numbered {
			return &columns[i]
		}
	}
	return nil
}

// name returns a name as it stands in statements.
func (s *settings) name(d dialect, name string) string {
	if s.quoted {
		return d.quote(name)
	}
	return name
}

// ask returns what a table or the query is asked by, without conditions.
func (s *settings) ask(d dialect, t *table) question {
	if t == nil {
		return question{sql: s.query, where: s.mode != bulk}
	}
	var parts []string
	for _, part := range []string{t.catalog, t.schema, t.name} {
		if part != "" {
			parts = append(parts, s.name(d, part))
		}
	}
	return question{table: t, sql: "SELECT * FROM " + strings.Join(parts, "."), where: true}
}

// statement returns what asks for the rows behind begin, and before end where a timestamp counts:
//
//	incrementing            WHERE id > begin ORDER BY id ASC
//	timestamp               WHERE ts > begin AND ts < end ORDER BY ts ASC
//	timestamp+incrementing  WHERE ts < end AND ((ts = begin AND id > begin) OR ts > begin) ORDER BY ts,id ASC
//
// These are Confluent's conditions. They hold numbers and timestamps only, so they stand in the text: a query may have
// question marks of its own.
func (s *settings) statement(d dialect, q question, by criteria, begin position, end instant) string {
	var stamp, id, from, to, above string
	if len(by.stamps) > 0 {
		stamp = s.stamp(d, by.stamps)
		of := stampType(by.stamps)
		from, to = d.moment(s.shown(begin.at, of), of), d.moment(s.shown(end, of), of)
	}
	if by.growing != nil {
		id, above = s.name(d, by.growing.name), strconv.FormatInt(begin.id, 10)
	}
	sql := q.sql
	switch s.mode {
	case incrementing:
		sql += " WHERE " + id + " > " + above + " ORDER BY " + id + " ASC"
	case timestamp:
		sql += " WHERE " + stamp + " > " + from + " AND " + stamp + " < " + to + " ORDER BY " + stamp + " ASC"
	case timestampIncrementing:
		sql += " WHERE " + stamp + " < " + to + " AND ((" + stamp + " = " + from + " AND " + id + " > " + above + ") OR " + stamp + " > " + from + ")" +
			" ORDER BY " + stamp + "," + id + " ASC"
	}
	if s.suffix != "" {
		sql += " " + s.suffix
	}
	return sql
}

// stamp returns the expression of the time of a row.
func (s *settings) stamp(d dialect, columns []*column) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = s.name(d, c.name)
	}
	if len(names) == 1 {
		return d.comparable(names[0])
	}
	return d.comparable("COALESCE(" + strings.Join(names, ",") + ")")
}

// stampType returns the type of the first of the columns that has a zone, which is that of all together, else of the
// first.
func stampType(columns []*column) sqlType {
	for _, c := range columns {
		if c.typ == sqlZonedTimestamp {
			return c.typ
		}
	}
	return columns[0].typ
}

// shown returns a moment as a column of that type shows it.
func (s *settings) shown(at instant, of sqlType) instant {
	if of == sqlZonedTimestamp {
		return at
	}
	return at.wall(s.zone)
}
