package cdc

import (
	"cmp"
	"slices"
	"strconv"
	"unicode/utf16"

	"github.com/sluicehub/sluice/connectors"
)

// Transactions writes transaction metadata: a BEGIN and an END record for each transaction, and the block in each
// change that says its place in it. A nil *Transactions does nothing, which is what provide.transaction.metadata=false
// means.
type Transactions struct {
	topic             string
	key, value, block *connectors.Schema

	id     string
	total  int64
	orders []Order
	buf    []byte
}

// Order counts the changes of one table in a transaction.
type Order struct {
	Table string
	Count int64
}

// NewTransactions returns a writer of transaction metadata. block is the schema that the envelopes carry.
func NewTransactions(topic string, block *connectors.Schema) *Transactions {
	id := connectors.Field{Name: "id", Schema: connectors.StringSchema}
	collection := &connectors.Schema{Type: connectors.Struct, Optional: true, Name: "event.collection", Version: 1, Fields: []connectors.Field{
		{Name: "data_collection", Schema: connectors.StringSchema}, {Name: "event_count", Schema: connectors.Int64Schema}}}
	return &Transactions{
		topic: topic, block: block,
		key: &connectors.Schema{Type: connectors.Struct, Name: "io.debezium.connector.common.TransactionMetadataKey", Version: 1, Fields: []connectors.Field{id}},
		value: &connectors.Schema{Type: connectors.Struct, Name: "io.debezium.connector.common.TransactionMetadataValue", Version: 1,
			Fields: []connectors.Field{
				{Name: "status", Schema: connectors.StringSchema}, id,
				{Name: "event_count", Schema: connectors.OptionalInt64Schema},
				{Name: "data_collections", Schema: &connectors.Schema{Type: connectors.Array, Optional: true, Elem: collection}},
				{Name: "ts_ms", Schema: connectors.Int64Schema}}},
	}
}

// Begin starts a transaction and appends its BEGIN record. id is what the source offset remembers, shown what
// records say; for most databases they are the same. ms is the time of the commit.
func (t *Transactions) Begin(b *connectors.Batch, id, shown string, ms int64) {
	if t == nil {
		return
	}
	t.Restore(id, nil)
	t.append(b, "BEGIN", shown, ms)
}

// Restore takes up a transaction in its middle: the changes counted so far.
func (t *Transactions) Restore(id string, orders []Order) {
	if t == nil {
		return
	}
	t.id, t.total, t.orders = id, 0, append(t.orders[:0], orders...)
	for _, o := range orders {
		t.total += o.Count
	}
}

// End appends the END record.
func (t *Transactions) End(b *connectors.Batch, shown string, ms int64) {
	if t == nil {
		return
	}
	t.append(b, "END", shown, ms)
}

// Next counts a change of the table and returns the bytes of its transaction block, valid until the next call; nil
// for null.
func (t *Transactions) Next(table, shown string) []byte {
	if t == nil {
		return nil
	}
	t.total++
	t.buf = AppendOptionalString(t.buf[:0], shown)
	t.buf = connectors.AppendInt(t.buf, t.total)
	t.buf = connectors.AppendInt(t.buf, t.count(table))
	return t.buf
}

func (t *Transactions) count(table string) int64 {
	for i := range t.orders {
		if t.orders[i].Table == table {
			t.orders[i].Count++
			return t.orders[i].Count
		}
	}
	t.orders = append(t.orders, Order{table, 1})
	return 1
}

// AppendOffsetID appends the members of the source offset that stand first: the transaction's id. AppendOffsetOrders
// appends the counts. Both append nothing for a nil t or outside of any transaction, else end with a comma.
func (t *Transactions) AppendOffsetID(dst []byte) []byte {
	if t == nil || t.id == "" {
		return dst
	}
	dst = append(dst, `"transaction_id":`...)
	dst = connectors.AppendJSONString(dst, []byte(t.id))
	return append(dst, ',')
}

// AppendOffsetOrders appends the counts of changes by table; see AppendOffsetID.
func (t *Transactions) AppendOffsetOrders(dst []byte) []byte {
	if t == nil {
		return dst
	}
	for _, o := range t.orders {
		dst = connectors.AppendJSONString(dst, []byte(OrderKey+o.Table))
		dst = append(dst, ':')
		dst = strconv.AppendInt(dst, o.Count, 10)
		dst = append(dst, ',')
	}
	return dst
}

// OrderKey is what the names of the counts in a source offset begin with; the table follows.
const OrderKey = "transaction_data_collection_order_"

func (t *Transactions) append(b *connectors.Batch, status, shown string, ms int64) {
	at := len(b.Buf)
	b.Buf = connectors.AppendString(b.Buf, shown)
	split := len(b.Buf)
	b.Buf = connectors.AppendString(b.Buf, status)
	b.Buf = connectors.AppendString(b.Buf, shown)
	if status == "BEGIN" {
		b.Buf = append(b.Buf, null, null)
	} else {
		b.Buf = AppendOptionalInt(b.Buf, t.total)
		b.Buf = append(b.Buf, present)
		if len(t.orders) > 0 {
			b.Buf = connectors.AppendInt(b.Buf, int64(len(t.orders)))
		}
		for _, o := range javaOrder(t.orders) {
			b.Buf = connectors.AppendString(append(b.Buf, present), o.Table)
			b.Buf = connectors.AppendInt(b.Buf, o.Count)
		}
		b.Buf = append(b.Buf, 0)
	}
	b.Buf = connectors.AppendInt(b.Buf, ms)
	b.Records = append(b.Records, connectors.Record{
		Topic: t.topic, Partition: connectors.AnyPartition, Timestamp: connectors.NoTimestamp,
		Key:   connectors.Data{Schema: t.key, Bytes: b.Buf[at:split:split]},
		Value: connectors.Data{Schema: t.value, Bytes: b.Buf[split:len(b.Buf):len(b.Buf)]},
	})
}

// javaOrder puts the tables into the order in which Debezium lists them, which is that of a Java HashMap: by buckets of
// which there is a power of two, at least 16 and more than 4/3 of the entries, and in a bucket by age.
func javaOrder(orders []Order) []Order {
	if len(orders) < 2 {
		return orders
	}
	buckets := uint32(16)
	for int(buckets)*3/4 < len(orders) {
		buckets *= 2
	}
	bucket := func(table string) uint32 {
		var h uint32
		for _, c := range utf16.Encode([]rune(table)) {
			h = 31*h + uint32(c)
		}
		return (h ^ h>>16) & (buckets - 1)
	}
	out := slices.Clone(orders)
	slices.SortStableFunc(out, func(a, b Order) int { return cmp.Compare(bucket(a.Table), bucket(b.Table)) })
	return out
}
