package cdc_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// journal is a log that other goroutines write.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) await(t *testing.T, what string) {
	t.Helper()
	await(t, func() (bool, string) {
		j.mu.Lock()
		defer j.mu.Unlock()
		return strings.Contains(j.text.String(), what), what + " in the log: " + j.text.String()
	})
}

// await waits until something has come to pass; what says of it what there is, and what is missing.
func await(t *testing.T, done func() (ok bool, what string)) {
	t.Helper()
	for end := time.Now().Add(4 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		ok, what := done()
		if ok {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("gave up waiting for %s", what)
		}
	}
}

// signalValues parses a configuration of signals.
func signalValues(t *testing.T, config map[string]string) configs.Values {
	t.Helper()
	definition := &configs.Definition{Keys: append(cdc.SignalKeys("Signals"), configs.Key{Name: "topic.prefix", Type: configs.String}), Rules: []configs.Rule{cdc.SignalRules()}}
	v, problems := definition.Parse(config)
	if err := configs.Err(problems); err != nil {
		t.Fatal(err)
	}
	return v
}

func takeSignals(t *testing.T, in *cdc.Inbox, n int) (got []connectors.Signal) {
	t.Helper()
	for end := time.Now().Add(time.Minute); len(got) < n; {
		select {
		case <-in.Arrived():
			got = append(got, in.Take()...)
		case <-time.After(time.Until(end)):
			t.Fatalf("only %v came", got)
		}
	}
	return got
}

// TestInboxReadsATopic waits for a topic, takes the signals that are for it, and goes on behind them, but not behind what
// was not taken.
func TestInboxReadsATopic(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	send := func(key, value string) {
		t.Helper()
		r := &kgo.Record{Topic: "p-signal", Partition: 0, Key: []byte(key), Value: []byte(value)}
		if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	config := map[string]string{"topic.prefix": "p", "signal.enabled.channels": "source,kafka", "signal.poll.interval.ms": "10",
		"signal.kafka.bootstrap.servers": strings.Join(cluster.ListenAddrs(), ",")}
	v := signalValues(t, config)
	var log journal
	in := cdc.OpenInbox(v, 0, true, slog.New(slog.NewTextHandler(&log, nil)))
	defer in.Close()
	log.await(t, "look the topic up")
	if _, err := kadm.NewClient(client).CreateTopic(t.Context(), 1, 1, nil, "p-signal"); err != nil {
		t.Fatal(err)
	}
	send("p", `{"id":"1","type":"execute-snapshot","data":{"data-collections":["s.a"]}}`)
	send("q", `{"id":"2","type":"execute-snapshot","data":{"data-collections":["s.a"]}}`)
	send("p", `no JSON`)
	send("p", `{"id":"3","type":"log","data":"{\"message\": \"hello\"}"}`)
	got := takeSignals(t, in, 2)
	want := []connectors.Signal{{ID: "1", Type: "execute-snapshot", Data: `{"data-collections":["s.a"]}`}, {ID: "3", Type: "log", Data: `{"message": "hello"}`}}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%v, want %v", got[i], want[i])
		}
	}
	log.await(t, "offset=2")
	in.Stored(in.Place())
	awaitCommit(t, client, "kafka-signal", 4)
	send("p", `{"id":"4","type":"stop-snapshot"}`)
	<-in.Arrived() // and nobody takes it
	in.Close()

	again := cdc.OpenInbox(v, 0, true, slog.New(slog.DiscardHandler))
	defer again.Close()
	if got := takeSignals(t, again, 1); got[0].ID != "4" {
		t.Errorf("%v after a restart", got)
	}
	again.Stored(again.Place())
	awaitCommit(t, client, "kafka-signal", 5)

	late := maps.Clone(config)
	late["signal.kafka.groupId"], late["signal.consumer.auto.offset.reset"] = "other", "latest"
	third := cdc.OpenInbox(signalValues(t, late), 0, true, slog.New(slog.DiscardHandler))
	defer third.Close()
	await(t, func() (bool, string) {
		send("p", `{"id":"5","type":"stop-snapshot"}`) // until one comes after it has begun
		return len(third.Take()) > 0, "a signal"
	})
}

