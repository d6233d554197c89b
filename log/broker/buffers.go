package broker

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/sluicehub/sluice/log"
)

// Sizes of buffers that are kept, as powers of two: smaller ones are cheaper made than kept, larger ones are rare.
const (
	minBuffer = 12 // 4 KiB
	maxBuffer = 26 // 64 MiB
)

// maxLent is how much memory the records in all answers may take together. Who comes when it is used up gets little:
// leastLent, or one batch.
const (
	maxLent   = 128 << 20
	leastLent = 1 << 20
)

// buffers keeps memory for records on their way through the broker. To make it anew for each request costs more than all
// else that is done with them: it is cleared, collected, and given back to the operating system in between. What is not
// used for a while, the garbage collector takes. Safe for concurrent use.
type buffers struct {
	sizes [maxBuffer - minBuffer + 1]sync.Pool // of *[]byte
	lent  atomic.Int64                         // bytes of records in all answers
}

// get returns n bytes of any content.
func (b *buffers) get(n int) []byte {
	if n < 1<<minBuffer || n > 1<<maxBuffer {
		return make([]byte, n)
	}
	if buf := b.kept(n); buf != nil {
		return buf
	}
	return make([]byte, n, 1<<bits.Len(uint(n-1)))
}

// kept is get without making anything: nil when there is no buffer that can be used again.
func (b *buffers) kept(n int) []byte {
	if n < 1<<minBuffer || n > 1<<maxBuffer {
		return nil
	}
	if buf, ok := b.sizes[bits.Len(uint(n-1))-minBuffer].Get().(*[]byte); ok {
		return (*buf)[:n]
	}
	return nil
}

// put takes back what get returned; small and very large ones it leaves to the garbage collector.
func (b *buffers) put(buf []byte) {
	i := bits.Len(uint(cap(buf))) - 1 - minBuffer
	if i >= 0 && i < len(b.sizes) && cap(buf) == 1<<(i+minBuffer) {
		b.sizes[i].Put(&buf)
	}
}

// loan is what one answer takes until it is written: memory, and records that are not read yet.
type loan struct {
	from  *buffers
	size  int // of from.lent
	bufs  [][]byte
	used  int                 // bytes of bufs
	rests map[*byte]*log.Rest // by the first byte of the records that they follow
}

// reserve says how many of n bytes of records an answer may have.
func (l *loan) reserve(n int) int {
	for {
		lent := l.from.lent.Load()
		l.size = min(n, max(leastLent, int(maxLent-lent)))
		if l.from.lent.CompareAndSwap(lent, lent+int64(l.size)) {
			return l.size
		}
	}
}

// hold keeps a rest for the records that it follows.
func (l *loan) hold(records []byte, rest *log.Rest) {
	if rest == nil {
		return
	}
	if l.rests == nil {
		l.rests = make(map[*byte]*log.Rest)
	}
	l.rests[&records[0]] = rest
}

// rest is what follows records, or nil.
func (l *loan) rest(records []byte) *log.Rest {
	if len(records) == 0 {
		return nil
	}
	return l.rests[&records[0]]
}

// keep changes how much is reserved.
func (l *loan) keep(n int) {
	if n == l.size {
		return
	}
	l.from.lent.Add(int64(n - l.size))
	l.size = n
}

func (l *loan) get(n int) []byte {
	buf := l.from.get(n)
	l.bufs = append(l.bufs, buf)
	if l.used += n; l.used > l.size {
		l.keep(l.used)
	}
	return buf
}

// giveBack ends the loan.
func (l *loan) giveBack() {
	for _, rest := range l.rests {
		rest.Close()
	}
	l.rests = nil
	for _, buf := range l.bufs {
		l.from.put(buf)
	}
	l.bufs, l.used = nil, 0
	l.keep(0)
}
