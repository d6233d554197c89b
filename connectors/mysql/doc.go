// Package mysql is the source for MySQL and MariaDB: the rows of the tables and then every change to them, from the
// binary log, as the records that Debezium's connectors write.
//
// # The way of a change
//
//	server ──socket── BinlogSyncer ──events── feed ── stream ──cells── table.appendRow ──Avro binary── Batch.Buf
//	                                                    │ TABLE_MAP              ▲ compiled per definition
//	                                        statements ─┴─ ddl ── history ───────┘
//
// A row is never a value in memory. A row image and the row of a SELECT are both cells, views of the bytes that came; a
// table is compiled, once per definition, into functions that append the layout of connectors/encoding.go from such a
// cell (codec.go, with one function for texts and one for the log). Rows of tables that are not captured are not taken
// apart. The library connects, authenticates and frames events; it decodes no rows, and never connects again by itself:
// it would go on at a place of its own. What it has read ahead is bounded in bytes.
//
// # What a table looks like
//
// The log has numbers and types of columns; names, signs, character sets and labels only with binlog_row_metadata=FULL,
// defaults never. So the definitions are taken from the catalog at the moment of the snapshot, and moved by each
// statement in the log (ddl.go, alter.go). Each definition is stored as a source partition of its own, with the place
// from which it holds: a task that starts at an older place has the definition of that place (history.go). No position
// behind a statement is offered before the definition that it made is durable. Each TABLE_MAP is held against the
// definition, in number, types and sizes of columns; with FULL it replaces it where they differ. A statement that the
// parser cannot read makes the definition doubtful: it is then read from the catalog, which may be later than the log,
// and held against the log as always. If rows were read with it and then the log has another statement that it included
// already, nobody can say whether the columns were the right ones. Where definition and log cannot agree, the task fails
// and names the statement.
//
// # Where the source stands
//
// The source offset (position.go) has Debezium's members. With GTIDs the set of those that were read whole counts: the
// server sends again, whole, each transaction that is not in it. Without, file and position of the begin of the
// transaction. In its middle, event says how many of its events were delivered, and these are skipped. So nothing is
// read twice and nothing is lost, whichever batch was the last to be durable. Positions in events have 32 bits; what is
// above them is counted.
//
// # From snapshot to stream
//
// All sessions of a snapshot begin their transactions while nobody can write (FLUSH TABLES WITH READ LOCK, for an
// instant), and the end of the log is read then: what was committed before is in the snapshot, the rest is read from
// there. Without the right to that lock the captured tables are locked instead; LOCK TABLES waits for all transactions
// that have changed them, so that no change of theirs is between. With snapshot.locking.mode=none changes are read from a
// place that all transactions have, and what is committed until the last of them begins comes twice: MySQL's executed GTIDs
// before the first begins, or the place that MariaDB has for it. The end of the log is no such place, it is ahead of what
// is visible (meet.go), so without GTIDs MySQL needs a lock. Large tables are cut by their integer key;
// chunks are read ahead by several sessions and delivered in order. With another key rows are read in its order.
//
// A view is one of rows, not of tables. So each session keeps all tables of the snapshot from being altered, renamed and
// truncated from the meeting to its end (pin in meet.go), as pg_dump does: who alters one waits, and whoever uses that table
// waits behind him. Programs that alter tables in use ask with a short lock_wait_timeout, and again.
//
// A snapshot that was interrupted has left rows in the log; what became of them until the moment in which the sessions
// of the next one meet is read from the log first, so that no row stays that was deleted meanwhile (catchup.go). Then the
// next one reads only the rest (resume.go; the argument is in connectors/DESIGN.md). For its sake the rows of a table whose
// key cannot be cut are read in the order of the key.
//
// # Incremental snapshots
//
// As the PostgreSQL source's (cdc.Backfill, backfill.go, chunk.go): chunks are read where the stream stands still between
// two transactions, and changes that come after take their rows out. A transaction is in the log before its rows are
// visible: what was streamed is held against what the rows have (connectors/DESIGN.md, "Rows read beside a stream"; chunk.go
// says by what). Without GTIDs and without a signal table nothing can tell, and the snapshot waits and says so.
// A metadata lock keeps the table from being altered while a chunk is read. What is prepared only (XA) was delivered and is
// not visible: a chunk that is read meanwhile has the rows as they were before.
//
// # Failure cases
//
//	connection lost, server restarts      environment, retried by the hub; the stream begins at the stored offset
//	log purged, or of another server      gone: a gap cannot be excluded (guard.go); the error names the commands
//	another replica with the same number  environment; the error names database.server.id
//	a statement in place of rows          config: binlog_format is not ROW somewhere
//	a definition that does not fit        gone, with the last statement that could not be read
//	a table of a signal cannot be read    logged, and the incremental snapshot waits: resume-snapshot tries again
//	snapshot interrupted                  the next start catches up and reads the rest, a table that was altered from its begin
//	a compressed value is damaged         data: as the next
//	a value without a place               data: the change goes to Report as JSON, with file, position, row and column
//
// A prepared XA transaction is delivered when it is prepared: that is where the log has it. If it is rolled back later,
// the log does not say what to take back, and a warning names it.
package mysql
