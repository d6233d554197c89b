package durable

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"
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
	whole    bool // batches are kept until Send
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

// NewWholeWriter returns a writer that produces nothing of a batch before its Send, so that what fails in the middle
// can be thrown away with Discard: a transaction holds batches from their beginning to their end.
func NewWholeWriter(p Producer, limit int) *Writer {
	w := NewWriter(p, limit)
	w.whole = true
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

// drop ends a chunk of which nothing was produced.
func (c *chunk) drop() {
	c.size = 0
	c.left.Store(1)
	c.acknowledged(nil, nil)
}

func (c *chunk) acknowledged(r *kgo.Record, err error) {
	if err != nil {
		c.batch.fail(fmt.Errorf("append to topic %s: %w", r.Topic, err))
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
