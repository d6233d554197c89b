package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// event is a record of the topic, as far as it says what happened to a row.
type event struct {
	offset  int64
	change        // op "" is a tombstone
	lsn     int64 // place of the change in the database's log; a tombstone has that of its delete
	tx      int64
	commit  uint64 // the last commit before the event's transaction, 0 if it is not known
	payload []byte // nil for a tombstone
}

// payloadOf is what stands behind the schema in a value as JsonConverter writes it. Most of the value is the schema, which
// is the same in a hundred thousand of them: it is not parsed.
func payloadOf(value []byte) ([]byte, error) {
	_, payload, found := bytes.Cut(value, []byte(`,"payload":`))
	if !found {
		return nil, errors.New("there is no payload behind a schema")
	}
	return bytes.Clone(bytes.TrimSuffix(payload, []byte("}"))), nil
}

// rowEnvelope are the parts of Debezium's envelope that matter here.
type rowEnvelope struct {
	Op    string
	After *struct {
		ID      int64
		Version int64
		Note    string
	}
	Source struct {
		LSN      int64
		TxID     int64
		Sequence string
	}
}

// topicReader reads a topic from its beginning and goes on where it was, over the death of the hub.
type topicReader struct {
	client   *kgo.Client
	read     func(e *event, value []byte) error
	events   map[int32][]event // by partition
	total    int
	streamed bool            // there is more than a snapshot
	last     map[int64]event // by key: the last event
	newest   map[int64]int64 // by writer of the load: the last version
}

// newTopicReader reads with a function that takes a value apart, whose key the event has already.
func newTopicReader(broker, topic string, read func(*event, []byte) error) (*topicReader, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.MetadataMinAge(50*time.Millisecond), kgo.MetadataMaxAge(time.Second), kgo.UnknownTopicRetries(-1), kgo.DisableFetchSessions())
	if err != nil {
		return nil, err
	}
	return &topicReader{client: client, read: read, events: map[int32][]event{}, last: map[int64]event{}, newest: map[int64]int64{}}, nil
}

// until reads until enough says so.
func (r *topicReader) until(ctx context.Context, what string, enough func() bool) error {
	for !enough() {
		fetches := r.client.PollFetches(ctx)
		if ctx.Err() != nil {
			return fmt.Errorf("waiting for %s: %w after %d records", what, context.Cause(ctx), r.total)
		}
		for it := fetches.RecordIter(); !it.Done(); {
			if err := r.take(it.Next()); err != nil {
				return err
			}
		}
	}
	return nil
}

// beyond reads until each writer of the load has a later version than that.
func (r *topicReader) beyond(ctx context.Context, versions map[int64]int64) error {
	return r.until(ctx, "changes after a kill", func() bool {
		for writer, version := range versions {
			if r.newest[writer] <= version {
				return false
			}
		}
		return true
	})
}

func (r *topicReader) take(rec *kgo.Record) error {
	e := event{offset: rec.Offset}
	var key struct { // with its schema or without
		ID      int64
		Payload struct{ ID int64 }
	}
	if err := json.Unmarshal(rec.Key, &key); err != nil {
		return fmt.Errorf("the key at offset %d: %w: %s", rec.Offset, err, rec.Key)
	}
	e.id = key.ID + key.Payload.ID
	before := r.events[rec.Partition]
	if want := int64(len(before)); rec.Offset != want {
		return fmt.Errorf("partition %d has offset %d where %d was due", rec.Partition, rec.Offset, want)
	}
	if rec.Value == nil {
		e.lsn, e.tx, e.commit = r.last[e.id].lsn, r.last[e.id].tx, r.last[e.id].commit
	} else if err := r.read(&e, rec.Value); err != nil {
		return fmt.Errorf("the value at offset %d: %w: %s", rec.Offset, err, rec.Value)
	}
	r.events[rec.Partition] = append(before, e)
	r.last[e.id] = e
	r.streamed = r.streamed || e.op != "r"
	if e.id >= 0 && e.id < loadEnd {
		r.newest[e.id%loadWriters] = max(r.newest[e.id%loadWriters], e.version)
	}
	r.total++
	return nil
}

