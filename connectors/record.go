package connectors

import "encoding/json"

// Data is one key, value or header value of a record, encoded.
//
// With a Schema, Bytes is the Avro binary encoding of the value under that schema, laid out as encoding.go says.
// Without one (Connect's schemaless data, such as JSON without schemas), Bytes is the value's JSON text. Data with
// neither is null: a record with a null value is a tombstone. A null under a schema that allows it is not the
// same: Bytes then holds the encoded null.
//
// A sink need not check what it is given: the hub has seen to it that Bytes is one whole value of its schema, or one
// JSON value as AppendCanonicalJSON spells it.
type Data struct {
	Schema *Schema
	Bytes  []byte
}

// IsNull reports whether d is null without a schema.
func (d Data) IsNull() bool { return d.Schema == nil && d.Bytes == nil }

// Header is one named header of a record. Names may repeat.
type Header struct {
	Key   string
	Value Data
}

// AnyPartition as the partition of a record leaves the choice to the hash of its key, as Kafka's own producer does.
const AnyPartition int32 = -1

// NoTimestamp as the timestamp of a record lets the hub set the time at which it writes the record.
const NoTimestamp int64 = -1

// Record is one record on its way from a source into a topic, or from a topic into a sink.
type Record struct {
	Topic     string
	Partition int32 // of a source's record: AnyPartition, or the one to write to
	Offset    int64 // in its topic partition; of a source's record: meaningless
	Timestamp int64 // milliseconds since the epoch, or NoTimestamp
	Key       Data
	Value     Data
	Headers   []Header
}

// SourceOffset says where a source stands in one of its source partitions. Both members are JSON objects whose
// content only the connector understands (I6); Connect stores them under these names. A nil Offset is "no offset",
// and storing it removes what was stored.
type SourceOffset struct {
	Partition json.RawMessage `json:"partition"`
	Offset    json.RawMessage `json:"offset"`
}

// Batch is what a source hands on at once: records, and one source offset per source partition it moved, the one
// after its last record. Progress is of whole batches: either all of a batch is durable or none of it counts.
//
// A batch may have no records and still an offset: an idle source moves on that way.
type Batch struct {
	Records []Record
	Offsets []SourceOffset
	// EventTime is when the newest record happened at the source, milliseconds since the epoch; 0 is unknown.
	// The hub reports now minus EventTime as the source's lag.
	EventTime int64
	// Buf holds the encoded bytes of the records. A source appends to it and lets the records' Data share it:
	// when it grows, records that share the older array stay valid.
	Buf []byte
}

// Reset empties b and keeps its memory for use again. Nothing may share it any more.
func (b *Batch) Reset() {
	clear(b.Records)
	clear(b.Offsets)
	b.Records, b.Offsets, b.Buf, b.EventTime = b.Records[:0], b.Offsets[:0], b.Buf[:0], 0
}

// TopicPartition names one partition of a topic.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// Records is what a sink is given at once: records of one topic partition, in offset order.
type Records struct {
	// From is the topic partition that the records were consumed from. A transform may have given the records
	// another Topic; positions are always of From.
	From TopicPartition
	// List holds the records. It may be empty, and offsets may be missing in it, where a transform dropped
	// records.
	List []Record
	// End is the next offset of From after this batch, dropped records included.
	End int64
}

// Position says how far a sink has come in a topic partition: every record below Offset is safe in the target.
type Position struct {
	TopicPartition
	Offset int64
}
