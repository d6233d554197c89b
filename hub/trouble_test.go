package hub

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/connectors"
)

func fault(class connectors.Class, text string) error {
	return &connectors.Error{Op: "do it", Class: class, Err: errors.New(text)}
}

func TestAFailedTaskIsRestarted(t *testing.T) {
	r := newRig(t, nil)
	failures := 2
	r.world.startErr = func() error {
		if failures--; failures >= 0 {
			return fault(connectors.ClassEnvironment, "host down")
		}
		return nil
	}
	r.create("in", source())
	trace := r.untilState("in", Running, Failed)
	if !strings.Contains(trace, "environment error: do it: host down") || !strings.Contains(trace, "next restart in 1s") {
		t.Errorf("trace %q", trace)
	}
	r.untilState("in", Running, Running)
	tasks, children := r.hub.Figures(t.Context())
	if len(tasks) != 1 || tasks[0].Restarts != 2 || len(children) != 1 || children[0].CPU != time.Second {
		t.Errorf("figures %+v %+v", tasks, children)
	}
	if len(tasks[0].Own) != 1 || tasks[0].Own[0].Name != "lines_read" {
		t.Errorf("the connector's own figures: %+v", tasks[0].Own)
	}
}

func TestWhatAPersonMustDecideIsNotRestarted(t *testing.T) {
	r := newRig(t, nil)
	broken := true
	r.world.startErr = func() error {
		if broken {
			return &connectors.Error{Op: "read slot", Class: connectors.ClassGone, Err: errors.New("slot lost"), Remedy: "drop it"}
		}
		return nil
	}
	r.create("in", source())
	trace := r.untilState("in", Running, Failed)
	if !strings.Contains(trace, "remedy: drop it") || !strings.Contains(trace, "not restarted by itself") {
		t.Errorf("trace %q", trace)
	}
	r.world.update(func() { broken = false })
	if err := r.hub.RestartTask("in", 0); err != nil {
		t.Fatal(err)
	}
	r.untilState("in", Running, Running)
}

func TestAReadThatMayPassIsMadeAgain(t *testing.T) {
	r := newRig(t, nil)
	r.create("in", source())
	r.untilState("in", Running, Running)
	starts := look(r.world, func() int { return r.world.starts })
	r.world.update(func() {
		r.world.readErrs = []error{&connectors.Error{Op: "read", Class: connectors.ClassEnvironment, Retriable: true, Err: errors.New("busy")}}
		r.world.lines = []string{"one"}
	})
	r.until("the cause is in the status", func() bool { _, _, trace := r.state("in"); return strings.Contains(trace, "read: busy") })
	r.until("the line came", r.committed(1))
	r.until("the cause is gone", func() bool { _, _, trace := r.state("in"); return trace == "" })
	if got := look(r.world, func() int { return r.world.starts }); got != starts {
		t.Errorf("the task was started %d times more", got-starts)
	}
}

func TestADeadChildHarmsNobodyElse(t *testing.T) {
	r := newRig(t, nil)
	r.create("in", source())
	r.create("out", sink())
	r.untilState("in", Running, Running)
	r.untilState("out", Running, Running)
	r.world.write("one")
	r.until("the line came", func() bool { return len(r.world.values()) == 1 })
	var victim *fakeChild
	others := 0
	r.world.update(func() {
		for _, c := range r.world.children {
			if c.name == "in" {
				victim = c
			} else {
				others++
			}
		}
	})
	victim.die(fmt.Errorf("the process was killed by signal 9; last words: out of memory"))
	trace := r.untilState("in", Failed, Failed)
	if !strings.Contains(trace, "last words: out of memory") || !strings.Contains(trace, "next restart in 1s") {
		t.Errorf("trace %q", trace)
	}
	if state, tasks, _ := r.state("out"); state != Running || !slices.Equal(tasks, []State{Running}) {
		t.Errorf("the sink is %s %v", state, tasks)
	}
	r.world.write("two")
	r.untilState("in", Running, Running)
	r.until("the second line came", func() bool { return slices.Equal(r.world.values(), []string{"one", "two"}) })
	now := 0
	r.world.update(func() {
		for _, c := range r.world.children {
			if c.name == "out" {
				now++
			}
		}
	})
	if now != others {
		t.Errorf("the sink's child was launched anew")
	}
}

