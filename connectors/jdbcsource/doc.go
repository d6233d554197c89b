// Package jdbcsource is the source that asks relational databases (PostgreSQL, MySQL, MariaDB, SQLite) for new rows again
// and again, with the keys and the behaviour of Confluent's JDBC source (io.confluent.connect.jdbc.JdbcSourceConnector).
// It sees no deletes, and no change between two polls but the last: who wants those takes the sources that read a
// database's log. This one needs nothing but SELECT.
//
// # The way of a row
//
// A task has one connection and a querier for each of its tables. When the querier's time has come it describes the
// table, makes the statement of the mode with the position it has come to (statement.go), and reads the answer row by
// row: the database waits while nobody reads. From the columns it makes a plan once: the schema of the record, and for
// each column a reader that turns what the driver gives into the encoding of its type (column.go, read.go). What is
// particular to a database is its dialect (dialect.go).
//
// # Where it goes on
//
// The source offset is the position behind the last row of a batch: the value of the incrementing column, the timestamp,
// or both. Several rows may have the same position: of one timestamp, or of one number in the answer of a query with a
// join. An offset between them would leave the rest out. So the offset stays at the position before theirs until the last
// of them is in a batch, for which the querier looks one row ahead. After a crash the rows that came in between come
// again; none is left out. Where each row has a position of its own nothing comes twice.
//
// Two things no offset can mend: a transaction that commits a smaller number or an older timestamp after a greater one
// was read (timestamp.delay.interval.ms is for that), and a query.suffix with a LIMIT in mode timestamp.
//
// When the connection breaks, or a Read is cancelled, the answer is thrown away and asked for again from behind the last
// batch; in mode bulk that is the start of the table.
package jdbcsource
