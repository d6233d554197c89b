package plugins

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/plugins/pluginpb"
	"google.golang.org/grpc"
)

// liar is a child that does not keep to the protocol.
type liar struct {
	pluginpb.UnimplementedConnectorServer
	kind string
	task func(grpc.BidiStreamingServer[pluginpb.ToTask, pluginpb.FromTask]) error
}

func (l *liar) Describe(context.Context, *pluginpb.DescribeRequest) (*pluginpb.Description, error) {
	return &pluginpb.Description{Name: "liar", Kind: l.kind, Config: []byte(`{"keys":[]}`)}, nil
}

func (l *liar) Task(s grpc.BidiStreamingServer[pluginpb.ToTask, pluginpb.FromTask]) error {
	return l.task(s)
}

func started() *pluginpb.FromTask {
	return &pluginpb.FromTask{What: &pluginpb.FromTask_Started{Started: &pluginpb.Done{}}}
}

func batchOf(r *pluginpb.Records) *pluginpb.FromTask {
	return &pluginpb.FromTask{What: &pluginpb.FromTask_Batch{Batch: &pluginpb.SourceBatch{Records: r}}}
}

func TestASourceThatTalksNonsense(t *testing.T) {
	stringSchema := []byte(`{"type":"string"}`)
	for name, messages := range map[string][]*pluginpb.FromTask{
		"garbage":              {batchOf(&pluginpb.Records{Count: 1, Topics: []string{"t"}, Frames: []byte("garbage")})},
		"too many records":     {batchOf(&pluginpb.Records{Count: 1 << 30, Topics: []string{"t"}, Frames: []byte("garbage")})},
		"trailing bytes":       {batchOf(&pluginpb.Records{Frames: []byte{1}})},
		"unknown schema":       {batchOf(&pluginpb.Records{Count: 1, Topics: []string{"t"}, Frames: []byte{0, 1, 0, 0, 0, 2, 0, 0}})},
		"unknown topic":        {batchOf(&pluginpb.Records{Count: 1, Frames: []byte{0, 1, 0, 0, 0, 0, 0}})},
		"schema out of order":  {batchOf(&pluginpb.Records{Schemas: []*pluginpb.Schema{{Id: 2, Text: stringSchema}}})},
		"schema told twice":    {batchOf(&pluginpb.Records{Schemas: []*pluginpb.Schema{{Id: 1, Text: stringSchema}, {Id: 1, Text: stringSchema}}})},
		"schema that is none":  {batchOf(&pluginpb.Records{Schemas: []*pluginpb.Schema{{Id: 1, Text: []byte(`{"type":"no"}`)}}})},
		"nothing":              {{}},
		"report of nothing":    {{What: &pluginpb.FromTask_Report{Report: &pluginpb.Report{}}}},
		"batch without a body": {{What: &pluginpb.FromTask_Batch{Batch: nil}}, {}},
	} {
		t.Run(name, func(t *testing.T) {
			talk(t, func(s grpc.BidiStreamingServer[pluginpb.ToTask, pluginpb.FromTask]) error {
				for _, m := range append([]*pluginpb.FromTask{started()}, messages...) {
					if err := s.Send(m); err != nil {
						return err
					}
				}
				<-s.Context().Done()
				return nil
			}, "does not keep to the protocol")
		})
	}
}

func TestASourceThatSendsMoreThanItMay(t *testing.T) {
	talk(t, func(s grpc.BidiStreamingServer[pluginpb.ToTask, pluginpb.FromTask]) error {
		if err := s.Send(started()); err != nil {
			return err
		}
		big := &pluginpb.FromTask{What: &pluginpb.FromTask_Batch{Batch: &pluginpb.SourceBatch{
			Offsets: []*pluginpb.SourceOffset{{Partition: []byte("{}"), Offset: make([]byte, 8<<20)}}}}}
		for range 100 {
			if err := s.Send(big); err != nil {
				return err
			}
		}
		<-s.Context().Done()
		return nil
	}, "more than it was given credit for")
}

func TestASourceThatSendsAnOversizedMessage(t *testing.T) {
	talk(t, func(s grpc.BidiStreamingServer[pluginpb.ToTask, pluginpb.FromTask]) error {
		if err := s.Send(started()); err != nil {
			return err
		}
		return s.Send(batchOf(&pluginpb.Records{Frames: make([]byte, maxMessage+1)}))
	}, "larger than max")
}

func TestASourceWhoseStreamEnds(t *testing.T) {
	talk(t, func(s grpc.BidiStreamingServer[pluginpb.ToTask, pluginpb.FromTask]) error {
		if err := s.Send(started()); err != nil {
			return err
		}
		return errors.New("that is all")
	}, "that is all")
}

// talk reads from a lying source until the error, and checks that nothing is left of it.
func talk(t *testing.T, source func(grpc.BidiStreamingServer[pluginpb.ToTask, pluginpb.FromTask]) error, says string) {
	t.Helper()
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	child, err := pipe(&liar{kind: "source", task: source}, 1<<20, func() {})
	if err != nil {
		t.Fatal(err)
	}
	task := child.Connector().(connectors.SourceConnector).NewSourceTask()
	err = task.Start(ctx, connectors.SourceStart{})
	var b connectors.Batch
	for i := 0; err == nil; i++ {
		if says == "more than it was given credit for" {
			break
		}
		b.Reset()
		err = task.Read(ctx, &b)
	}
	for err == nil { // nobody reads until it has been cut off
		if task.(*remoteSource).stream.Context().Err() != nil {
			err = task.Read(ctx, &b)
		}
		runtime.Gosched()
	}
	var e *connectors.Error
	if !errors.As(err, &e) || e.Class != connectors.ClassBug || !strings.Contains(err.Error(), says) {
		t.Errorf("%v, wanted one that says %q", err, says)
	}
	if err := task.Stop(ctx); err != nil {
		t.Error(err)
	}
	child.Kill()
	for end := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines before, %d after", before, runtime.NumGoroutine())
		}
	}
}

func TestASinkThatTalksNonsense(t *testing.T) {
	answer := func(id uint64) *pluginpb.FromTask {
		return &pluginpb.FromTask{What: &pluginpb.FromTask_Answer{Answer: &pluginpb.SinkAnswer{Id: id}}}
	}
	for name, messages := range map[string][]*pluginpb.FromTask{
		"nothing":      {{}},
		"many answers": {answer(1), answer(1), answer(1), answer(1), {}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
			defer cancel()
			child, err := pipe(&liar{kind: "sink", task: func(s grpc.BidiStreamingServer[pluginpb.ToTask, pluginpb.FromTask]) error {
				all := append([]*pluginpb.FromTask{{What: &pluginpb.FromTask_Started{Started: &pluginpb.Done{}}}}, messages...)
				for _, m := range all {
					if err := s.Send(m); err != nil {
						return err
					}
				}
				<-s.Context().Done()
				return nil
			}}, 0, func() {})
			if err != nil {
				t.Fatal(err)
			}
			defer child.Kill()
			task := child.Connector().(connectors.SinkConnector).NewSinkTask()
			err = task.Start(ctx, connectors.SinkStart{})
			for err == nil {
				_, err = task.Flush(ctx, true)
			}
			if !strings.Contains(err.Error(), "does not keep to the protocol") {
				t.Error(err)
			}
			if err := task.Stop(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestADescriptionThatIsNonsense(t *testing.T) {
	if _, err := pipe(&liar{kind: "neither"}, 0, func() {}); !errors.Is(err, errNonsense) {
		t.Fatal(err)
	}
}
