package jdbcsource

import "strings"

// criteria is what the statements of a question are made of: the same for all polls until the columns change. A column
// is nil, or the list empty, where the mode does not go by it.
type criteria struct {
	growing *column
	stamps  []*column
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
		id, above = s.name(d, by.growing.name), formatID(begin.id)
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
