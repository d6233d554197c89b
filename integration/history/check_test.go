package history

import (
	"slices"
	"testing"
)

// record is what a history has of a value that was written and acknowledged at an offset of partition 0.
func record(value, txn, offset int64) []Event {
	return []Event{{Kind: Sent, Value: value, Txn: txn}, {Kind: Acked, Value: value, Offset: offset}}
}

func end(txn int64, commit, answered bool) []Event {
	events := []Event{{Kind: Ending, Txn: txn, Commit: commit}}
	if answered {
		events = append(events, Event{Kind: Ended, Txn: txn, Commit: commit})
	}
	return events
}

// holds is what partition 0 holds at the end: values by offset; those that are committed are told apart.
func holds(all, visible map[int64]int64) []Event {
	var events []Event
	for isolated, entries := range map[bool]map[int64]int64{false: all, true: visible} {
		for offset := range int64(100) {
			if v, ok := entries[offset]; ok {
				events = append(events, Event{Kind: Final, Value: v, Offset: offset, Isolated: isolated})
			}
		}
	}
	return events
}

func resume(offset int64) []Event {
	return []Event{{Kind: Resumed, Reader: "r", Offset: offset, Isolated: true}}
}

// poll is a reader of what is committed that gets values by offset, in that order.
func poll(pairs ...int64) []Event {
	var events []Event
	for i := 0; i < len(pairs); i += 2 {
		events = append(events, Event{Kind: Polled, Reader: "r", Offset: pairs[i], Value: pairs[i+1], Isolated: true})
	}
	return events
}

func commit(offset int64, answered bool) []Event {
	events := []Event{{Kind: Committing, Reader: "r", Offset: offset}}
	if answered {
		events = append(events, Event{Kind: Committed, Reader: "r", Offset: offset})
	}
	return events
}

func resuming() []Event { return []Event{{Kind: Resuming, Reader: "r"}} }

