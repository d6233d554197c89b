package log

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sluicehub/sluice/log/segment"
)

// Partition is one ordered log of record batches.
//
// Locks, in the order they are taken: startMu for whoever moves the log start
// (retention, DeleteRecords) and removes the files below it, or ends the
// partition; wmu for whoever writes files or changes which there are (append,
// roll, compaction); mu for the state that readers and the flusher need.
// Nothing is read, written or synced under mu.
type Partition struct {
	log    *Log
	topic  *Topic
	number int32
	dir    string

	startMu sync.Mutex

	wmu        sync.Mutex
	producers  producers
	epochSaved bool // the checkpoint holds the present leader epoch

	saved activeState // what the active-state file is of

	hintMu   sync.Mutex // the durable-end file
	hintShut bool

	mu        sync.Mutex
	segs      []*handle // by base offset; the last one is appended to
	end       int64     // log end offset
	hw        int64
	hwPos     int64 // bytes of the last segment below hw
	start     int64 // log start offset
	err       error // why writes are refused
	damage    *DamageError
	epochs    []EpochStart
	round     *round
	flushing  bool
	txns      transactions
	unsynced  int64         // records since the last sync began
	kick      chan struct{} // ends the flusher's pause
	waiters   map[*Waiter]struct{}
	places    [8]place // where readers will go on
	nextPlace int
	cleanedTo int64 // compaction has seen everything below
	horizon   int64 // ms since 1970: when compaction has a tombstone to drop; 0 never

	appendedRecords, appendedBytes, readBytes atomic.Int64
}

// handle counts who uses a segment, so that a deleted one is closed only after
// its last reader. Guarded by Partition.mu.
type handle struct {
	*segment.Segment
	users int
	gone  bool
}

// place is the position of the batch that follows one that was read.
type place struct {
	h      *handle
	offset int64
	pos    int64
}

func newPartition(t *Topic, n int32) *Partition {
	return &Partition{
		log: t.log, topic: t, number: n, dir: t.log.partitionDir(t.name, n),
		producers: producers{}, waiters: map[*Waiter]struct{}{}, kick: make(chan struct{}, 1),
	}
}

// Topic the partition belongs to.
func (p *Partition) Topic() *Topic { return p.topic }

// Number of the partition in its topic.
func (p *Partition) Number() int32 { return p.number }

func (p *Partition) String() string { return fmt.Sprintf("%s-%d", p.topic.name, p.number) }

// Err is nil while the partition takes writes; otherwise why it does not:
// damage found (*DamageError), a failed fsync (ErrStorage), ErrUnknownTopic
// after deletion, ErrClosed.
func (p *Partition) Err() error { p.mu.Lock(); defer p.mu.Unlock(); return p.err }

// LogStart is the first offset that can be read.
func (p *Partition) LogStart() int64 { p.mu.Lock(); defer p.mu.Unlock(); return p.start }

// HighWatermark is the first offset that cannot be read yet. Under
// DurabilitySync everything below it is durable.
func (p *Partition) HighWatermark() int64 { p.mu.Lock(); defer p.mu.Unlock(); return p.hw }

// LogEnd is the offset of the next record; records from HighWatermark to
// LogEnd are written but not durable.
func (p *Partition) LogEnd() int64 { p.mu.Lock(); defer p.mu.Unlock(); return p.end }

// LeaderEpoch is the epoch appends get.
func (p *Partition) LeaderEpoch() int32 { return p.log.LeaderEpoch() }

// Epochs lists leader epochs with the offset each began at, in order.
func (p *Partition) Epochs() []EpochStart {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.epochs)
}

// EpochStart is a leader epoch and its first offset.
type EpochStart struct {
	Epoch  int32
	Offset int64
}

// OffsetForLeaderEpoch answers Kafka's OffsetForLeaderEpoch: the largest epoch
// not above the one asked for, and the offset after its last record (the high
// watermark for the present epoch). ok is false when no such epoch is known or
// the epoch lies in the future.
func (p *Partition) OffsetForLeaderEpoch(epoch int32) (found int32, end int64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.log.LeaderEpoch()
	if epoch == now {
		return now, p.hw, true
	}
	if epoch > now || epoch < 0 {
		return -1, -1, false
	}
	end = p.hw
	for _, e := range slices.Backward(p.epochs) {
		if e.Epoch <= epoch {
			return e.Epoch, end, true
		}
		end = e.Offset
	}
	return -1, -1, false
}

// ProducerInfo is the sequence state of one producer.
type ProducerInfo struct {
	ProducerID    int64
	Epoch         int16
	LastSequence  int32
	LastOffset    int64
	LastTimestamp int64 // ms since 1970
	// CoordinatorEpoch is that of its last marker, or -1.
	CoordinatorEpoch int32
	TxnFirst         int64 // offset where its open transaction begins, or -1
}

