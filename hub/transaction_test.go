package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// once returns a rig on the embedded log whose sources deliver exactly once.
func once(t *testing.T, more ...string) *rig {
	t.Helper()
	worker := map[string]string{onceKey: onceEnabled}
	for i := 0; i < len(more); i += 2 {
		worker[more[i]] = more[i+1]
	}
	return newRigOn(t, worker, realLog(t), nil)
}

// seen returns the values that readers of committed records see in a topic now.
func (r *rig) seen(topic string) []string {
	r.t.Helper()
	return r.contents(topic, kgo.ReadCommitted())
}

func (r *rig) contents(topic string, level kgo.IsolationLevel) []string {
	r.t.Helper()
	return r.partition(topic, 0, level)
}

func (r *rig) partition(topic string, partition int32, level kgo.IsolationLevel) (out []string) {
	r.t.Helper()
	client, err := kgo.NewClient(append(slices.Clone(r.client), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().AtStart()}}),
		kgo.FetchIsolationLevel(level), kgo.FetchMaxWait(20*time.Millisecond))...)
	if err != nil {
		r.t.Fatal(err)
	}
	defer client.Close()
	for quiet := 0; quiet < 2; {
		ctx, cancel := context.WithTimeout(r.t.Context(), 50*time.Millisecond)
		fetches := client.PollFetches(ctx)
		cancel()
		if fetches.NumRecords() == 0 {
			quiet++
		}
		fetches.EachRecord(func(rec *kgo.Record) { out = append(out, string(rec.Value)) })
	}
	return out
}

// untilCommitted waits until readers see the values, and fails if they see others.
func (r *rig) untilCommitted(topic string, want ...string) {
	r.t.Helper()
	var got []string
	deadline := time.Now().Add(60 * time.Second)
	for got = r.seen(topic); len(got) < len(want) && time.Now().Before(deadline); got = r.seen(topic) {
	}
	if !slices.Equal(got, want) {
		r.t.Fatalf("readers of committed records of %s see %q, want %q", topic, got, want)
	}
}

// position returns the stored source offset of a connector.
func (r *rig) position(name string) string {
	offsets, err := r.hub.Offsets(context.Background(), name)
	if err != nil || len(offsets) != 1 {
		return fmt.Sprint(offsets, err)
	}
	return string(offsets[0].Offset)
}

func (r *rig) forgotten() int {
	return look(r.world, func() int {
		if len(r.world.commits) == 0 {
			return 0
		}
		return r.world.commits[len(r.world.commits)-1]
	})
}

func TestASourceDeliversInTransactions(t *testing.T) {
	r := once(t)
	r.world.write("a", "b", "c", "d")
	r.create("in", source(onceSupportKey, onceRequired))
	r.untilCommitted("lines", "a", "b", "c", "d")
	r.until("the source may forget all", func() bool { return r.forgotten() == 4 })
	if got := r.position("in"); got != `{"position":4}` {
		t.Errorf("the stored offset is %s", got)
	}
	r.stop()
	r.world.write("e")
	r.start()
	r.untilCommitted("lines", "a", "b", "c", "d", "e")
	r.until("the transactions are counted", func() bool {
		figures, _ := r.hub.Figures(t.Context())
		return len(figures) > 0 && figures[0].Transactions.Count > 0 && figures[0].Transactions.Sum == float64(figures[0].RecordsOut)
	})
	r.create("out", sink())
	r.until("the sink has all lines and nothing before it", func() bool {
		figures, _ := r.hub.Figures(t.Context())
		if len(figures) < 2 {
			return false
		}
		lag, ok := figures[1].SinkLag[connectors.TopicPartition{Topic: "lines"}]
		return ok && lag == 0 && len(r.world.values()) == 5
	})
}

