package plugins

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/plugins/pluginpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// took runs f and returns how long it took.
func took(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

func wantTook(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if got != want {
		t.Errorf("%s took %v, wanted %v", what, got, want)
	}
}

// answersAfter answers a ping after that time, or not at all when the time for it is over first.
func answersAfter(d time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	}
}

func TestAChildIsGivenUpAfterThirtySecondsWithoutAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		life, end := context.WithCancel(t.Context())
		slow, slower := make(chan bool), make(chan bool)
		go func() { slow <- hangs(life, pingInterval, pingTimeout, answersAfter(29*time.Second)) }()
		go func() {
			slower <- hangs(life, pingInterval, pingTimeout, func(context.Context) error { return errors.New("an answer that is an error") })
		}()
		wantTook(t, "giving up a child that does not answer", took(func() {
			if !hangs(life, pingInterval, pingTimeout, answersAfter(time.Hour)) {
				t.Error("it was not given up")
			}
		}), pingInterval+30*time.Second)
		time.Sleep(time.Hour)
		end()
		if <-slow || <-slower {
			t.Error("a child that answers was given up with one that does not")
		}
	})
}

func TestAPingInFlightWhenTheChildEndsIsNoHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		life, end := context.WithCancel(t.Context())
		time.AfterFunc(pingInterval+pingTimeout/2, end)
		if hangs(life, pingInterval, pingTimeout, answersAfter(time.Hour)) {
			t.Error("a child that has ended hangs")
		}
	})
}

func TestAnErrorWaitsAMomentForTheDeathThatExplainsIt(t *testing.T) {
	death := errors.New("it died")
	for name, c := range map[string]struct {
		err   error
		dies  time.Duration
		takes time.Duration
		says  error
	}{
		"dies soon":              {status.Error(codes.Unavailable, "EOF"), time.Second, time.Second, death},
		"lives":                  {status.Error(codes.Unavailable, "EOF"), time.Hour, deathWatch, nil},
		"was only cancelled":     {status.Error(codes.Canceled, "by us"), time.Second, 0, nil},
		"talks nonsense instead": {errNonsense, time.Second, 0, errNonsense},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				child := &Child{proc: &process{exited: make(chan struct{})}, done: make(chan struct{})}
				time.AfterFunc(c.dies, func() {
					close(child.proc.exited)
					child.err = death
					close(child.done)
				})
				var err error
				wantTook(t, "the error", took(func() { err = child.lost(c.err) }), c.takes)
				if c.says != nil && !errors.Is(err, c.says) {
					t.Errorf("%v, wanted %v", err, c.says)
				}
				<-child.done
			})
		})
	}
}

func TestAFailedStartGivesTheProcessAMomentToEnd(t *testing.T) {
	for name, c := range map[string]struct {
		ends, takes time.Duration
		killed      bool
	}{
		"ends by itself": {100 * time.Millisecond, 100 * time.Millisecond, false},
		"goes on":        {time.Hour, patience, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &process{exited: make(chan struct{})} // there is nothing that could be killed
				time.AfterFunc(c.ends, func() { close(p.exited) })
				wantTook(t, "the kill", took(func() { p.Kill(t.Context()) }), c.takes)
				if p.asked != c.killed {
					t.Errorf("killed: %v", p.asked)
				}
				<-p.exited
			})
		})
	}
}

func TestAChildWaitsForItsTasksButNotForEver(t *testing.T) {
	for name, c := range map[string]struct {
		stops, takes time.Duration
		drained      bool
	}{
		"they stop": {3 * time.Second, 3 * time.Second, true},
		"one hangs": {time.Hour, endTimeout, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s server
				s.tasks.Add(1)
				time.AfterFunc(c.stops, s.tasks.Done)
				wantTook(t, "the end", took(func() {
					if s.drained() != c.drained {
						t.Errorf("drained: %v", !c.drained)
					}
				}), c.takes)
				s.tasks.Wait()
			})
		})
	}
}

// hubEnd is a stream whose hub says nothing, and keeps what it is told.
type hubEnd struct {
	grpc.ServerStream
	ctx  context.Context
	told []*pluginpb.FromTask
}

func (h *hubEnd) Context() context.Context        { return h.ctx }
func (h *hubEnd) Send(m *pluginpb.FromTask) error { h.told = append(h.told, m); return nil }
func (h *hubEnd) Recv() (*pluginpb.ToTask, error) { <-h.ctx.Done(); return nil, h.ctx.Err() }

// reluctant is a source task that has nothing to read, and does not stop before it must.
type reluctant struct{ figures func() []connectors.Figure }

func (*reluctant) Start(context.Context, connectors.SourceStart) error     { return nil }
func (*reluctant) Commit(context.Context, []connectors.SourceOffset) error { return nil }
func (*reluctant) Read(ctx context.Context, _ *connectors.Batch) error {
	<-ctx.Done()
	return ctx.Err()
}
func (*reluctant) Stop(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
func (r *reluctant) Figures() []connectors.Figure { return r.figures() }

// serveReluctant serves a task until its process is told to end after that time, and returns what it said.
func serveReluctant(t *testing.T, task *reluctant, ends time.Duration) []*pluginpb.FromTask {
	life, end := context.WithCancel(t.Context())
	hub := &hubEnd{ctx: life}
	ended, tell := context.WithCancel(t.Context())
	time.AfterFunc(ends, tell)
	s := newSourceServer(newTaskServer(hub, &pluginpb.Start{Window: 1000}, newMemory(), slog.New(slog.DiscardHandler)), task)
	s.run(ended, task, s)
	end() // as gRPC does once the stream has been served
	synctest.Wait()
	return hub.told
}

func TestATaskMayTakeHalfAMinuteToStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []*pluginpb.FromTask
		wantTook(t, "the task", took(func() {
			told = serveReluctant(t, &reluctant{figures: func() []connectors.Figure { return nil }}, time.Minute)
		}), time.Minute+stopTimeout)
		err := errorFromWall(told[len(told)-1].GetStopped().GetError())
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("stopped with %v", err)
		}
	})
}

func TestFiguresAreSentWhenTheyHaveChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		task := &reluctant{figures: func() []connectors.Figure {
			return []connectors.Figure{{Name: "half_minutes", Value: float64(time.Since(start) / (30 * time.Second))}}
		}}
		var sent []float64
		for _, m := range serveReluctant(t, task, 50*time.Second) {
			if f := m.GetFigures(); f != nil {
				sent = append(sent, f.Figures[0].Value)
			}
		}
		if !slices.Equal(sent, []float64{0, 1}) {
			t.Errorf("sent %v", sent)
		}
	})
}
