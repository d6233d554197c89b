package hub

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// records returns the last value of each key of a topic, "null" for tombstones, as a reader of the topic sees it.
func (r *rig) records(topic string) map[string]string {
	r.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(r.cluster.ListenAddrs()...), kgo.ConsumeTopics(topic))
	if err != nil {
		r.t.Fatal(err)
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(r.t.Context(), topic)
	if err != nil {
		r.t.Fatal(err)
	}
	var left int64
	ends.Each(func(o kadm.ListedOffset) { left += o.Offset })
	out := map[string]string{}
	for left > 0 {
		for _, rec := range client.PollFetches(r.t.Context()).Records() {
			left--
			out[string(rec.Key)] = "null"
			if rec.Value != nil {
				out[string(rec.Key)] = string(rec.Value)
			}
		}
	}
	return out
}

// raw returns all records of a topic.
func (r *rig) raw(topic string, n int) []*kgo.Record {
	r.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(r.cluster.ListenAddrs()...), kgo.ConsumeTopics(topic))
	if err != nil {
		r.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(r.t.Context(), 3*time.Minute)
	defer cancel()
	var out []*kgo.Record
	for len(out) < n {
		out = append(out, client.PollFetches(ctx).Records()...)
		if ctx.Err() != nil {
			r.t.Fatalf("topic %s has %d records, want %d", topic, len(out), n)
		}
	}
	return out
}

func (r *rig) set(name string, target TargetState) {
	r.t.Helper()
	if err := r.hub.SetTarget(r.t.Context(), name, target); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) committed(position int) func() bool {
	return func() bool { return look(r.world, func() bool { return slices.Contains(r.world.commits, position) }) }
}

// The formats are Kafka Connect's, so that its topics can be taken over and ours be read by its tools.
func TestInternalTopicsHaveConnectsFormats(t *testing.T) {
	r := newRig(t, nil)
	r.world.write("one", "two")
	r.create("in", source())
	r.until("the source may forget", r.committed(2))
	r.untilState("in", Running, Running)
	config := `"connector.class":"fakesource","name":"in","topic":"lines"}}`
	want := map[string]string{
		"connector-in": `{"properties":{` + config,
		"task-in-0":    `{"properties":{"connector.class":"fakesource","name":"in","task":"0","topic":"lines"}}`,
		"commit-in":    `{"tasks":1}`,
	}
	if diff := cmp.Diff(want, r.records("connect-configs")); diff != "" {
		t.Errorf("connect-configs (-want +got):\n%s", diff)
	}
	want = map[string]string{`["in",{"file":"lines"}]`: `{"position":2}`}
	if diff := cmp.Diff(want, r.records("connect-offsets")); diff != "" {
		t.Errorf("connect-offsets (-want +got):\n%s", diff)
	}
	status := r.records("connect-status")
	if got, want := status["status-task-in-0"], `{"state":"RUNNING","trace":null,"worker_id":"127.0.0.1:8083","generation":1,"version":"1.0"}`; got != want {
		t.Errorf("task's status %s, want %s", got, want)
	}
	if got, want := status["status-topic-lines:connector-in"], `{"topic":{"name":"lines","connector":"in","task":0,"discoverTimestamp":`; !strings.HasPrefix(got, want) {
		t.Errorf("topic's status %s, want %s…", got, want)
	}
	r.set("in", Stopped)
	r.untilState("in", StoppedState)
	if got, want := r.records("connect-configs")["target-state-in"], `{"state":"PAUSED","state.v2":"STOPPED"}`; got != want {
		t.Errorf("target state %s, want %s", got, want)
	}
	if err := r.hub.Delete(t.Context(), "in"); err != nil {
		t.Fatal(err)
	}
	r.until("the status is gone", func() bool { return r.records("connect-status")["status-connector-in"] == "null" })
	for key, value := range r.records("connect-configs") {
		if value != "null" {
			t.Errorf("%s is left: %s", key, value)
		}
	}
}

// Compaction compares keys as bytes, and their hash says in which partition they are: both workers must write the same.
func TestKeysOfSourceOffsetsAreAsConnectWritesThem(t *testing.T) {
	key, err := newOffsetStore("connect-offsets", nil, nil).key("a->b & \"c\"", []byte(`{"f": "<x>"}`))
	if want := `["a->b & \"c\"",{"f":"<x>"}]`; err != nil || string(key) != want {
		t.Errorf("the key is %s, want %s, %v", key, want, err)
	}
}