func TestALaunchThatFailsIsTriedAgain(t *testing.T) {
	r := newRig(t, nil)
	if _, _, err := r.hub.Apply(t.Context(), "in", map[string]string{"connector.class": "org.nowhere.Gone"}); err == nil {
		t.Error("a plugin that is not there was taken")
	}
	r.create("in", source())
	r.untilState("in", Running, Running)
	// The plugin vanishes while the hub is down.
	if err := r.hub.configs.putConnector(t.Context(), "in", map[string]string{"connector.class": "org.nowhere.Gone", "name": "in"}, ""); err != nil {
		t.Fatal(err)
	}
	r.hub.runner("in").poke()
	if trace := r.untilState("in", Failed, Failed); !strings.Contains(trace, "org.nowhere.Gone") {
		t.Errorf("trace %q", trace)
	}
	info, err := r.hub.Connector(t.Context(), "in")
	if err != nil || info.Kind != UnknownKind {
		t.Errorf("kind %s, %v", info.Kind, err)
	}
}

func header(r *kgo.Record, name string) string {
	for _, h := range r.Headers {
		if h.Key == "__connect.errors."+name {
			return string(h.Value)
		}
	}
	return "(none)"
}

// A sink's records that cannot be converted or are refused go to the dead letters as they are in the log.
func TestDeadLettersOfASink(t *testing.T) {
	r := newRig(t, nil)
	r.world.write("1", "bad", "3", "worse", "5", "6")
	r.create("in", source())
	r.until("the lines are in the log", r.committed(6))
	r.world.putErr = func(list []connectors.Record) error {
		for _, rec := range list {
			if v, _, _ := connectors.ReadValue(rec.Value.Schema, rec.Value.Bytes); v.Text() == "worse" { // not named: to be found
				return fault(connectors.ClassData, "one of these is no good")
			}
		}
		for _, rec := range list {
			if v, _, _ := connectors.ReadValue(rec.Value.Schema, rec.Value.Bytes); v.Text() == "bad" {
				return &connectors.Error{Op: "put", Class: connectors.ClassData, Err: errors.New("refused"), Record: &connectors.RecordRef{
					TopicPartition: connectors.TopicPartition{Topic: "lines"}, Offset: rec.Offset}}
			}
		}
		return nil
	}
	r.create("out", sink("errors.tolerance", "all", "errors.deadletterqueue.topic.name", "dead",
		"errors.deadletterqueue.context.headers.enable", "true"))
	r.until("the good ones came", func() bool { return slices.Equal(r.world.values(), []string{"1", "3", "5", "6"}) })
	dead := r.raw("dead", 2)
	slices.SortFunc(dead, func(a, b *kgo.Record) int { return strings.Compare(string(a.Value), string(b.Value)) })
	if string(dead[0].Value) != "bad" || string(dead[1].Value) != "worse" {
		t.Fatalf("dead letters %q, %q", dead[0].Value, dead[1].Value)
	}
	for name, want := range map[string]string{"topic": "lines", "partition": "0", "offset": "1", "connector.name": "out", "task.id": "0",
		"stage": "TASK_PUT", "class.name": "com.example.FakeSinkConnector", "exception.class.name": "org.apache.kafka.connect.errors.DataException",
		"exception.message": "put (lines-0@1): refused"} {
		if got := header(dead[0], name); got != want {
			t.Errorf("header %s is %q, want %q", name, got, want)
		}
	}
	if !strings.HasPrefix(header(dead[0], "exception.stacktrace"), "org.apache.kafka.connect.errors.DataException: put") {
		t.Errorf("stack trace %q", header(dead[0], "exception.stacktrace"))
	}
	r.until("the group's offset is behind all", func() bool {
		got, err := r.hub.Offsets(t.Context(), "out")
		return err == nil && len(got) == 1 && string(got[0].Offset) == `{"kafka_offset":6}`
	})
}

func TestARecordThatIsNotToleratedStopsTheTask(t *testing.T) {
	r := newRig(t, nil)
	r.world.write("1", "x", "3")
	r.create("in", source())
	r.until("the lines are in the log", r.committed(3))
	r.create("out", sink("value.converter", "org.apache.kafka.connect.converters.LongConverter"))
	trace := r.untilState("out", Running, Failed)
	for _, want := range []string{"lines-0@0", "data error", "convert the value with org.apache.kafka.connect.converters.LongConverter", "errors.tolerance=all", "not restarted"} {
		if !strings.Contains(trace, want) {
			t.Errorf("trace %q does not say %q", trace, want)
		}
	}
	if got, err := r.hub.Offsets(t.Context(), "out"); err != nil || len(got) != 0 {
		t.Errorf("the group has offsets %s, %v", got, err)
	}
}

