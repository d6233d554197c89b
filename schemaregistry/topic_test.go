package schemaregistry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// kafkaClient returns a client of the test's own.
func kafkaClient(t testing.TB, kafka []kgo.Opt, more ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append(kafka[:len(kafka):len(kafka)], more...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func createTopic(t testing.TB, kafka []kgo.Opt, partitions int32, policy string) {
	t.Helper()
	if _, err := kadm.NewClient(kafkaClient(t, kafka)).CreateTopic(t.Context(), partitions, 1, map[string]*string{"cleanup.policy": &policy}, "_schemas"); err != nil {
		t.Fatal(err)
	}
}

// put appends records, keys and values in turn; the value "" is a tombstone.
func put(t testing.TB, kafka []kgo.Opt, keysAndValues ...string) {
	t.Helper()
	c := kafkaClient(t, kafka, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for i := 0; i < len(keysAndValues); i += 2 {
		r := &kgo.Record{Topic: "_schemas", Key: []byte(keysAndValues[i])}
		if v := keysAndValues[i+1]; v != "" {
			r.Value = []byte(v)
		}
		if err := c.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// readTopic returns all records of the topic.
func readTopic(t testing.TB, kafka []kgo.Opt) (list []*kgo.Record) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c := kafkaClient(t, kafka, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"_schemas": {0: kgo.NewOffset().AtStart()}}))
	ends, err := kadm.NewClient(c).ListEndOffsets(ctx, "_schemas")
	if err != nil {
		t.Fatal(err)
	}
	end, _ := ends.Lookup("_schemas", 0)
	for next := int64(0); next < end.Offset; {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			next = r.Offset + 1
			list = append(list, r)
		})
	}
	return list
}

// topicRecords returns all records of the topic, as "key → value".
func topicRecords(t testing.TB, kafka []kgo.Opt) (list []string) {
	t.Helper()
	for _, r := range readTopic(t, kafka) {
		value := string(r.Value)
		if r.Value == nil {
			value = "null"
		}
		list = append(list, string(r.Key)+" → "+value)
	}
	return list
}