// A connector's own offset topic wins over the worker's, which holds the same, so that the key may be taken away.
func TestOwnOffsetTopic(t *testing.T) {
	for _, support := range []string{onceEnabled, onceDisabled} {
		t.Run(support, func(t *testing.T) {
			r := once(t, onceKey, support)
			r.world.write("a", "b")
			r.create("in", source())
			r.untilCommitted("lines", "a", "b")
			r.until("the offset is stored", func() bool { return r.position("in") == `{"position":2}` })
			with := source("name", "in", offsetsTopicKey, "own")
			put := func(config map[string]string, target TargetState) {
				t.Helper()
				stopped(r, "in")
				_, _, err := r.hub.PutConfig(t.Context(), "in", config)
				if err = errors.Join(err, r.hub.SetTarget(t.Context(), "in", target)); err != nil {
					t.Fatal(err)
				}
			}
			put(with, Started)
			r.world.write("c")
			r.untilCommitted("lines", "a", "b", "c")
			r.until("the offset is stored", func() bool { return r.position("in") == `{"position":3}` })
			r.until("the own topic has it", func() bool { return len(r.allOf("own", 2)) == 1 })
			r.stop()
			r.world.write("d")
			r.start()
			r.untilCommitted("lines", "a", "b", "c", "d")
			put(source("name", "in"), Started)
			r.world.write("e")
			r.untilCommitted("lines", "a", "b", "c", "d", "e")
			put(with, Stopped)
			if _, err := r.hub.ResetOffsets(t.Context(), "in"); err != nil {
				t.Fatal(err)
			}
			if offsets, err := r.hub.Offsets(t.Context(), "in"); err != nil || len(offsets) > 0 {
				t.Errorf("after a reset there are %s, %v", offsets, err)
			}
		})
	}
}

// allOf returns the values in all partitions of a topic.
func (r *rig) allOf(topic string, partitions int32) (out []string) {
	for p := range partitions {
		out = append(out, r.partition(topic, p, kgo.ReadCommitted())...)
	}
	return out
}

func stopped(r *rig, name string) {
	r.t.Helper()
	if err := r.hub.SetTarget(r.t.Context(), name, Stopped); err != nil {
		r.t.Fatal(err)
	}
	r.until(name+" is stopped", func() bool { state, _, _ := r.state(name); return state == StoppedState })
}

