package postgres

import (
	"strconv"
	"time"

	"github.com/jackc/pglogrepl"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// connectorName is what the source block and the headers call this connector.
const connectorName = "postgresql"

// sourceSchema returns the schema of the source block.
func sourceSchema() *connectors.Schema {
	return cdc.Source("io.debezium.connector.postgresql.Source",
		connectors.Field{Name: "schema", Schema: connectors.StringSchema},
		connectors.Field{Name: "table", Schema: connectors.StringSchema},
		connectors.Field{Name: "txId", Schema: connectors.OptionalInt64Schema},
		connectors.Field{Name: "lsn", Schema: connectors.OptionalInt64Schema},
		connectors.Field{Name: "xmin", Schema: connectors.OptionalInt64Schema},
		connectors.Field{Name: "origin", Schema: connectors.OptionalStringSchema},
		connectors.Field{Name: "origin_lsn", Schema: connectors.OptionalInt64Schema})
}

// emitter writes records. What does not change within a transaction is encoded once in it.
type emitter struct {
	s        *settings
	context  []connectors.Header
	database string
	txmeta   *cdc.Transactions
	now      func() time.Time
	handled  time.Time // of the present change
	uses     int       // of handled
	marker   cdc.Snapshot

	head, times []byte // of the source block: up to db; ts_us and ts_ns
	txid        int64  // 0 is none
	origin      []byte // origin and origin_lsn
	lastCommit  pglogrepl.LSN
	unplaced    bool // a row of an incremental snapshot has no place in the log
}

// noOrigin is the null of origin and origin_lsn.
func noOrigin() []byte { return []byte{0, 0} }

// at sets when the changes that follow were committed, in microseconds since the epoch, and by which transaction.
func (e *emitter) at(us, txid int64, marker cdc.Snapshot) {
	e.head = cdc.AppendSourceHead(e.head[:0], version, connectorName, e.s.prefix, us/1000, marker, e.database)
	e.times = cdc.AppendOptionalInt(e.times[:0], us)
	e.times = cdc.AppendOptionalInt(e.times, us*1000)
	e.txid = txid
	e.unplaced = marker == cdc.Incremental
	e.uses = 0
}

// time returns the time of handling, read anew for each 16th change only: a look at the clock can cost as much as
// a small row.
func (e *emitter) time() time.Time {
	if e.uses&15 == 0 {
		e.handled = e.now()
	}
	e.uses++
	return e.handled
}

// appendSource appends the source block. place are the encoded fields schema and table.
func (e *emitter) appendSource(dst, place []byte, lsn pglogrepl.LSN) []byte {
	dst = append(dst, e.head...)
	dst = append(dst, 2, 0) // present; its length comes when it is known, and is less than 64
	at := len(dst)
	if e.lastCommit == 0 {
		dst = append(dst, `[null,"`...)
	} else {
		dst = strconv.AppendUint(append(dst, '[', '"'), uint64(e.lastCommit), 10)
		dst = append(dst, `","`...)
	}
	dst = append(strconv.AppendUint(dst, uint64(lsn), 10), '"', ']')
	dst[at-1] = byte(len(dst)-at) << 1
	dst = append(dst, e.times...)
	dst = append(dst, place...)
	if e.txid != 0 {
		dst = cdc.AppendOptionalInt(dst, e.txid)
	} else {
		dst = cdc.AppendOptionalNull(dst)
	}
	if e.unplaced {
		dst = cdc.AppendOptionalNull(dst)
	} else {
		dst = cdc.AppendOptionalInt(dst, int64(lsn))
	}
	dst = cdc.AppendOptionalNull(dst) // xmin
	return append(dst, e.origin...)
}

// row is one row as it was or is, and what it lacks.
type row struct {
	cells []cell
	// other is the other version of the row, from which values that were not sent can be taken.
	other []cell
	// partial says that the row has only its key.
	partial bool
}

// change appends the record of a change: key, envelope, headers. A nil row is null. On error the batch is as before.
func (e *emitter) change(b *connectors.Batch, t *table, op cdc.Op, before, after *row, lsn pglogrepl.LSN, headers []connectors.Header) error {
	start := len(b.Buf)
	undo := func(err error) error {
		b.Buf = b.Buf[:start]
		return err
	}
	buf, err := b.Buf, error(nil)
	identity := after
	if identity == nil {
		identity = before
	}
	keyed := t.keySchema != nil && identity != nil
	if keyed {
		if buf, err = t.appendKey(buf, identity.cells, identity.other, identity.partial); err != nil {
			return undo(err)
		}
	}
	split := len(buf)
	for _, r := range [2]*row{before, after} {
		if r == nil {
			buf = append(buf, 0)
		} else if buf, err = t.appendRow(buf, r.cells, r.other, r.partial); err != nil {
			return undo(err)
		}
	}
	buf = e.appendSource(buf, t.place, lsn)
	var block []byte
	if e.txmeta != nil && op != cdc.Read {
		block = e.txmeta.Next(t.id, e.txShown(lsn))
	}
	buf = cdc.AppendTail(buf, block, op, e.time())
	r := connectors.Record{Topic: t.topic, Partition: connectors.AnyPartition, Timestamp: connectors.NoTimestamp, Headers: headers,
		Value: connectors.Data{Schema: t.envelope, Bytes: buf[split:len(buf):len(buf)]}}
	if keyed {
		r.Key = connectors.Data{Schema: t.keySchema, Bytes: buf[start:split:split]}
	}
	b.Buf = buf
	b.Records = append(b.Records, r)
	return nil
}

// tombstone appends the record that lets compaction remove a key, after the record of the delete.
func (e *emitter) tombstone(b *connectors.Batch) {
	last := b.Records[len(b.Records)-1]
	last.Value = connectors.Data{}
	b.Records = append(b.Records, last)
}

// txShown is how records name the transaction: by its id and the place of the event.
func (e *emitter) txShown(lsn pglogrepl.LSN) string {
	return strconv.FormatInt(e.txid, 10) + ":" + strconv.FormatUint(uint64(lsn), 10)
}

// messages writes logical decoding messages.
type messages struct {
	topic      string
	key, value *connectors.Schema
	binary     cdc.BinaryHandling
}

func newMessages(s *settings, source, block *connectors.Schema) *messages {
	prefix := connectors.Field{Name: "prefix", Schema: connectors.OptionalStringSchema}
	content := connectors.Field{Name: "content", Schema: s.values.binary.Schema().AsOptional()}
	return &messages{
		topic: s.naming.Topic("message"), binary: s.values.binary,
		key: &connectors.Schema{Type: connectors.Struct, Name: "io.debezium.connector.postgresql.MessageKey", Version: 1, Fields: []connectors.Field{prefix}},
		value: &connectors.Schema{Type: connectors.Struct, Name: "io.debezium.connector.postgresql.MessageValue", Version: 1, Fields: []connectors.Field{
			{Name: "op", Schema: connectors.StringSchema}, {Name: "ts_ms", Schema: connectors.OptionalInt64Schema},
			{Name: "source", Schema: source}, {Name: "transaction", Schema: block},
			{Name: "message", Schema: &connectors.Schema{Type: connectors.Struct, Name: "io.debezium.connector.postgresql.Message", Version: 1,
				Fields: []connectors.Field{prefix, content}}}}},
	}
}

// message appends the record of a logical decoding message.
func (e *emitter) message(b *connectors.Batch, m *messages, msg message, lsn pglogrepl.LSN) {
	start := len(b.Buf)
	b.Buf = cdc.AppendOptionalString(b.Buf, msg.prefix)
	split := len(b.Buf)
	b.Buf = append(b.Buf, 2, byte(cdc.Message))
	b.Buf = cdc.AppendOptionalInt(b.Buf, e.time().UnixMilli())
	b.Buf = e.appendSource(b.Buf, []byte{0, 0}, lsn) // schema and table are empty
	if e.txmeta != nil && msg.transactional {
		b.Buf = append(b.Buf, e.txmeta.Next(msg.prefix, e.txShown(lsn))...)
	} else {
		b.Buf = cdc.AppendOptionalNull(b.Buf)
	}
	b.Buf = cdc.AppendOptionalString(b.Buf, msg.prefix)
	b.Buf = m.binary.Append(append(b.Buf, 2), msg.content)
	b.Records = append(b.Records, connectors.Record{Topic: m.topic, Partition: connectors.AnyPartition, Timestamp: connectors.NoTimestamp,
		Key:   connectors.Data{Schema: m.key, Bytes: b.Buf[start:split:split]},
		Value: connectors.Data{Schema: m.value, Bytes: b.Buf[split:len(b.Buf):len(b.Buf)]}})
}
