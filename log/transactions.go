package log

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/sluicehub/sluice/log/segment"
)

// transaction is one transaction in a partition.
type transaction struct {
	producer int64
	first    int64 // offset of its first record
	marker   int64 // offset of its marker, -1 while it is open
}

// transactions are those that a reader of committed records must not pass: the
// open ones and those whose marker is not durable yet, in order of their first
// offset.
type transactions []transaction

// open notes the first record of a transaction.
func (ts *transactions) open(producer, first int64) {
	*ts = append(*ts, transaction{producer, first, -1})
}

// end notes a marker. ok is false when the producer had no open transaction.
func (ts transactions) end(producer, marker int64) (first int64, ok bool) {
	for i := range ts {
		if t := &ts[i]; t.producer == producer && t.marker < 0 {
			t.marker = marker
			return t.first, true
		}
	}
	return 0, false
}

// settle forgets the transactions whose marker lies below the high watermark.
func (ts *transactions) settle(hw int64) {
	*ts = slices.DeleteFunc(*ts, func(t transaction) bool { return t.marker >= 0 && t.marker < hw })
}

// undecided is where the first open transaction begins, or end.
func (ts transactions) undecided(end int64) int64 {
	for _, t := range ts {
		if t.marker < 0 {
			return t.first
		}
	}
	return end
}

// opened lists the open transactions of a snapshot.
func (ps producers) opened() transactions {
	var ts transactions
	for id, p := range ps {
		if p.open {
			ts.open(id, p.txnFirst)
		}
	}
	slices.SortFunc(ts, func(a, b transaction) int { return cmp.Compare(a.first, b.first) })
	return ts
}

// replay takes a batch from the log as it is. A producer lives on from now. An
// aborted transaction goes to the index of the segment that has its marker.
func (ps producers) replay(h *segment.Header, batch []byte, now int64, ts *transactions, s *segment.Segment) error {
	if h.ProducerID < 0 {
		return nil
	}
	p := ps[h.ProducerID]
	if !h.Control() {
		if h.Transactional() && !p.open {
			ts.open(h.ProducerID, h.BaseOffset)
		}
		p.add(h, now)
		ps[h.ProducerID] = p
		return nil
	}
	m, ok, err := segment.ParseMarker(h, batch)
	if !ok || err != nil {
		return err
	}
	p.end(m, now)
	ps[h.ProducerID] = p
	noteMarker(s, h, m, ts)
	ts.settle(h.NextOffset())
	return nil
}

// noteMarker takes a marker into the transactions and, if it aborts one, into
// the index of its segment, which may be nil.
func noteMarker(s *segment.Segment, h *segment.Header, m segment.Marker, ts *transactions) {
	first, ok := ts.end(h.ProducerID, h.LastOffset())
	if ok && !m.Commit && s != nil {
		s.AddAborted(segment.Aborted{ProducerID: h.ProducerID, First: first, Last: h.LastOffset(), LastStable: ts.undecided(h.NextOffset())})
	}
}

// EndTransaction appends the marker that commits or aborts the open transaction
// of a producer; a producer without one gets a marker all the same, so that its
// older epochs are fenced. Readers of committed records see the decision once
// the marker is durable. What a Pending means and the errors are those of
// Begin, and ErrCoordinatorFenced.
func (p *Partition) EndTransaction(m segment.Marker) (*Pending, error) {
	cfg, now := p.topic.Config(), p.log.clock.Now()
	batch := segment.MarkerBatch(m, now.UnixMilli())
	if cfg.LogAppendTime {
		segment.SetAppendTime(batch, now.UnixMilli())
	}
	h, err := segment.ParseHeader(batch)
	if err != nil {
		return nil, fmt.Errorf("end transaction in %s: %w", p, err)
	}
	p.wmu.Lock()
	defer p.wmu.Unlock()
	a, err := p.endTransaction(m, h, batch, cfg, now)
	if err != nil && noSpace(err) && p.log.disk.giveUp() {
		a, err = p.endTransaction(m, h, batch, cfg, now)
	}
	if err != nil {
		err = fmt.Errorf("end transaction in %s: %w", p, err)
		p.log.noteFull(err, now)
		return nil, err
	}
	return a, nil
}

// endTransaction is EndTransaction with wmu.
func (p *Partition) endTransaction(m segment.Marker, h segment.Header, batch []byte, cfg *TopicConfig, now time.Time) (*Pending, error) {
	end, err := p.writable()
	if err != nil {
		return nil, err
	}
	h.BaseOffset = end
	s := p.producers[m.ProducerID]
	if err := s.ends(m); err != nil {
		return nil, err
	}
	s.end(m, now.UnixMilli())
	return p.put([]segment.Header{h}, batch, producers{m.ProducerID: s}, &m, cfg)
}

// OpenTransaction is a transaction without a marker.
type OpenTransaction struct {
	ProducerID    int64
	ProducerEpoch int16
	First         int64 // offset of its first record
}

// OpenTransactions lists the transactions without a marker.
func (p *Partition) OpenTransactions() []OpenTransaction {
	p.wmu.Lock()
	defer p.wmu.Unlock()
	var out []OpenTransaction
	for id, s := range p.producers {
		if s.open {
			out = append(out, OpenTransaction{id, s.epoch, s.txnFirst})
		}
	}
	return out
}

// LastStable is the first offset that a reader of committed records cannot read
// yet: where the first transaction begins whose marker is not durable, or the
// high watermark.
func (p *Partition) LastStable() int64 { p.mu.Lock(); defer p.mu.Unlock(); return p.stable() }

// stable is LastStable. Call with mu. A transaction that retention or
// DeleteRecords has reached into holds nobody back below the log start.
func (p *Partition) stable() int64 {
	if len(p.txns) == 0 {
		return p.hw
	}
	return min(max(p.txns[0].first, p.start), p.hw)
}
