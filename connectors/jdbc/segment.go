package jdbc

import (
	"bytes"
	"hash/maphash"
)

// verb is how the rows of a group are written.
type verb uint8

const (
	insertRows verb = iota
	upsertRows
	updateRows
	patchRows // update, and insert those that are not there
	deleteRows
	truncateTable
)

// group is rows of one shape to be written in one way. No key is in it twice, but for insertRows.
type group struct {
	verb  verb
	shape *shape
	rows  []*row
	arena []byte
}

// segmenter divides rows in the order of the topic into segments. In a segment each table's deletes go before its writes,
// and the last change of a key stands for all of them: that is what one statement for many rows needs, and the outcome
// is the same for every key. Where it would not be, the segment ends.
type segmenter struct {
	mode   insertMode
	batch  *batch
	seed   maphash.Seed
	seen   map[uint64]entry
	groups []group
	dead   map[int32]bool // rows that a later one stands for
}

// entry is what a segment does to a key: at most one delete and one write after it. They are indices of rows, -1 for none.
type entry struct{ deletes, writes int32 }

func newSegmenter(mode insertMode) *segmenter {
	return &segmenter{mode: mode, seed: maphash.MakeSeed(), seen: make(map[uint64]entry), dead: make(map[int32]bool)}
}

// next takes the rows of the next segment off the front of rows, and returns its groups, which are valid until the next
// call.
func (s *segmenter) next(b *batch, rows []*row) (groups []group, rest []*row) {
	s.batch = b
	clear(s.seen)
	clear(s.dead)
	n := 0
	for ; n < len(rows); n++ {
		r := rows[n]
		if r.op == opTruncate {
			if n == 0 {
				return []group{{verb: truncateTable, shape: r.shape, rows: rows[:1], arena: b.arena}}, rows[1:]
			}
			break
		}
		if !s.take(rows, int32(n)) {
			break
		}
	}
	return s.group(rows[:n]), rows[n:]
}

// take adds row i to the segment, or reports that the segment must end before it.
func (s *segmenter) take(rows []*row, i int32) bool {
	r := rows[i]
	if r.shape.keys == 0 {
		return true
	}
	key := s.batch.key(r)
	hash := maphash.Bytes(s.seed, key) ^ uint64(r.shape.table.hash)
	e, ok := s.seen[hash]
	if !ok {
		e = entry{-1, -1}
	} else if other := rows[max(e.deletes, e.writes)]; other.shape.table != r.shape.table || !bytes.Equal(s.batch.key(other), key) {
		return false // two keys with one hash
	}
	switch {
	case r.op == opDelete && e.writes < 0:
		if e.deletes >= 0 {
			s.dead[i] = true
			return true
		}
		e.deletes = i
	case r.op == opDelete:
		if s.mode == modeInsert {
			return false // the insert must be seen to succeed or fail before the delete
		}
		s.dead[e.writes] = true
		if e.deletes >= 0 {
			s.dead[i] = true
			e.writes = -1
		} else {
			e.deletes, e.writes = i, -1
		}
	case e.writes < 0:
		e.writes = i
	case s.mode == modeInsert:
		e.writes = i // both stay: the second is refused, as it must be
	case r.shape != rows[e.writes].shape:
		return false // it may leave columns alone that the first one sets
	default:
		s.dead[e.writes] = true
		e.writes = i
	}
	s.seen[hash] = e
	return true
}

// group gathers the rows of a segment by shape, in the order in which shapes appear, deletes first.
func (s *segmenter) group(rows []*row) []group {
	s.groups = s.groups[:0]
	for _, wanted := range [...]op{opDelete, opWrite} {
		first := len(s.groups)
		for i, r := range rows {
			if r.op != wanted || s.dead[int32(i)] {
				continue
			}
			g := s.groupOf(first, r)
			g.rows = append(g.rows, r)
		}
	}
	return s.groups
}

func (s *segmenter) groupOf(first int, r *row) *group {
	for i := len(s.groups) - 1; i >= first; i-- {
		if s.groups[i].shape == r.shape {
			return &s.groups[i]
		}
	}
	v := deleteRows
	if r.op == opWrite {
		switch {
		case s.mode == modeInsert && !r.shape.partial:
			v = insertRows
		case s.mode == modeUpdate:
			v = updateRows
		case r.shape.partial:
			v = patchRows
		default:
			v = upsertRows
		}
	}
	s.groups = append(s.groups, group{verb: v, shape: r.shape, arena: s.batch.arena})
	return &s.groups[len(s.groups)-1]
}
