package log

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sluicehub/sluice/log/segment"
)

// AppendOptions qualifies an append.
type AppendOptions struct {
	// CheckRecords decodes every record, compressed or not, and checks it
	// against the header: for producers that are not trusted. Without it only
	// headers and checksums are checked, except on compacted topics, whose
	// records must have keys.
	CheckRecords bool
	// Unsequenced takes batches of a producer without sequence numbers: offsets
	// that a broker writes into a transaction for its producer.
	Unsequenced bool
}

// AppendResult is where an append went.
type AppendResult struct {
	BaseOffset  int64 // of the first record
	LastOffset  int64 // of the last record
	AppendTime  int64 // ms since 1970 for LogAppendTime topics, otherwise -1
	LogStart    int64 // the partition's first offset
	LeaderEpoch int32
	// Duplicate tells that a producer sent a batch again that is in the log
	// already; the offsets are those of the first time.
	Duplicate bool
}

// Pending is an append that is written but perhaps not durable yet. Its Result
// is final unless Wait fails.
type Pending struct {
	Result AppendResult
	round  *round
}

// Done is closed when the append is durable under the topic's durability, or
// has failed.
func (a *Pending) Done() <-chan struct{} { return a.round.done }

// Err is nil once Done is closed and the append is durable; before that it is
// meaningless.
func (a *Pending) Err() error { return a.round.err }

