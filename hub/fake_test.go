package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// fakeWorld is what fake connectors read from and write to. It outlives hubs and children.
type fakeWorld struct {
	mu       sync.Mutex
	lines    []string // of the source
	changed  chan struct{}
	commits  []int        // source positions that the source may forget
	received []fakeRecord // by the sink, flushed
	readErrs []error      // the next calls of Read fail with these
	putErr   func([]connectors.Record) error
	startErr func() error
	children []*fakeChild
	starts   int
	held     chan struct{} // not nil: Put waits for it
	opened   map[connectors.TopicPartition]int64
	plan     func(ctx context.Context, max int) ([]map[string]string, error)
	launch   func(Launch) error
	findErr  error
	validate func(map[string]string) []configs.Problem
}

type fakeRecord struct {
	Topic  string
	Offset int64
	Value  string
}

func newFakeWorld() *fakeWorld { return &fakeWorld{changed: make(chan struct{})} }

func (w *fakeWorld) update(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *fakeWorld) write(lines ...string) { w.update(func() { w.lines = append(w.lines, lines...) }) }

func (w *fakeWorld) values() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, r := range w.received {
		out = append(out, r.Value)
	}
	return out
}

// look runs a question about the world under its lock.
func look[T any](w *fakeWorld, question func() T) T {
	w.mu.Lock()
	defer w.mu.Unlock()
	return question()
}

// Launcher.

var fakeInfos = []connectors.Info{
	{Name: "fakesink", Classes: []string{"com.example.FakeSinkConnector"}, Version: "1.0", Kind: connectors.Sink, Config: fakeDefinition},
	{Name: "fakesource", Classes: []string{"com.example.FakeSourceConnector"}, Version: "1.0", Kind: connectors.Source, Config: fakeDefinition},
}

var fakeDefinition = &configs.Definition{Keys: []configs.Key{
	{Name: "topic", Type: configs.String, Importance: configs.High, Doc: "Topic to write to."},
	{Name: "api.password", Type: configs.Password, Doc: "A secret."},
	{Name: "interval", Type: configs.Int, Default: "5", Doc: "A number."},
}}

func (w *fakeWorld) Plugins(context.Context) ([]connectors.Info, error) { return fakeInfos, nil }

func (w *fakeWorld) Find(_ context.Context, class, _ string) (connectors.Info, error) {
	if err := look(w, func() error { return w.findErr }); err != nil {
		return connectors.Info{}, err
	}
	for _, in := range fakeInfos {
		if in.Name == class || slices.Contains(in.Classes, class) {
			return in, nil
		}
	}
	return connectors.Info{}, fmt.Errorf("no connector %q; there are fakesink, fakesource", class)
}

func (w *fakeWorld) Launch(ctx context.Context, l Launch) (Child, error) {
	info, err := w.Find(ctx, l.Class, "")
	if err != nil {
		return nil, err
	}
	if launch := look(w, func() func(Launch) error { return w.launch }); launch != nil {
		if err := launch(l); err != nil {
			return nil, err
		}
	}
	c := &fakeChild{world: w, info: info, name: l.Connector, ended: make(chan struct{})}
	w.mu.Lock()
	w.children = append(w.children, c)
	w.mu.Unlock()
	if info.Kind == connectors.Source {
		return fakeSource{c}, nil
	}
	return fakeSink{c}, nil
}

// fakeChild is a connector "process".
type fakeChild struct {
	world *fakeWorld
	info  connectors.Info
	name  string
	once  sync.Once
	ended chan struct{}
	err   error
}

func (c *fakeChild) Info() connectors.Info { return c.info }
func (c *fakeChild) Done() <-chan struct{} { return c.ended }
func (c *fakeChild) Err() error {
	select {
	case <-c.ended:
		return c.err
	default:
		return nil
	}
}
func (c *fakeChild) Stop(context.Context)          { c.die(nil) }
func (c *fakeChild) Usage() (time.Duration, int64) { return time.Second, 1 << 20 }
func (c *fakeChild) die(err error)                 { c.once.Do(func() { c.err = err; close(c.ended) }) }

