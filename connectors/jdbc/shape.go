package jdbc

import (
	"strings"
)

// shape is what rows have in common that can be written by one statement: a table, and columns in an order, the key's
// first. Its statements are made once.
type shape struct {
	id      int // of its own within the task
	table   *table
	columns []column
	keys    int
	// partial says that columns are left out because the change did not touch them: the row is there already.
	partial bool
	// version is the table's when target was set.
	version int
	// key is the shape of the key alone, for deletes.
	key *shape
	// variants are the shapes without some of the columns, by the mask of those that are there.
	variants map[string]*shape
}

// column is a column of a shape.
type column struct {
	name   string // as the record's schema and the configuration name it
	stored string // as the database keeps that name, if the column is made by it
	typed  *typed
	target target // what the table has under that name
}

// table is a table that rows are written to.
type table struct {
	name   tableName
	quoted string
	hash   uint64 // tells its keys from those of other tables
	// version counts up whenever the database was asked for it anew.
	version int
	described
}

// find returns a column of the table: by its exact name as the database keeps it, or else without regard to case.
func (t *table) find(name string) (target, bool) {
	for _, c := range t.columns {
		if c.name == name {
			return c, true
		}
	}
	for _, c := range t.columns {
		if strings.EqualFold(c.name, name) {
			return c, true
		}
	}
	return target{}, false
}

// fit sets the columns' targets from the table, and returns those that the table lacks. Columns that the database
// computes are to be left out: that is for the caller who made the shape.
func (s *shape) fit() (missing []column) {
	s.version = s.table.version
	for i := range s.columns {
		c := &s.columns[i]
		found, ok := s.table.find(c.stored)
		if !ok {
			missing = append(missing, *c)
			continue
		}
		c.target = found
	}
	return missing
}

// without returns the shape of rows whose columns are only those with a 1 in the mask.
func (s *shape) without(mask []byte, next func() int) *shape {
	if v := s.variants[string(mask)]; v != nil {
		return v
	}
	v := &shape{id: next(), table: s.table, keys: s.keys, partial: true, key: s.key, version: s.version}
	for i, c := range s.columns {
		if mask[i] == 1 {
			v.columns = append(v.columns, c)
		}
	}
	if s.variants == nil {
		s.variants = map[string]*shape{}
	}
	s.variants[string(mask)] = v
	return v
}

// list joins what is made of each column from the given ones.
func list(columns []column, separator string, of func(i int, c *column) string) string {
	var b strings.Builder
	for i := range columns {
		if i > 0 {
			b.WriteString(separator)
		}
		b.WriteString(of(i, &columns[i]))
	}
	return b.String()
}
