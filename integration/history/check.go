package history

import (
	"fmt"
	"maps"
	"slices"
)

// Anomaly is something that must not be.
type Anomaly struct {
	Name string // one of those below
	Text string // what was seen
}

func (a Anomaly) String() string { return a.Name + ": " + a.Text }

// The names of anomalies.
const (
	LostWrite        = "lost write"          // it was acknowledged, and its transaction committed, and it is not there
	Duplicate        = "duplicate"           // it was sent once and is there twice
	ChangedRecord    = "changed record"      // a place held something else before, or held something
	Unwritten        = "unwritten"           // nobody sent it
	AbortedRead      = "aborted read"        // a reader of what is committed got what was aborted
	TornTransaction  = "torn transaction"    // a part of it is committed
	NonMonotonicPoll = "non-monotonic poll"  // a reader went back by itself
	Unseen           = "unseen"              // a reader went past it, or to the end, without getting it
	OffsetRegression = "offset regression"   // a group goes on before what it was told to be committed
	OffsetOfNobody   = "offset of nobody"    // a group goes on behind what any member asked to commit
	UnknownMember    = "poll without resume" // the history itself is wrong: a member polls what it was not given
)

type place struct {
	partition int32
	offset    int64
}

func (p place) String() string { return fmt.Sprintf("partition %d, offset %d", p.partition, p.offset) }

type write struct {
	txn   int64
	acked *place
}

// outcome of a transaction. One that nobody asked to commit is aborted sooner or later.
type outcome uint8

const (
	aborted outcome = iota
	unknown
	committed
)

// entry is a record of the log at the end.
type entry struct {
	offset, value int64
}

// ledger is what a history says as a whole.
type ledger struct {
	writes map[int64]*write
	txns   map[int64]outcome
	at     map[place]int64            // at the end, all
	whole  map[bool]map[int32][]entry // by isolation: true is what is committed
	found  []Anomaly
}

func check(events []Event) []Anomaly {
	l := &ledger{writes: map[int64]*write{}, txns: map[int64]outcome{}, at: map[place]int64{}, whole: map[bool]map[int32][]entry{false: {}, true: {}}}
	for _, e := range events {
		l.enter(e)
	}
	l.checkLog()
	l.checkWrites()
	l.checkTransactions()
	l.checkPolls(events)
	l.checkCommits(events)
	return l.found
}

func (l *ledger) report(name, format string, args ...any) {
	l.found = append(l.found, Anomaly{name, fmt.Sprintf(format, args...)})
}

func (l *ledger) enter(e Event) {
	switch e.Kind {
	case Sent:
		l.writes[e.Value] = &write{txn: e.Txn}
	case Acked:
		l.writes[e.Value].acked = &place{e.Partition, e.Offset}
	case Ending:
		if e.Commit {
			l.txns[e.Txn] = unknown
		}
	case Ended:
		l.txns[e.Txn] = aborted
		if e.Commit {
			l.txns[e.Txn] = committed
		}
	case Final:
		l.whole[e.Isolated][e.Partition] = append(l.whole[e.Isolated][e.Partition], entry{e.Offset, e.Value})
		if !e.Isolated {
			l.at[place{e.Partition, e.Offset}] = e.Value
		}
	}
}

// visible are the values that readers of an isolation level find at the end.
func (l *ledger) visible(isolated bool) map[int64]bool {
	values := map[int64]bool{}
	for _, entries := range l.whole[isolated] {
		for _, e := range entries {
			values[e.value] = true
		}
	}
	return values
}

// outcome of the transaction of a value; what is in none is as good as committed.
func (l *ledger) outcome(value int64) outcome {
	w := l.writes[value]
	if w == nil || w.txn == 0 {
		return committed
	}
	return l.txns[w.txn]
}

// checkLog: what is there at the end was sent, and is there once.
func (l *ledger) checkLog() {
	first := map[int64]place{}
	for _, p := range slices.Sorted(maps.Keys(l.whole[false])) {
		for _, e := range l.whole[false][p] {
			here := place{p, e.offset}
			if l.writes[e.value] == nil {
				l.report(Unwritten, "value %d at %v", e.value, here)
			}
			if there, again := first[e.value]; again {
				l.report(Duplicate, "value %d at %v and at %v", e.value, there, here)
			}
			first[e.value] = here
		}
	}
	for p, entries := range l.whole[true] {
		for _, e := range entries {
			l.same(place{p, e.offset}, e.value, "a reader of what is committed finds")
		}
	}
}

// same says whether a place holds at the end what was seen there.
func (l *ledger) same(at place, value int64, who string) bool {
	now, there := l.at[at]
	switch {
	case !there:
		l.report(ChangedRecord, "%s value %d at %v, where nothing is", who, value, at)
	case now != value:
		l.report(ChangedRecord, "%s value %d at %v, where %d is", who, value, at, now)
	}
	return there && now == value
}

// checkWrites: what was acknowledged is where it was said to be, and is visible when it is committed.
func (l *ledger) checkWrites() {
	visible := l.visible(true)
	for _, value := range slices.Sorted(maps.Keys(l.writes)) {
		w := l.writes[value]
		if w.acked == nil {
			continue
		}
		now, there := l.at[*w.acked]
		switch {
		case !there:
			l.report(LostWrite, "value %d was acknowledged at %v, where nothing is", value, *w.acked)
		case now != value:
			l.report(ChangedRecord, "value %d was acknowledged at %v, where %d is", value, *w.acked, now)
		case l.outcome(value) == committed && !visible[value]:
			l.report(LostWrite, "value %d of transaction %d is committed at %v, and readers do not find it", value, w.txn, *w.acked)
		}
	}
}

// checkTransactions: what was aborted is not visible, and what nobody knows of is so as a whole.
func (l *ledger) checkTransactions() {
	visible := l.visible(true)
	in, out := map[int64]int{}, map[int64]int{}
	for _, value := range slices.Sorted(maps.Keys(l.writes)) {
		w := l.writes[value]
		switch {
		case w.txn == 0:
		case visible[value]:
			in[w.txn]++
			if l.outcome(value) == aborted {
				l.report(AbortedRead, "value %d of transaction %d is visible at the end", value, w.txn)
			}
		case w.acked != nil:
			out[w.txn]++
		}
	}
	for txn, o := range l.txns {
		if o == unknown && in[txn] > 0 && out[txn] > 0 {
			l.report(TornTransaction, "of transaction %d %d records are visible and %d are not", txn, in[txn], out[txn])
		}
	}
}