// TestInboxLosesNoSignal ends a task between the taking of a signal and the storing of what it has done: it comes again.
// Once that is stored, it does not, be the group's offset committed or not.
func TestInboxLosesNoSignal(t *testing.T) {
	for _, reset := range []string{"earliest", "latest"} {
		t.Run(reset, func(t *testing.T) {
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "p-signal"))
			if err != nil {
				t.Fatal(err)
			}
			defer cluster.Close()
			client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			send := func(id string) {
				t.Helper()
				r := &kgo.Record{Topic: "p-signal", Key: []byte("p"), Value: []byte(`{"id":"` + id + `","type":"stop-snapshot"}`)}
				if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			v := signalValues(t, map[string]string{"topic.prefix": "p", "signal.enabled.channels": "kafka", "signal.poll.interval.ms": "10",
				"signal.consumer.auto.offset.reset": reset, "signal.kafka.bootstrap.servers": strings.Join(cluster.ListenAddrs(), ",")})
			open := func(from cdc.SignalPlace) *cdc.Inbox {
				return cdc.OpenInbox(v, from, true, slog.New(slog.DiscardHandler))
			}
			takes := func(in *cdc.Inbox, id string) {
				t.Helper()
				if got := takeSignals(t, in, 1); len(got) != 1 || got[0].ID != id {
					t.Errorf("%v, want %s", got, id)
				}
			}
			first := open(0)
			if reset == "latest" {
				awaitCommit(t, client, "kafka-signal", 0) // what is sent now is not passed over
			}
			send("1")
			takes(first, "1")
			first.Close()

			second := open(0)
			takes(second, "1")
			place := second.Place()
			second.Close() // the source offset is durable, and the group does not know

			third := open(place)
			defer third.Close()
			send("2")
			takes(third, "2")
			third.Stored(third.Place())
			awaitCommit(t, client, "kafka-signal", 2)
		})
	}
}

// TestSignalPlace stores and reads the member of the source offset.
func TestSignalPlace(t *testing.T) {
	for text, want := range map[string]cdc.SignalPlace{`{}`: 0, `{"incremental_snapshot_signal_offset":null}`: 0, `{"incremental_snapshot_signal_offset":0}`: 1,
		`{"incremental_snapshot_signal_offset":"41"}`: 42, `{"incremental_snapshot_signal_offset":-1}`: -1, `{"incremental_snapshot_signal_offset":"x"}`: -1} {
		var m map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			t.Fatal(err)
		}
		got, err := cdc.ReadSignalPlace(m)
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%s: %d, %v; want %d", text, got, err, want)
		}
	}
	if got := string(cdc.SignalPlace(42).AppendOffset([]byte("{"))); got != `{"incremental_snapshot_signal_offset":41,` {
		t.Error(got)
	}
}

// awaitCommit waits until the group has the offset.
func awaitCommit(t *testing.T, client *kgo.Client, group string, want int64) {
	t.Helper()
	await(t, func() (bool, string) {
		stored, err := kadm.NewClient(client).FetchOffsets(t.Context(), group)
		if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
			t.Fatal(err)
		}
		o, ok := stored.Lookup("p-signal", 0)
		return ok && o.At == want, fmt.Sprintf("offset %d of the group, which has %v", want, o.At)
	})
}

// TestSignalRules refuses a channel that cannot be read.
func TestSignalRules(t *testing.T) {
	definition := &configs.Definition{Keys: cdc.SignalKeys("Signals"), Rules: []configs.Rule{cdc.SignalRules()}}
	for key, config := range map[string]map[string]string{
		"signal.kafka.bootstrap.servers":    {"signal.enabled.channels": "source,kafka"},
		"signal.consumer.security.protocol": {"signal.enabled.channels": "kafka", "signal.kafka.bootstrap.servers": "h:1", "signal.consumer.security.protocol": "SASL_SSL"},
		"signal.consumer.auto.offset.reset": {"signal.consumer.auto.offset.reset": "none"},
	} {
		if _, problems := definition.Parse(config); configs.Err(problems) == nil || !strings.Contains(configs.Err(problems).Error(), key) {
			t.Errorf("%v: %v", config, problems)
		}
	}
}
