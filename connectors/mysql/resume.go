package mysql

import (
	"cmp"
	"encoding/json"
	"hash/fnv"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sluicehub/sluice/connectors/cdc"
)

// A snapshot that was interrupted goes on behind the last row that was delivered. What is left is read as of the moment in
// which the new snapshot's sessions meet, behind the catch-up to it (catchup.go). Rows come in the order of the primary
// key: a row that comes to lie before that place has got another key, and the log has all of it, if binlog_row_image is
// FULL. If it is not, the table that was being read begins anew. So it does if its key has no order that can be asked for,
// and the chunk does if the table's engine does not keep rows in the order of the key.

// form is what the delivered ranges of a table are worth nothing without.
func (d *definition) form() string {
	c := *d
	c.Comment = ""
	text, _ := json.Marshal(&c) // of plain fields: cannot fail
	h := fnv.New64a()
	h.Write(text)
	return strconv.FormatUint(h.Sum64(), 16)
}

// inside reports whether the snapshot goes on in the middle of the table.
func (sn *snapshot) inside(src *source) bool {
	r := sn.resumed
	if !r.In(src.table.name) {
		return false
	}
	switch {
	case !src.reads(r.From) || r.Form != src.form:
		sn.t.log.Warn("the interrupted snapshot begins anew with a table that was altered meanwhile", "table", src.table.id)
	case sn.t.server.image != "FULL":
		sn.t.log.Warn("the interrupted snapshot begins anew with the table that was being read, because the log does not have whole rows",
			"table", src.table.id, "binlog_row_image", sn.t.server.image)
	default:
		return true
	}
	return false
}

// reached is how far rows have been appended: up to the chunk of the row that waits for its marker.
func (sn *snapshot) reached() *cdc.Reached {
	if sn.held == len(sn.plan) {
		return nil
	}
	chunk := sn.plan[sn.held]
	src := sn.sources[chunk.Table]
	r := &cdc.Reached{Schema: chunk.Table.Schema, Table: chunk.Table.Name, Before: src.before, From: chunk.From, Chunks: sn.held}
	if sn.resumed != nil {
		r.Chunks += sn.resumed.Chunks
	}
	if sn.done.source == src {
		r.From = cmp.Or(src.place(sn.done.row), r.From)
	}
	if r.From != "" {
		r.Form = src.form
	} else if r.Chunks == 0 {
		return nil
	}
	return r
}

// doneRow is a row, and the table that it is of.
type doneRow struct {
	source *source
	row    []byte
}

// place is where reading goes on behind a row: the key of the row, or the one after it where rows are cut by an integer. It
// is "" if there is none, or if it cannot be stored; then that is the begin of the row's chunk, which of a table with a
// cursor is the only one.
func (s *source) place(row []byte) string {
	switch {
	case s.cursor != nil:
		return s.cursor.place(row, len(s.table.fields))
	case !s.ordered:
		return ""
	}
	cells, err := splitRow(row, nil)
	if err != nil || len(cells) != len(s.table.fields) {
		return ""
	}
	n, err := s.ordinal(string(cells[s.keyAt].raw))
	if err != nil || n == math.MaxUint64 {
		return ""
	}
	return s.integer(n + 1)
}

// cursor is the order in which the rows of a table are read: columns of the table's primary key, which come once more
// behind the others.
type cursor struct {
	order keyOrder
	cells []cell
}

// order lets rows come in the order of the primary key. A key of large values has only the begins of them, so that its
// order is not one of rows.
func (s *source) order() {
	def := s.table.def
	k := &cursor{}
	for _, name := range def.primaryKey() {
		i := def.find(name)
		if i < 0 {
			return
		}
		switch c := &def.Columns[i]; c.Type {
		case "tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double", "bit", "year", "enum", "set",
			"date", "datetime", "timestamp", "time", "char", "varchar", "binary", "varbinary", "uuid", "inet4", "inet6":
			k.order = append(k.order, c.keyPart())
		default:
			return
		}
	}
	if len(k.order) > 0 {
		s.cursor, s.columns = k, strings.Join(append(s.table.selected(), k.order.values()...), ", ")
	}
}

// columns is how many columns stand behind those of the table.
func (k *cursor) columns() int {
	if k == nil {
		return 0
	}
	return len(k.order)
}

// place is the key of a row, behind so many other columns; "" if it cannot be stored.
func (k *cursor) place(row []byte, columns int) string {
	var err error
	if k.cells, err = splitRow(row, k.cells); err != nil || len(k.cells) != columns+k.columns() {
		return ""
	}
	var key []string
	for _, c := range k.cells[columns:] {
		if !utf8.Valid(c.raw) {
			return ""
		}
		key = append(key, string(c.raw))
	}
	text, _ := json.Marshal(key) // of texts: cannot fail
	return string(text)
}

// key reads a place; nil if it is none.
func (k *cursor) key(place string) (key []string) {
	if json.Unmarshal([]byte(place), &key) != nil || len(key) != k.columns() {
		return nil
	}
	return key
}

// reads reports whether the table can be read from the place on.
func (s *source) reads(place string) bool {
	if s.cursor != nil {
		return s.cursor.key(place) != nil
	}
	if s.key == "" {
		return false
	}
	_, err := s.ordinal(place)
	return err == nil
}

// behind is the end of the statement that reads the rows behind a place, "" for all.
func (k *cursor) behind(place string) (sql string) {
	if key := k.key(place); key != nil {
		sql = " WHERE " + k.order.compare(">", key, false)
	}
	return sql + " ORDER BY " + k.order.by("")
}
