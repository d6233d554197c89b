package durable

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/connectors"
)

// A chunk is produced when it holds this many records or bytes. It is what is pooled, so that a batch that grows in
// conversion (JSON with schemas is twenty times its Avro) does not grow the memory of the writer.
const (
	chunkRecords = 1024
	chunkBytes   = 512 << 10
)

// Producer is what the writer needs of a *kgo.Client. It must be idempotent, wait for all replicas, and keep the
// order of a partition (I4).
type Producer interface {
	Produce(ctx context.Context, r *kgo.Record, promise func(*kgo.Record, error))
}

// Writer appends batches to the log, several of them in flight. Begin, Next and Send belong to one goroutine; the
// acknowledgements may be waited for in another.
type Writer struct {
	producer Producer
	limit    int
	chunks   sync.Pool

	mu    sync.Mutex
	used  int           // bytes in flight
	freed chan struct{} // closed and replaced when bytes come free; nil if nobody waits
}

// NewWriter returns a writer with at most limit bytes of keys and values in flight (one chunk may exceed it alone).
func NewWriter(p Producer, limit int) *Writer {
	w := &Writer{producer: p, limit: limit}
	w.chunks.New = func() any {
		c := &chunk{writer: w, records: make([]kgo.Record, 0, chunkRecords), Buf: make([]byte, 0, chunkBytes+chunkBytes/8)}
		c.promise = c.acknowledged
		return c
	}
	return w
}

// InFlight returns the bytes of keys and values that are not acknowledged.
func (w *Writer) InFlight() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.used
}

