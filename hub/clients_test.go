package hub

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// wiretap keeps which client, by its client.id, made which request.
type wiretap struct {
	mu   sync.Mutex
	seen map[int16]map[string]bool
}

func newWiretap() *wiretap { return &wiretap{seen: map[int16]map[string]bool{}} }

func (w *wiretap) dial(ctx context.Context, network, host string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, host)
	return tapped{conn, w}, err
}

func (w *wiretap) saw(key int16, client string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen[key][client]
}

type tapped struct {
	net.Conn
	tap *wiretap
}

// Write reads the header of a request, which the client writes in one piece:
//
//	size int32 | key int16 | version int16 | correlation int32 | client.id: length int16, text
func (c tapped) Write(b []byte) (int, error) {
	if n := 14; len(b) >= n {
		key, length := int16(binary.BigEndian.Uint16(b[4:])), int(binary.BigEndian.Uint16(b[12:]))
		if len(b) >= n+length {
			c.tap.mu.Lock()
			if c.tap.seen[key] == nil {
				c.tap.seen[key] = map[string]bool{}
			}
			c.tap.seen[key][string(b[n:n+length])] = true
			c.tap.mu.Unlock()
		}
	}
	return c.Conn.Write(b)
}

func TestOverridesReachEveryClientOfAConnector(t *testing.T) {
	tap := newWiretap()
	r := newRig(t, map[string]string{"admin.client.id": "worker-admin", "producer.client.id": "worker-producer"}, kgo.Dialer(tap.dial))
	r.world.putErr = func(list []connectors.Record) error {
		if i := slices.IndexFunc(list, func(r connectors.Record) bool { return string(r.Value.Bytes) != "" }); i >= 0 {
			return &connectors.Error{Class: connectors.ClassData, Err: errors.New("bad"),
				Record: &connectors.RecordRef{TopicPartition: connectors.TopicPartition{Topic: "lines"}, Offset: list[i].Offset}}
		}
		return nil
	}
	r.world.write("one")
	r.create("in", source("topic.creation.default.partitions", "1", "topic.creation.default.replication.factor", "1",
		"producer.override.client.id", "in-producer", "admin.override.client.id", "in-admin"))
	r.create("out", sink("errors.tolerance", "all", "errors.deadletterqueue.topic.name", "letters", "producer.override.client.id", "out-letters",
		"admin.override.client.id", "out-admin", "consumer.override.client.id", "out-consumer"))
	r.create("plain", sink("errors.tolerance", "all", "errors.deadletterqueue.topic.name", "letters2"))
	produce, fetch, create := kmsg.Produce.Int16(), kmsg.Fetch.Int16(), kmsg.CreateTopics.Int16()
	for _, want := range []struct {
		request int16
		client  string
	}{
		{produce, "in-producer"}, {create, "in-admin"}, {produce, "out-letters"}, {create, "out-admin"}, {fetch, "out-consumer"},
		{produce, "worker-producer"}, {create, "worker-admin"},
	} {
		r.until(want.client+" made its request", func() bool { return tap.saw(want.request, want.client) })
	}
}

func TestOverridePolicies(t *testing.T) {
	overrides := []string{"producer.override.sasl.jaas.config", "consumer.override.client.id", "admin.override.linger.ms"}
	for _, test := range []struct {
		policy  string
		allowed []string
	}{
		{"All", overrides},
		{"None", nil},
		{"Principal", overrides[:1]},
		{"Allowlist", overrides[1:2]},
		{"org.apache.kafka.connect.connector.policy.AllConnectorClientConfigOverridePolicy", overrides},
		{"org.apache.kafka.connect.connector.policy.NoneConnectorClientConfigOverridePolicy", nil},
		{"org.apache.kafka.connect.connector.policy.PrincipalConnectorClientConfigOverridePolicy", overrides[:1]},
	} {
		t.Run(test.policy, func(t *testing.T) {
			h, err := New(Options{Launcher: newFakeWorld(), Formats: DefaultFormats(nil, nil), Worker: map[string]string{
				"connector.client.config.override.policy": test.policy, "connector.client.config.override.allowlist": "client.id"}})
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range overrides {
				config := sink(key, "x")
				config["name"] = "out"
				infos, err := h.CheckDeclared(t.Context(), config)
				if err != nil {
					t.Fatal(err)
				}
				refused := strings.Contains(errorsOf(infos, key), "policy does not allow")
				if want := !slices.Contains(test.allowed, key); refused != want {
					t.Errorf("%s refused: %v, want %v: %s", key, refused, want, errorsOf(infos, key))
				}
			}
		})
	}
}

func errorsOf(infos configs.Infos, key string) string {
	for _, c := range infos.Configs {
		if c.Value.Name == key {
			return strings.Join(c.Value.Errors, "\n")
		}
	}
	return ""
}

func TestAnUnknownOverridePolicyIsRefused(t *testing.T) {
	_, err := New(Options{Launcher: newFakeWorld(), Formats: DefaultFormats(nil, nil),
		Worker: map[string]string{"connector.client.config.override.policy": "Principals"}})
	if err == nil || !strings.Contains(err.Error(), "connector.client.config.override.policy") {
		t.Errorf("got %v", err)
	}
}

