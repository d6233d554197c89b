package hub

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// topic makes a topic of one partition.
func (r *rig) topic(name string, settings ...string) {
	r.t.Helper()
	given := map[string]*string{}
	for i := 0; i < len(settings); i += 2 {
		given[settings[i]] = &settings[i+1]
	}
	if _, err := kadm.NewClient(r.kafka()).CreateTopic(r.t.Context(), 1, 1, given, name); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) kafka() *kgo.Client {
	r.t.Helper()
	client, err := kgo.NewClient(r.client...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(client.Close)
	return client
}

// tolerant is a source that sets aside what it cannot deliver.
func tolerant() map[string]string {
	return source("errors.tolerance", "all", "errors.deadletterqueue.topic.name", "dead", "errors.deadletterqueue.topic.replication.factor", "1")
}

// What a topic takes is known before anything is sent: small records beside one that is too large arrive, in as many
// batches as it needs, and the large one alone is set aside.
func TestWhatATopicTakes(t *testing.T) {
	for name, worker := range map[string]map[string]string{"at least once": nil, "exactly once": {onceKey: onceEnabled}} {
		t.Run(name, func(t *testing.T) {
			r := newRigOn(t, worker, realLog(t), nil)
			r.topic("lines", "max.message.bytes", "1000")
			var want []string
			for i := range 200 {
				size := 200
				switch i {
				case 70:
					size = 931 // 1,001 bytes alone in a batch
				case 71:
					size = 930
				}
				r.world.write(sized(i, size))
				if i != 70 {
					want = append(want, sized(i, size))
				}
			}
			r.create("in", tolerant())
			r.until("what the topic takes is there", func() bool { return slices.Equal(r.seen("lines"), want) })
			r.until("the rest is set aside", func() bool { return slices.Equal(r.seen("dead"), []string{sized(70, 931)}) })
			r.until("the source may forget all", func() bool { return r.forgotten() == 200 })
		})
	}
}

func sized(i, size int) string { return fmt.Sprintf("%-*d", size, i) }

func TestACompactedTopicTakesNoRecordWithoutAKey(t *testing.T) {
	r := newRigOn(t, nil, realLog(t), nil)
	r.topic("lines", "cleanup.policy", "compact,delete")
	r.world.write("a", "b")
	r.create("in", tolerant())
	r.untilCommitted("dead", "a", "b")
	if got := r.seen("lines"); len(got) > 0 {
		t.Errorf("in the topic is %q", got)
	}
}

// A limit that is lowered beneath a running task costs a restart, and nothing else.
func TestATopicThatTakesLess(t *testing.T) {
	r := newRigOn(t, nil, realLog(t), nil)
	r.topic("lines")
	r.world.write("first")
	r.create("in", tolerant())
	r.untilCommitted("lines", "first")
	less := "600"
	if _, err := kadm.NewClient(r.kafka()).AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: "max.message.bytes", Value: &less}}, "lines"); err != nil {
		t.Fatal(err)
	}
	large := sized(1, 600)
	r.world.write("b", large, "c", "d", "e", "f")
	r.until("what is too large is set aside", func() bool { return slices.Equal(r.seen("dead"), []string{large}) })
	r.until("the source may forget all", func() bool { return r.forgotten() == 7 })
	got := slices.Compact(r.seen("lines")) // what was not durable at the restart comes again
	if want := []string{"first", "b", "c", "d", "e", "f"}; !slices.Equal(got, want) {
		t.Errorf("in the topic is %q, want %q", got, want)
	}
}

// A dead letter that its own topic does not take stops the task for good, with what to do: it would be refused again.
func TestADeadLetterThatItsTopicDoesNotTake(t *testing.T) {
	refused := []string{"dead-letter topic dead", "MESSAGE_TOO_LARGE", "raise max.message.bytes of the dead-letter topic", "not restarted"}
	check := func(t *testing.T, trace string, more ...string) {
		for _, want := range append(refused, more...) {
			if !strings.Contains(trace, want) {
				t.Errorf("the trace %q does not say %q", trace, want)
			}
		}
	}
	for name, worker := range map[string]map[string]string{"at least once": nil, "exactly once": {onceKey: onceEnabled}} {
		t.Run("source, "+name, func(t *testing.T) {
			r := newRigOn(t, worker, realLog(t), nil)
			r.topic("lines", "max.message.bytes", "600")
			r.topic("dead", "max.message.bytes", "800")
			r.world.write("a", sized(1, 900))
			r.create("in", tolerant())
			check(t, r.untilState("in", Running, Failed), "lines")
		})
	}
	t.Run("many in a transaction", func(t *testing.T) {
		r := newRigOn(t, map[string]string{onceKey: onceEnabled}, realLog(t), nil)
		r.topic("lines", "max.message.bytes", "300")
		r.topic("dead", "max.message.bytes", "600") // takes each, and not two together
		large := []string{sized(1, 400), sized(2, 400), sized(3, 400)}
		r.world.write(large...)
		r.create("in", tolerant())
		r.until("each is set aside", func() bool { return slices.Equal(r.seen("dead"), large) })
	})
	t.Run("sink", func(t *testing.T) {
		r := newRigOn(t, nil, realLog(t), nil)
		r.topic("dead", "max.message.bytes", "800")
		r.world.write(sized(1, 700)) // fits alone, and not with the headers
		r.create("in", source())
		r.until("the line is in the log", r.committed(1))
		r.create("out", sink("value.converter", "org.apache.kafka.connect.converters.LongConverter", "errors.tolerance", "all",
			"errors.deadletterqueue.topic.name", "dead", "errors.deadletterqueue.context.headers.enable", "true"))
		check(t, r.untilState("out", Running, Failed), "lines-0@0")
	})
}
