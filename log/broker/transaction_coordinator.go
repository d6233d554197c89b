package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluicehub/sluice/log"
	"github.com/sluicehub/sluice/log/segment"
	"github.com/twmb/franz-go/pkg/kerr"
)

const (
	maxTxnTimeout = 15 * time.Minute   // transaction.max.timeout.ms
	txnExpiry     = 7 * 24 * time.Hour // transactional.id.expiration.ms
	txnInterval   = time.Second        // how often timeouts are looked at
	lastEpoch     = math.MaxInt16 - 1  // the last a producer may have; its fencing needs one more
)

// txnCoordinator keeps all transactional ids. It decides transactions:
//
//	Empty ─┬─ partition added ─▶ Ongoing ──▶ PrepareCommit ─ markers ─▶ CompleteCommit ─┐
//	       │                        └──────▶ PrepareAbort ── markers ─▶ CompleteAbort ──┤
//	       └──────────────────────────── partition added ◀──────────────────────────────┘
//
// A decision is durable before its first marker, and a partition is in the durable state before its first record, so
// a crash leaves nothing undecided that is not found again: prepared transactions are completed at the next start,
// ongoing ones go on or time out.
type txnCoordinator struct {
	log     *log.Log
	store   *txnStore
	offsets *offsetStore
	logger  *slog.Logger

	mu   sync.Mutex
	byID map[string]*txn
}

// txn is one transactional id. mu is held over each change until it is durable, and while records are appended: no
// record of a transaction comes after its decision.
type txn struct {
	id string

	mu   sync.Mutex
	gone bool // expired, or never written
	meta txnMeta
	said time.Time // when it was last logged that it cannot be completed
}

// openTxnCoordinator reads the states, completes what was decided, and aborts what nobody answers for.
func openTxnCoordinator(l *log.Log, offsets *offsetStore, logger *slog.Logger) (*txnCoordinator, error) {
	store, all, err := openTxnStore(l)
	if err != nil {
		return nil, err
	}
	c := &txnCoordinator{log: l, store: store, offsets: offsets, logger: logger, byID: make(map[string]*txn, len(all))}
	for id, m := range all {
		c.byID[id] = &txn{id: id, meta: m}
	}
	for _, t := range c.list() {
		t.mu.Lock()
		c.retry(t)
		t.mu.Unlock()
	}
	c.abortOrphans()
	return c, nil
}

// abortOrphans aborts the transactions in partitions that no transactional id has: their producers got no answer.
// They would hold back readers for ever.
func (c *txnCoordinator) abortOrphans() {
	owned := make(map[int64][]place)
	for _, t := range c.list() {
		owned[t.meta.producer] = t.meta.parts
	}
	for _, t := range c.log.Topics() {
		for _, part := range t.Partitions() {
			for _, o := range part.OpenTransactions() {
				if slices.Contains(owned[o.ProducerID], place{t.Name(), part.Number()}) {
					continue
				}
				err := c.mark(map[place]*log.Partition{{t.Name(), part.Number()}: part}, segment.Marker{ProducerID: o.ProducerID, ProducerEpoch: o.ProducerEpoch})
				c.logger.Warn("aborted a transaction that no transactional id has", "partition", part.String(), "producer", o.ProducerID, "first.offset", o.First, "error", err)
			}
		}
	}
}

// list returns all transactional ids in order.
func (c *txnCoordinator) list() []*txn {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*txn, 0, len(c.byID))
	for _, t := range c.byID {
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b *txn) int { return strings.Compare(a.id, b.id) })
	return all
}

// lock returns the transactional id of that name, locked, or nil.
func (c *txnCoordinator) lock(id string) *txn {
	c.mu.Lock()
	t := c.byID[id]
	c.mu.Unlock()
	if t == nil {
		return nil
	}
	t.mu.Lock()
	if t.gone {
		t.mu.Unlock()
		return nil
	}
	return t
}