func TestCheck(t *testing.T) {
	type m = map[int64]int64
	two := slices.Concat(record(1, 0, 0), record(2, 0, 1))
	for name, c := range map[string]struct {
		events [][]Event
		want   []string
	}{
		"nothing":                     {nil, nil},
		"plain writes, read in order": {[][]Event{two, resume(0), poll(0, 1, 1, 2), holds(m{0: 1, 1: 2}, m{0: 1, 1: 2})}, nil},
		"a write that was not acknowledged may be there": {[][]Event{{{Kind: Sent, Value: 1}}, holds(m{0: 1}, m{0: 1})}, nil},
		"and may be missing":                             {[][]Event{{{Kind: Sent, Value: 1}}}, nil},
		"a committed and an aborted transaction": {[][]Event{record(1, 7, 0), end(7, true, true), record(2, 8, 2), end(8, false, true), resume(0), poll(0, 1),
			holds(m{0: 1, 2: 2}, m{0: 1})}, nil},
		"a transaction of unknown end is there":         {[][]Event{record(1, 7, 0), record(2, 7, 1), end(7, true, false), holds(m{0: 1, 1: 2}, m{0: 1, 1: 2})}, nil},
		"or is not":                                     {[][]Event{record(1, 7, 0), record(2, 7, 1), end(7, true, false), holds(m{0: 1, 1: 2}, m{})}, nil},
		"a transaction that was left alone":             {[][]Event{record(1, 7, 0), holds(m{0: 1}, m{})}, nil},
		"a group reads again what it did not commit":    {[][]Event{two, resume(0), poll(0, 1, 1, 2), commit(1, true), resuming(), resume(1), poll(1, 2), holds(m{0: 1, 1: 2}, m{0: 1, 1: 2})}, nil},
		"a commit without an answer may have an effect": {[][]Event{two, resume(0), poll(0, 1, 1, 2), commit(2, false), resuming(), resume(2), holds(m{0: 1, 1: 2}, m{0: 1, 1: 2})}, nil},

		"an acknowledged write is gone":              {[][]Event{two, holds(m{0: 1}, m{0: 1})}, []string{LostWrite}},
		"a committed write is not visible":           {[][]Event{record(1, 7, 0), end(7, true, true), holds(m{0: 1}, m{})}, []string{LostWrite}},
		"another is in the place of an acknowledged": {[][]Event{record(1, 0, 0), {{Kind: Sent, Value: 2}}, holds(m{0: 2}, m{0: 2})}, []string{ChangedRecord}},
		"a write is there twice":                     {[][]Event{record(1, 0, 0), holds(m{0: 1, 1: 1}, m{0: 1, 1: 1})}, []string{Duplicate}},
		"nobody wrote it":                            {[][]Event{holds(m{0: 9}, m{0: 9})}, []string{Unwritten}},
		"what was aborted is visible at the end":     {[][]Event{record(1, 7, 0), end(7, false, true), holds(m{0: 1}, m{0: 1})}, []string{AbortedRead}},
		"what was left alone is visible at the end":  {[][]Event{record(1, 7, 0), holds(m{0: 1}, m{0: 1})}, []string{AbortedRead}},
		"also if it was not acknowledged":            {[][]Event{{{Kind: Sent, Value: 1, Txn: 7}}, holds(m{0: 1}, m{0: 1})}, []string{AbortedRead}},
		"what was aborted was read":                  {[][]Event{record(1, 7, 0), end(7, false, true), resume(0), poll(0, 1), holds(m{0: 1}, m{})}, []string{AbortedRead}},
		"half a transaction is visible":              {[][]Event{record(1, 7, 0), record(2, 7, 1), end(7, true, false), holds(m{0: 1, 1: 2}, m{1: 2})}, []string{TornTransaction}},
		"what was read is gone":                      {[][]Event{{{Kind: Sent, Value: 1}}, resume(0), poll(0, 1)}, []string{ChangedRecord}},
		"a reader goes back":                         {[][]Event{two, resume(0), poll(0, 1, 1, 2, 0, 1), holds(m{0: 1, 1: 2}, m{0: 1, 1: 2})}, []string{NonMonotonicPoll}},
		"a reader gets a record twice":               {[][]Event{record(1, 0, 0), resume(0), poll(0, 1, 0, 1), holds(m{0: 1}, m{0: 1})}, []string{NonMonotonicPoll}},
		"a reader skips a record, and gets it later": {[][]Event{two, resume(0), poll(1, 2), resume(0), poll(0, 1, 1, 2), holds(m{0: 1, 1: 2}, m{0: 1, 1: 2})}, []string{Unseen}},
		"a reader never gets the last":               {[][]Event{two, resume(0), poll(0, 1), holds(m{0: 1, 1: 2}, m{0: 1, 1: 2})}, []string{Unseen}},
		"a group goes on before what was committed":  {[][]Event{two, resume(0), poll(0, 1, 1, 2), commit(2, true), resuming(), resume(1), holds(m{0: 1, 1: 2}, m{0: 1, 1: 2})}, []string{OffsetRegression}},
		"a group goes on at the beginning":           {[][]Event{two, resume(0), poll(0, 1, 1, 2), commit(2, true), resuming(), resume(0), holds(m{0: 1, 1: 2}, m{0: 1, 1: 2})}, []string{OffsetRegression}},
		"a group goes on where nobody was":           {[][]Event{two, resume(0), poll(0, 1, 1, 2), commit(1, true), resuming(), resume(2), holds(m{0: 1, 1: 2}, m{0: 1, 1: 2})}, []string{OffsetOfNobody}},
		"who polls was given nothing":                {[][]Event{record(1, 0, 0), poll(0, 1), holds(m{0: 1}, m{0: 1})}, []string{UnknownMember}},
	} {
		t.Run(name, func(t *testing.T) {
			var h History
			for _, e := range slices.Concat(c.events...) {
				h.Add(e)
			}
			var got []string
			found := h.Check()
			for _, a := range found {
				got = append(got, a.Name)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("found %v, want %q", found, c.want)
			}
		})
	}
}
