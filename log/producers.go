package log

import (
	"fmt"
	"math"

	"github.com/sluicehub/sluice/log/segment"
)

// remembered is how many batches of a producer a partition remembers, so that
// one sent again is recognised. Kafka's ProducerStateEntry keeps as many, and
// clients have at most as many in flight.
const remembered = 5

// sentBatch is one remembered batch.
type sentBatch struct {
	lastSeq     int32
	lastOffset  int64
	offsetDelta int32
	timestamp   int64 // ms since 1970: of the append, not of the records, which may be old
}

func (b sentBatch) firstSeq() int32    { return subSequence(b.lastSeq, b.offsetDelta) }
func (b sentBatch) firstOffset() int64 { return b.lastOffset - int64(b.offsetDelta) }

func subSequence(seq, n int32) int32 {
	if seq >= n {
		return seq - n
	}
	return math.MaxInt32 - (n - seq) + 1
}

// producer is the state of one producer id: its last batches, oldest first, and
// its open transaction.
type producer struct {
	epoch    int16
	n        int8  // none when the epoch began with a marker
	open     bool  // has an open transaction
	marked   int32 // 1 + epoch of the coordinator that wrote its last marker; 0 without one
	txnFirst int64 // offset of the open transaction's first record
	seen     int64 // ms since 1970: when it was last heard of
	sent     [remembered]sentBatch
}

// last is the last batch; where there is none, one that sequence 0 follows.
func (p *producer) last() sentBatch {
	if p.n == 0 {
		return sentBatch{lastSeq: segment.NoSequence, lastOffset: -1, timestamp: p.seen}
	}
	return p.sent[p.n-1]
}

// add remembers a batch that follows the others, or begins a new epoch. now is
// in ms since 1970.
func (p *producer) add(h *segment.Header, now int64) {
	if h.LogAppendTime() {
		now = h.MaxTimestamp // a repeated batch is answered with it
	}
	p.begin(h.ProducerEpoch)
	if h.Transactional() && !p.open {
		p.open, p.txnFirst = true, h.BaseOffset
	}
	p.seen = now
	if p.n == remembered {
		copy(p.sent[:], p.sent[1:])
		p.n--
	}
	p.sent[p.n] = sentBatch{h.LastSequence(), h.LastOffset(), h.LastOffsetDelta, now}
	p.n++
}

// begin forgets the batches of another epoch.
func (p *producer) begin(epoch int16) {
	if epoch != p.epoch {
		p.epoch, p.n = epoch, 0
	}
}

// end takes a marker.
func (p *producer) end(m segment.Marker, now int64) {
	p.begin(m.ProducerEpoch)
	p.open, p.txnFirst, p.marked, p.seen = false, 0, m.CoordinatorEpoch+1, now
}

// coordinator is the epoch of the coordinator that wrote its last marker, or -1.
func (p *producer) coordinator() int32 { return p.marked - 1 }

// ends tells whether a marker may come next.
func (p *producer) ends(m segment.Marker) error {
	switch {
	case m.ProducerEpoch < p.epoch:
		return fmt.Errorf("%w: marker of producer %d has epoch %d after %d", ErrInvalidProducerEpoch, m.ProducerID, m.ProducerEpoch, p.epoch)
	case m.CoordinatorEpoch < p.coordinator():
		return fmt.Errorf("%w: marker of producer %d has coordinator epoch %d after %d", ErrCoordinatorFenced, m.ProducerID, m.CoordinatorEpoch, p.coordinator())
	}
	return nil
}

// find returns the remembered batch that h repeats.
func (p *producer) find(h *segment.Header) (sentBatch, bool) {
	if h.ProducerEpoch != p.epoch {
		return sentBatch{}, false
	}
	for i := range p.n {
		if b := p.sent[i]; b.firstSeq() == h.BaseSequence && b.lastSeq == h.LastSequence() {
			return b, true
		}
	}
	return sentBatch{}, false
}

// follows tells whether a batch may come next (Kafka's ProducerAppendInfo).
func (p *producer) follows(h *segment.Header) error {
	switch {
	case h.ProducerEpoch < p.epoch:
		return fmt.Errorf("%w: producer %d sends epoch %d after %d", ErrInvalidProducerEpoch, h.ProducerID, h.ProducerEpoch, p.epoch)
	case p.open && !h.Transactional():
		return fmt.Errorf("%w: producer %d has an open transaction and sends a batch outside of it", ErrInvalidTxnState, h.ProducerID)
	case h.BaseSequence < 0: // of the broker's own
	case h.ProducerEpoch > p.epoch:
		if h.BaseSequence != 0 {
			return fmt.Errorf("%w: producer %d begins epoch %d with sequence %d, not 0", ErrOutOfOrderSequence, h.ProducerID, h.ProducerEpoch, h.BaseSequence)
		}
	case h.BaseSequence != segment.AddSequence(p.last().lastSeq, 1):
		return fmt.Errorf("%w: producer %d epoch %d sends sequence %d after %d", ErrOutOfOrderSequence, h.ProducerID, h.ProducerEpoch, h.BaseSequence, p.last().lastSeq)
	}
	return nil
}

// producers are all producers of a partition. A producer without state is
// accepted with any first sequence.
type producers map[int64]producer

// admit checks batches that are to be appended together. When all were sent
// before, first is the remembered one of the first batch and last of the last,
// and dup is true. Otherwise next holds the producers as they will be once the
// batches, whose offsets are set, are written.
func (ps producers) admit(hs []segment.Header, now int64) (first, last sentBatch, dup bool, next producers, err error) {
	dups := 0
	for i := range hs {
		h := &hs[i]
		if h.ProducerID < 0 {
			continue
		}
		p, known := next[h.ProducerID]
		if !known {
			p, known = ps[h.ProducerID]
		}
		if known {
			if b, ok := p.find(h); ok {
				if dups == 0 {
					first = b
				}
				last = b
				dups++
				continue
			}
			if err := p.follows(h); err != nil {
				return first, last, false, nil, err
			}
		}
		p.add(h, now)
		if next == nil {
			next = make(producers, 1)
		}
		next[h.ProducerID] = p
	}
	if dups > 0 && dups < len(hs) {
		return first, last, false, nil, fmt.Errorf("%w: some of the %d batches are in the log already", ErrInvalidRecord, len(hs))
	}
	return first, last, dups > 0, next, nil
}

// expire forgets producers that were last heard of before the time given, unless
// they have an open transaction.
func (ps producers) expire(before int64) {
	for id, p := range ps {
		if p.seen < before && !p.open {
			delete(ps, id)
		}
	}
}
