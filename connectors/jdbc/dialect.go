package jdbc

import (
	"context"
)

// dialect is what is particular to one kind of database. It is immutable.
type dialect interface {
	// connect opens a connection.
	connect(ctx context.Context) (conn, error)
	// fold returns a name as the database reads it when it stands without quotes.
	fold(name string) string
	// stored returns a name as the database keeps it. PostgreSQL cuts off what is too long.
	stored(name string) string
	// quote returns a name in quotes.
	quote(name string) string
	// literal returns text as a literal.
	literal(text string) string
	// columnType returns the type of a column for values of a type; a key's must be one that an index takes.
	columnType(t *typed, key bool) string
	// appendCell appends the form of a value in which conn.write takes it. An error is about the value.
	appendCell(dst []byte, t *typed, v scalar) ([]byte, error)
	// constant returns a value as the default of a column of its type.
	constant(t *typed, v scalar) (string, error)
	// describe returns what a table has, nothing if it is not there.
	describe(ctx context.Context, c conn, name tableName) (described, error)
	// tableOptions stand behind the definition of the table of positions.
	tableOptions() string
	// claim returns the statement that inserts rows into the table of positions, or counts up the epoch of those there.
	claim(values string) string
	// checkNow returns the statement that ends the deferring of constraints in a transaction, if there is one.
	checkNow() string
	// verdict says what an error of the database means.
	verdict(err error) verdict
}

// conn is a connection. It is for one goroutine at a time.
type conn interface {
	// exec runs statements one after another, and returns how many rows they touched in all. Rows that an update found
	// and left as they were count.
	exec(ctx context.Context, statements ...string) (int64, error)
	// query returns the rows of an answer as text; null is empty.
	query(ctx context.Context, statement string) ([][]string, error)
	// write writes the rows of a group, in which each key is there once.
	write(ctx context.Context, g *group) error
	close()
}

// verdict is what an error of the database means to the rows that were being written.
type verdict uint8

const (
	// unknownError stops the task.
	unknownError verdict = iota
	// passing trouble: the same again may succeed, on a new connection.
	passing
	// refusedRow: a row cannot be written, others can.
	refusedRow
	// staleTable: the table is not as it was described.
	staleTable
	// refusedUser: the database, the user's rights or the password are not what they must be.
	refusedUser
)

// tableName names a table; without a schema it is in the connection's own.
type tableName struct{ schema, name string }

// described is what a table has.
type described struct {
	columns []target
	// uniques are the columns of each unique index, the primary key's included. Only MySQL and MariaDB need to be asked.
	uniques [][]string
}

// target is a column of a table in the database.
type target struct {
	name string
	// sqlType is its type without length or precision, as a cast takes it.
	sqlType string
	// required says that an insert must give a value.
	required bool
	// computed says that the database makes the value, and takes none.
	computed bool
}

// qualified returns a table's name in quotes.
func qualified(d dialect, n tableName) string {
	if n.schema == "" {
		return d.quote(n.name)
	}
	return d.quote(n.schema) + "." + d.quote(n.name)
}