func TestTakesOverTheTopicsOfAConnectCluster(t *testing.T) {
	r := newRig(t, nil)
	r.stop()
	client, err := kgo.NewClient(kgo.SeedBrokers(r.cluster.ListenAddrs()...), kgo.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	put := func(topic, key, value string) {
		rec := &kgo.Record{Topic: topic, Key: []byte(key)}
		if value != "" {
			rec.Value = []byte(value)
		}
		if err := client.ProduceSync(t.Context(), rec).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	put("connect-configs", "session-key", `{"key":"x","algorithm":"HmacSHA256","creation-timestamp":1}`)
	put("connect-configs", "target-state-in", `{"state":"STARTED","state.v2":"STARTED"}`)
	put("connect-configs", "connector-in", `{"properties":{"connector.class":"com.example.FakeSourceConnector","name":"in","topic":"lines"}}`)
	put("connect-configs", "task-in-0", `{"properties":{"task.class":"com.example.FakeSourceTask"}}`)
	put("connect-configs", "commit-in", `{"tasks":1}`)
	put("connect-configs", "connector-gone", `{"properties":{}}`)
	put("connect-configs", "connector-gone", ``)
	put("connect-configs", "target-state-still", `{"state":"PAUSED","state.v2":"STOPPED"}`)
	put("connect-configs", "connector-still", `{"properties":{"connector.class":"fakesource","name":"still"}}`)
	put("connect-offsets", `["in", {"file": "lines"}]`, `{"position": 1}`)
	put("connect-status", "status-connector-in", `{"state":"FAILED","trace":"old","worker_id":"w","generation":41}`)
	client.Close()
	r.world.write("one", "two")
	r.start()
	r.untilState("in", Running, Running)
	r.untilState("still", StoppedState)
	r.until("the source went on", r.committed(2))
	if recs := r.raw("lines", 1); string(recs[0].Value) != "two" {
		t.Errorf("the first record is %q, want the one behind the stored offset", recs[0].Value)
	}
	offsets := r.records("connect-offsets")
	if got := offsets[`["in", {"file": "lines"}]`]; got != `{"position":2}` || len(offsets) != 1 {
		t.Errorf("offsets %v: the key must be the one that was there", offsets)
	}
	r.until("the status is of a later generation", func() bool {
		return strings.Contains(r.records("connect-status")["status-connector-in"], `"generation":42`)
	})
}

func TestPauseAndResume(t *testing.T) {
	r := newRig(t, nil)
	r.create("in", source())
	r.create("out", sink())
	r.untilState("in", Running, Running)
	r.untilState("out", Running, Running)
	children := func() int { return look(r.world, func() int { return len(r.world.children) }) }
	before := children()
	r.set("in", Paused)
	r.set("out", Paused)
	r.untilState("in", PausedState, PausedState)
	r.untilState("out", PausedState, PausedState)
	r.world.write("one")
	r.set("in", Started)
	r.until("the source went on", r.committed(1))
	if got := r.world.values(); len(got) > 0 {
		t.Errorf("the paused sink got %q", got)
	}
	r.set("out", Started)
	r.until("the sink went on", func() bool { return slices.Equal(r.world.values(), []string{"one"}) })
	if got := children(); got != before {
		t.Errorf("%d children were launched: a pause keeps them", got-before)
	}
}

func TestPausedFromTheStart(t *testing.T) {
	r := newRig(t, nil)
	if _, err := r.hub.Create(t.Context(), "in", source(), Paused); err != nil {
		t.Fatal(err)
	}
	r.untilState("in", PausedState)
	if got := look(r.world, func() int { return r.world.starts }); got != 0 {
		t.Errorf("%d tasks were started", got)
	}
	r.set("in", Started)
	r.untilState("in", Running, Running)
	r.set("in", Paused)
	r.untilState("in", PausedState, PausedState)
	r.stop()
	starts := look(r.world, func() int { return r.world.starts })
	r.start()
	r.untilState("in", PausedState, PausedState)
	if got := look(r.world, func() int { return r.world.starts }); got != starts {
		t.Errorf("a paused task was started when the hub was")
	}
}

func TestOffsetsOfAStoppedSource(t *testing.T) {
	r := newRig(t, nil)
	r.world.write("one", "two")
	r.create("in", source())
	r.until("the source may forget", r.committed(2))
	at := func(position string) []connectors.SourceOffset {
		return []connectors.SourceOffset{{Partition: json.RawMessage(`{"file":"lines"}`), Offset: json.RawMessage(position)}}
	}
	var refused *RequestError
	if _, err := r.hub.AlterOffsets(t.Context(), "in", at(`{"position":0}`)); !errors.As(err, &refused) || refused.Fault != Invalid {
		t.Errorf("altering a running connector gave %v", err)
	}
	r.set("in", Stopped)
	if _, err := r.hub.AlterOffsets(t.Context(), "in", at(`{"position":"x"}`)); !errors.As(err, &refused) || refused.Fault != Invalid {
		t.Errorf("a malformed offset gave %v", err)
	}
	if _, err := r.hub.AlterOffsets(t.Context(), "in", at(`{"position":1}`)); err != nil {
		t.Fatal(err)
	}
	r.set("in", Started)
	r.until("two came again", func() bool { return len(r.raw("lines", 3)) == 3 })
	r.set("in", Stopped)
	if text, err := r.hub.ResetOffsets(t.Context(), "in"); err != nil || text != resetText {
		t.Errorf("reset: %q, %v", text, err)
	}
	if got, err := r.hub.Offsets(t.Context(), "in"); err != nil || len(got) != 0 {
		t.Errorf("offsets after reset: %v, %v", got, err)
	}
}

func TestOffsetsOfAStoppedSink(t *testing.T) {
	r := newRig(t, nil)
	r.world.write("one", "two", "three")
	r.create("in", source())
	r.create("out", sink())
	r.until("the sink has all", func() bool { return len(r.world.values()) == 3 })
	r.set("out", Stopped)
	r.untilState("out", StoppedState)
	change := func(offset string) {
		t.Helper()
		if _, err := r.hub.AlterOffsets(t.Context(), "out", []connectors.SourceOffset{{
			Partition: json.RawMessage(`{"kafka_topic":"lines","kafka_partition":"0"}`), Offset: json.RawMessage(offset)}}); err != nil {
			t.Fatal(err)
		}
	}
	change(`{"kafka_offset":2}`)
	got, err := r.hub.Offsets(t.Context(), "out")
	if err != nil || len(got) != 1 || string(got[0].Offset) != `{"kafka_offset":2}` || string(got[0].Partition) != `{"kafka_topic":"lines","kafka_partition":0}` {
		t.Errorf("offsets %s, %v", got, err)
	}
	r.set("out", Started)
	r.until("the third line came again", func() bool { return slices.Equal(r.world.values(), []string{"one", "two", "three", "three"}) })
	r.set("out", Stopped)
	r.untilState("out", StoppedState)
	for range 2 {
		if _, err := r.hub.ResetOffsets(t.Context(), "out"); err != nil {
			t.Fatal(err)
		}
	}
	r.set("out", Started)
	r.until("all came again", func() bool { return len(r.world.values()) == 7 })
}

func TestTheTargetsOwnPositionsWin(t *testing.T) { targetWithPositions(t) }

// targetWithPositions has a sink out, whose target has the first two of three lines already.
func targetWithPositions(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, nil)
	r.world.write("one", "two", "three")
	r.create("in", source())
	r.until("the lines are in the log", r.committed(3))
	r.world.update(func() {
		r.world.opened = map[connectors.TopicPartition]int64{{Topic: "lines"}: 2}
	})
	r.create("out", sink())
	r.until("the sink got the third line only", func() bool { return slices.Equal(r.world.values(), []string{"three"}) })
	return r
}

// What a person says about a sink's offsets is so for the positions that its target keeps, too.
func TestOffsetsThatTheTargetKeeps(t *testing.T) {
	r := targetWithPositions(t)
	for _, c := range []struct {
		offset string // "": reset of all
		values int
	}{{`{"kafka_offset":"1"}`, 3}, {`null`, 6}, {"", 9}} {
		r.set("out", Stopped)
		r.untilState("out", StoppedState)
		text, want := "", alteredText
		var err error
		if c.offset == "" {
			want = resetText
			text, err = r.hub.ResetOffsets(t.Context(), "out")
		} else {
			text, err = r.hub.AlterOffsets(t.Context(), "out", []connectors.SourceOffset{{
				Partition: json.RawMessage(`{"kafka_topic":"lines","kafka_partition":"0"}`), Offset: json.RawMessage(c.offset)}})
		}
		if err != nil || text != want {
			t.Fatalf("%q: %q, %v", c.offset, text, err)
		}
		r.set("out", Started)
		r.until("the lines came again after "+c.offset, func() bool { return len(r.world.values()) == c.values })
	}
}

func TestAChangeOfTheConfigurationRestarts(t *testing.T) {
	r := newRig(t, nil)
	r.world.write("one")
	r.create("in", source())
	r.until("the source may forget", r.committed(1))
	starts := func() int { return look(r.world, func() int { return r.world.starts }) }
	before := starts()
	if _, made, err := r.hub.PutConfig(t.Context(), "in", source("topic", "other")); err != nil || made {
		t.Fatal(made, err)
	}
	r.until("the task was started with the new configuration", func() bool { return starts() > before })
	r.world.write("two")
	if recs := r.raw("other", 1); string(recs[0].Value) != "two" {
		t.Errorf("got %q", recs[0].Value)
	}
	topics, err := r.hub.Topics("in")
	if err != nil || !slices.Equal(topics, []string{"lines", "other"}) {
		t.Errorf("topics %v, %v", topics, err)
	}
}

func TestDeletedAndMadeAgainGoesOn(t *testing.T) {
	r := newRig(t, nil)
	r.world.write("one")
	r.create("in", source())
	r.until("the source may forget", r.committed(1))
	if err := r.hub.Delete(t.Context(), "in"); err != nil {
		t.Fatal(err)
	}
	r.create("in", source())
	r.world.write("two")
	r.until("the source went on", r.committed(2))
	recs := r.raw("lines", 2)
	if len(recs) != 2 || string(recs[1].Value) != "two" {
		t.Errorf("%d records", len(recs))
	}
	r.untilState("in", Running, Running)
}

func TestTooManyTasks(t *testing.T) {
	r := newRig(t, nil)
	r.world.plan = func(context.Context, int) ([]map[string]string, error) {
		return []map[string]string{{"a": "1"}, {"a": "2"}}, nil
	}
	r.create("in", source())
	if trace := r.untilState("in", Failed); !strings.Contains(trace, "tasks.max") {
		t.Errorf("trace %q", trace)
	}
	if _, _, err := r.hub.PutConfig(t.Context(), "in", source("tasks.max", "2")); err != nil {
		t.Fatal(err)
	}
	r.untilState("in", Running, Running, Running)
}

func TestTopicCreation(t *testing.T) {
	r := newRig(t, nil)
	r.world.write("one")
	r.create("in", source("topic.creation.default.partitions", "4", "topic.creation.default.replication.factor", "-1",
		"topic.creation.groups", "small", "topic.creation.small.include", "li.*", "topic.creation.small.partitions", "2",
		"topic.creation.small.retention.ms", "1234"))
	r.until("the source may forget", r.committed(1))
	client, err := kgo.NewClient(kgo.SeedBrokers(r.cluster.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	details, err := kadm.NewClient(client).ListTopics(t.Context(), "lines")
	if err != nil || len(details["lines"].Partitions) != 2 {
		t.Errorf("%d partitions, %v", len(details["lines"].Partitions), err)
	}
}

func TestSecretsStayPlaceholders(t *testing.T) {
	t.Setenv("HUB_TEST_SECRET", "hunter2secret")
	r := newRig(t, nil)
	r.world.startErr = func() error { return errors.New("login with hunter2secret refused") }
	r.create("in", source("api.password", "${env:HUB_TEST_SECRET}"))
	if trace := r.untilState("in", Running, Failed); strings.Contains(trace, "hunter2") || !strings.Contains(trace, configs.Mask) {
		t.Errorf("trace %q", trace)
	}
	for topic := range map[string]bool{"connect-configs": true, "connect-status": true} {
		for key, value := range r.records(topic) {
			if strings.Contains(value, "hunter2") {
				t.Errorf("%s in %s: %s", key, topic, value)
			}
		}
	}
	r.world.validate = func(config map[string]string) []configs.Problem {
		return []configs.Problem{configs.KeyError("api.password", "cannot log in with "+config["api.password"])}
	}
	infos, err := r.hub.Validate(context.Background(), "fakesource", source("name", "in", "api.password", "${env:HUB_TEST_SECRET}"))
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(infos)
	if strings.Contains(string(text), "hunter2") || infos.ErrorCount != 1 {
		t.Errorf("%d errors in %s", infos.ErrorCount, text)
	}
}