func (e *event) ofPostgres(value []byte) error {
	payload, err := payloadOf(value)
	if err != nil {
		return err
	}
	var v rowEnvelope
	if err := json.Unmarshal(payload, &v); err != nil {
		return err
	}
	e.payload = payload
	e.op, e.lsn, e.tx = v.Op, v.Source.LSN, v.Source.TxID
	if v.After != nil {
		if v.After.ID != e.id {
			return fmt.Errorf("the key is %d", e.id)
		}
		e.version, e.note = v.After.Version, v.After.Note
	}
	var sequence [2]*string
	if err := json.Unmarshal([]byte(v.Source.Sequence), &sequence); err != nil {
		return fmt.Errorf("source.sequence: %w", err)
	}
	if sequence[0] != nil {
		if e.commit, err = strconv.ParseUint(*sequence[0], 10, 64); err != nil {
			return fmt.Errorf("source.sequence: %w", err)
		}
	}
	return nil
}

// occurrence is what makes two records the same event.
type occurrence struct {
	id, lsn int64
	op      string
}

// repeats counts what a source that was started again has read again.
type repeats struct{ records, runs int }

// unrepeat returns the events of a partition, each once. Repeats must be what a source that goes back to an earlier
// place brings: from one event on, each that followed, in the order in which they came, up to the first new one.
func unrepeat(events []event) ([]event, repeats, error) {
	var once []event
	at := map[occurrence]int{}
	next := 0
	var r repeats
	for _, e := range events {
		o := occurrence{e.id, e.lsn, e.op}
		i, known := at[o]
		switch {
		case !known && next < len(once):
			return nil, r, fmt.Errorf("offset %d, %s of row %d at LSN %d, is new, but stands where row %d at LSN %d was to be repeated",
				e.offset, e.op, e.id, e.lsn, once[next].id, once[next].lsn)
		case !known:
			at[o], next = len(once), len(once)+1
			once = append(once, e)
			continue
		case i != next:
			r.runs++
		}
		if !sameEvent(once[i], e) {
			return nil, r, fmt.Errorf("offset %d repeats %d with another content:\n%s\n%s", e.offset, once[i].offset, once[i].payload, e.payload)
		}
		r.records++
		next = i + 1
	}
	return once, r, nil
}

// sameEvent leaves out what a repetition may have of its own: times, and the commit before the transaction, of which a
// source that has just been started knows only a place behind it.
func sameEvent(a, b event) bool {
	return a.change == b.change && a.tx == b.tx && (a.payload == nil) == (b.payload == nil)
}

// checkOrder looks at the events of one partition, each once: transactions are whole and in the order of commits.
func checkOrder(events []event) error {
	var tx int64
	var commit uint64
	over := map[int64]bool{}
	for i, e := range events {
		if e.op == "r" {
			continue
		}
		if e.tx != tx {
			if over[e.tx] {
				return fmt.Errorf("transaction %d goes on at offset %d, behind another one", e.tx, e.offset)
			}
			over[tx], tx = true, e.tx
		}
		if e.commit < commit {
			return fmt.Errorf("offset %d is of a transaction that followed the commit at %d, and stands behind one that followed %d", e.offset, e.commit, commit)
		}
		commit = e.commit
		if e.op == "" && (i == 0 || events[i-1].op != "d" || events[i-1].id != e.id) {
			return fmt.Errorf("the tombstone at offset %d does not follow its delete", e.offset)
		}
	}
	return nil
}

// checkHistory compares the events of all partitions, each once, with what was committed: for every key all changes,
// in their order, no more and no less.
func checkHistory(partitions map[int32][]event, history map[int64][]change) error {
	got := map[int64][]change{}
	for _, events := range partitions {
		for i, e := range events {
			if e.op == "d" && (i+1 == len(events) || events[i+1].op != "" || events[i+1].id != e.id) {
				return fmt.Errorf("the delete of row %d at offset %d has no tombstone", e.id, e.offset)
			}
			if e.op != "" {
				got[e.id] = append(got[e.id], e.change)
			}
		}
	}
	var wrong []string
	for id, want := range history {
		if !slices.Equal(got[id], want) {
			text := fmt.Sprintf("row %d: committed %s\n  in the log %s", id, brief(want), brief(got[id]))
			for i := range min(len(want), len(got[id])) {
				if want[i] != got[id][i] {
					text += fmt.Sprintf("\n  the first to differ: %+v, in the log %+v", want[i], got[id][i])
					break
				}
			}
			wrong = append(wrong, text)
		}
		delete(got, id)
	}
	for id, events := range got {
		wrong = append(wrong, fmt.Sprintf("row %d was never committed, in the log %s", id, brief(events)))
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%d rows are wrong; the first:\n%s", len(wrong), strings.Join(wrong[:min(5, len(wrong))], "\n"))
	}
	return nil
}

func brief(changes []change) string {
	var b strings.Builder
	for _, c := range changes {
		fmt.Fprintf(&b, "%s%d ", c.op, c.version)
	}
	return b.String()
}
