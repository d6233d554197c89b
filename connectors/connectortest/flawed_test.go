package connectortest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// The suite is tried on connectors that keep all promises but one. The test that checks the promise must fail, and
// with no flaw none.

// TestEachFlawIsFound runs the suite in processes of its own, because it is to fail.
func TestEachFlawIsFound(t *testing.T) {
	for _, c := range []struct{ suite, flaw, fails string }{
		{"Source", "none", ""},
		{"Source", "bad definition", "info"},
		{"Source", "leaks a goroutine", "start_and_stop_leave_nothing"},
		{"Source", "error without a class", "failed_start"},
		{"Source", "reads a row twice", "everything_is_read_once,_in_order"},
		{"Source", "no offsets", "everything_is_read_once,_in_order"},
		{"Source", "offsets are not objects", "everything_is_read_once,_in_order"},
		{"Source", "values are cut short", "everything_is_read_once,_in_order"},
		{"Source", "looks at its last batch", "a_batch_belongs_to_who_reads_it"},
		{"Source", "offset of the row before", "an_offset_leads_to_exactly_what_follows"},
		{"Source", "offset of the row after", "an_offset_leads_to_exactly_what_follows"},
		{"Source", "refuses commits", "commit_beside_read"},
		{"Source", "another error when cancelled", "read_ends_with_its_context"},
		{"Source", "loses a row when cancelled", "read_ends_with_its_context"},
		{"Source", "a failed read takes rows", "a_failed_read_takes_nothing"},
		{"Source", "a failed read ends the task", ""},
		{"Source", "a failed read without a class", "a_failed_read_takes_nothing"},
		{"Source", "never fails", "a_failed_read_takes_nothing"},
		{"Source", "refuses its own offsets", "offsets_can_be_altered"},
		{"Source", "two tasks at a time", ""},
		{"Source", "begins anew", ""},
		{"Source", "begins anew behind the first row", "an_offset_leads_to_exactly_what_follows"},
		{"Source", "begins anew behind the first row", "a_task_goes_on_where_the_last_one_was_durable"},
		{"Source", "forgets", ""},
		{"Source", "forgets what is not durable", "a_task_goes_on_where_the_last_one_was_durable"},
		{"Sink", "none", ""},
		{"Sink", "leaks a goroutine", "start_and_stop_leave_nothing"},
		{"Sink", "position ahead of the target", "what_is_flushed_is_there"},
		{"Sink", "position goes back", "what_is_flushed_is_there"},
		{"Sink", "loses a record", "what_is_flushed_is_there"},
		{"Sink", "keeps the batch", "a_batch_belongs_to_the_hub"},
		{"Sink", "ignores the end of a batch", "a_position_counts_dropped_records"},
		{"Sink", "position of what was not put", "nothing_is_flushed_that_was_not_put"},
		{"Sink", "position of what is closed", "close_drops"},
		{"Sink", "takes half a batch", "one_bad_record"},
	} {
		t.Run(c.suite+" "+c.flaw, func(t *testing.T) {
			t.Parallel()
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(self, "-test.run=^TestFlawed"+c.suite+"$", "-test.v")
			cmd.Env = append(os.Environ(), "FLAW="+c.flaw, "CONNECTORTEST_PATIENCE=2s")
			out, err := cmd.CombinedOutput()
			if (err != nil) != (c.fails != "") {
				t.Fatalf("the suite ended with %v\n%s", err, out)
			}
			if want := "--- FAIL: TestFlawed" + c.suite + "/" + c.fails; c.fails != "" && !strings.Contains(string(out), want) {
				t.Fatalf("there is no %q\n%s", want, out)
			}
		})
	}
}

// flaw is what is wrong with the connectors of this process.
func flaw(name string) bool { return os.Getenv("FLAW") == name }

// kind reports whether the source is one of those that the suite must be told of.
func kind(name string) bool { return strings.HasPrefix(os.Getenv("FLAW"), name) }

