// Package postgres is the PostgreSQL source: the rows of a database and then every change to them, from logical
// decoding with pgoutput, as the records that Debezium's connector writes.
//
// # The way of a change
//
//	server ──socket── wire.pump ──whole messages── stream.read ──cells── table.appendRow ──Avro binary── Batch.Buf
//	                                                    │ R messages                ▲ compiled per shape
//	                                                    └── catalog ── compiler ────┘
//	hub ── Commit(offsets) ── acknowledger ──standby status── server
//
// A row is never a value in memory. pgoutput and COPY both give a row as texts; a table is compiled, once per shape,
// into a list of functions that append the layout of connectors/encoding.go from such a text (codec.go decides which,
// text*.go has them). Snapshot and stream use the same compiled table, so a row looks the same from both, and its
// schema is the same pointer until the table changes. On two shared cores a row of nine columns costs 0.35 µs.
//
// What a configuration says of single columns (cdc.ColumnRules: masks, hashes, lengths, source types) is compiled into
// those columns (ruled.go) and costs the others nothing. Keys keep their values, as Debezium's do.
//
// What the log says of a table (names, types) is taken from the log; what it does not say (nullability, defaults, keys,
// labels) from the catalog, which may be later than the log. Where the two contradict (a label that is not there, a null in
// a column that has become NOT NULL), the log wins.
//
// # Where the source stands
//
// The source offset (offset.go) has Debezium's members. lsn_commit is what counts: the end of the last whole
// transaction, or the server's position while nothing happens. The stream is started there, and the server sends
// again, whole, each transaction that was committed after it. If the offset was stored inside of a transaction, its id
// is in txId, and lsn_proc with lsn_events_processed say how far: LSNs of events grow within a transaction, and only
// there, and rows of one COPY share one. These events are skipped (stream.counted). So nothing is read twice and
// nothing is lost, whichever batch was the last to be durable.
//
// The server is told lsn_commit of committed offsets only (I1), and only what its WAL sender has read in this session
// (status.go), by a goroutine of its own, so that it keeps the session while nobody reads, and as often as
// wal_sender_timeout needs. Outside of transactions a keepalive moves the
// position; every status.update.interval.ms it becomes an offset without records, so that an idle database in a busy
// cluster does not hold back its WAL. The offset is stored before the slot moves: the slot is never ahead of it, unless
// somebody else moved it, which guard.go finds before anything is read.
//
// # From snapshot to stream
//
// A new slot exports the snapshot of its consistent point: what was committed before is in the snapshot, the rest in
// the slot. If the slot exists already (a slot made by hand, a snapshot that was given up), its snapshot is gone; a
// temporary slot then gives a later point, the snapshot is taken there, and the lasting slot is read from that point
// on. There is no gap and nothing twice in either case. The offset says until the last row that the snapshot is not
// complete, and how far it has come; a restart before reads the rest of it in a new exported snapshot (resume.go).
//
// What a snapshot that was interrupted has delivered stays delivered. A row of it that is deleted before the next
// exported snapshot's point is in neither, and would stay in every target. So the changes between are delivered first
// (catchup.go): from the stored offset, which promises that everything committed before it has been delivered or is
// older than everything delivered, up to the new point. They may come twice, as a change and as the row it led to; a
// kill in the middle repeats at most one transaction and what had not become durable. The same happens at every start
// with snapshot.mode=always. Where the slot no longer has these changes the task fails with class gone, but for
// when_needed and always, which say so and read the tables anew.
//
// For the promise to hold there must be an offset wherever there are rows. A first snapshot therefore hands on its
// offset alone, and the first rows when that is durable.
//
// snapshot.mode=initial_only has no slot and nothing to catch up with: an interrupted run begins anew, and a row that it
// had delivered and that is deleted before the next run stays where it was delivered.
//
// The snapshot is a plan of chunks (cdc.Plan): ranges of pages, which need no index and cost one scan in all. With
// several sessions, chunks are copied ahead, but delivered in the order of the plan, so that the order, and the markers
// first and last, do not depend on their number. All tables are locked against being rewritten (ACCESS SHARE).
//
// # Incremental snapshots
//
// Rows of single tables are read again, or for the first time, while the stream goes on, when a signal asks for it
// (cdc.Backfill, backfill.go, incremental.go). A chunk is read where the stream stands still between two transactions, and
// delivered when the stream has come to where the server was then. That a row of it is not older than a change that was
// delivered before rests on this:
//
//   - A change that the stream brings after the chunk was read takes the row out of the chunk, by the primary key or the
//     unique index that identifies rows. If the log does not say which row (another replica identity), or not all of it
//     (a large value that did not change), or the table was altered, the chunk is read again.
//   - A change that the stream brought before is in the chunk: the snapshot in which the chunk is read is compared with the
//     last 4,096 transactions that were streamed. Only one that was streamed before these, or before the last start of the
//     task, and has not become visible since (it waits for a synchronous standby), can be missed.
//   - The table is locked (ACCESS SHARE) before the snapshot is taken. A table that is rewritten between the two would look
//     empty, and the chunk like the end of the table.
//
// The offset has the tables still to be read and the key of the last row delivered; a restart goes on behind it. Bounds
// are compared by the server, under the column's collation. Memory: a chunk, at most 16 MiB.
//
// # Failure cases
//
//	connection lost, server restarts     environment, retried by the hub; the stream begins at the stored offset
//	the network swallows all             environment, after a minute: the system asks the other side (dial.go)
//	slot in use                          waits as slot.max.retries says: a dead session lingers in the server
//	slot missing, lost, or ahead         gone: a gap cannot be excluded (guard.go); the error names the commands
//	snapshot interrupted                 the next start catches up and reads the rest, a table that was altered from its begin
//	a table of a signal cannot be read   logged, and the incremental snapshot waits: resume-snapshot tries again
//	another server                       gone: the system identifier is stored beside the offset (identity.go)
//	a value without a place              data: the change goes to Report as JSON of its texts, with LSN and column
//	malformed pgoutput                   bug, with the LSN
package postgres
