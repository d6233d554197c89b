package jdbcsource

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sluicehub/sluice/connectors/sqldb"
)

// dialect is what is particular to one kind of database. It is immutable.
type dialect interface {
	// connect opens a connection.
	connect(ctx context.Context) (conn, error)
	// quote returns a name in quotes.
	quote(name string) string
	// moment returns a moment in the form in which comparable is compared with it. of is the type of the column.
	moment(at instant, of sqlType) string
	// comparable returns what of a timestamp, an expression, is compared.
	comparable(stamp string) string
	// exact returns a moment as exactly as it can be compared.
	exact(at instant) instant
}

// conn is a connection, for one goroutine. While a cursor is open only the cursor may be used.
type conn interface {
	// tables returns all tables that the user sees, the system's left out.
	tables(ctx context.Context) ([]table, error)
	// describe returns the columns of what is asked, without asking it; nil if that cannot be.
	describe(ctx context.Context, q question) ([]column, error)
	// query asks. ctx ends the cursor. What the answer does not tell of its columns is taken from those described.
	query(ctx context.Context, sql string, described []column) (cursor, error)
	// now returns the time of the database.
	now(ctx context.Context) (instant, error)
	close()
}

// cursor is an answer that comes row by row: only the row that is looked at is in memory.
type cursor interface {
	columns() []column
	// next returns the next row, valid until the next call, or io.EOF.
	next() ([]cell, error)
	// close ends the cursor behind its last row. One that is left before ends with its connection.
	close() error
}

// question is what is asked again and again: a table, or a query.
type question struct {
	table *table // nil: a query
	sql   string // without conditions
	where bool   // conditions may stand behind it
}

// errChanged says that the columns of an answer are not those described just before.
var errChanged = errors.New("the table was changed while it was asked")

// errNoTable says that a table is not there, where the database does not say so by an error.
var errNoTable = errors.New("no such table")

// nothing is the condition that no row fulfils.
const nothing = " WHERE 1 = 0"

// newDialect returns the dialect of an address.
func newDialect(s *settings) (dialect, error) {
	switch s.address.Kind {
	case sqldb.PostgreSQL:
		config, err := s.address.Postgres(s.user, s.password)
		if err != nil {
			return nil, err
		}
		config.RuntimeParams["datestyle"] = "ISO"
		return &postgres{config: config, isolation: s.isolation}, nil
	case sqldb.MySQL, sqldb.MariaDB:
		all, err := s.address.MySQL(s.user, s.password)
		if err != nil {
			return nil, err
		}
		return &mysqlDialect{configs: all, isolation: s.isolation}, nil
	case sqldb.SQLite:
		return &sqliteDialect{path: s.address.Database, uncommitted: s.isolation == "READ UNCOMMITTED"}, nil
	}
	return nil, fmt.Errorf("no dialect for %s", s.address.Kind)
}

// find returns the column of that name, also if it is written with other capitals; nil if there is none.
func find(columns []column, name string) *column {
	for _, same := range []func(a, b string) bool{func(a, b string) bool { return a == b }, strings.EqualFold} {
		for i := range columns {
			if same(columns[i].name, name) {
				return &columns[i]
			}
		}
	}
	return nil
}
