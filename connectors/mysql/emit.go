package mysql

import (
	"time"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// sourceSchema returns the schema of the source block.
func (f flavor) sourceSchema() *connectors.Schema {
	return cdc.Source(f.schema("Source"),
		connectors.Field{Name: "table", Schema: connectors.OptionalStringSchema},
		connectors.Field{Name: "server_id", Schema: connectors.Int64Schema},
		connectors.Field{Name: "gtid", Schema: connectors.OptionalStringSchema},
		connectors.Field{Name: "file", Schema: connectors.StringSchema},
		connectors.Field{Name: "pos", Schema: connectors.Int64Schema},
		connectors.Field{Name: "row", Schema: connectors.Int32Schema},
		connectors.Field{Name: "thread", Schema: connectors.OptionalInt64Schema},
		connectors.Field{Name: "query", Schema: connectors.OptionalStringSchema})
}

// origin is where in the log a record comes from.
type origin struct {
	ns     int64 // when it was committed, nanoseconds since the epoch
	server int64
	gtid   string // "" is none
	file   string
	pos    uint64
	thread int64  // 0 is none
	query  string // "" is none
}

// emitter writes records. What does not change from row to row is encoded once.
type emitter struct {
	s       *settings
	context []connectors.Header
	txmeta  *cdc.Transactions
	now     func() time.Time
	handled time.Time // of the present change
	uses    int       // of handled
	txID    string

	head   []byte // of the source block, up to ts_ns
	middle []byte // server_id, gtid, file, pos
	tail   []byte // thread, query
}

// at sets where the records that follow come from, and their database.
func (e *emitter) at(o *origin, marker cdc.Snapshot, db string) {
	h := cdc.AppendSourceHead(e.head[:0], version, e.s.flavor.name, e.s.prefix, o.ns/1e6, marker, db)
	h = cdc.AppendOptionalNull(h) // sequence
	h = cdc.AppendOptionalInt(h, o.ns/1e3)
	e.head = cdc.AppendOptionalInt(h, o.ns)
	m := connectors.AppendInt(e.middle[:0], o.server)
	m = appendOptionalText(m, o.gtid)
	m = connectors.AppendString(m, o.file)
	e.middle = connectors.AppendInt(m, int64(o.pos))
	t := e.tail[:0]
	if o.thread != 0 {
		t = cdc.AppendOptionalInt(t, o.thread)
	} else {
		t = cdc.AppendOptionalNull(t)
	}
	e.tail = appendOptionalText(t, o.query)
	e.uses = 0
}

func appendOptionalText(dst []byte, s string) []byte {
	if s == "" {
		return cdc.AppendOptionalNull(dst)
	}
	return cdc.AppendOptionalString(dst, s)
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

// appendSource appends the source block. place is the encoded field table.
func (e *emitter) appendSource(dst, place []byte, row int) []byte {
	dst = append(dst, e.head...)
	dst = append(dst, place...)
	dst = append(dst, e.middle...)
	dst = connectors.AppendInt(dst, int64(row))
	return append(dst, e.tail...)
}

// change is one change of a row, or a row of a snapshot.
type change struct {
	t             *table
	read          reader
	op            cdc.Op
	before, after []cell // nil is null
	row           int    // in its event
	headers       []connectors.Header
}

// emit appends the record of a change: key, envelope, headers. On error the batch is as before.
func (e *emitter) emit(b *connectors.Batch, c *change) error {
	start := len(b.Buf)
	undo := func(err error) error {
		b.Buf = b.Buf[:start]
		return err
	}
	buf, err := b.Buf, error(nil)
	identity, other := c.after, c.before
	if identity == nil {
		identity, other = c.before, nil
	}
	keyed := c.t.keySchema != nil && identity != nil
	if keyed {
		if buf, err = c.t.appendKey(buf, c.read, identity, other); err != nil {
			return undo(err)
		}
	}
	split := len(buf)
	if c.before == nil {
		buf = append(buf, 0)
	} else if buf, err = c.t.appendRow(buf, c.read, c.before, nil, false); err != nil {
		return undo(err)
	}
	if c.after == nil {
		buf = append(buf, 0)
	} else if buf, err = c.t.appendRow(buf, c.read, c.after, c.before, true); err != nil {
		return undo(err)
	}
	buf = e.appendSource(buf, c.t.place, c.row)
	var block []byte
	if e.txmeta != nil && c.op != cdc.Read {
		block = e.txmeta.Next(c.t.id, e.txID)
	}
	buf = cdc.AppendTail(buf, block, c.op, e.time())
	r := connectors.Record{Topic: c.t.topic, Partition: connectors.AnyPartition, Timestamp: connectors.NoTimestamp, Headers: c.headers,
		Value: connectors.Data{Schema: c.t.envelope, Bytes: buf[split:len(buf):len(buf)]}}
	if keyed {
		r.Key = connectors.Data{Schema: c.t.keySchema, Bytes: buf[start:split:split]}
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