func TestOverridesSayWhatTheyNeed(t *testing.T) {
	h, err := New(Options{Launcher: newFakeWorld(), Formats: DefaultFormats(nil, nil)})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"consumer.override.auto.offset.reset": "Invalid value x for configuration consumer.override.auto.offset.reset: it must be one of earliest, latest, none",
		"consumer.override.isolation.level": "one of read_committed, read_uncommitted", "producer.override.compression.type": "one of gzip, lz4, none, snappy, zstd",
		"producer.override.linger.ms": "a whole number, not negative"} {
		config := sink(key, "x")
		config["name"] = "out"
		infos, err := h.CheckDeclared(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		if got := errorsOf(infos, key); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
}

// What Java's expressions mean and these do not is refused wherever topics are named by one: [a-z&&[^b]] would match
// other names.
func TestExpressionsForTopicsMeanWhatTheyMeanInJava(t *testing.T) {
	h, err := New(Options{Launcher: newFakeWorld(), Formats: DefaultFormats(nil, nil)})
	if err != nil {
		t.Fatal(err)
	}
	creation := source("topic.creation.default.partitions", "1", "topic.creation.default.replication.factor", "1", "topic.creation.groups", "g",
		"topic.creation.g.include", "[a-z&&[^b]]+")
	regex := sink("topics.regex", "[a-z&&[^b]]+")
	delete(regex, "topics")
	for key, config := range map[string]map[string]string{"topics.regex": regex, "topic.creation.g.include": creation} {
		config["name"] = "c"
		infos, err := h.CheckDeclared(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		if got := errorsOf(infos, key); !strings.Contains(got, "intersection of character classes") {
			t.Errorf("%s: %q", key, got)
		}
	}
}

// A key that means nothing here is never taken in silence.
func TestNothingIsIgnoredInSilence(t *testing.T) {
	for _, key := range []string{"admin.retries", "producer.buffer.memory", "consumer.max.poll.records", "key.converter.schemas.enabel", "value.converter.xyz"} {
		h, err := New(Options{Launcher: newFakeWorld(), Formats: DefaultFormats(nil, nil), Worker: map[string]string{key: "1"}})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(h.Warnings(), func(p configs.Problem) bool { return p.Key == key }) {
			t.Errorf("worker's %s: no warning", key)
		}
	}
	h, err := New(Options{Launcher: newFakeWorld(), Formats: DefaultFormats(nil, nil)})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"admin.override.retries", "producer.override.buffer.memory", "config.action.reload", "transaction.boundary.interval.ms",
		"value.converter.plugin.version", "offset.flush.timeout.ms"} {
		config := source(key, "1")
		if key == "config.action.reload" {
			config[key] = "none"
		}
		config["name"] = "in"
		infos, err := h.CheckDeclared(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(infos.Warnings, func(p configs.Problem) bool { return p.Key == key }) {
			t.Errorf("connector's %s: no warning, %d errors", key, infos.ErrorCount)
		}
	}
}

// A setting that a transform, a predicate or a converter does not have is said as any other.
func TestUnknownKeysOfFormatsAreSaid(t *testing.T) {
	h, err := New(Options{Launcher: newFakeWorld(), Formats: DefaultFormats(nil, nil)})
	if err != nil {
		t.Fatal(err)
	}
	config := source("transforms.unwrap.drop.tombstone", "false")
	for key, value := range map[string]string{
		"name": "in", "transforms": "unwrap", "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
		"transforms.route.regex": "x", // not in the list
		"predicates":             "p", "predicates.p.type": "org.apache.kafka.connect.transforms.predicates.RecordIsTombstone", "predicates.p.pattern": "x",
		"value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schema.enable": "false",
		"key.converter": "com.example.Converter", "key.converter.anything": "x",
	} {
		config[key] = value
	}
	infos, err := h.CheckDeclared(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]bool{}
	for _, w := range infos.Warnings {
		said[w.Key] = true
	}
	for key, want := range map[string]bool{"predicates.p.pattern": true, "transforms.route.regex": true, "transforms.unwrap.drop.tombstone": true,
		"value.converter.schema.enable": true, "key.converter.anything": false, "transforms.unwrap.type": false} {
		if said[key] != want {
			t.Errorf("%s: said %t, wanted %t", key, said[key], want)
		}
	}
}

func TestInstanceID(t *testing.T) {
	long := strings.Repeat("n", 300)
	for _, test := range []struct{ name, suffix, want string }{
		{"sluice-items-s3", "-0", "sluice-items-s3-0"},
		{"host/127.0.0.1:8083", "", "host_127.0.0.1_8083"},
		{"sluice-a -> ü", "-12", "sluice-a_-___-12"},
		{long, "-7", long[:247] + "-7"},
	} {
		if got := instanceID(test.name, test.suffix); got != test.want {
			t.Errorf("%q, %q: got %q, want %q", test.name, test.suffix, got, test.want)
		}
	}
}
