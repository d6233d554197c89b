package hub

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// second returns a rig with a hub of its own on the log and the world of another one. The hub is not started.
func (r *rig) second(worker map[string]string) *rig {
	o := &rig{name: "second", t: r.t, world: r.world, cluster: r.cluster, client: []kgo.Opt{kgo.SeedBrokers(r.cluster.ListenAddrs()...)}, worker: map[string]string{}}
	for _, m := range []map[string]string{r.worker, worker} {
		for k, v := range m {
			o.worker[k] = v
		}
	}
	return o
}

// run makes a hub and returns how its run ended.
func (r *rig) run(instance string) error {
	r.t.Helper()
	h, err := New(Options{Worker: r.worker, Client: []kgo.Opt{kgo.SeedBrokers(r.cluster.ListenAddrs()...)}, Launcher: r.world,
		Formats: DefaultFormats(nil, nil), WorkerID: "127.0.0.1:8083", Instance: instance, Version: "test",
		Log: slog.New(slog.NewTextHandler(testWriter{r.t}, nil)).With("instance", instance)})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Run(r.t.Context()) }()
	select {
	case err := <-ended:
		return err
	case <-h.Up():
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
		defer cancel()
		return errors.Join(errors.New("the hub runs"), h.Close(ctx))
	}
}

func TestASecondWorkerDoesNotStart(t *testing.T) {
	r := newRig(t, map[string]string{"session.timeout.ms": "6000", "heartbeat.interval.ms": "100"})
	r.create("in", source())
	r.create("out", sink())
	r.untilState("in", Running, Running)
	r.untilState("out", Running, Running)
	starts := look(r.world, func() int { return r.world.starts })
	refusedWorkers(r)
	r.world.write("one")
	r.until("the first worker goes on", func() bool { return slices.Equal(r.world.values(), []string{"one"}) })
	if got := look(r.world, func() int { return r.world.starts }); got != starts {
		t.Errorf("the connectors were started %d times more", got-starts)
	}
	if err := r.second(map[string]string{"group.id": "other", "config.storage.topic": "configs2"}).run("other"); err == nil || err.Error() != "the hub runs" {
		t.Errorf("a worker that shares nothing: %v", err)
	}
}

// refusedWorkers starts workers that would share something with the one that runs. Their session is too short for the
// log to let them in, should they get that far, so that they wait for a short time only.
func refusedWorkers(r *rig) {
	var all sync.WaitGroup
	defer all.Wait()
	for _, test := range []struct {
		name   string
		worker map[string]string
		want   string
	}{
		{"the same in everything", map[string]string{}, "another worker runs with "},
		{"another group.id", map[string]string{"group.id": "other"}, "another worker runs with config.storage.topic=connect-configs: 127.0.0.1_8083 at "},
		{"other topics", map[string]string{"config.storage.topic": "configs2"}, "another worker runs with group.id=sluice: 127.0.0.1_8083 at "},
	} {
		test.worker["session.timeout.ms"] = "100"
		all.Go(func() {
			err := r.second(test.worker).run("other host/127.0.0.1:8083")
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				r.t.Errorf("%s: got %v, want a line with %q", test.name, err, test.want)
			}
		})
	}
}

// severed is a network that can be cut.
type severed struct {
	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

func (s *severed) dial(ctx context.Context, network, host string) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut {
		return nil, errors.New("the network is cut")
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, host)
	if err == nil {
		s.conns = append(s.conns, conn)
	}
	return conn, err
}

func (s *severed) set(cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = cut
	for _, c := range s.conns {
		c.Close()
	}
	s.conns = nil
}

// A worker that was killed without a word is followed by one of the same name, which waits for nothing: neither for
// the worker's session nor for those of the sinks, which last longer than the test. When the first one is not dead
// after all, it stops and says why.
func TestTheSuccessorOfAKilledWorkerWaitsForNothing(t *testing.T) {
	network := &severed{}
	long := map[string]string{"session.timeout.ms": "300000", "heartbeat.interval.ms": "100", "consumer.session.timeout.ms": "300000",
		"consumer.heartbeat.interval.ms": "100"}
	r := newRig(t, long, kgo.Dialer(network.dial))
	r.world.write("one")
	r.create("in", source())
	r.create("out", sink("tasks.max", "2"))
	r.until("the sink has the line", func() bool { return len(r.world.values()) == 1 })
	network.set(true)

	next := r.second(nil)
	next.start()
	t.Cleanup(next.stop)
	next.untilState("out", Running, Running, Running)
	next.world.write("two")
	next.until("the sink has the second line", func() bool { return slices.Contains(next.world.values(), "two") })

	network.set(false)
	select {
	case err := <-r.ended:
		if err == nil || !strings.Contains(err.Error(), "another worker runs with ") || !strings.Contains(err.Error(), "one of the same name, 127.0.0.1_8083, which was started later") {
			t.Errorf("the first worker ended with %v", err)
		}
		r.hub = nil
	case <-time.After(time.Minute):
		t.Fatal("the first worker did not stop")
	}
	next.world.write("three")
	next.until("the second worker goes on", func() bool { return slices.Contains(next.world.values(), "three") })
	next.untilState("out", Running, Running, Running)
}