// owned is lock, if the producer and its epoch are the present ones.
func (c *txnCoordinator) owned(id string, producer int64, epoch int16) (*txn, error) {
	t := c.lock(id)
	if t == nil {
		return nil, kerr.InvalidProducerIDMapping
	}
	if err := t.check(producer, epoch); err != nil {
		t.mu.Unlock()
		return nil, err
	}
	return t, nil
}

// check says why a request of a producer is not valid.
func (t *txn) check(producer int64, epoch int16) error {
	switch {
	case t.meta.producer != producer:
		return kerr.InvalidProducerIDMapping
	case t.meta.epoch != epoch:
		return kerr.ProducerFenced
	case t.meta.state == txnPrepareCommit, t.meta.state == txnPrepareAbort:
		return kerr.ConcurrentTransactions
	}
	return nil
}

// save makes a new state durable, and then the present one. Call with t locked.
func (c *txnCoordinator) save(t *txn, m txnMeta) error {
	m.updated = time.Now().UnixMilli()
	if err := c.store.save(t.id, &m, m.updated); err != nil {
		c.logger.Error("the state of a transaction was not saved", "transactional.id", t.id, "error", err)
		return kerr.CoordinatorNotAvailable
	}
	t.meta = m
	return nil
}

// add makes partitions part of the transaction, and begins it if need be. Call with t locked.
func (c *txnCoordinator) add(t *txn, parts []place, version int16) error {
	if t.meta.state == txnOngoing && !slices.ContainsFunc(parts, func(p place) bool { return !t.meta.has(p) }) {
		return nil
	}
	m := t.meta
	if m.state != txnOngoing {
		m.state, m.parts, m.start = txnOngoing, nil, time.Now().UnixMilli()
	}
	m.parts, m.version, m.prevProducer = m.with(parts), version, m.producer
	return c.save(t, m)
}

// decide ends the transaction: the decision is durable, then the markers, then it is complete. With version 2 the
// epoch rises, so that nothing of the old transaction can get into the next one (KIP-890). A marker that cannot be
// written now is written later: the decision stands. Call with t locked.
func (c *txnCoordinator) decide(t *txn, commit bool, version int16) error {
	m := t.meta
	m.version = version
	if version >= 2 {
		if m.epoch >= lastEpoch {
			next, err := c.log.NextProducerID()
			if err != nil {
				return kerr.CoordinatorNotAvailable
			}
			m.nextProducer = next
		}
		m.lastEpoch = m.epoch
		m.epoch++
	}
	return c.prepare(t, m, commit)
}

// prepare makes a decision durable and completes it. Call with t locked.
func (c *txnCoordinator) prepare(t *txn, m txnMeta, commit bool) error {
	m.state = txnPrepareAbort
	if commit {
		m.state = txnPrepareCommit
	}
	if m.start < 0 || len(m.parts) == 0 {
		m.start = time.Now().UnixMilli()
	}
	m.prevProducer = m.producer
	if err := c.save(t, m); err != nil {
		return err
	}
	c.retry(t)
	return nil
}

// retry completes a decided transaction, if it can. Call with t locked.
func (c *txnCoordinator) retry(t *txn) {
	if t.meta.state != txnPrepareCommit && t.meta.state != txnPrepareAbort {
		return
	}
	if err := c.complete(t); err != nil && time.Since(t.said) > time.Minute {
		t.said = time.Now()
		c.logger.Error("a decided transaction is not complete and is tried again; until then readers of committed records stop before it",
			"transactional.id", t.id, "state", t.meta.state.String(), "error", err)
	}
}

// complete writes the markers of a decided transaction.
func (c *txnCoordinator) complete(t *txn) error {
	m := t.meta
	commit := m.state == txnPrepareCommit
	parts := make(map[place]*log.Partition, len(m.parts))
	for _, p := range m.parts {
		part, err := c.log.Partition(p.topic, p.partition)
		if err != nil {
			continue // deleted, and the records with it
		}
		parts[p] = part
	}
	if err := c.mark(parts, segment.Marker{ProducerID: m.producer, ProducerEpoch: m.epoch, Commit: commit}); err != nil {
		return err
	}
	m.state, m.parts, m.prevProducer = txnCompleteAbort, nil, m.producer
	if commit {
		m.state = txnCompleteCommit
	}
	if m.nextProducer >= 0 {
		m.producer, m.epoch, m.nextProducer = m.nextProducer, 0, -1
	}
	m.updated = time.Now().UnixMilli()
	// Not waited for: if a crash takes it, the markers are written once more, which changes nothing, because the
	// next transaction's state can only be durable after this one.
	if _, err := c.store.begin(t.id, &m, m.updated); err != nil {
		return err
	}
	t.meta = m
	return nil
}