// The bytes of keys decide what compaction keeps, and values must be read by Confluent's registry.
func TestRecordsAreConfluents(t *testing.T) {
	kafka := newKafka(t)
	run(t, serve(t, open(t, kafka)), []step{
		{"POST /subjects/a%2F%22%3C%C3%A9/versions", schemaBody(`"string"`), 200, `{"id":1}`},
		{"PUT /config", `{"compatibility":"NONE"}`, 200, `{"compatibility":"NONE"}`},
		{"PUT /config/s", `{"compatibility":"FULL"}`, 200, `{"compatibility":"FULL"}`},
		{"PUT /mode", `{"mode":"READWRITE"}`, 200, `{"mode":"READWRITE"}`},
		{"PUT /mode/s", `{"mode":"READWRITE"}`, 200, `{"mode":"READWRITE"}`},
		{"POST /subjects/s/versions", schemaBody(`"int"`), 200, `{"id":2}`},
		{"DELETE /subjects/s/versions/1", "", 200, `1`},
		{"POST /subjects/s/versions", schemaBody(`"int"`), 200, `{"id":2}`},
		{"DELETE /subjects/s", "", 200, `[2]`},
		{"DELETE /subjects/s?permanent=true", "", 200, `[2]`},
	})
	want := []string{
		`{"keytype":"NOOP","magic":0} → {}`,
		`{"keytype":"SCHEMA","subject":"a/\"<é","version":1,"magic":1} → {"subject":"a/\"<é","version":1,"id":1,"md5":"CV1xzxJVa51eMwrVdbPfXQ==","schema":"\"string\"","deleted":false}`,
		`{"keytype":"CONFIG","subject":null,"magic":0} → {"compatibilityLevel":"NONE"}`,
		`{"keytype":"CONFIG","subject":"s","magic":0} → {"subject":"s","compatibilityLevel":"FULL"}`,
		`{"keytype":"MODE","subject":null,"magic":0} → {"mode":"READWRITE"}`,
		`{"keytype":"MODE","subject":"s","magic":0} → {"subject":"s","mode":"READWRITE"}`,
		`{"keytype":"SCHEMA","subject":"s","version":1,"magic":1} → {"subject":"s","version":1,"id":2,"md5":"71JOobkecxc9k4reNsHbMg==","schema":"\"int\"","deleted":false}`,
		`{"keytype":"SCHEMA","subject":"s","version":1,"magic":1} → {"subject":"s","version":1,"id":2,"md5":"71JOobkecxc9k4reNsHbMg==","schema":"\"int\"","deleted":true}`,
		`{"keytype":"SCHEMA","subject":"s","version":2,"magic":1} → {"subject":"s","version":2,"id":2,"md5":"71JOobkecxc9k4reNsHbMg==","schema":"\"int\"","deleted":false}`,
		`{"keytype":"SCHEMA","subject":"s","version":1,"magic":1} → null`,
		`{"keytype":"DELETE_SUBJECT","subject":"s","magic":0} → {"subject":"s","version":2}`,
		`{"keytype":"NOOP","magic":0} → {}`,
		`{"keytype":"SCHEMA","subject":"s","version":2,"magic":1} → null`,
		`{"keytype":"DELETE_SUBJECT","subject":"s","magic":0} → null`,
		`{"keytype":"CONFIG","subject":"s","magic":0} → null`,
		`{"keytype":"MODE","subject":"s","magic":0} → null`,
	}
	if diff := cmp.Diff(want, topicRecords(t, kafka)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// What an old and a new Confluent registry wrote is read, and changed under the keys that it has.
func TestTakeOver(t *testing.T) {
	kafka := newKafka(t)
	createTopic(t, kafka, 1, "compact")
	put(t, kafka,
		`{"keytype":"NOOP","magic":0}`, "",
		`{"magic":0,"keytype":"SCHEMA","subject":"old","version":1}`, `{"subject":"old","version":1,"id":7,"schema":"\"int\"","deleted":false}`,
		`{"keytype":"SCHEMA","subject":"new","version":1,"magic":1}`, `{"subject":"new","version":1,"id":8,"md5":"AAAA","schemaType":"PROTOBUF","schema":"syntax = \"proto3\";","deleted":false,"future":{"a":1}}`,
		`{"keytype":"SCHEMA","subject":"new","version":2,"magic":1}`, `{"subject":"new","version":2,"id":9,"references":[{"name":"n","subject":"old","version":1}],"metadata":{"properties":{"a":"b"}},"schema":"{\"type\":\"record\",\"name\":\"X\",\"fields\":[{\"name\":\"n\",\"type\":\"n\"}]}","deleted":false}`,
		`{"keytype":"SCHEMA","subject":"gone","version":1,"magic":1}`, `{"subject":"gone","version":1,"id":10,"schema":"\"long\"","deleted":false}`,
		`{"keytype":"SCHEMA","subject":"gone","version":2,"magic":1}`, `{"subject":"gone","version":2,"id":11,"schema":"\"double\"","deleted":false}`,
		`{"keytype":"DELETE_SUBJECT","subject":"gone","magic":0}`, `{"subject":"gone","version":1}`,
		`{"keytype":"SCHEMA","subject":"dash","version":1,"magic":1}`, `{"subject":"dash","version":1,"id":6,"schema":"{\"type\":\"record\",\"name\":\"R\",\"namespace\":\"my-company\",\"fields\":[]}","deleted":false}`,
		`{"keytype":"CONFIG","magic":0}`, `{"compatibilityLevel":"FULL_TRANSITIVE"}`,
		`{"keytype":"CONTEXT","tenant":"default","context":"."}`, `{"tenant":"default","context":"."}`,
		`nonsense`, `x`,
		`{"keytype":"SCHEMA","subject":"bad","version":1,"magic":1}`, `{"subject":`,
		`{"keytype":"SCHEMA","subject":"thief","version":1,"magic":1}`, `{"subject":"thief","version":1,"id":7,"schema":"\"bytes\"","deleted":false}`,
		`{"keytype":"SCHEMA","subject":"cleared","version":1,"magic":1}`, `{"subject":"cleared","version":1,"id":12,"schema":"\"bytes\"","deleted":true}`,
		`{"keytype":"CLEAR_SUBJECT","subject":"cleared","magic":0}`, `{"subject":"cleared"}`,
	)
	run(t, serve(t, open(t, kafka)), []step{
		{"GET /subjects?deleted=true", "", 200, `["dash","gone","new","old"]`},
		{"GET /subjects/old/versions/1", "", 200, `{"subject":"old","version":1,"id":7,"schema":"\"int\""}`},
		{"GET /subjects/new/versions/1", "", 200, `{"subject":"new","version":1,"id":8,"schemaType":"PROTOBUF","schema":"syntax = \"proto3\";"}`},
		{"GET /schemas/ids/9", "", 200, `~"references":[{"name":"n","subject":"old","version":1}],"metadata":{"properties":{"a":"b"}}`},
		{"GET /subjects/old/versions/1/referencedby", "", 200, `[9]`},
		{"GET /subjects/gone/versions", "", 200, `[2]`},
		{"GET /config", "", 200, `{"compatibilityLevel":"FULL_TRANSITIVE"}`},
		// Names that are not allowed any more may go on, but not begin.
		{"POST /subjects/dash/versions", schemaBody(`{"type":"record","name":"R","namespace":"my-company","fields":[ ]}`), 200, `{"id":6}`},
		{"POST /subjects/dash2/versions", schemaBody(`{"type":"record","name":"R","namespace":"my-company","fields":[ ]}`), 422, `~"error_code":42201`},
		{"POST /subjects/dash/versions", schemaBody(`{"type":"record","name":"R","fields":[]}`), 200, `{"id":13}`},
		{"POST /subjects/new/versions", schemaBody(`"int"`), 409, `~Version 2 cannot be compared`},
		{"POST /subjects/n/versions", schemaBody(`"int"`), 200, `{"id":7}`},
		{"POST /subjects/n2/versions", schemaBody(`"bytes"`), 200, `{"id":14}`},
		{"DELETE /subjects/old/versions/1", "", 422, `~"error_code":42206`},
		{"DELETE /subjects/old", "", 422, `~"error_code":42206`},
		{"DELETE /subjects/new/versions/2", "", 200, `2`},
		{"DELETE /subjects/old/versions/1", "", 200, `1`},
		{"DELETE /subjects/old/versions/1?permanent=true", "", 422, `~"error_code":42206`},
		{"DELETE /subjects/new/versions/2?permanent=true", "", 200, `2`},
		{"DELETE /subjects/old/versions/1?permanent=true", "", 200, `1`},
		{"POST /subjects/new/versions", schemaBody(`"int"`), 409, `~different schema type`},
	})
	all := strings.Join(topicRecords(t, kafka), "\n")
	for _, want := range []string{
		`{"keytype":"SCHEMA","subject":"new","version":2,"magic":1} → {"subject":"new","version":2,"id":9,"md5":`,
		`"metadata":{"properties":{"a":"b"}}`,
		`{"magic":0,"keytype":"SCHEMA","subject":"old","version":1} → null`,
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no %s in\n%s", want, all)
		}
	}
	run(t, serve(t, open(t, kafka)), []step{{"GET /subjects?deleted=true", "", 200, `["dash","gone","n","n2","new"]`}})
}

func TestNewRefusesATopicThatLosesSchemas(t *testing.T) {
	for name, c := range map[string]struct {
		partitions int32
		policy     string
		want       string
	}{
		"not compacted":  {1, "delete", "set it to compact"},
		"two partitions": {2, "compact", "must have one"},
	} {
		t.Run(name, func(t *testing.T) {
			kafka := newKafka(t)
			createTopic(t, kafka, c.partitions, c.policy)
			r, err := New(t.Context(), Options{Kafka: kafka})
			if err == nil {
				r.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v; want %q", err, c.want)
			}
		})
	}
}

func TestNewWithoutABroker(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := New(ctx, Options{Kafka: []kgo.Opt{kgo.SeedBrokers("127.0.0.1:1")}}); err == nil || !strings.Contains(err.Error(), "_schemas") {
		t.Errorf("%v", err)
	}
}

func TestRegistrationsAtOnce(t *testing.T) {
	url := serve(t, open(t, newKafka(t)))
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := range 10 {
				subject := fmt.Sprintf("/subjects/s%d", i)
				if status, body, _ := ask(t, url, "POST", subject+"/versions", schemaBody(fmt.Sprintf(`{"type":"fixed","name":"F","size":%d}`, i))); status != 200 {
					t.Error(status, body)
				}
				ask(t, url, "GET", subject+"/versions", "")
				ask(t, url, "POST", fmt.Sprintf("/subjects/own%d/versions", n), avroBody(fieldA))
				ask(t, url, "DELETE", fmt.Sprintf("/subjects/own%d", n), "")
			}
		})
	}
	wg.Wait()
	run(t, url, []step{
		{"GET /subjects?subjectPrefix=s", "", 200, `["s0","s1","s2","s3","s4","s5","s6","s7","s8","s9"]`},
		{"GET /subjects/s3/versions", "", 200, `[1]`},
	})
}