// acquire waits until n more bytes may be in flight: the back-pressure of a slow log.
func (w *Writer) acquire(ctx context.Context, n int) error {
	for {
		w.mu.Lock()
		if w.used == 0 || w.used+n <= w.limit {
			w.used += n
			w.mu.Unlock()
			return nil
		}
		if w.freed == nil {
			w.freed = make(chan struct{})
		}
		freed := w.freed
		w.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (w *Writer) release(n int) {
	w.mu.Lock()
	w.used -= n
	if w.freed != nil {
		close(w.freed)
		w.freed = nil
	}
	w.mu.Unlock()
}

// chunk is records that are produced, acknowledged and reused together.
type chunk struct {
	writer  *Writer
	batch   *Batch
	records []kgo.Record // never grows beyond its capacity: the client holds pointers into it
	headers []kgo.RecordHeader
	Buf     []byte
	size    int
	left    atomic.Int32
	promise func(*kgo.Record, error)
}

func (c *chunk) acknowledged(r *kgo.Record, err error) {
	if err != nil {
		c.batch.fail(r, err)
	}
	if c.left.Add(-1) > 0 {
		return
	}
	b := c.batch
	c.writer.release(c.size)
	clear(c.records)
	clear(c.headers)
	c.batch, c.records, c.headers, c.Buf, c.size = nil, c.records[:0], c.headers[:0], c.Buf[:0], 0
	if cap(c.Buf) <= 4*chunkBytes { // a huge record must not stay in the pool
		c.writer.chunks.Put(c)
	}
	b.finish()
}

// Failure is a record that the log refused.
type Failure struct {
	Record kgo.Record // its own copy
	Err    error
}

// Batch is one batch of a source on its way into the log.
type Batch struct {
	writer  *Writer
	chunk   *chunk
	offsets []connectors.SourceOffset
	// Count is the number of records given to the log; Bytes their keys and values.
	Count, Bytes int

	open chan struct{} // closed when every record has its answer
	left atomic.Int32

	mu       sync.Mutex
	failures []Failure
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
		if err := b.send(ctx); err != nil {
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

// send produces the chunk. The context of the records is the client's: what was begun is never cancelled half-way,
// because an idempotent producer could not tell then what is in the log.
func (b *Batch) send(ctx context.Context) error {
	c := b.chunk
	b.chunk = nil
	if len(c.records) == 0 {
		c.left.Store(1)
		c.acknowledged(nil, nil)
		return nil
	}
	for i := range c.records {
		c.size += len(c.records[i].Key) + len(c.records[i].Value)
	}
	size, n := c.size, len(c.records)
	if err := b.writer.acquire(ctx, size); err != nil {
		c.size = 0
		c.left.Store(1)
		c.acknowledged(nil, nil)
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
	if b.chunk != nil {
		err = b.send(ctx)
	}
	if err != nil {
		b.mu.Lock()
		b.failures = append(b.failures, Failure{Err: err})
		b.mu.Unlock()
	}
	b.finish()
	return err
}

func (b *Batch) finish() {
	if b.left.Add(-1) == 0 {
		close(b.open)
	}
}

func (b *Batch) fail(r *kgo.Record, err error) {
	f := Failure{Err: err}
	if r != nil {
		f.Record = *r
		f.Record.Key, f.Record.Value = clone(r.Key), clone(r.Value)
		f.Record.Headers = append([]kgo.RecordHeader(nil), r.Headers...)
		for i := range f.Record.Headers {
			f.Record.Headers[i].Value = clone(f.Record.Headers[i].Value)
		}
	}
	b.mu.Lock()
	b.failures = append(b.failures, f)
	b.mu.Unlock()
}

// Done is closed when every record of the batch has its answer.
func (b *Batch) Done() <-chan struct{} { return b.open }

// Wait waits until every record of the batch has its answer and returns the proof that they are durable. Records
// that the log refused are given to tolerate, which returns nil if the record is safe elsewhere (dead-letter topic)
// or may be left out (I5); any other answer is Wait's error, and there is no proof.
func (b *Batch) Wait(ctx context.Context, tolerate func(Failure) error) (Records, error) {
	select {
	case <-b.open:
	case <-ctx.Done():
		return Records{}, context.Cause(ctx)
	}
	for i := range b.failures {
		if b.failures[i].Record.Topic == "" || tolerate == nil {
			return Records{}, fmt.Errorf("append to the log: %w", b.failures[i].Err)
		}
		if err := tolerate(b.failures[i]); err != nil {
			return Records{}, err
		}
	}
	return Records{offsets: b.offsets, count: 1}, nil
}

// Records is the proof that all records of one batch or more are durable. Only Batch.Wait makes it.
type Records struct {
	offsets []connectors.SourceOffset
	count   int
}

// And returns the proof for r and, behind it, next: of each source partition the later offset stays.
func (r Records) And(next Records) Records {
	out := Records{offsets: append([]connectors.SourceOffset(nil), r.offsets...), count: r.count + next.count}
	for _, o := range next.offsets {
		out.offsets = put(out.offsets, o)
	}
	return out
}

// Batches returns how many batches the proof is about.
func (r Records) Batches() int { return r.count }

func put(list []connectors.SourceOffset, o connectors.SourceOffset) []connectors.SourceOffset {
	for i := range list {
		if string(list[i].Partition) == string(o.Partition) {
			list[i] = o
			return list
		}
	}
	return append(list, o)
}

// Store saves source offsets durably: the topic connect-offsets.
type Store interface {
	// SaveOffsets returns once the offsets are durable.
	SaveOffsets(ctx context.Context, connector string, offsets []connectors.SourceOffset) error
}

// Save writes the source offsets of records that are durable, and returns the proof that now they are durable too.
func Save(ctx context.Context, s Store, connector string, r Records) (Offsets, error) {
	if len(r.offsets) == 0 {
		return Offsets{}, nil
	}
	if err := s.SaveOffsets(ctx, connector, r.offsets); err != nil {
		return Offsets{}, fmt.Errorf("save the source offset: %w", err)
	}
	return Offsets{list: r.offsets}, nil
}

// Offsets is the proof that source offsets are durable, and before them all records they stand for. Only Save makes
// it.
type Offsets struct{ list []connectors.SourceOffset }

// Committer is the part of connectors.SourceTask that is told.
type Committer interface {
	Commit(ctx context.Context, offsets []connectors.SourceOffset) error
}

// Commit tells the source that it may forget everything up to the offsets (I1). It is the only place that does.
func (o Offsets) Commit(ctx context.Context, task Committer) error {
	if len(o.list) == 0 {
		return nil
	}
	return task.Commit(ctx, o.list)
}
