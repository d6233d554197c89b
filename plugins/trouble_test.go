package plugins_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// troubleSource is a source that does what its configuration says, most of it bad.
type troubleSource struct{}

func (troubleSource) Info() connectors.Info {
	return connectors.Info{Name: "trouble-source", Version: "1", Kind: connectors.Source, Config: &configs.Definition{Keys: []configs.Key{
		{Name: "do", Type: configs.String, Doc: "What to do.", Check: func(value string) error {
			if value == "refused by a function" {
				return errors.New("must be something else")
			}
			return nil
		}},
	}}}
}

func (troubleSource) NewSourceTask() connectors.SourceTask { return &troubleSourceTask{} }

func (troubleSource) Validate(_ context.Context, config map[string]string) []configs.Problem {
	if config["do"] == "refused by the world" {
		return []configs.Problem{configs.KeyError("do", "the world says no")}
	}
	return nil
}

type troubleSourceTask struct {
	do      string
	report  func(context.Context, connectors.Record, error) error
	reads   int
	reading atomic.Int64 // bytes handed on
}

func (t *troubleSourceTask) Start(ctx context.Context, start connectors.SourceStart) error {
	t.do, t.report = start.Config["do"], start.Report
	switch t.do {
	case "hang in start":
		<-ctx.Done()
		return ctx.Err()
	case "fail":
		return fmt.Errorf("on the way: %w", &connectors.Error{Op: "connect", Class: connectors.ClassGone, Retriable: true,
			Remedy: "look", Record: &connectors.RecordRef{Place: "LSN 1"}, Err: errors.New("no slot")})
	case "log":
		start.Log.Warn("a warning from the child", "number", 7)
	}
	return nil
}

func (t *troubleSourceTask) Read(ctx context.Context, b *connectors.Batch) error {
	t.reads++
	b.Offsets = append(b.Offsets, connectors.SourceOffset{Partition: []byte(`{}`), Offset: fmt.Appendf(nil, `{"n":%d}`, t.reads)})
	switch t.do {
	case "flood":
		line := bytes.Repeat([]byte("x"), 1000)
		for range 20_000 {
			fmt.Fprintln(os.Stderr, string(line))
		}
		os.Stderr.Write(bytes.Repeat([]byte("y"), 10<<20)) // and no end of line
	case "ignore its context":
		select {}
	case "fail twice":
		if t.reads <= 2 {
			return &connectors.Error{Op: "read", Class: connectors.ClassEnvironment, Retriable: true, Err: errors.New("try again")}
		}
	case "report":
		bad := connectors.Record{Topic: "t", Value: connectors.Data{Schema: connectors.StringSchema, Bytes: connectors.AppendString(nil, "bad")}}
		if err := t.report(ctx, bad, &connectors.Error{Op: "convert", Class: connectors.ClassData, Err: errors.New("not a number")}); err != nil {
			return err
		}
	case "much":
		b.Buf = append(b.Buf, bytes.Repeat([]byte("z"), 100<<10)...)
		t.reading.Add(100 << 10)
		fmt.Fprintf(os.Stderr, "handed on %d\n", t.reading.Load())
	case "oversized":
		b.Buf = append(b.Buf, make([]byte, 70<<20)...)
	case "end":
		if t.reads == 3 {
			return io.EOF
		}
	case "environment":
		b.Buf = append(b.Buf, strings.Join(os.Environ(), "\n")...)
	case "wait", "panic", "exit", "refuse commits":
		if t.reads > 1 {
			<-ctx.Done()
			return ctx.Err()
		}
	}
	b.Records = append(b.Records, connectors.Record{Topic: "t", Partition: -1, Value: connectors.Data{Bytes: append(b.Buf, 'x')}})
	return nil
}

func (t *troubleSourceTask) Commit(_ context.Context, offsets []connectors.SourceOffset) error {
	switch t.do {
	case "refuse commits":
		return &connectors.Error{Op: "commit", Class: connectors.ClassEnvironment, Retriable: true,
			Err: errors.New("no commit of " + string(offsets[0].Offset))}
	case "panic":
		var nothing *troubleSourceTask
		nothing.reads++
	case "exit":
		fmt.Fprintln(os.Stderr, "these are my last words")
		os.Exit(3)
	}
	return nil
}

func (t *troubleSourceTask) Stop(ctx context.Context) error {
	if t.do == "hang in stop" {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

// troubleSink keeps what it is given in memory, and fails as it is told.
type troubleSink struct{ target *target }

// target is what a troubleSink in the test's own process writes to.
type target struct {
	mu     sync.Mutex
	fail   error // of the next puts
	times  int   // how many of them
	block  chan struct{}
	values []string
	opens  []connectors.TopicPartition
}

func (troubleSink) Info() connectors.Info {
	return connectors.Info{Name: "trouble-sink", Version: "1", Kind: connectors.Sink, Config: &configs.Definition{}}
}

func (s troubleSink) NewSinkTask() connectors.SinkTask { return &troubleSinkTask{target: s.target} }

type troubleSinkTask struct {
	*target
	count bool // and keep nothing
	ends  map[connectors.TopicPartition]int64
}

func (t *troubleSinkTask) Start(_ context.Context, start connectors.SinkStart) error {
	t.ends = map[connectors.TopicPartition]int64{}
	if t.target == nil { // in a child
		t.target = &target{}
		t.count = start.Config["do"] == "count"
		if start.Config["do"] == "block" {
			t.target.block = make(chan struct{})
		}
	}
	return nil
}

func (t *troubleSinkTask) Open(_ context.Context, parts []connectors.TopicPartition) ([]connectors.Position, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.opens = append(t.opens, parts...)
	for _, p := range parts {
		t.ends[p] = 0
	}
	return nil, nil
}

func (t *troubleSinkTask) Put(ctx context.Context, b *connectors.Records) error {
	t.mu.Lock()
	block := t.block
	t.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.times > 0 {
		t.times--
		return t.fail
	}
	t.ends[b.From] = b.End
	if t.count {
		return nil
	}
	for _, r := range b.List {
		t.values = append(t.values, r.Topic+"-"+strconv.Itoa(int(r.Partition))+"@"+strconv.FormatInt(r.Offset, 10))
	}
	return nil
}

func (t *troubleSinkTask) Flush(context.Context, bool) ([]connectors.Position, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var positions []connectors.Position
	for part, end := range t.ends {
		positions = append(positions, connectors.Position{TopicPartition: part, Offset: end})
	}
	return positions, nil
}

func (t *troubleSinkTask) Close(_ context.Context, parts []connectors.TopicPartition) error {
	for _, p := range parts {
		delete(t.ends, p)
	}
	return nil
}

func (t *troubleSinkTask) Stop(context.Context) error { return nil }

func (t *troubleSinkTask) Figures() []connectors.Figure {
	return []connectors.Figure{{Name: "things", Help: "Things.", Value: 42}}
}

// eventually waits until the condition holds.
func eventually(what string, condition func() bool) error {
	end := time.Now().Add(time.Minute)
	for !condition() {
		if time.Now().After(end) {
			return errors.New("this never happened: " + what)
		}
		time.Sleep(2 * time.Millisecond)
	}
	return nil
}
