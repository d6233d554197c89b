package log

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/sluicehub/sluice/log/vfs"
)

// seeds is how many random runs a crash test makes: SLUICE_TEST_SEEDS, if set.
func seeds(t *testing.T, n int) int {
	t.Helper()
	if s := os.Getenv("SLUICE_TEST_SEEDS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	} else if testing.Short() {
		n /= 10
	}
	return n
}

// TestCrashWorld does all that a log can do, at random: topics come, grow,
// change and go, producers write with and without transactions, retention,
// compaction and DeleteRecords take away, the cluster's state and producer ids
// are kept. The power goes in the middle of any operation of the file system,
// that of a start too, and in some lives a sync fails, a write is cut short or
// the disk is full before. After each start: what was acknowledged is there,
// what is there was sent, and what was in doubt is one or the other.
func TestCrashWorld(t *testing.T) {
	for seed := range seeds(t, 2000) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			newWorld(t, uint64(seed)).live(5)
		})
	}
}

// world is what a log should hold.
type world struct {
	t      *testing.T
	rng    *rand.Rand
	fs     *vfs.Mem
	clock  *fixedClock
	topics map[string]*worldTopic
	made   int // topics so far
	state  int // kept last
	pid    int64
	epoch  int32

	doubt func(l *Log) // settles the operation during which the power went

	mu      sync.Mutex // the hook is called by flushers too
	left    int        // operations of the file system until the power goes; below 0 never
	failing int        // and until one of them fails
	kind    error      // how it fails
	failed  bool
	cut     *rand.Rand // decides what a power cut takes
	crashed *vfs.Mem   // the disk as it was then
}

type worldTopic struct {
	name    string
	id      TopicID
	configs map[string]string
	parts   []*worldPart
}

// worldPart is what a partition should hold: the entries from start on. Those
// below durable are acknowledged or were seen.
type worldPart struct {
	txnModel
	durable    int64
	start      int64
	startDoubt bool
	dead       bool // refuses writes until the next start
}

func newWorldPart() *worldPart { return &worldPart{txnModel: txnModel{seq: map[int64]int32{}}} }

func newWorld(t *testing.T, seed uint64) *world {
	return &world{t: t, rng: rand.New(rand.NewPCG(seed, 21)), cut: rand.New(rand.NewPCG(seed, 22)), fs: vfs.NewMem(), clock: &fixedClock{testNow}, topics: map[string]*worldTopic{}, pid: -1, epoch: -1}
}

// compacted tells a topic of which records may be missing in the middle.
func (t *worldTopic) compacted() bool { return t.configs["cleanup.policy"] == "compact" }

// live is some starts, each with some work and an end.
func (w *world) live(lives int) {
	for range lives {
		w.arm()
		l, err := Open(w.options())
		if w.power() {
			if err == nil {
				err = l.Close()
			}
			w.end(err)
			continue // nobody was served by this start
		}
		if err != nil {
			if !w.failed {
				w.t.Fatalf("open: %v", err)
			}
			w.end(nil)
			continue
		}
		w.check(l)
		for range w.rng.IntN(40) {
			if w.step(l); w.power() {
				break
			}
		}
		w.end(l.Close())
	}
	w.left, w.failing = -1, -1
	l, err := Open(w.options())
	if err != nil {
		w.t.Fatalf("last open: %v", err)
	}
	w.check(l)
	if err := l.Close(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) options() Options {
	o := testOptions(vfs.Faulty(w.fs, w.hook))
	o.Clock, o.MaxOpenFiles = w.clock, 1+w.rng.IntN(8)
	return o
}

// arm chooses what befalls this life.
func (w *world) arm() {
	w.left, w.failing, w.failed, w.crashed = 1+w.rng.IntN(600), -1, false, nil
	if w.rng.IntN(6) == 0 {
		w.left = -1
	}
	if w.rng.IntN(3) == 0 {
		w.failing = w.rng.IntN(300)
		w.kind = []error{syscall.EIO, syscall.ENOSPC}[w.rng.IntN(2)]
	}
}

// hook counts the operations that change the disk, and takes the picture of it
// when the power goes. What happens afterwards is another world.
func (w *world) hook(op vfs.Op, _ string, n int) vfs.Fault {
	if op == vfs.OpOpen || op == vfs.OpRead || op == vfs.OpReadDir {
		return vfs.Fault{}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.left == 0 && w.crashed == nil {
		w.crashed = w.fs.CrashClone(w.cut)
	}
	w.left--
	if w.failing--; w.failing == -1 && !w.failed && w.crashed == nil && (op != vfs.OpRemove || errors.Is(w.kind, syscall.EIO)) {
		w.failed = true
		return vfs.Fault{Err: w.kind, Short: n / 2}
	}
	return vfs.Fault{}
}

// power tells whether it is gone. What was answered before it tells so is
// acknowledged.
func (w *world) power() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.crashed != nil
}

// end ends a life: by a power cut, or orderly.
func (w *world) end(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.crashed != nil:
		w.fs = w.crashed
	case err != nil && !w.failed:
		w.t.Fatalf("close: %v", err)
	case w.rng.IntN(2) == 0:
		w.fs = w.fs.CrashClone(w.cut)
	}
	w.left, w.failing = -1, -1
}