func TestTooLargeForTheLog(t *testing.T) {
	r := open(t, newKafka(t))
	// Letters at random do not become smaller in the log.
	var b strings.Builder
	for i := uint64(1); b.Len() < 2_000_000; i++ {
		fmt.Fprintf(&b, "%x", i*0x9e3779b97f4a7c15)
	}
	_, err := r.Register(t.Context(), "s", `{"type":"int","x":"`+b.String()+`"}`)
	var e *Error
	if !errors.As(err, &e) || e.Code != 42209 || e.Status != http.StatusUnprocessableEntity {
		t.Error(err)
	}
}

func TestClosedAndTimedOut(t *testing.T) {
	r := open(t, newKafka(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var e *Error
	if _, err := r.Register(ctx, "s", `"int"`); !errors.As(err, &e) || e.Code != 50002 {
		t.Error(err)
	}
}

func FuzzApply(f *testing.F) {
	f.Add(`{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}`, `{"subject":"s","version":1,"id":1,"schema":"\"int\"","deleted":false}`)
	f.Add(`{"keytype":"DELETE_SUBJECT","subject":"s","magic":0}`, `{"subject":"s","version":1}`)
	f.Add(`{"keytype":"CONFIG","subject":null,"magic":0}`, `{"compatibilityLevel":"X"}`)
	f.Add(`{"keytype":"MODE","subject":"s","magic":0}`, `null`)
	f.Add(`{"keytype":"CLEAR_SUBJECT","subject":"s","magic":0}`, ``)
	f.Fuzz(func(t *testing.T, key, value string) {
		s := newState()
		_ = s.apply(keyOfSchema("s", 1), []byte(`{"subject":"s","version":1,"id":1,"schema":"\"int\""}`), 0)
		for range 2 {
			if err := s.apply([]byte(key), []byte(value), 0); err != nil {
				break
			}
		}
		uses := 0
		for name, sub := range s.subjects {
			if len(sub.versions) == 0 {
				t.Fatalf("subject %q without a version", name)
			}
			for _, v := range sub.versions {
				if s.in(v.schema.context).byID[v.schema.id] != v.schema {
					t.Fatalf("id %d is not that of the version", v.schema.id)
				}
				uses++
			}
		}
		for _, c := range s.contexts {
			for _, x := range c.byID {
				uses -= x.uses
			}
		}
		if uses != 0 {
			t.Fatalf("%d uses not counted", uses)
		}
	})
}