func (c *fakeChild) Plan(ctx context.Context, config map[string]string, max int) ([]map[string]string, error) {
	c.world.mu.Lock()
	plan := c.world.plan
	c.world.mu.Unlock()
	if plan != nil {
		return plan(ctx, max)
	}
	n := 1
	if c.info.Kind == connectors.Sink {
		n = max
	}
	var out []map[string]string
	for i := range n {
		t := map[string]string{"task": strconv.Itoa(i)}
		for k, v := range config {
			t[k] = v
		}
		out = append(out, t)
	}
	return out, nil
}

func (c *fakeChild) Validate(_ context.Context, config map[string]string) []configs.Problem {
	if v := look(c.world, func() func(map[string]string) []configs.Problem { return c.world.validate }); v != nil {
		return v(config)
	}
	return nil
}

// live returns a context that also ends when the child dies.
func (c *fakeChild) live(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-c.ended:
			cancel(errors.New("the stream broke"))
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

type fakeSource struct{ *fakeChild }

func (s fakeSource) NewSourceTask() connectors.SourceTask { return &fakeSourceTask{child: s.fakeChild} }

func (s fakeSource) AlterOffsets(_ context.Context, _ map[string]string, offsets []connectors.SourceOffset) (bool, error) {
	for _, o := range offsets {
		if o.Offset != nil {
			var at fakeOffset
			if err := json.Unmarshal(o.Offset, &at); err != nil {
				return false, &connectors.Error{Class: connectors.ClassConfig, Err: errors.New("a position is a number")}
			}
		}
	}
	return true, nil
}

type fakePartition struct {
	File string `json:"file"`
}

type fakeOffset struct {
	Position int `json:"position"`
}

type fakeSourceTask struct {
	child *fakeChild
	start connectors.SourceStart
	at    int
}

func (t *fakeSourceTask) Start(_ context.Context, start connectors.SourceStart) error {
	w := t.child.world
	w.mu.Lock()
	defer w.mu.Unlock()
	w.starts++
	if w.startErr != nil {
		if err := w.startErr(); err != nil {
			return err
		}
	}
	t.start = start
	for _, o := range start.Offsets {
		var at fakeOffset
		if err := json.Unmarshal(o.Offset, &at); err != nil {
			return err
		}
		t.at = at.Position
	}
	return nil
}

func (t *fakeSourceTask) Read(ctx context.Context, b *connectors.Batch) error {
	ctx, release := t.child.live(ctx)
	defer release()
	w := t.child.world
	for {
		w.mu.Lock()
		if len(w.readErrs) > 0 {
			err := w.readErrs[0]
			w.readErrs = w.readErrs[1:]
			w.mu.Unlock()
			return err
		}
		lines, changed := w.lines, w.changed
		w.mu.Unlock()
		if t.at < len(lines) {
			return t.fill(ctx, b, lines)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (t *fakeSourceTask) fill(ctx context.Context, b *connectors.Batch, lines []string) error {
	for t.at < len(lines) && len(b.Records) < 3 {
		line := lines[t.at]
		t.at++
		if line == "EOF" {
			b.Offsets = append(b.Offsets, t.offset())
			return io.EOF
		}
		rec := connectors.Record{Topic: t.start.Config["topic"], Partition: connectors.AnyPartition, Timestamp: connectors.NoTimestamp}
		from := len(b.Buf)
		b.Buf = connectors.AppendString(b.Buf, line)
		rec.Value = connectors.Data{Schema: connectors.StringSchema, Bytes: b.Buf[from:]}
		switch line {
		case "unconvertible":
			rec.Value = connectors.Data{Schema: connectors.StringSchema, Bytes: []byte{0xff}}
		case "refused row":
			if err := t.start.Report(ctx, rec, &connectors.Error{Op: "decode", Class: connectors.ClassData,
				Record: &connectors.RecordRef{Place: "line " + strconv.Itoa(t.at)}, Err: errors.New("a bad row")}); err != nil {
				return err
			}
			continue
		}
		b.Records = append(b.Records, rec)
	}
	b.EventTime = time.Now().UnixMilli()
	b.Offsets = append(b.Offsets, t.offset())
	return nil
}

func (t *fakeSourceTask) offset() connectors.SourceOffset {
	return connectors.SourceOffset{Partition: connectors.MarshalOffset(fakePartition{"lines"}), Offset: connectors.MarshalOffset(fakeOffset{t.at})}
}

func (t *fakeSourceTask) Commit(_ context.Context, offsets []connectors.SourceOffset) error {
	var at fakeOffset
	if err := json.Unmarshal(offsets[len(offsets)-1].Offset, &at); err != nil {
		return err
	}
	t.child.world.update(func() { t.child.world.commits = append(t.child.world.commits, at.Position) })
	return nil
}

func (t *fakeSourceTask) Stop(context.Context) error { return nil }

func (t *fakeSourceTask) Figures() []connectors.Figure {
	return []connectors.Figure{{Name: "lines_read", Help: "Lines read.", Value: float64(t.at)}}
}

type fakeSink struct{ *fakeChild }

func (s fakeSink) NewSinkTask() connectors.SinkTask {
	return &fakeSinkTask{child: s.fakeChild, ends: map[connectors.TopicPartition]int64{}}
}

// AlterOffsets alters the positions that the target keeps.
func (s fakeSink) AlterOffsets(_ context.Context, _ map[string]string, offsets []connectors.SourceOffset) (bool, error) {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(offsets) == 0 {
		clear(w.opened)
	}
	for _, o := range offsets {
		var tp connectors.GroupPartition
		var at connectors.GroupOffset
		if err := connectors.UnmarshalOffset(o.Partition, &tp); err != nil {
			return false, err
		}
		if _, kept := w.opened[connectors.TopicPartition(tp)]; !kept {
			continue
		}
		delete(w.opened, connectors.TopicPartition(tp))
		if o.Offset == nil {
			continue
		}
		if err := connectors.UnmarshalOffset(o.Offset, &at); err != nil {
			return false, err
		}
		w.opened[connectors.TopicPartition(tp)] = at.Offset
	}
	return true, nil
}

type fakeSinkTask struct {
	child   *fakeChild
	start   connectors.SinkStart
	pending []fakeRecord
	ends    map[connectors.TopicPartition]int64
	flushed map[connectors.TopicPartition]int64
}

func (t *fakeSinkTask) Start(_ context.Context, start connectors.SinkStart) error {
	w := t.child.world
	t.start = start
	t.flushed = map[connectors.TopicPartition]int64{}
	return look(w, func() error {
		w.starts++
		if w.startErr != nil {
			return w.startErr()
		}
		return nil
	})
}

func (t *fakeSinkTask) Open(_ context.Context, parts []connectors.TopicPartition) ([]connectors.Position, error) {
	var out []connectors.Position
	w := t.child.world
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, tp := range parts {
		t.ends[tp] = -1
		if at, ok := w.opened[tp]; ok {
			out = append(out, connectors.Position{TopicPartition: tp, Offset: at})
		}
	}
	return out, nil
}

func (t *fakeSinkTask) Put(ctx context.Context, batch *connectors.Records) error {
	ctx, release := t.child.live(ctx)
	defer release()
	w := t.child.world
	w.mu.Lock()
	held, putErr := w.held, w.putErr
	w.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if putErr != nil && len(batch.List) > 0 {
		if err := putErr(batch.List); err != nil {
			return err
		}
	}
	for _, r := range batch.List {
		v, _, err := connectors.ReadValue(r.Value.Schema, r.Value.Bytes)
		if err != nil {
			return err
		}
		t.pending = append(t.pending, fakeRecord{r.Topic, r.Offset, v.Text()})
	}
	t.ends[batch.From] = batch.End
	return nil
}

func (t *fakeSinkTask) Flush(ctx context.Context, _ bool) ([]connectors.Position, error) {
	w := t.child.world
	w.update(func() { w.received = append(w.received, t.pending...) })
	t.pending = nil
	var out []connectors.Position
	for tp, end := range t.ends {
		if end >= 0 {
			out = append(out, connectors.Position{TopicPartition: tp, Offset: end})
		}
	}
	return out, nil
}

func (t *fakeSinkTask) Close(_ context.Context, parts []connectors.TopicPartition) error {
	for _, tp := range parts {
		delete(t.ends, tp)
	}
	return nil
}

func (t *fakeSinkTask) Stop(context.Context) error { return nil }
