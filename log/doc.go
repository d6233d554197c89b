// Package log is a durable partitioned log as a library: topics, partitions,
// record batches, recovery, retention and compaction. It knows bytes and
// files; the Kafka protocol in front of it is package log/broker.
//
// A partition is a sequence of Kafka record batches (format v2) in Kafka's own
// file layout, so that any Kafka tool that reads segment files can check it.
// A batch is stored as the producer sent it; only the base offset and the
// leader epoch are written into it, and, for topics with LogAppendTime, the
// timestamp.
//
// # Promises
//
// An append under the default durability is answered after an fsync that
// covers it; one fsync is shared by all appends waiting on the partition. The
// high watermark never passes the durable end, so a reader never sees what a
// crash can take back. A failed fsync is never retried: the partition refuses
// writes until it is opened again, because after such a failure the page cache
// proves nothing. Recovery cuts a torn tail and says how many bytes it cut; it
// keeps the bytes of damage in the middle, serves what lies before it, and
// refuses writes.
//
// Transactions are Kafka's: a reader of committed records is given those below
// the last stable offset and is told which are aborted; it sees a decision once
// its marker is durable.
//
// # Concurrency
//
// All methods of Log, Topic, Partition and Waiter may be called from any
// goroutine. Appends to one partition are ordered; appends to different
// partitions do not wait for each other.
//
// DESIGN.md carries the reasons and the crash argument.
package log
