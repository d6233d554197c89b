package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluicehub/sluice/log"
	"github.com/sluicehub/sluice/log/broker/layout"
	"github.com/sluicehub/sluice/log/segment"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// transactionsTopic holds the state of every transactional id in Kafka's own record format: key version 0 (the id),
// value version 1 (producer, state, partitions, times), a null value for an id that has expired.
const transactionsTopic = "__transaction_state"

// txnState is a state of a transaction, numbered as in the topic.
type txnState int8

const (
	txnEmpty          txnState = 0
	txnOngoing        txnState = 1
	txnPrepareCommit  txnState = 2 // decided; markers are being written
	txnPrepareAbort   txnState = 3
	txnCompleteCommit txnState = 4
	txnCompleteAbort  txnState = 5
)

func txnStateNames() []string {
	return []string{"Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead", "PrepareEpochFence"}
}

func (s txnState) String() string { return txnStateNames()[s] }

// txnMeta is what is known of a transactional id. It is a value: a transition makes a new one, which counts once it
// is written.
type txnMeta struct {
	producer     int64
	epoch        int16
	lastEpoch    int16 // before the last bump, for a client that asks again; -1 none. Not kept over a restart
	prevProducer int64 // -1 none
	nextProducer int64 // of a decided transaction that exhausts the epochs; -1 none
	timeout      int32 // ms
	state        txnState
	parts        []place // in order; never changed in place
	start        int64   // ms since 1970, -1 none
	updated      int64   // ms since 1970
	version      int16   // transaction.version of the client: 2 bumps the epoch with each end (KIP-890)
}

// has tells whether a partition is part of the transaction.
func (m *txnMeta) has(p place) bool {
	_, ok := slices.BinarySearchFunc(m.parts, p, comparePlaces)
	return ok
}

// with is the partitions and those of add.
func (m *txnMeta) with(add []place) []place {
	all := slices.Concat(m.parts, add)
	slices.SortFunc(all, comparePlaces)
	return slices.Compact(all)
}

func comparePlaces(a, b place) int {
	if c := strings.Compare(a.topic, b.topic); c != 0 {
		return c
	}
	return int(a.partition) - int(b.partition)
}

func encodeTxnKey(id string) []byte {
	key := kmsg.NewTxnMetadataKey()
	key.TransactionalID = id
	return key.AppendTo(nil)
}

func encodeTxnMeta(m *txnMeta) []byte {
	v := kmsg.NewTxnMetadataValue()
	v.Version, v.ProducerID, v.ProducerEpoch, v.TimeoutMillis, v.State = 1, m.producer, m.epoch, m.timeout, kmsg.TransactionState(m.state)
	v.LastUpdateTimestamp, v.StartTimestamp = m.updated, m.start
	v.PreviousProducerID, v.NextProducerID, v.ClientTransactionVersion = m.prevProducer, m.nextProducer, m.version
	if m.state != txnEmpty { // null while it is empty
		v.Topics = []kmsg.TxnMetadataValueTopic{}
	}
	for _, p := range m.parts {
		if n := len(v.Topics); n == 0 || v.Topics[n-1].Topic != p.topic {
			v.Topics = append(v.Topics, kmsg.TxnMetadataValueTopic{Topic: p.topic})
		}
		t := &v.Topics[len(v.Topics)-1]
		t.Partitions = append(t.Partitions, p.partition)
	}
	return v.AppendTo(nil)
}

var txnMetaLayout = layout.NewMessage("i64 i16 i32 i8 [{string [i32]}] i64 i64", 1, 1)

func decodeTxnMeta(b []byte) (txnMeta, error) {
	v := kmsg.NewTxnMetadataValue()
	if len(b) < 2 || b[0] != 0 || b[1] > 1 {
		return txnMeta{}, fmt.Errorf("transaction state of an unknown version: %.2x", b)
	}
	if err := txnMetaLayout.Decode(&v, b); err != nil {
		return txnMeta{}, err
	}
	m := txnMeta{
		producer: v.ProducerID, epoch: v.ProducerEpoch, lastEpoch: -1, prevProducer: v.PreviousProducerID, nextProducer: v.NextProducerID,
		timeout: v.TimeoutMillis, state: txnState(v.State), start: v.StartTimestamp, updated: v.LastUpdateTimestamp, version: v.ClientTransactionVersion,
	}
	if m.producer < 0 || m.epoch < 0 || m.state < txnEmpty || m.state > txnCompleteAbort {
		return m, fmt.Errorf("producer %d, epoch %d, state %d", m.producer, m.epoch, m.state)
	}
	for _, t := range v.Topics {
		for _, p := range t.Partitions {
			m.parts = append(m.parts, place{t.Topic, p})
		}
	}
	m.parts = m.with(nil)
	return m, nil
}

// txnStore is the topic of transaction states.
type txnStore struct{ part *log.Partition }

// openTxnStore makes the topic if need be, and reads it.
func openTxnStore(l *log.Log) (*txnStore, map[string]txnMeta, error) {
	t, err := l.Topic(transactionsTopic)
	if errors.Is(err, log.ErrUnknownTopic) {
		t, err = l.CreateTopic(transactionsTopic, log.TopicID{}, 1, map[string]string{"cleanup.policy": "compact", "compression.type": "uncompressed"})
	}
	if err != nil {
		return nil, nil, err
	}
	part, err := t.Partition(0)
	if err != nil {
		return nil, nil, err
	}
	all := make(map[string]txnMeta)
	err = eachBatch(part, func(h *segment.Header, batch []byte) error { return loadTxns(all, h, batch) })
	return &txnStore{part: part}, all, err
}

func loadTxns(all map[string]txnMeta, h *segment.Header, batch []byte) error {
	if h.Control() {
		return nil
	}
	for rec, err := range segment.Records(h, batch) {
		if err != nil {
			return err
		}
		key := kmsg.NewTxnMetadataKey()
		if err := key.ReadFrom(rec.Key); err != nil || key.Version != 0 {
			return fmt.Errorf("key of offset %d: version %d, %w", rec.Offset, key.Version, err)
		}
		if rec.Value == nil {
			delete(all, key.TransactionalID)
			continue
		}
		m, err := decodeTxnMeta(rec.Value)
		if err != nil {
			return fmt.Errorf("value of offset %d: %w", rec.Offset, err)
		}
		all[key.TransactionalID] = m
	}
	return nil
}

// begin writes a state, or nil for an id that goes. It is durable when the result's Wait returns.
func (s *txnStore) begin(id string, m *txnMeta, now int64) (*log.Pending, error) {
	var b segment.Builder
	var value []byte
	if m != nil {
		value = encodeTxnMeta(m)
	}
	b.Add(now, encodeTxnKey(id), value)
	a, err := s.part.Begin(b.Batch(), log.AppendOptions{})
	if err != nil {
		return nil, fmt.Errorf("write to %s: %w", transactionsTopic, err)
	}
	return a, nil
}

// save is begin, and waits.
func (s *txnStore) save(id string, m *txnMeta, now int64) error {
	a, err := s.begin(id, m, now)
	if err == nil {
		// Not bound to a connection: what is written may count after a restart, so its fate must be known.
		err = a.Wait(context.Background())
	}
	return err
}
