// Package history says whether what clients of a log have seen can be true. Producers, with transactions and without,
// readers, and the members of groups record what they ask and what they are answered, while the log is killed and
// started again; at the end somebody reads the log as a whole. Check then looks for what must not be: an acknowledged
// record that is gone, one of an aborted transaction that is read, and so on; see Anomaly.
//
// Every record carries a value of its own, so a history needs no payloads: two records with one value are one write
// that is there twice.
package history

import "sync"

// Kind is what happened.
type Kind uint8

// What is asked is recorded before it is sent, and what is answered after it has arrived. An answer that never came is
// not recorded: then both may be true.
const (
	Sent       Kind = iota // Value was sent, in transaction Txn, 0 for none
	Acked                  // Value was acknowledged at Partition and Offset
	Ending                 // the end of Txn was asked for, with Commit or without
	Ended                  // and was answered
	Resuming               // Member of Reader asks where Partition was committed
	Resumed                // Member of Reader goes on in Partition at Offset, by that answer or by its own will
	Polled                 // Member of Reader got Value, from Partition and Offset
	Committing             // Member of Reader asks to commit Offset of Partition
	Committed              // and was answered
	Final                  // Value is at Partition and Offset when all is over; in the order of offsets, for each isolation level
)

// Event is one thing that happened. What it means is said at its Kind; the other fields are zero.
type Event struct {
	Kind      Kind
	Value     int64 // unique among those sent
	Txn       int64
	Commit    bool
	Partition int32
	Offset    int64
	Reader    string // a group, or a client of its own
	Member    string // of the group
	Isolated  bool   // read_committed
}

// History collects events in the order in which they happened. Its methods may be called by several goroutines.
type History struct {
	mu     sync.Mutex
	events []Event
	seen   map[string]map[int64]bool // by reader
	counts map[Kind]int
}

// Add appends an event.
func (h *History) Add(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.counts == nil {
		h.counts, h.seen = map[Kind]int{}, map[string]map[int64]bool{}
	}
	h.events = append(h.events, e)
	h.counts[e.Kind]++
	if e.Kind == Polled {
		if h.seen[e.Reader] == nil {
			h.seen[e.Reader] = map[int64]bool{}
		}
		h.seen[e.Reader][e.Value] = true
	}
}

// Count is how many events of a kind there are.
func (h *History) Count(k Kind) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.counts[k]
}

// Seen is how many different values a reader has got.
func (h *History) Seen(reader string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.seen[reader])
}

// Check looks for anomalies. The history must be at its end: all that was recorded last is Final.
func (h *History) Check() []Anomaly {
	h.mu.Lock()
	defer h.mu.Unlock()
	return check(h.events)
}
