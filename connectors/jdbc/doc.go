// Package jdbc is the sink to relational databases (PostgreSQL, MySQL, MariaDB, SQLite), with the keys and the behaviour of
// the JDBC sinks of Confluent (io.confluent.connect.jdbc.JdbcSinkConnector), Aiven and Debezium.
//
// # The way of a record
//
// Put finds the plan of a record, which is compiled once for its schemas: what becomes which column of which table. By it
// the record's encoding is taken apart into cells, each already in the form in which the database takes it, behind each
// other in the arena of a batch. A change event of Debezium needs no transform in front: its row image is read, and its
// operation only where there is none.
//
// A goroutine writes one batch while Put fills the next. Its lanes, a connection each, write at once, and each in one
// transaction of its own: the rows of the keys that are its own, and how far it is (offsets.go). What a database refuses
// because of a row is written once more by one transaction, in the order of the topic, halving what is refused until the
// row is found; that one is reported to the hub.
//
// What is particular to a database is its dialect; see dialect.go. DESIGN.md argues why all of this is right.
package jdbc
