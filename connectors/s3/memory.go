package s3

import (
	"sync"
	"sync/atomic"
	"time"
)

// defaultMemory is the budget for bytes that wait for their upload, of all tasks together.
const defaultMemory = 96 << 20

// Sizes of chunks. A blob begins with a small one, because thousands of open files may hold a few records each.
const (
	smallChunk = 4 << 10
	chunkSize  = 64 << 10
)

// trimEvery is how often chunks that were not needed for as long are let go.
const trimEvery = time.Second

// memory hands out chunks and counts them. It never refuses one: who takes chunks looks at short, and makes room by
// uploading or by spilling to disk, which only the owner of the bytes can do. It may be used by several goroutines.
type memory struct {
	limit atomic.Int64
	used  atomic.Int64

	mu      sync.Mutex
	free    [][]byte  // of chunkSize, kept for use again: with those in use half of the budget at most
	least   int       // the fewest of them since trimmed
	trimmed time.Time // when trim did something
}

func newMemory(limit int64) *memory {
	m := &memory{}
	m.limit.Store(limit)
	return m
}

// short reports whether more is in use than the budget allows.
func (m *memory) short() bool { return m.used.Load() > m.limit.Load() }

// low reports whether there is room again for going on.
func (m *memory) low() bool { return m.used.Load() <= m.limit.Load()/4*3 }

// take returns an empty chunk with room for size bytes.
func (m *memory) take(size int) []byte {
	m.used.Add(int64(size))
	if size == chunkSize {
		m.mu.Lock()
		defer m.mu.Unlock()
		if n := len(m.free); n > 0 {
			c := m.free[n-1]
			m.free[n-1] = nil
			m.free = m.free[:n-1]
			m.least = min(m.least, n-1)
			return c
		}
	}
	return make([]byte, 0, size)
}

// give takes a chunk back, which nobody may use any more.
func (m *memory) give(chunk []byte) {
	m.used.Add(-int64(cap(chunk)))
	if cap(chunk) != chunkSize {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.used.Load()+int64(len(m.free)+1)*chunkSize <= m.limit.Load()/2 {
		m.free = append(m.free, chunk[:0])
	}
}

// trim lets half of the chunks go that nobody has needed lately, so that an idle task has none in the end. It may be
// called often.
func (m *memory) trim(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.trimmed) < trimEvery {
		return
	}
	n := len(m.free) - (m.least+1)/2
	clear(m.free[n:])
	m.free = m.free[:n]
	m.least, m.trimmed = n, now
}