func TestDeadLettersOfASource(t *testing.T) {
	r := newRig(t, nil)
	r.world.write("1", "unconvertible", "refused row", "4")
	r.create("in", source("errors.tolerance", "all", "errors.deadletterqueue.topic.name", "dead",
		"errors.deadletterqueue.context.headers.enable", "true"))
	r.until("the source may forget", r.committed(4))
	recs := r.raw("lines", 2)
	if string(recs[0].Value) != "1" || string(recs[1].Value) != "4" {
		t.Errorf("in the log: %q, %q", recs[0].Value, recs[1].Value)
	}
	dead := r.raw("dead", 2)
	stages := []string{header(dead[0], "stage"), header(dead[1], "stage")}
	slices.Sort(stages)
	if !slices.Equal(stages, []string{"TASK_POLL", "VALUE_CONVERTER"}) {
		t.Errorf("stages %v", stages)
	}
	for _, rec := range dead {
		if header(rec, "stage") == "TASK_POLL" && string(rec.Value) != `{"schema":{"type":"string","optional":false},"payload":"refused row"}` {
			t.Errorf("the refused row is %s", rec.Value)
		}
	}
	tasks, _ := r.hub.Figures(t.Context())
	if tasks[0].DeadLetters != 2 || tasks[0].Skipped != 2 || tasks[0].RecordsOut != 2 {
		t.Errorf("figures %+v", tasks[0])
	}
}

func TestARowThatIsNotToleratedNamesItsPlace(t *testing.T) {
	r := newRig(t, nil)
	r.world.write("1", "refused row", "3")
	r.create("in", source())
	trace := r.untilState("in", Running, Failed)
	if !strings.Contains(trace, "line 2") || !strings.Contains(trace, "a bad row") {
		t.Errorf("trace %q", trace)
	}
}

func TestTheEndOfASource(t *testing.T) {
	r := newRig(t, nil)
	r.world.write("1", "EOF")
	r.create("in", source())
	r.until("the source may forget", r.committed(2))
	r.untilState("in", Running, Running)
}

// A sink that is slower than the log holds it back; the hub's end does not wait for it for ever.
func TestASinkThatHangs(t *testing.T) {
	r := newRig(t, map[string]string{"task.shutdown.graceful.timeout.ms": "100"})
	r.world.held = make(chan struct{})
	r.world.write("1")
	r.create("in", source())
	r.create("out", sink())
	r.untilState("out", Running, Running)
	r.until("the line is in the log", r.committed(1))
	r.stop()
	r.world.update(func() { r.world.held = nil })
	r.start()
	r.until("the line came", func() bool { return slices.Equal(r.world.values(), []string{"1"}) })
}

func TestSeveralTasksShareTheWork(t *testing.T) {
	r := newRig(t, nil)
	for i := range 30 {
		r.world.write(fmt.Sprint(i))
	}
	r.create("in", source("topic.creation.default.partitions", "3", "topic.creation.default.replication.factor", "1"))
	r.until("the lines are in the log", r.committed(30))
	r.create("out", sink("tasks.max", "2"))
	r.untilState("out", Running, Running, Running)
	r.until("all came", func() bool {
		got := r.world.values()
		slices.Sort(got)
		return len(slices.Compact(got)) == 30
	})
}

func TestBackoff(t *testing.T) {
	var b backoff
	environment, bug := fault(connectors.ClassEnvironment, "x"), errors.New("x")
	var got []time.Duration
	for range 12 {
		d, again := b.next(bug, 0)
		if !again {
			t.Fatal("a bug is not restarted")
		}
		got = append(got, d/time.Second)
	}
	want := []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600}
	if !slices.Equal(got, want) {
		t.Errorf("delays %v, want %v seconds", got, want)
	}
	if d, _ := b.next(environment, 0); d != time.Minute {
		t.Errorf("another system is looked for again after %s", d)
	}
	if d, _ := b.next(bug, healthy); d != time.Second {
		t.Errorf("the first failure after a healthy time is waited on for %s", d)
	}
	for _, class := range []connectors.Class{connectors.ClassConfig, connectors.ClassGone, connectors.ClassData} {
		if _, again := b.next(fault(class, "x"), 0); again {
			t.Errorf("%s is restarted", class)
		}
	}
}

func TestRetriesOfSingleRecords(t *testing.T) {
	for _, test := range []struct {
		name    string
		timeout time.Duration
		fails   int
		tries   int
		ok      bool
	}{
		{"none by default", 0, 1, 0, false},
		{"within the time", 10 * time.Second, 3, 3, true},
		{"until the time is over", time.Second, 9, 2, false}, // 300 and 600 ms
		{"for ever", -1, 40, 40, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &errorHandler{settings: errorSettings{retryTimeout: test.timeout, retryDelayMax: time.Minute}, figures: &taskFigures{}}
				passing := &connectors.Error{Class: connectors.ClassEnvironment, Retriable: true, Err: errors.New("x")}
				tries := 0
				err := h.retry(t.Context(), passing, func() error {
					if tries++; tries < test.fails {
						return passing
					}
					return nil
				})
				if (err == nil) != test.ok || tries != test.tries {
					t.Errorf("%v after %d tries", err, tries)
				}
			})
		})
	}
}