// Producers lists the idempotent producers the partition remembers.
func (p *Partition) Producers() []ProducerInfo {
	p.wmu.Lock()
	defer p.wmu.Unlock()
	out := make([]ProducerInfo, 0, len(p.producers))
	for id, s := range p.producers {
		last := s.last()
		info := ProducerInfo{id, s.epoch, last.lastSeq, last.lastOffset, s.seen, s.coordinator(), -1}
		if s.open {
			info.TxnFirst = s.txnFirst
		}
		out = append(out, info)
	}
	slices.SortFunc(out, func(a, b ProducerInfo) int { return int(a.ProducerID - b.ProducerID) })
	return out
}

// Verify reads the whole partition and checks every batch. The first damage is
// returned as a *DamageError and makes the partition refuse writes.
func (p *Partition) Verify(ctx context.Context) error {
	p.mu.Lock()
	if p.damage != nil {
		defer p.mu.Unlock()
		return p.damage
	}
	segs := slices.Clone(p.segs)
	for _, h := range segs {
		h.users++
	}
	limits := make([]int64, len(segs))
	for i, h := range segs {
		limits[i] = p.readable(h)
	}
	p.mu.Unlock()
	var err error
	for i, h := range segs {
		if err == nil {
			err = p.verifySegment(ctx, h, limits[i])
		}
		p.release(h)
	}
	return err
}

func (p *Partition) verifySegment(ctx context.Context, h *handle, limit int64) error {
	next := h.Base()
	_, bad, err := segment.Scan(h, 0, limit, next, func(b *segment.Header, _ []byte, _ int64) error {
		next = b.NextOffset()
		return ctx.Err()
	})
	if err != nil {
		return fmt.Errorf("verify %s: %w", h.Path(), err)
	}
	if bad == nil {
		return nil
	}
	to, err := segment.FindNext(h, bad.Pos+1, limit, next)
	if err != nil {
		return fmt.Errorf("verify %s: %w", h.Path(), err)
	}
	d := &DamageError{Path: h.Path(), From: bad.Pos, To: to, Offset: next, Reason: bad.Err.Error()}
	p.setDamage(d)
	return d
}

// active is the segment that is appended to. Call with wmu or mu.
func (p *Partition) active() *handle { return p.segs[len(p.segs)-1] }

// readable is how many bytes of a segment lie below the high watermark. Call
// with mu.
func (p *Partition) readable(h *handle) int64 {
	if h == p.active() {
		return p.hwPos
	}
	return h.Size()
}

func (p *Partition) acquire(h *handle) *handle { h.users++; return h }

func (p *Partition) release(h *handle) {
	p.mu.Lock()
	h.users--
	last := h.users == 0 && h.gone
	p.mu.Unlock()
	if last {
		p.closeSegment(h)
	}
}

// drop takes a segment out of use; the caller removed it from segs. Call with mu.
func (p *Partition) drop(h *handle) (closeNow bool) {
	h.gone = true
	return h.users == 0
}

// removed tells whether a segment was taken out of use.
func (p *Partition) removed(h *handle) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return h.gone
}

func (p *Partition) closeSegment(h *handle) {
	if err := h.Close(); err != nil {
		p.log.logger.Warn("closing a segment failed", slog.String("file", h.Path()), slog.Any("error", err))
	}
}

// refuse makes the partition refuse writes from now on. The first reason stays,
// except that closing and deletion replace others.
func (p *Partition) refuse(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuseLocked(err)
}

func (p *Partition) refuseLocked(err error) {
	final := errors.Is(err, ErrClosed) || errors.Is(err, ErrUnknownTopic)
	if p.err != nil && !final {
		return
	}
	if !final {
		p.log.logger.Error("partition takes no writes any more", slog.String("partition", p.String()), slog.Any("error", err))
	}
	p.err = err
	p.wake()
}

// setDamage refuses writes, and reads from the damaged place on.
func (p *Partition) setDamage(d *DamageError) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.damage == nil || d.Offset < p.damage.Offset {
		p.damage = d
	}
	p.refuseLocked(d)
}

// wake tells all waiters that something changed. Call with mu.
func (p *Partition) wake() {
	for w := range p.waiters {
		select {
		case w.c <- struct{}{}:
		default:
		}
	}
}

// storageError classifies an error of the file system.
func storageError(doing string, err error) error {
	kind := ErrStorage
	if noSpace(err) {
		kind = ErrNoSpace
	}
	return fmt.Errorf("%w: %s: %w", kind, doing, err)
}
