package cdc

import (
	"time"

	"github.com/sluicehub/sluice/connectors"
)

// Op is the kind of a change, as the envelope's field "op" spells it.
type Op byte

// The kinds of changes.
const (
	Create   Op = 'c'
	Update   Op = 'u'
	Delete   Op = 'd'
	Read     Op = 'r' // a row of a snapshot
	Truncate Op = 't'
	Message  Op = 'm' // a logical decoding message of PostgreSQL
)

// Snapshot is what the source block's field "snapshot" says.
type Snapshot string

// The markers of snapshot rows. A row that is the only one of its table is LastOfTable.
const (
	NoSnapshot   Snapshot = "false"
	InSnapshot   Snapshot = "true"
	First        Snapshot = "first"
	FirstOfTable Snapshot = "first_in_data_collection"
	LastOfTable  Snapshot = "last_in_data_collection"
	Last         Snapshot = "last"
	Incremental  Snapshot = "incremental"
)

// SourceFields returns the fields that every database's source block begins with, in order; the database's own
// fields follow.
func SourceFields() []connectors.Field {
	snapshot := Enum(EnumName, "true,first,first_in_data_collection,last_in_data_collection,last,false,incremental").AsOptional()
	return []connectors.Field{
		{Name: "version", Schema: connectors.StringSchema},
		{Name: "connector", Schema: connectors.StringSchema},
		{Name: "name", Schema: connectors.StringSchema},
		{Name: "ts_ms", Schema: connectors.Int64Schema},
		{Name: "snapshot", Schema: WithDefault(snapshot, connectors.StringValue(string(NoSnapshot)))},
		{Name: "db", Schema: connectors.StringSchema},
		{Name: "sequence", Schema: connectors.OptionalStringSchema},
		{Name: "ts_us", Schema: connectors.OptionalInt64Schema},
		{Name: "ts_ns", Schema: connectors.OptionalInt64Schema},
	}
}

// Source returns the schema of a source block: the common fields, then those of the database.
func Source(name string, own ...connectors.Field) *connectors.Schema {
	return &connectors.Schema{Type: connectors.Struct, Name: name, Version: 1, Fields: append(SourceFields(), own...)}
}

// Block returns the schema of the envelope's field "transaction".
func Block() *connectors.Schema {
	return &connectors.Schema{Type: connectors.Struct, Optional: true, Name: "event.block", Version: 1, Fields: []connectors.Field{
		{Name: "id", Schema: connectors.StringSchema},
		{Name: "total_order", Schema: connectors.Int64Schema},
		{Name: "data_collection_order", Schema: connectors.Int64Schema}}}
}

// Envelope returns the schema of a change of a table: name is the topic's name followed by ".Envelope", row the
// optional schema of the table's rows, of which before and after share the pointer.
func Envelope(name string, row, source, block *connectors.Schema) *connectors.Schema {
	return &connectors.Schema{Type: connectors.Struct, Name: name, Version: 2, Fields: []connectors.Field{
		{Name: "before", Schema: row},
		{Name: "after", Schema: row},
		{Name: "source", Schema: source},
		{Name: "transaction", Schema: block},
		{Name: "op", Schema: connectors.StringSchema},
		{Name: "ts_ms", Schema: connectors.OptionalInt64Schema},
		{Name: "ts_us", Schema: connectors.OptionalInt64Schema},
		{Name: "ts_ns", Schema: connectors.OptionalInt64Schema}}}
}

// The branches of an optional schema without a default, as AppendNull and AppendPresent write them.
const (
	null    = 0
	present = 2
)

// AppendTail appends what follows the source block in an envelope: the transaction block (whose bytes, of an
// optional Block, are given), op, and the three fields of the time at which the change was handled.
//
//	block | op: string | ts_ms: present, long | ts_us: present, long | ts_ns: present, long
func AppendTail(dst, block []byte, op Op, handled time.Time) []byte {
	if block == nil {
		dst = append(dst, null)
	} else {
		dst = append(dst, block...)
	}
	dst = append(dst, 2, byte(op)) // a string of length 1
	ns := handled.UnixNano()
	dst = AppendOptionalInt(dst, ns/1e6)
	dst = AppendOptionalInt(dst, ns/1e3)
	return AppendOptionalInt(dst, ns)
}

// AppendOptionalInt appends an integer of an optional schema without a default.
func AppendOptionalInt(dst []byte, i int64) []byte {
	return connectors.AppendInt(append(dst, present), i)
}

// AppendOptionalString appends a string of an optional schema without a default.
func AppendOptionalString(dst []byte, s string) []byte {
	return connectors.AppendString(append(dst, present), s)
}

// AppendOptionalNull appends the null of an optional schema without a default.
func AppendOptionalNull(dst []byte) []byte { return append(dst, null) }

// AppendSourceHead appends the fields of a source block up to "db".
func AppendSourceHead(dst []byte, version, connector, name string, ms int64, snapshot Snapshot, db string) []byte {
	dst = connectors.AppendString(dst, version)
	dst = connectors.AppendString(dst, connector)
	dst = connectors.AppendString(dst, name)
	dst = connectors.AppendInt(dst, ms)
	dst = append(dst, 0) // present: the field has a default, so the value is the first branch
	dst = connectors.AppendString(dst, string(snapshot))
	return connectors.AppendString(dst, db)
}