// Wait waits for Done. It returns early, with the context's error, when ctx
// ends; the append may still become durable.
func (a *Pending) Wait(ctx context.Context) error {
	select {
	case <-a.round.done:
		return a.round.err
	default:
	}
	select {
	case <-a.round.done:
		return a.round.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Append writes batches and waits until they are durable under the topic's
// durability: Begin and Wait in one.
func (p *Partition) Append(ctx context.Context, batches []byte, o AppendOptions) (AppendResult, error) {
	a, err := p.Begin(batches, o)
	if err != nil {
		return AppendResult{}, err
	}
	if err := a.Wait(ctx); err != nil {
		return AppendResult{}, err
	}
	return a.Result, nil
}

// Begin checks one or several record batches v2, gives them the next offsets
// and the leader epoch, writes them and returns; Pending tells when they are
// durable. All batches are appended or none. Offsets are given in the order of
// the calls. The bytes are changed in place and are the caller's again when
// Begin returns.
//
// Errors leave nothing behind: ErrCorruptBatch, ErrUnsupportedFormat,
// ErrInvalidRecord, ErrInvalidTimestamp, ErrMessageTooLarge,
// ErrOutOfOrderSequence, ErrInvalidProducerEpoch, ErrInvalidTxnState,
// ErrNoSpace, ErrStorage, ErrUnknownTopic, ErrClosed.
func (p *Partition) Begin(batches []byte, o AppendOptions) (*Pending, error) {
	cfg := p.topic.Config()
	now := p.log.clock.Now()
	hs, err := newChecker(cfg, now, o).check(batches)
	if err != nil {
		return nil, fmt.Errorf("append to %s: %w", p, err)
	}
	if cfg.Compressor != nil {
		if batches, err = recompress(cfg, hs, batches); err != nil {
			return nil, fmt.Errorf("append to %s: %w", p, err)
		}
	}
	p.log.appends.Add(1)
	p.wmu.Lock()
	defer p.wmu.Unlock()
	a, err := p.begin(hs, batches, cfg, now)
	if err != nil && p.topic.vital && noSpace(err) && p.log.disk.giveUp() {
		a, err = p.begin(hs, batches, cfg, now)
	}
	if err != nil {
		err = fmt.Errorf("append to %s: %w", p, err)
		p.log.noteFull(err, now)
		return nil, err
	}
	return a, nil
}

// fullPause is how often a full disk is said while it stays full.
const fullPause = time.Minute

// noteFull counts an append that found no space although the disk was below the
// mark, or was vital. A client tries again and again, and sees only a code: what
// an operator needs is said here.
func (l *Log) noteFull(err error, now time.Time) {
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return
	}
	l.noSpace.Add(1)
	l.disk.look()
	last := l.saidFull.Load()
	if ms := now.UnixMilli(); (last == 0 || ms-last >= fullPause.Milliseconds()) && l.saidFull.CompareAndSwap(last, ms) {
		l.logger.Error("there is no space for records; make space, or lower retention.bytes or retention.ms of large topics",
			slog.String("dir", l.dir), slog.Any("error", err))
	}
}

// awaitAppend returns when an append that runs has been given to the flusher.
func (p *Partition) awaitAppend() {
	p.wmu.Lock()
	defer p.wmu.Unlock()
}

// begin is Begin after the checks that need no order. Call with wmu.
func (p *Partition) begin(hs []segment.Header, batches []byte, cfg *TopicConfig, now time.Time) (*Pending, error) {
	end, err := p.writable()
	if err != nil {
		return nil, err
	}
	for i := range hs {
		hs[i].BaseOffset = end
		end = hs[i].NextOffset()
	}
	first, last, dup, next, err := p.producers.admit(hs, now.UnixMilli())
	if err != nil {
		return nil, err
	}
	if dup {
		a := p.repeat(first, last, len(hs))
		if cfg.LogAppendTime {
			a.Result.AppendTime = first.timestamp
		}
		return a, nil
	}
	if !p.topic.vital {
		if err := p.log.disk.admit(len(batches), now); err != nil {
			return nil, err
		}
	}
	a, err := p.put(hs, batches, next, nil, cfg)
	if err == nil && cfg.LogAppendTime {
		a.Result.AppendTime = now.UnixMilli()
	}
	return a, err
}

// writable is the offset of the next record, or why there can be none. Call
// with wmu.
func (p *Partition) writable() (end int64, err error) {
	select {
	case <-p.log.closing:
		return 0, ErrClosed
	default:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.end, p.err
}

// put writes batches that are admitted: those of producers, which are next
// afterwards, or the batch of a marker. Call with wmu.
func (p *Partition) put(hs []segment.Header, batches []byte, next producers, m *segment.Marker, cfg *TopicConfig) (*Pending, error) {
	if err := p.prepare(hs, len(batches), cfg); err != nil {
		return nil, err
	}
	epoch := p.log.LeaderEpoch()
	at := 0
	for i := range hs {
		segment.SetPlace(batches[at:], hs[i].BaseOffset, epoch)
		at += hs[i].Size()
	}
	if err := p.write(batches); err != nil {
		return nil, err
	}
	a, err := p.commit(hs, next, m, cfg)
	if err != nil {
		return nil, err
	}
	for id, s := range next {
		p.producers[id] = s
	}
	return a, nil
}

// repeat answers batches that are in the log already, once they are durable.
func (p *Partition) repeat(first, last sentBatch, batches int) *Pending {
	p.log.duplicates.Add(int64(batches))
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.log.doneRound
	if last.lastOffset >= p.hw {
		r = p.join()
	}
	return &Pending{round: r, Result: AppendResult{
		BaseOffset: first.firstOffset(), LastOffset: last.lastOffset, AppendTime: -1,
		LogStart: p.start, LeaderEpoch: p.log.LeaderEpoch(), Duplicate: true,
	}}
}

// prepare rolls the segment if it must and saves the leader epoch before its
// first record.
func (p *Partition) prepare(hs []segment.Header, bytes int, cfg *TopicConfig) error {
	if p.mustRoll(hs, bytes, cfg) {
		if err := p.roll(cfg); err != nil {
			return err
		}
	}
	if p.epochSaved {
		return nil
	}
	p.mu.Lock()
	epochs := append(p.epochs[:len(p.epochs):len(p.epochs)], EpochStart{p.log.LeaderEpoch(), hs[0].BaseOffset})
	p.mu.Unlock()
	if err := writeAtomic(p.log.fs, p.dir, epochFile, encodeEpochs(epochs)); err != nil {
		return storageError("save leader epoch", err)
	}
	p.mu.Lock()
	p.epochs = epochs
	p.mu.Unlock()
	p.epochSaved = true
	return nil
}

// mustRoll follows Kafka's LogSegment.shouldRoll: by size, by the time between
// the first batch and this one, and when a position would not fit the indexes.
func (p *Partition) mustRoll(hs []segment.Header, bytes int, cfg *TopicConfig) bool {
	s := p.active()
	if s.Sealed() || !s.Fits(hs[len(hs)-1].LastOffset(), bytes) {
		return true
	}
	if s.Size() == 0 || s.Next() != hs[0].BaseOffset {
		// After a loss the log end lies beyond the segment's; the gap stays
		// inside one segment, where it is not taken for a missing file.
		return false
	}
	if s.Size()+int64(bytes) > cfg.SegmentBytes {
		return true
	}
	t, first := hs[0].MaxTimestamp, s.FirstTimestamp()
	return t != segment.NoTimestamp && first != segment.NoTimestamp && t-first > cfg.SegmentTime.Milliseconds()
}

// roll seals the active segment and opens the next one, in the order that
// makes the active segment the only one that can be torn: log, indexes and
// producer snapshot are durable before the next file exists. Call with wmu. It
// may be called again after an error, unless a sync failed.
func (p *Partition) roll(cfg *TopicConfig) error {
	s := p.active()
	syncFailed, err := s.Seal()
	if syncFailed {
		err = fmt.Errorf("%w: seal segment: %w", ErrStorage, err)
		p.refuse(err)
		return err
	}
	if err != nil {
		return storageError("seal segment", err)
	}
	p.mu.Lock()
	end := p.end
	p.publish(end, s.Size())
	p.mu.Unlock()
	if err := writeAtomic(p.log.fs, p.dir, segment.FileName(end, segment.SnapshotSuffix), encodeSnapshot(p.producers)); err != nil {
		return storageError("write producer snapshot", err)
	}
	next, err := segment.Create(p.log.fs, p.dir, end, cfg.IndexInterval)
	if err != nil {
		return storageError("roll segment", err)
	}
	if err := p.log.fs.SyncDir(p.dir); err != nil {
		err = errors.Join(storageError("roll segment", err), next.Close())
		p.refuse(err)
		return err
	}
	p.mu.Lock()
	p.segs = append(p.segs, &handle{Segment: next})
	p.hwPos = 0
	p.mu.Unlock()
	return nil
}

// write puts batches at the end of the active segment. What a failed write
// left is cut off; if that fails too, the file is in an unknown state.
func (p *Partition) write(batches []byte) error {
	s := p.active()
	err := s.Write(batches)
	if err == nil {
		return nil
	}
	err = storageError("write "+filepath.Base(s.Path()), err)
	if uerr := s.Undo(); uerr != nil {
		err = errors.Join(err, storageError("cut off a failed write", uerr))
		p.refuse(err)
	}
	return err
}

// commit makes written batches part of the log.
func (p *Partition) commit(hs []segment.Header, next producers, m *segment.Marker, cfg *TopicConfig) (*Pending, error) {
	s := p.active()
	first, last := &hs[0], &hs[len(hs)-1]
	records, bytes := int64(0), int64(0)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return nil, p.err // a sync failed while we wrote
	}
	for i := range hs {
		s.Commit(&hs[i])
		if hs[i].Transactional() {
			p.noteTransaction(s, &hs[i], next, m)
		}
		records += int64(hs[i].Count)
		bytes += int64(hs[i].Size())
	}
	p.end = last.NextOffset()
	p.count(records, bytes, int64(len(hs)))
	a := &Pending{round: p.log.doneRound, Result: AppendResult{
		BaseOffset: first.BaseOffset, LastOffset: last.LastOffset(), AppendTime: -1,
		LogStart: p.start, LeaderEpoch: p.log.LeaderEpoch(),
	}}
	if cfg.Durability() == DurabilitySync {
		a.round = p.join()
		return a, nil
	}
	p.unsynced += records
	p.publish(p.end, s.Size())
	p.flushLater(cfg)
	return a, nil
}

func (p *Partition) count(records, bytes, batches int64) {
	p.appendedRecords.Add(records)
	p.appendedBytes.Add(bytes)
	p.log.appendedBatches.Add(batches)
}

// noteTransaction takes a transactional batch into the transactions. Call with mu.
func (p *Partition) noteTransaction(s *handle, h *segment.Header, next producers, m *segment.Marker) {
	if m != nil {
		noteMarker(s.Segment, h, *m, &p.txns)
	} else if next[h.ProducerID].txnFirst == h.BaseOffset {
		p.txns.open(h.ProducerID, h.BaseOffset)
	}
}

// publish moves the high watermark, which is at pos in the active segment.
// Call with mu.
func (p *Partition) publish(hw, pos int64) {
	if hw < p.hw {
		return
	}
	p.hwPos = pos
	if hw > p.hw {
		p.hw = hw
		if len(p.txns) > 0 {
			p.txns.settle(hw)
		}
		p.wake()
	}
}
