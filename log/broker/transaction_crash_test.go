package broker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/sluicehub/sluice/log"
	"github.com/sluicehub/sluice/log/segment"
	"github.com/sluicehub/sluice/log/vfs"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestTransactionsAreWhole runs transactions over several partitions and over the offsets of a group, on a file system
// that forgets what was not synced, and crashes in the middle. After each crash, a transaction is seen in all of its
// partitions or in none; the answered ones as they were answered. Beside them a group commits offsets without transactions:
// the last one that was answered is there, or a later one.
func TestTransactionsAreWhole(t *testing.T) {
	seeds := 150
	if s := os.Getenv("SLUICE_TEST_SEEDS"); s != "" {
		var err error
		if seeds, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	} else if testing.Short() {
		seeds = 20
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := &wholeModel{t: t, rng: rand.New(rand.NewPCG(uint64(seed), 5)), next: map[string]int64{}}
			fs := vfs.NewMem()
			for life := range 4 {
				fs = m.life(fs, life)
			}
		})
	}
}

const wholePartitions = 3

type wholeModel struct {
	t   *testing.T
	rng *rand.Rand

	mu    sync.Mutex
	next  map[string]int64 // by transactional id: number of its next transaction
	order []answer

	sent, acked int64 // offsets of the group that commits without transactions
}

// answer is a transaction that was answered.
type answer struct {
	id        string
	n         int64
	committed bool
}

// life is one start, some transactions and a crash.
func (m *wholeModel) life(fs *vfs.Mem, life int) *vfs.Mem {
	m.t.Helper()
	l, err := log.Open(log.Options{Dir: "data", FS: fs})
	if err != nil {
		m.t.Fatal(err)
	}
	b, err := New(Options{Log: l})
	if err != nil {
		m.t.Fatal(err)
	}
	if life == 0 {
		if _, err := l.CreateTopic("t", log.TopicID{}, wholePartitions, map[string]string{"segment.bytes": "2048"}); err != nil {
			m.t.Fatal(err)
		}
	}
	m.check(b)
	var wg sync.WaitGroup
	stop, steps := make(chan struct{}), make(chan struct{})
	for g := range 3 {
		p := &wholeProducer{m: m, b: b, id: fmt.Sprint("p", g), rng: rand.New(rand.NewPCG(m.rng.Uint64(), 0)), stop: stop, steps: steps}
		wg.Go(p.run)
	}
	wg.Go(func() { m.commitPlain(b, stop, steps) })
	for range m.rng.IntN(60) {
		<-steps
	}
	m.mu.Lock()
	known, acked := len(m.order), m.acked
	m.mu.Unlock()
	crashed := fs.CrashClone(m.rng) // while others write
	close(stop)
	wg.Wait()
	m.order, m.acked = m.order[:known], acked
	if err := errors.Join(b.Close(), l.Close()); err != nil {
		m.t.Fatal(err)
	}
	return crashed
}

const plainGroup = "without-transactions"

// commitPlain commits one offset after the other.
func (m *wholeModel) commitPlain(b *Broker, stop, steps chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case steps <- struct{}{}:
		}
		m.sent++
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Group, req.Generation = plainGroup, -1
		rp := kmsg.NewOffsetCommitRequestTopicPartition()
		rp.Offset = m.sent
		req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetCommitRequestTopicPartition{rp}}}
		wait, err := b.offsetCommit(&request{c: &conn{b: b}, ctx: context.Background(), version: 8}, req)
		if err != nil {
			m.t.Error(err)
			return
		}
		if code := wait().(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode; code != 0 {
			m.t.Errorf("commit: %v", kerr.ErrorForCode(code))
			return
		}
		m.mu.Lock()
		m.acked = m.sent
		m.mu.Unlock()
	}
}

// wholeProducer runs transactions one after the other.
type wholeProducer struct {
	m     *wholeModel
	b     *Broker
	id    string
	rng   *rand.Rand
	stop  chan struct{}
	steps chan struct{}
}

func (p *wholeProducer) step() (more bool) {
	select {
	case p.steps <- struct{}{}:
		return true
	case <-p.stop:
		return false
	}
}

func (p *wholeProducer) run() {
	pid, epoch, err := p.b.txns.init(p.id, 60_000, -1, -1)
	for err == nil && p.step() {
		p.m.mu.Lock()
		n := p.m.next[p.id]
		p.m.next[p.id]++
		p.m.mu.Unlock()
		for part := range int32(wholePartitions) {
			if code := p.produce(part, pid, epoch, n); code != 0 {
				err = kerr.ErrorForCode(code)
				break
			}
			if !p.step() {
				return
			}
		}
		if err == nil {
			err = p.commitOffset(pid, epoch, n)
		}
		commit := p.rng.IntN(3) > 0
		if err == nil && p.step() {
			pid, epoch, err = p.b.txns.end(p.id, pid, epoch, commit, 2)
		}
		if err == nil {
			p.m.mu.Lock()
			p.m.order = append(p.m.order, answer{p.id, n, commit})
			p.m.mu.Unlock()
		}
	}
	if err != nil {
		p.m.t.Errorf("%s: %v", p.id, err)
		for p.step() { // the test waits for steps
		}
	}
}

