package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
)

// A transaction index has one entry for each abort marker in its segment that
// ended a transaction with records, in order. It is Kafka's, big-endian; a
// segment without such markers has no file.
//
//	+---------+-------------+--------------+-------------+--------------+
//	| version | producer id | first offset | offset of   | last stable  |
//	| i16 = 0 | i64         | i64          | the marker  | offset after |
//	|         |             |              | i64         | it, i64      |
//	+---------+-------------+--------------+-------------+--------------+
const abortedEntry = 2 + 4*8

// Aborted is an aborted transaction in one partition.
type Aborted struct {
	ProducerID int64
	First      int64 // offset of its first record
	Last       int64 // offset of its marker
	// LastStable is the last stable offset once the marker is durable: no
	// transaction whose marker comes later has records below it.
	LastStable int64
}

func encodeAborted(a Aborted) [abortedEntry]byte {
	var e [abortedEntry]byte
	be := binary.BigEndian
	be.PutUint64(e[2:], uint64(a.ProducerID))
	be.PutUint64(e[10:], uint64(a.First))
	be.PutUint64(e[18:], uint64(a.Last))
	be.PutUint64(e[26:], uint64(a.LastStable))
	return e
}

func decodeAborted(e []byte) Aborted {
	be := binary.BigEndian
	return Aborted{int64(be.Uint64(e[2:])), int64(be.Uint64(e[10:])), int64(be.Uint64(e[18:])), int64(be.Uint64(e[26:]))}
}

// abortedOrder checks entries one after the other.
func abortedOrder(base int64) func(e []byte) bool {
	last := base - 1
	return func(e []byte) bool {
		a := decodeAborted(e)
		ok := e[0] == 0 && e[1] == 0 && a.ProducerID >= 0 && a.First >= 0 && a.First < a.Last && a.Last > last
		last = a.Last
		return ok
	}
}

// AddAborted notes an aborted transaction whose marker is in the segment. Call
// it in the order of the markers and before Seal.
func (s *Segment) AddAborted(a Aborted) {
	e := encodeAborted(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aborted.add(e[:])
}

// HasAborted tells whether the segment has markers of aborted transactions.
func (s *Segment) HasAborted() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.aborted.n > 0 }

// Aborted appends to dst the aborted transactions whose marker is in this
// segment and that have records from offset from on and below to. more is false
// when no later segment can have one.
func (s *Segment) Aborted(dst []Aborted, from, to int64) (out []Aborted, more bool, err error) {
	t, unlock := s.table(func() *table { return s.aborted })
	defer unlock()
	i, err := t.firstAbove(func(e []byte) bool { return decodeAborted(e).Last < from })
	if err != nil {
		return dst, false, err
	}
	var space [abortedEntry]byte
	for ; i < t.n; i++ {
		e, err := t.at(i, space[:])
		if err != nil {
			return dst, false, err
		}
		a := decodeAborted(e)
		if a.First < to {
			dst = append(dst, a)
		}
		if a.LastStable >= to {
			return dst, false, nil
		}
	}
	return dst, true, nil
}

// CopyAborted takes over the transactions of the segment that this one
// replaces, as far as their markers are kept.
func (s *Segment) CopyAborted(old *Segment, kept func(marker int64) bool) error {
	all, _, err := old.Aborted(nil, 0, 1<<63-1)
	if err != nil {
		return err
	}
	for _, a := range all {
		if kept(a.Last) {
			s.AddAborted(a)
		}
	}
	return nil
}

// openTxnIndex reads the transaction index of a sealed segment. No file means
// no aborted transaction: Seal makes it durable before the other indexes.
func (s *Segment) openTxnIndex() (*table, error) {
	f, err := s.fs.Open(s.path(TxnIndexSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return &table{width: abortedEntry}, nil
	}
	if err != nil {
		return nil, err
	}
	t, err := openTable(f, abortedEntry, abortedOrder(s.base))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s: %v", ErrStale, s.path(TxnIndexSuffix), err), f.Close())
	}
	return t, nil
}

// sealTxnIndex writes the transaction index, so that it is durable, name and
// all, before another index of the segment exists. Call with mu.
func (s *Segment) sealTxnIndex() (*table, error) {
	if s.aborted.n == 0 {
		return s.aborted, removeIfThere(s.fs, s.path(TxnIndexSuffix))
	}
	t, err := s.writeTable(s.aborted, TxnIndexSuffix)
	if err != nil {
		return nil, err
	}
	if err := s.fs.SyncDir(s.dir); err != nil {
		return nil, errors.Join(err, t.file.Close())
	}
	return t, nil
}
