package history

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
)

// owner is who reads a partition.
type owner struct {
	reader, member string
	partition      int32
}

// reader is what a group, or a client of its own, has got.
type reader struct {
	isolated bool
	seen     map[int64]bool
}

// checkPolls: a reader gets all that is there for it, in order, and nothing else.
func (l *ledger) checkPolls(events []Event) {
	next := map[owner]int64{} // the offset from which on it has seen nothing
	readers := map[string]*reader{}
	for _, e := range events {
		o := owner{e.Reader, e.Member, e.Partition}
		switch e.Kind {
		case Resumed:
			next[o] = e.Offset
			if readers[e.Reader] == nil {
				readers[e.Reader] = &reader{e.Isolated, map[int64]bool{}}
			}
		case Polled:
			from, known := next[o]
			if !known {
				l.report(UnknownMember, "%s of %s, partition %d", e.Member, e.Reader, e.Partition)
				continue
			}
			l.checkPoll(e, from)
			next[o] = max(from, e.Offset+1)
			readers[e.Reader].seen[e.Value] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(readers)) {
		r := readers[name]
		for p, entries := range l.whole[r.isolated] {
			for _, x := range entries {
				if !r.seen[x.value] {
					l.report(Unseen, "%s never got value %d at %v", name, x.value, place{p, x.offset})
				}
			}
		}
	}
}

// checkPoll looks at one record that was to be the first from an offset on.
func (l *ledger) checkPoll(e Event, from int64) {
	here := place{e.Partition, e.Offset}
	who := e.Reader + " " + e.Member + " got"
	if e.Offset < from {
		l.report(NonMonotonicPoll, "%s value %d at %v after offset %d", who, e.Value, here, from-1)
	}
	if l.same(here, e.Value, who) && e.Isolated && l.outcome(e.Value) == aborted {
		l.report(AbortedRead, "%s value %d at %v, which was aborted", who, e.Value, here)
	}
	entries := l.whole[e.Isolated][e.Partition]
	i := sort.Search(len(entries), func(i int) bool { return entries[i].offset >= from })
	if i < len(entries) && entries[i].offset < e.Offset {
		l.report(Unseen, "%s value %d at %v without value %d at offset %d before it", who, e.Value, here, entries[i].value, entries[i].offset)
	}
}

// checkCommits: a group goes on at an offset that was committed: not before the last one that was confirmed when it
// asked, and not behind the last one that anyone asked for.
func (l *ledger) checkCommits(events []Event) {
	type group struct {
		reader    string
		partition int32
	}
	asked, confirmed := map[group]int64{}, map[group]int64{}
	trails := map[group]*trail{}
	floor := map[owner]int64{}
	for _, e := range events {
		g, o := group{e.Reader, e.Partition}, owner{e.Reader, e.Member, e.Partition}
		if trails[g] == nil {
			trails[g] = &trail{}
		}
		trails[g].add(e)
		switch e.Kind {
		case Committing:
			asked[g] = max(asked[g], e.Offset)
		case Committed:
			confirmed[g] = max(confirmed[g], e.Offset)
		case Resuming:
			floor[o] = confirmed[g]
		case Resumed:
			least, fromGroup := floor[o]
			if !fromGroup {
				continue // by its own will
			}
			if e.Offset < least {
				l.report(OffsetRegression, "%s goes on in partition %d at %d, and %d had been committed: %s", e.Reader, e.Partition, e.Offset, least, trails[g])
			}
			if e.Offset > asked[g] {
				l.report(OffsetOfNobody, "%s goes on in partition %d at %d, and nobody committed more than %d: %s", e.Reader, e.Partition, e.Offset, asked[g], trails[g])
			}
		}
	}
}

// trail is what the members of a group did last with a partition, for the text of an anomaly.
type trail []Event

const trailLength = 16

func (t *trail) add(e Event) {
	if e.Kind < Resuming || e.Kind > Committed || e.Kind == Polled {
		return
	}
	if len(*t) == trailLength {
		*t = (*t)[1:]
	}
	*t = append(*t, e)
}

func (t *trail) String() string {
	verbs := map[Kind]string{Resuming: "resumes", Resumed: "goes on at", Committing: "commits", Committed: "has committed"}
	var b strings.Builder
	for _, e := range *t {
		fmt.Fprintf(&b, "%s %s %d; ", e.Member, verbs[e.Kind], e.Offset)
	}
	return b.String()
}
