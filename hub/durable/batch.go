package durable

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/connectors"
)

// Batch is one batch of a source on its way into the log.
type Batch struct {
	writer  *Writer
	kept    []*chunk // full, and not produced before Send
	chunk   *chunk
	offsets []connectors.SourceOffset
	// Count is the number of records given to the log; Bytes their keys and values.
	Count, Bytes int

	open chan struct{} // closed when every record has its answer
	left atomic.Int32

	mu  sync.Mutex
	err error // the first
}

// Begin returns an empty batch that moves the source to the offsets, which are copied.
func (w *Writer) Begin(offsets []connectors.SourceOffset) *Batch {
	b := &Batch{writer: w, open: make(chan struct{}), offsets: make([]connectors.SourceOffset, len(offsets))}
	for i, o := range offsets {
		b.offsets[i] = connectors.SourceOffset{Partition: clone(o.Partition), Offset: clone(o.Offset)}
	}
	b.left.Store(1)
	return b
}

func clone(raw []byte) []byte {
	if raw == nil {
		return nil
	}
	return append(make([]byte, 0, len(raw)), raw...)
}

// Next returns an empty record of the batch and the memory for its bytes: append the key and the value (and header
// values) to Scratch.Buf and let the record share them. It waits while too much is in flight, and returns ctx's
// cause if ctx ends first.
func (b *Batch) Next(ctx context.Context) (*kgo.Record, *Scratch, error) {
	c := b.chunk
	if c != nil && (len(c.records) == cap(c.records) || len(c.Buf) >= chunkBytes) {
		b.chunk = nil
		if b.writer.whole {
			b.kept = append(b.kept, c)
		} else if err := b.send(ctx, c); err != nil {
			return nil, nil, err
		}
		c = nil
	}
	if c == nil {
		c = b.writer.chunks.Get().(*chunk)
		c.batch = b
		b.chunk = c
		b.left.Add(1)
	}
	c.records = c.records[:len(c.records)+1]
	r := &c.records[len(c.records)-1]
	return r, (*Scratch)(c), nil
}

// Scratch is the memory that the records of a chunk share.
type Scratch chunk

// Headers returns n headers for the last record.
func (s *Scratch) Headers(n int) []kgo.RecordHeader {
	from := len(s.headers)
	for range n {
		s.headers = append(s.headers, kgo.RecordHeader{})
	}
	return s.headers[from : from+n : from+n]
}

// Drop takes the last record that Next returned back, with what was appended for it: bytes is len(Buf) before it.
func (b *Batch) Drop(bytes int) {
	c := b.chunk
	c.records[len(c.records)-1] = kgo.Record{}
	c.records = c.records[:len(c.records)-1]
	c.Buf = c.Buf[:bytes]
}

// send produces a chunk. The context of the records is the client's: what was begun is never cancelled half-way,
// because an idempotent producer could not tell then what is in the log.
func (b *Batch) send(ctx context.Context, c *chunk) error {
	if len(c.records) == 0 {
		c.drop()
		return nil
	}
	for i := range c.records {
		c.size += len(c.records[i].Key) + len(c.records[i].Value)
	}
	size, n := c.size, len(c.records)
	if err := b.writer.acquire(ctx, size); err != nil {
		c.drop()
		return err
	}
	b.Count += n
	b.Bytes += size
	c.left.Store(int32(n))
	records, promise := c.records, c.promise
	for i := range records {
		b.writer.producer.Produce(context.Background(), &records[i], promise)
	}
	return nil
}

// Send gives what is left of the batch to the log. After it only Wait may be used.
func (b *Batch) Send(ctx context.Context) error {
	var err error
	for _, c := range b.taken() {
		if err == nil {
			err = b.send(ctx, c)
		} else {
			c.drop()
		}
	}
	if err != nil {
		b.fail(err)
	}
	b.finish()
	return err
}

// taken takes the chunks that are not produced out of the batch.
func (b *Batch) taken() []*chunk {
	all := b.kept
	if b.chunk != nil {
		all = append(all, b.chunk)
	}
	b.kept, b.chunk = nil, nil
	return all
}

// Discard throws a batch of a whole writer away, of which nothing was produced. It may not be used any more.
func (b *Batch) Discard() {
	for _, c := range b.taken() {
		c.drop()
	}
}

func (b *Batch) finish() {
	if b.left.Add(-1) == 0 {
		close(b.open)
	}
}

func (b *Batch) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = err
	}
}

// Clone returns a record that shares no memory with r.
func Clone(r *kgo.Record) kgo.Record {
	out := *r
	out.Key, out.Value = clone(r.Key), clone(r.Value)
	out.Headers = append([]kgo.RecordHeader(nil), r.Headers...)
	for i := range out.Headers {
		out.Headers[i].Value = clone(out.Headers[i].Value)
	}
	return out
}

// Done is closed when every record of the batch has its answer.
func (b *Batch) Done() <-chan struct{} { return b.open }

// Wait waits until every record of the batch has its answer and returns the proof that they are durable. If the log
// refused any, it returns why, and there is no proof: with one record the log refuses all that are sent with it.
func (b *Batch) Wait(ctx context.Context) (Records, error) {
	select {
	case <-b.open:
	case <-ctx.Done():
		return Records{}, context.Cause(ctx)
	}
	if b.err != nil {
		return Records{}, b.err
	}
	return Records{offsets: b.offsets, count: 1}, nil
}
