package consumergroup

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sluicehub/sluice/log"
)

func compareRanks(a, b *worker) int {
	return cmp.Or(strings.Compare(a.rank, b.rank), strings.Compare(a.id, b.id))
}

// uniform gives all members as many partitions as can be, and moves as few as that takes.
func (w *work) uniform() map[string][]Partition {
	s := &spread{work: w, by: make([][]Partition, len(w.members))}
	s.keep()
	if s.alike() {
		s.even()
	} else {
		s.greedy()
	}
	to := make(map[string][]Partition, len(w.members))
	for i, m := range w.members {
		to[m.id] = s.by[i]
	}
	return to
}

// spread is an assignment in the making.
type spread struct {
	*work
	by   [][]Partition // by member
	free []Partition   // nobody's yet, in order
}

// keep gives the members what they had, as far as it is there and they want it.
func (s *spread) keep() {
	size := make(map[log.TopicID]int32, len(s.topics))
	for _, t := range s.topics {
		size[t.id] = t.partitions
	}
	taken := make(map[Partition]bool)
	for i, m := range s.members {
		for _, p := range m.has {
			if m.wants[p.Topic] && p.Number < size[p.Topic] && !taken[p] {
				taken[p] = true
				s.by[i] = append(s.by[i], p)
			}
		}
	}
	for _, t := range s.topics {
		for n := range t.partitions {
			if p := (Partition{t.id, n}); !taken[p] {
				s.free = append(s.free, p)
			}
		}
	}
}

// alike tells whether all members subscribe to the same topics.
func (s *spread) alike() bool {
	for _, t := range s.topics {
		if len(t.members) != len(s.members) {
			return false
		}
	}
	return true
}

// even shares out among members that are alike: each gets the same number, and some one more. Those that have more than
// that already keep the one more.
func (s *spread) even() {
	if len(s.members) == 0 {
		return
	}
	total := len(s.free)
	for _, some := range s.by {
		total += len(some)
	}
	share, more := total/len(s.members), total%len(s.members)
	for i, some := range s.by {
		quota := share
		if len(some) > share && more > 0 {
			quota, more = share+1, more-1
		}
		if len(some) > quota {
			s.free = append(s.free, some[quota:]...)
			s.by[i] = some[:quota:quota]
		}
	}
	for i, some := range s.by {
		quota := share
		if len(some) <= share && more > 0 {
			quota, more = share+1, more-1
		}
		n := max(0, quota-len(some))
		s.by[i], s.free = append(some, s.free[:n]...), s.free[n:]
	}
}

// greedy shares out among members that want different topics: what is free goes to who has least, that of topics that
// few want first; then partitions move as long as that evens the numbers.
func (s *spread) greedy() {
	topics := make(map[log.TopicID]*load, len(s.topics))
	for i := range s.topics {
		topics[s.topics[i].id] = &s.topics[i]
	}
	slices.SortStableFunc(s.free, func(a, b Partition) int { return len(topics[a.Topic].members) - len(topics[b.Topic].members) })
	for _, p := range s.free {
		least := s.least(topics[p.Topic])
		s.by[least] = append(s.by[least], p)
	}
	for moved := true; moved; {
		moved = false
		for i := range s.topics {
			for s.move(&s.topics[i]) {
				moved = true
			}
		}
	}
}

// least is who has the fewest partitions of those that want a topic.
func (s *spread) least(t *load) int {
	return slices.MinFunc(t.members, func(a, b int) int { return len(s.by[a]) - len(s.by[b]) })
}

// move takes a partition of a topic from who has most to who has least, if that evens their numbers.
func (s *spread) move(t *load) bool {
	least := s.least(t)
	most, at := -1, 0
	for _, m := range t.members {
		if len(s.by[m]) < len(s.by[least])+2 || most >= 0 && len(s.by[m]) <= len(s.by[most]) {
			continue
		}
		if i := s.last(m, t.id); i >= 0 {
			most, at = m, i
		}
	}
	if most < 0 {
		return false
	}
	s.by[least] = append(s.by[least], s.by[most][at])
	s.by[most] = slices.Delete(slices.Clone(s.by[most]), at, at+1)
	return true
}

// last is where a member has its last partition of a topic, -1 nowhere. What it got last goes first, so that as little
// as can be moves.
func (s *spread) last(m int, topic log.TopicID) int {
	for i := len(s.by[m]) - 1; i >= 0; i-- {
		if s.by[m][i].Topic == topic {
			return i
		}
	}
	return -1
}