func TestFlawedSource(t *testing.T) {
	if os.Getenv("FLAW") == "" {
		return // is run by TestEachFlawIsFound
	}
	world := &shelf{wake: make(chan struct{}, 1)}
	RunSource(t, flawedSource{world}, Source{
		Rows:    20,
		Forgets: kind("forgets"),
		Anew: func(offset json.RawMessage) bool {
			n, err := nextOf(offset)
			return err == nil && kind("begins anew") && n < whole
		},
		Fresh: func(_ *testing.T, rows int) SourceWorld {
			world.fill(rows)
			return SourceWorld{Config: map[string]string{}, Grow: world.grow}
		},
		Faulty: func(_ *testing.T, rows int) FaultyWorld {
			world.fill(rows)
			return FaultyWorld{SourceWorld{Config: map[string]string{}}, func() { world.broken = true }, func() { world.broken = false }}
		},
		Broken: func(*testing.T) []Broken {
			return []Broken{{"broken", map[string]string{"broken": "true"}, connectors.ClassConfig}}
		},
	})
}

// shelf is what a flawedSource reads: the numbers below n.
type shelf struct {
	mu     sync.Mutex
	n      int
	wake   chan struct{}
	broken bool
	tasks  int // that are started and not stopped
	read   int // the furthest row that was read
	kept   int // the first row that is not forgotten
}

// whole is how many rows at the beginning of the shelf must be read in one go by a source that begins anew.
const whole = 12

func nextOf(offset json.RawMessage) (next int, err error) {
	err = json.Unmarshal(offset, &struct{ Next *int }{&next})
	return next, err
}

// fill makes a new shelf of it.
func (s *shelf) fill(n int) { s.set(n); s.read, s.kept = 0, 0 }