// mark writes a marker to partitions and waits until all are durable.
func (c *txnCoordinator) mark(parts map[place]*log.Partition, m segment.Marker) error {
	m.CoordinatorEpoch = c.log.LeaderEpoch()
	waits := make(map[place]*log.Pending, len(parts))
	var errs []error
	for p, part := range parts {
		a, err := part.EndTransaction(m)
		switch {
		case err == nil:
			waits[p] = a
		case errors.Is(err, log.ErrUnknownTopic): // deleted meanwhile
		case errors.Is(err, log.ErrInvalidProducerEpoch): // a later marker is there
		default:
			errs = append(errs, err)
		}
	}
	for p, a := range waits {
		if err := a.Wait(context.Background()); err != nil {
			errs = append(errs, fmt.Errorf("end transaction in %s-%d: %w", p.topic, p.partition, err))
		} else if p.topic == offsetsTopic {
			c.offsets.decide(m.ProducerID, m.Commit)
		}
	}
	return errors.Join(errs...)
}

// abort ends a transaction against the will of its producer, whose epoch is then over. Call with t locked.
func (c *txnCoordinator) abort(t *txn) error {
	m := t.meta
	m.epoch++
	m.lastEpoch = -1
	return c.prepare(t, m, false)
}

// run aborts what has been open too long, completes what is decided, and forgets ids that nobody uses, until ctx ends.
func (c *txnCoordinator) run(ctx context.Context) {
	every(ctx, txnInterval, func() {
		for _, t := range c.list() {
			t.mu.Lock()
			c.look(t, time.Now().UnixMilli())
			t.mu.Unlock()
		}
	})
}

// look does what time asks for. Call with t locked.
func (c *txnCoordinator) look(t *txn, now int64) {
	switch m := &t.meta; {
	case t.gone:
	case m.state == txnPrepareCommit, m.state == txnPrepareAbort:
		c.retry(t)
	case m.state == txnOngoing && now-m.start > int64(m.timeout):
		c.logger.Info("a transaction was open for longer than its timeout and is aborted", "transactional.id", t.id, "transaction.timeout.ms", m.timeout)
		_ = c.abort(t) // is tried again
	case m.state != txnOngoing && now-m.updated > txnExpiry.Milliseconds():
		if err := c.store.save(t.id, nil, now); err != nil {
			c.logger.Warn("an unused transactional id is not forgotten", "transactional.id", t.id, "error", err)
			return
		}
		c.forget(t)
	}
}

// forget removes an id. Call with t locked.
func (c *txnCoordinator) forget(t *txn) {
	t.gone = true
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byID, t.id)
}

// TransactionFigures are figures of the transactional ids.
type TransactionFigures struct {
	IDs        int           // transactional ids
	Open       int           // transactions that are open
	Incomplete int           // transactions that are decided and lack markers
	OldestOpen time.Duration // how long the oldest open one has been open
}

// Transactions sums up the transactional ids, for metrics. It waits for nobody: an id that is just changing counts as
// one, and no more.
func (b *Broker) Transactions() TransactionFigures {
	var f TransactionFigures
	for _, t := range b.txns.list() {
		f.IDs++
		if !t.mu.TryLock() {
			continue
		}
		m := t.meta
		t.mu.Unlock()
		switch m.state {
		case txnOngoing:
			f.Open++
			f.OldestOpen = max(f.OldestOpen, time.Since(time.UnixMilli(m.start)))
		case txnPrepareCommit, txnPrepareAbort:
			f.Incomplete++
		}
	}
	return f
}