// Two consumers with the same group.instance.id: the earlier one fails and says so, and does not fight.
func TestAFencedSinkDoesNotFight(t *testing.T) {
	r := newRig(t, map[string]string{"consumer.heartbeat.interval.ms": "100"})
	r.create("out", sink("consumer.override.group.instance.id", "mine"))
	r.untilState("out", Running, Running)
	r.world.write("one")
	r.create("in", source())
	r.until("the sink has the line", func() bool { return len(r.world.values()) == 1 })

	other, err := kgo.NewClient(kgo.SeedBrokers(r.cluster.ListenAddrs()...), kgo.ConsumerGroup("connect-out"), kgo.InstanceID("mine"), kgo.Balancers(kgo.StickyBalancer()),
		kgo.ConsumeTopics("lines"), kgo.HeartbeatInterval(100*time.Millisecond), kgo.DisableAutoCommit())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	ctx, stop := context.WithCancel(t.Context())
	var polling sync.WaitGroup
	polling.Go(func() {
		for ctx.Err() == nil {
			if err := other.PollFetches(ctx).Err(); errors.Is(err, kerr.FencedInstanceID) {
				t.Errorf("the later consumer: %v", err)
				return
			}
		}
	})
	trace := r.untilState("out", Running, Failed)
	for _, want := range []string{"gone error", "with the same group.instance.id mine", "not restarted by itself"} {
		if !strings.Contains(trace, want) {
			t.Errorf("trace %q, want %q", trace, want)
		}
	}
	stop()
	polling.Wait()
}

func newTestLease(r *rig, instance string) *lease {
	client, err := kgo.NewClient(kgo.SeedBrokers(r.cluster.ListenAddrs()...))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(client.Close)
	return &lease{group: "g", what: "group.id=g", instance: instance, session: 30 * time.Second, beat: 20 * time.Millisecond, client: client, log: r.hub.log}
}

// forget makes the log forget a holder, as it does when its session is over.
func (l *lease) forget(t *testing.T) {
	t.Helper()
	if _, err := kadm.NewClient(l.client).LeaveGroup(t.Context(), kadm.LeaveGroup(l.group).InstanceIDs(l.instance)); err != nil {
		t.Fatal(err)
	}
}

func take(t *testing.T, l *lease) error { return leases{l}.acquire(t.Context()) }

func TestAForgottenHolder(t *testing.T) {
	r := newRig(t, nil)
	a, b := newTestLease(r, "a"), newTestLease(r, "b")
	if err := take(t, a); err != nil {
		t.Fatal(err)
	}
	a.forget(t)
	if err := a.comeBack(t.Context()); err != nil {
		t.Errorf("nobody was there meanwhile: %v", err)
	}
	if err := a.heartbeat(t.Context()); err != nil {
		t.Errorf("heartbeat of who came back: %v", err)
	}

	a.forget(t)
	if err := take(t, b); err != nil {
		t.Fatal(err)
	}
	var taken *errTaken
	if err := a.keep(t.Context()); !errors.As(err, &taken) || !strings.Contains(err.Error(), ": b at ") {
		t.Errorf("another holder is there: %v", err)
	}
	b.release(t.Context())
	if err := a.comeBack(t.Context()); !errors.As(err, &taken) || !strings.Contains(err.Error(), "may have ended meanwhile") {
		t.Errorf("another holder was there: %v", err)
	}
	if err := take(t, b); err != nil {
		t.Errorf("who finds out that it came too late must not hold on: %v", err)
	}
}

func TestLeasesAreKeptTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := errors.New("lost")
		var ended []string
		all := leases{{group: "one"}, {group: "two"}}
		if err := all.each(func(l *lease) error {
			if l.group == "two" {
				time.Sleep(time.Second)
				return bad
			}
			ended = append(ended, l.group)
			return nil
		}); !errors.Is(err, bad) || len(ended) != 1 {
			t.Errorf("got %v, %v", err, ended)
		}
	})
}