func (s *shelf) set(n int) { s.mu.Lock(); defer s.mu.Unlock(); s.n = n }
func (s *shelf) get() int  { s.mu.Lock(); defer s.mu.Unlock(); return s.n }
func (s *shelf) grow(n int) {
	s.set(s.get() + n)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

type flawedSource struct{ world *shelf }

func (flawedSource) Info() connectors.Info {
	d := &configs.Definition{Keys: []configs.Key{{Name: "broken", Type: configs.String, Doc: "Breaks."}}}
	if flaw("bad definition") {
		d.Keys[0].Type = "NO TYPE"
	}
	return connectors.Info{Name: "flawed", Version: "1", Kind: connectors.Source, Config: d}
}

func (s flawedSource) NewSourceTask() connectors.SourceTask { return &flawedSourceTask{world: s.world} }

func (flawedSource) AlterOffsets(context.Context, map[string]string, []connectors.SourceOffset) (bool, error) {
	if flaw("refuses its own offsets") {
		return false, errors.New("no")
	}
	return true, nil
}

type flawedSourceTask struct {
	world   *shelf
	next    int
	last    []byte
	ended   bool
	started bool
}

func (t *flawedSourceTask) Start(_ context.Context, start connectors.SourceStart) error {
	if start.Config["broken"] != "" {
		if flaw("error without a class") {
			return errors.New("broken")
		}
		return &connectors.Error{Op: "start", Class: connectors.ClassConfig, Err: errors.New("broken")}
	}
	if flaw("leaks a goroutine") {
		go func() { <-make(chan struct{}) }()
	}
	for _, o := range start.Offsets {
		var err error
		if t.next, err = nextOf(o.Offset); err != nil {
			return err
		}
	}
	if t.world.tasks++; t.world.tasks > 1 && flaw("two tasks at a time") {
		return errors.New("another task is reading")
	}
	t.started = true
	return t.seek(len(start.Offsets) == 0)
}

// seek finds the place that sources find which do not have every row at any time.
func (t *flawedSourceTask) seek(first bool) error {
	switch {
	case flaw("begins anew") && t.next < whole:
		t.next = 0
	case flaw("begins anew behind the first row") && !first && t.next < whole:
		t.next = 1
	case flaw("forgets what is not durable"):
		t.next = t.world.read
	case flaw("forgets") && first:
		t.next = t.world.kept
	case flaw("forgets") && t.next < t.world.kept:
		return errors.New("these rows are not there any more")
	}
	return nil
}

func (t *flawedSourceTask) Read(ctx context.Context, b *connectors.Batch) error {
	for t.next >= t.world.get() {
		select {
		case <-t.world.wake:
		case <-ctx.Done():
			switch {
			case flaw("another error when cancelled"):
				return io.ErrUnexpectedEOF
			case flaw("loses a row when cancelled"):
				t.next++
			}
			return ctx.Err()
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if t.ended {
		return errors.New("it was read from after its end")
	}
	if t.world.broken && !flaw("never fails") {
		return t.fail()
	}
	if flaw("looks at its last batch") && len(t.last) > 0 && t.last[0] == 0xdb {
		t.next++
	}
	for range min(3, t.world.get()-t.next) {
		from := len(b.Buf)
		b.Buf = connectors.AppendInt(b.Buf, int64(t.next))
		d := connectors.Data{Schema: connectors.Int64Schema, Bytes: b.Buf[from:len(b.Buf):len(b.Buf)]}
		if flaw("values are cut short") {
			d.Bytes = d.Bytes[:0]
		}
		b.Records = append(b.Records, connectors.Record{Topic: "t", Partition: connectors.AnyPartition, Value: d})
		t.next++
	}
	t.last = b.Buf
	t.world.read = max(t.world.read, t.next)
	if flaw("reads a row twice") && t.next == 6 {
		t.next--
	}
	next := t.next
	switch {
	case flaw("offset of the row before"):
		next--
	case flaw("offset of the row after"):
		next++
	}
	o := connectors.SourceOffset{Partition: []byte(`{}`), Offset: fmt.Appendf(nil, `{"next":%d}`, next)}
	if flaw("offsets are not objects") {
		o.Offset = []byte("7")
	}
	if !flaw("no offsets") {
		b.Offsets = append(b.Offsets, o)
	}
	return nil
}

// fail is a read while the shelf is broken. A task that is ended by it has lost its place.
func (t *flawedSourceTask) fail() error {
	switch {
	case flaw("a failed read without a class"):
		return errors.New("broken")
	case flaw("a failed read takes rows"):
		t.next++
	case flaw("a failed read ends the task"):
		t.ended = true
	}
	return &connectors.Error{Op: "read", Class: connectors.ClassEnvironment, Retriable: !t.ended, Err: errors.New("broken")}
}

func (t *flawedSourceTask) Commit(_ context.Context, offsets []connectors.SourceOffset) error {
	if flaw("refuses commits") {
		return errors.New("no")
	}
	if flaw("forgets") {
		var err error
		t.world.kept, err = nextOf(offsets[0].Offset)
		return err
	}
	return nil
}

func (t *flawedSourceTask) Stop(context.Context) error {
	if t.started {
		t.world.tasks--
	}
	return nil
}

func TestFlawedSink(t *testing.T) {
	if os.Getenv("FLAW") == "" {
		return // is run by TestEachFlawIsFound
	}
	world := &heap{}
	RunSink(t, flawedSink{world}, Sink{Fresh: func(*testing.T) SinkWorld {
		world.there = nil
		return SinkWorld{
			Config: map[string]string{},
			Record: func(part connectors.TopicPartition, i int) connectors.Record {
				return connectors.Record{Value: connectors.Data{Schema: connectors.Int64Schema,
					Bytes: connectors.AppendInt(connectors.AppendInt(nil, int64(i)), int64(part.Partition))}}
			},
			Bad: func() connectors.Record { return connectors.Record{} },
			Delivered: func(t *testing.T, part connectors.TopicPartition) []int {
				var list []int
				for _, b := range world.there {
					i, rest, err := connectors.ReadInt(b)
					if err != nil {
						t.Fatal(err)
					}
					if p, _, err := connectors.ReadInt(rest); err != nil || int32(p) == part.Partition {
						list = append(list, int(i))
					}
				}
				return list
			},
		}
	}})
}

// heap is what a flawedSink writes to.
type heap struct{ there [][]byte }

type flawedSink struct{ world *heap }

func (flawedSink) Info() connectors.Info {
	return connectors.Info{Name: "flawed", Version: "1", Kind: connectors.Sink, Config: &configs.Definition{}}
}

func (s flawedSink) NewSinkTask() connectors.SinkTask {
	return &flawedSinkTask{world: s.world, parts: map[connectors.TopicPartition]*flawedPart{}}
}

type flawedPart struct {
	values [][]byte
	end    int64
	some   bool
}

type flawedSinkTask struct {
	world  *heap
	parts  map[connectors.TopicPartition]*flawedPart
	closed []connectors.TopicPartition
}

func (t *flawedSinkTask) Start(context.Context, connectors.SinkStart) error {
	if flaw("leaks a goroutine") {
		go func() { <-make(chan struct{}) }()
	}
	return nil
}

func (t *flawedSinkTask) Open(_ context.Context, parts []connectors.TopicPartition) ([]connectors.Position, error) {
	for _, p := range parts {
		t.parts[p] = &flawedPart{}
	}
	return nil, nil
}

func (t *flawedSinkTask) Put(_ context.Context, b *connectors.Records) error {
	p := t.parts[b.From]
	if p == nil {
		return nil
	}
	var values [][]byte
	for _, r := range b.List {
		if r.Value.IsNull() {
			if flaw("takes half a batch") {
				p.values = append(p.values, values...)
				t.world.there = append(t.world.there, []byte{200, 1, 0}) // number 100
			}
			return &connectors.Error{Op: "put", Class: connectors.ClassData, Err: errors.New("null"),
				Record: &connectors.RecordRef{TopicPartition: b.From, Offset: r.Offset}}
		}
		value := append([]byte(nil), r.Value.Bytes...)
		if flaw("keeps the batch") {
			value = r.Value.Bytes
		}
		if !flaw("loses a record") || r.Offset != 3 {
			values = append(values, value)
		}
	}
	p.values = append(p.values, values...)
	p.some = true
	p.end = b.End
	if flaw("ignores the end of a batch") && len(b.List) > 0 {
		p.end = b.List[len(b.List)-1].Offset + 1
		if p.end == 7 { // so that the suite need not wait for what never comes
			p.end = 11
		}
	}
	return nil
}

func (t *flawedSinkTask) Flush(context.Context, bool) ([]connectors.Position, error) {
	var positions []connectors.Position
	for part, p := range t.parts {
		t.world.there = append(t.world.there, p.values...)
		p.values = nil
		if !p.some && !flaw("position of what was not put") {
			continue
		}
		end := p.end
		switch {
		case flaw("position ahead of the target") && end == 100:
			end++
		case flaw("position goes back") && end > 50:
			end = 1
		case flaw("position of what was not put") && !p.some:
			end = 5
		}
		positions = append(positions, connectors.Position{TopicPartition: part, Offset: end})
	}
	if flaw("position of what is closed") {
		for _, part := range t.closed {
			positions = append(positions, connectors.Position{TopicPartition: part, Offset: 10})
		}
	}
	return positions, nil
}

func (t *flawedSinkTask) Close(_ context.Context, parts []connectors.TopicPartition) error {
	for _, p := range parts {
		delete(t.parts, p)
	}
	t.closed = append(t.closed, parts...)
	return nil
}

func (t *flawedSinkTask) Stop(context.Context) error { return nil }