// Somebody takes the task's transactional id away: the task fails, says so, and begins anew where it was.
func TestAFencedTaskBeginsWhereItWas(t *testing.T) {
	r := once(t)
	r.world.write("a", "b")
	r.create("in", source())
	r.untilCommitted("lines", "a", "b")
	client, err := kgo.NewClient(slices.Clone(r.client)...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := fenceProducer(t.Context(), client, "sluice-in-0"); err != nil {
		t.Fatal(err)
	}
	r.world.write("c", "d")
	trace := r.untilState("in", Running, Failed)
	if !strings.Contains(trace, "a newer generation of this task") || !strings.Contains(trace, "environment error") {
		t.Errorf("the status says %q", trace)
	}
	r.untilCommitted("lines", "a", "b", "c", "d")
	r.untilState("in", Running, Running)
}

// A second hub takes the place of one that still runs: for a while both have the connector, and each line is seen once.
func TestTwoHubsDeliverOnce(t *testing.T) {
	r := once(t, "heartbeat.interval.ms", "100")
	var want []string
	grow := func(n int) {
		for range n {
			want = append(want, fmt.Sprint("line ", len(want)))
			r.world.write(want[len(want)-1])
		}
	}
	grow(100)
	r.create("in", source())
	r.until("the source delivers", func() bool { return r.forgotten() > 0 })
	second := &rig{name: "second", t: t, world: r.world, client: r.client, worker: r.worker}
	second.start()
	t.Cleanup(second.stop)
	grow(100)
	if err := <-r.ended; err == nil || !strings.Contains(err.Error(), "another worker") {
		t.Errorf("the first hub ended with %v", err)
	}
	r.hub = nil
	grow(100)
	second.untilCommitted("lines", want...)
}

// A record that stops the task takes nothing with it that came whole before it, and leaves nothing of its own batch.
func TestABatchThatFailsLeavesNothing(t *testing.T) {
	r := once(t)
	r.world.write("a", "b", "c", "d", "e", "unconvertible")
	r.create("in", source("value.converter", "json"))
	trace := r.untilState("in", Running, Failed)
	if !strings.Contains(trace, "convert the value") {
		t.Errorf("the status says %q", trace)
	}
	var want []string
	for _, v := range []string{"a", "b", "c"} {
		want = append(want, `{"schema":{"type":"string","optional":false},"payload":"`+v+`"}`)
	}
	r.untilCommitted("lines", want...)
	if got := r.position("in"); got != `{"position":3}` {
		t.Errorf("the stored offset is %s", got)
	}
	var got []string
	r.until("all that is in the log is read", func() bool {
		got = r.contents("lines", kgo.ReadUncommitted())
		return len(got) >= 3
	})
	if len(got) > 3 {
		t.Errorf("the log has %q", got)
	}
}

// Dead letters are in the transaction of the records around them.
func TestDeadLettersAreInTheTransaction(t *testing.T) {
	r := once(t)
	r.world.write("a", "unconvertible", "b", "refused row", "c")
	r.create("in", source("value.converter", "json", "value.converter.schemas.enable", "false", "errors.tolerance", "all", "errors.deadletterqueue.topic.name", "bad",
		boundaryKey, boundaryInterval, boundaryIntervalKey, "600000"))
	r.until("all is in the log", func() bool { return len(r.contents("bad", kgo.ReadUncommitted())) == 2 })
	if got := append(r.seen("bad"), r.seen("lines")...); len(got) > 0 || r.forgotten() > 0 {
		t.Fatalf("before the interval is over, readers see %q", got)
	}
	if err := r.hub.SetTarget(t.Context(), "in", Paused); err != nil {
		t.Fatal(err)
	}
	r.untilCommitted("lines", `"a"`, `"b"`, `"c"`)
	r.until("readers see both dead letters", func() bool { return len(r.seen("bad")) == 2 })
	r.until("the source may forget all", func() bool { return r.forgotten() == 5 })
}

// With more than one task, each incarnation first fences all tasks that there were: they are counted in the
// configuration topic, where Kafka Connect looks for it.
func TestEarlierTasksAreFenced(t *testing.T) {
	r := once(t)
	r.world.update(func() {
		r.world.plan = func(_ context.Context, max int) ([]map[string]string, error) {
			var out []map[string]string
			for i := range max {
				out = append(out, source("task", fmt.Sprint(i)))
			}
			return out, nil
		}
	})
	r.create("in", source("tasks.max", "3"))
	r.untilState("in", Running, Running, Running, Running)
	zombie, err := kgo.NewClient(append(slices.Clone(r.client), kgo.TransactionalID("sluice-in-2"), kgo.DefaultProduceTopic("zombies"), kgo.AllowAutoTopicCreation())...)
	if err != nil {
		t.Fatal(err)
	}
	defer zombie.Close()
	if err := zombie.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := zombie.ProduceSync(t.Context(), kgo.StringRecord("brain")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.hub.PutConfig(t.Context(), "in", map[string]string{"name": "in", "connector.class": "fakesource", "topic": "lines", "tasks.max": "1"}); err != nil {
		t.Fatal(err)
	}
	counts := func() (out []string) {
		for _, v := range r.seen("connect-configs") {
			if strings.Contains(v, "task-count") {
				out = append(out, v)
			}
		}
		return out
	}
	r.until("both generations are counted", func() bool { return slices.Equal(counts(), []string{`{"task-count":3}`, `{"task-count":1}`}) })
	if err := zombie.EndTransaction(t.Context(), kgo.TryCommit); err == nil {
		t.Error("a task of an earlier generation could commit")
	}
	if got := r.seen("zombies"); len(got) > 0 {
		t.Errorf("readers see %q", got)
	}
}

func TestKeysOfExactlyOnceDelivery(t *testing.T) {
	for _, c := range []struct {
		name, worker          string
		config                map[string]string
		key, problem, warning string
	}{
		{"not enabled", onceDisabled, source(onceSupportKey, "REQUIRED"), onceSupportKey, "This worker does not have exactly-once source support enabled.", ""},
		{"preparing", oncePreparing, source(onceSupportKey, onceRequired), onceSupportKey, "This worker does not have exactly-once source support enabled.", ""},
		{"enabled", onceEnabled, source(onceSupportKey, onceRequired), onceSupportKey, "", ""},
		{"no such support", onceEnabled, source(onceSupportKey, "perhaps"), onceSupportKey, "requested, required", ""},
		{"boundaries of the connector", onceEnabled, source(boundaryKey, boundaryConnector), boundaryKey, "The connector does not support connector-defined transaction boundaries with the given configuration. Please reconfigure it to use a different transaction boundary definition.", ""},
		{"no such boundary", onceEnabled, source(boundaryKey, "never"), boundaryKey, "poll, connector, interval", ""},
		{"an interval", onceEnabled, source(boundaryKey, boundaryInterval, boundaryIntervalKey, "0"), boundaryIntervalKey, "", ""},
		{"a negative interval", onceEnabled, source(boundaryKey, boundaryInterval, boundaryIntervalKey, "-1"), boundaryIntervalKey, "at least 0", ""},
		{"an interval of another boundary", onceEnabled, source(boundaryIntervalKey, "5"), boundaryIntervalKey, "", "has an effect only with"},
		{"no name of a topic", onceEnabled, source(offsetsTopicKey, " "), offsetsTopicKey, "must be non-empty", ""},
		{"a boundary without transactions", onceDisabled, source(boundaryKey, boundaryPoll), boundaryKey, "", "delivers at least once"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, err := New(Options{Worker: map[string]string{onceKey: c.worker}, Launcher: newFakeWorld(), Formats: DefaultFormats(nil, nil)})
			if err != nil {
				t.Fatal(err)
			}
			c.config["name"] = "in"
			infos, err := h.CheckDeclared(t.Context(), c.config)
			if err != nil {
				t.Fatal(err)
			}
			var problems []string
			for _, info := range infos.Configs {
				if info.Value.Name == c.key {
					problems = info.Value.Errors
				}
			}
			if got := strings.Join(problems, " "); c.problem == "" && got != "" || !strings.Contains(got, c.problem) {
				t.Errorf("the errors of %s are %q, want %q", c.key, got, c.problem)
			}
			warned := slices.ContainsFunc(infos.Warnings, func(p configs.Problem) bool { return p.Key == c.key && strings.Contains(p.Message, c.warning) })
			if warned != (c.warning != "") {
				t.Errorf("the warnings are %v, want %q", infos.Warnings, c.warning)
			}
		})
	}
	if _, err := New(Options{Worker: map[string]string{onceKey: "maybe"}}); err == nil || !strings.Contains(err.Error(), "disabled, preparing, enabled") {
		t.Errorf("a worker with maybe: %v", err)
	}
}

// Two workers write the configurations of one group.id: the former leader learns that from the log, and ends.
func TestAFormerLeaderEnds(t *testing.T) {
	r := once(t, onceKey, oncePreparing)
	client, err := kgo.NewClient(slices.Clone(r.client)...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := fenceProducer(t.Context(), client, "connect-cluster-sluice"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.hub.Create(t.Context(), "in", source(), Paused); err == nil {
		t.Error("a former leader could store a configuration")
	}
	if err := <-r.ended; err == nil || !strings.Contains(err.Error(), "another worker") {
		t.Errorf("the hub ended with %v", err)
	}
	r.hub = nil
}