func (p *wholeProducer) produce(part int32, pid int64, epoch int16, n int64) int16 {
	b := segment.Builder{Idempotent: true, Transactional: true, ProducerID: pid, ProducerEpoch: epoch}
	b.Add(time.Now().UnixMilli(), []byte(p.id), strconv.AppendInt(nil, n, 10))
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TransactionID = -1, &p.id
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Partition, rp.Records = part, b.Batch()
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: "t", Partitions: []kmsg.ProduceRequestTopicPartition{rp}}}
	wait, err := p.b.produce(p.request(12), req)
	if err != nil {
		return kerr.UnknownServerError.Code
	}
	return wait().(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode
}

// request is what comes with a request of a version.
func (p *wholeProducer) request(version int16) *request {
	return &request{c: &conn{b: p.b}, ctx: context.Background(), version: version}
}

func (p *wholeProducer) commitOffset(pid int64, epoch int16, n int64) error {
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch, req.Generation = p.id, p.id, pid, epoch, -1
	a, err := p.b.commitInTransaction(p.request(5), req, map[place]*committed{{"t", 0}: {offset: n}})
	if err != nil {
		return err
	}
	return a.Wait(context.Background())
}

// check compares what readers of committed records see with what was answered.
func (m *wholeModel) check(b *Broker) {
	m.t.Helper()
	for _, t := range b.txns.list() {
		if _, _, err := b.txns.init(t.id, 60_000, -1, -1); err != nil { // aborts what is open
			m.t.Fatal(err)
		}
	}
	parts := make(map[answer]int)
	last := make(map[string]int64)
	for n := range int32(wholePartitions) {
		part, err := b.log.Partition("t", n)
		if err != nil {
			m.t.Fatal(err)
		}
		if part.Err() != nil || part.LastStable() != part.HighWatermark() {
			m.t.Fatalf("last stable offset %d, high watermark %d, %v", part.LastStable(), part.HighWatermark(), part.Err())
		}
		for _, rec := range readCommittedRecords(m.t, part) {
			n, err := strconv.ParseInt(rec.value, 10, 64)
			if err != nil {
				m.t.Fatal(err)
			}
			parts[answer{rec.key, n, true}]++
			last[rec.key] = max(last[rec.key], n+1)
		}
	}
	for a, n := range parts {
		if n != wholePartitions {
			m.t.Errorf("transaction %d of %s is seen in %d partitions of %d", a.n, a.id, n, wholePartitions)
		}
	}
	for _, a := range m.order {
		if seen := parts[answer{a.id, a.n, true}] > 0; seen != a.committed {
			m.t.Errorf("transaction %d of %s: seen %v, committed %v", a.n, a.id, seen, a.committed)
		}
	}
	plain, ok := b.groups.store.get(plainGroup, place{"t", 0})
	if plain.offset < m.acked || plain.offset > m.sent || ok != (plain.offset > 0) {
		m.t.Errorf("the group without transactions is at %d, answered was %d, sent %d", plain.offset, m.acked, m.sent)
	}
	m.acked = plain.offset // what was shown must stay
	for id := range m.next {
		c, ok := b.groups.store.get(id, place{"t", 0})
		if ok != (last[id] > 0) || ok && c.offset+1 != last[id] {
			m.t.Errorf("%s has committed offset %d (%v), its last transaction seen is %d", id, c.offset, ok, last[id]-1)
		}
	}
}

type committedRecord struct{ key, value string }

// readCommittedRecords reads a partition as a consumer of committed records does.
func readCommittedRecords(t *testing.T, part *log.Partition) (out []committedRecord) {
	t.Helper()
	for at := int64(0); at < part.LastStable(); {
		r, err := part.Read(at, log.ReadOptions{MaxBytes: 1 << 20, MinOneBatch: true, Isolation: log.ReadCommitted})
		if err != nil {
			t.Fatal(err)
		}
		skipping := map[int64]bool{}
		for b := r.Batches; len(b) > 0; {
			h, batch, err := segment.ParseBatch(b)
			if err != nil {
				t.Fatal(err)
			}
			for len(r.Aborted) > 0 && r.Aborted[0].First <= h.LastOffset() {
				skipping[r.Aborted[0].ProducerID] = true
				r.Aborted = r.Aborted[1:]
			}
			if h.Control() {
				delete(skipping, h.ProducerID)
			} else if !skipping[h.ProducerID] {
				for rec, err := range segment.Records(&h, batch) {
					if err != nil {
						t.Fatal(err)
					}
					out = append(out, committedRecord{string(rec.Key), string(rec.Value)})
				}
			}
			b, at = b[len(batch):], h.NextOffset()
		}
	}
	return out
}