// check compares a log that was opened with the world, and makes the world be
// what the log showed: that must stay.
func (w *world) check(l *Log) {
	w.t.Helper()
	if w.doubt != nil {
		w.doubt(l)
		w.doubt = nil
	}
	if e := l.LeaderEpoch(); e <= w.epoch {
		w.t.Fatalf("leader epoch %d after %d", e, w.epoch)
	}
	w.epoch = l.LeaderEpoch()
	var names []string
	for _, t := range l.Topics() {
		names = append(names, t.Name())
	}
	if want := slices.Sorted(maps.Keys(w.topics)); !slices.Equal(names, want) {
		w.t.Fatalf("topics %v, want %v", names, want)
	}
	for _, name := range names {
		t, err := l.Topic(name)
		if err != nil {
			w.t.Fatal(err)
		}
		want := w.topics[name]
		if t.ID() != want.id || len(t.Partitions()) != len(want.parts) || !maps.Equal(t.Config().Values, want.configs) {
			w.t.Fatalf("topic %s: id %v, %d partitions, %v; want %v, %d, %v", name, t.ID(), len(t.Partitions()), t.Config().Values, want.id, len(want.parts), want.configs)
		}
		for i, p := range t.Partitions() {
			w.checkPart(want, want.parts[i], p)
		}
	}
	if b, err := l.LoadState("world"); err != nil || w.state > 0 && string(b) != fmt.Sprint(w.state) {
		w.t.Fatalf("state %q, %v, want %d", b, err, w.state)
	}
}

func (w *world) checkPart(topic *worldTopic, m *worldPart, p *Partition) {
	w.t.Helper()
	if err := p.Verify(context.Background()); err != nil || p.Err() != nil {
		w.t.Fatalf("%s after a crash: %v; %v", p, err, p.Err())
	}
	hw, start := p.HighWatermark(), p.LogStart()
	if hw < m.durable || hw > int64(len(m.entries)) {
		w.t.Fatalf("%s: high watermark %d, durable %d, sent %d", p, hw, m.durable, len(m.entries))
	}
	if start < m.start || start > m.start && !m.startDoubt {
		w.t.Fatalf("%s: log start %d, want %d", p, start, m.start)
	}
	m.start, m.startDoubt, m.dead, m.durable = start, false, false, hw
	m.cut(hw)
	for _, info := range p.Producers() {
		m.seq[info.ProducerID] = max(m.seq[info.ProducerID], info.LastSequence+1)
	}
	w.checkRecords(topic, m, p)
}

// checkRecords reads a partition as a reader of committed records does.
func (w *world) checkRecords(topic *worldTopic, m *worldPart, p *Partition) {
	w.t.Helper()
	want, stable := m.committed()
	stable = max(stable, m.start)
	from, _ := slices.BinarySearchFunc(want, m.start, func(r committedRecord, at int64) int { return cmp.Compare(r.offset, at) })
	want = want[from:]
	if got := p.LastStable(); got != min(stable, p.HighWatermark()) {
		w.t.Fatalf("%s: last stable offset %d, want %d", p, got, stable)
	}
	got := readCommitted(w.t, p, m.start, 1+w.rng.IntN(2000))
	if topic.compacted() {
		if fmt.Sprint(lastOf(got)) != fmt.Sprint(lastOf(want)) {
			w.t.Fatalf("%s, last values:\n got %v\nwant %v", p, lastOf(got), lastOf(want))
		}
		for _, r := range got {
			if e := m.entries[r.offset]; e.key != r.key || e.value != r.value {
				w.t.Fatalf("%s: offset %d holds %v, sent was %v", p, r.offset, r, e)
			}
		}
		return
	}
	if !slices.Equal(got, want) {
		w.t.Fatalf("%s from %d:\n got %v\nwant %v", p, m.start, got, want)
	}
}
