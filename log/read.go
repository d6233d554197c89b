package log

// Isolation says which records a reader may see.
type Isolation int8

// Isolation levels, numbered as in Kafka's Fetch.
const (
	ReadUncommitted Isolation = 0 // below the high watermark
	ReadCommitted   Isolation = 1 // below the last stable offset
)

// ReadOptions qualifies a read.
type ReadOptions struct {
	// MaxBytes bounds the bytes returned.
	MaxBytes int
	// MinOneBatch returns the first batch even when it is larger than MaxBytes
	// (KIP-74).
	MinOneBatch bool
	Isolation   Isolation
	// Buf is appended to when its capacity is enough, so that a caller can
	// reuse memory; nil allocates.
	Buf []byte
}

// ReadResult is what a read found.
type ReadResult struct {
	// Batches are whole record batches as stored. The first one holds the
	// offset asked for, or is the next one after it; its first records may lie
	// before it. Empty, never nil, at the end of the log.
	Batches       []byte
	HighWatermark int64
	LastStable    int64
	LogStart      int64
}

// Read returns the batches from offset on, as many as fit and are contiguous
// in one file. Reading at the high watermark gives no bytes and no error;
// below the log start or above the high watermark it is ErrOffsetOutOfRange.
// At a damaged place it is ErrStorage. The result's bytes are the caller's.
func (p *Partition) Read(offset int64, o ReadOptions) (ReadResult, error) {
	return ReadResult{}, errStub
}

// Available is about how many bytes Read could give from offset on, at most
// limit, without touching the disk: for the min_bytes of a long poll.
func (p *Partition) Available(offset int64, limit int64) int64 { return 0 }

// Waiter is woken when one of the partitions it watches has news: a higher
// high watermark, a higher log start, damage, deletion, or the end of the Log.
// A long poll makes one, watches its partitions, checks them, and then waits
// on C; each token says "check again". Watching before checking loses nothing.
type Waiter struct {
	c chan struct{}
}

// NewWaiter makes a Waiter.
func NewWaiter() *Waiter { return &Waiter{c: make(chan struct{}, 1)} }

// C delivers a token after one or several news since the last token.
func (w *Waiter) C() <-chan struct{} { return w.c }

// Watch registers w until Unwatch.
func (p *Partition) Watch(w *Waiter) {}

// Unwatch ends Watch.
func (p *Partition) Unwatch(w *Waiter) {}
