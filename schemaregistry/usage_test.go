package schemaregistry

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/sluicehub/sluice/schemaregistry/access"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// usageOf asks who uses a schema.
func usageOf(t *testing.T, url string, id int, header ...string) (a usageAnswer) {
	t.Helper()
	status, body, _ := ask(t, url, "GET", fmt.Sprintf("/api/v1/registry/schemas/ids/%d/usage", id), "", header...)
	if err := json.Unmarshal([]byte(body), &a); err != nil || status != 200 {
		t.Fatalf("%d %s: %v", status, body, err)
	}
	return a
}

// Records tell which schema they were written with, whatever the subject is called. They are looked at once.
func TestUsageGoesByRecords(t *testing.T) {
	kafka := newKafka(t)
	r := open(t, kafka)
	url := serve(t, r)
	for i, subject := range []string{"shop.Order", "named-value", "other"} {
		run(t, url, []step{{"POST /subjects/" + subject + "/versions", schemaBody(fmt.Sprintf(`{"type":"fixed","name":"F","size":%d}`, i)), 200, fmt.Sprintf(`{"id":%d}`, i+1)}})
	}
	c := kafkaClient(t, kafka, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	admin := kadm.NewClient(c)
	for _, topic := range []string{"orders", "named", "noise"} {
		if _, err := admin.CreateTopic(t.Context(), 2, 1, nil, topic); err != nil {
			t.Fatal(err)
		}
	}
	guid := func(id int) []byte { return append([]byte{1}, r.store.state.in(defaultContext).byID[id].hash[:]...) }
	produce := func(records ...*kgo.Record) {
		t.Helper()
		if err := c.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	produce(
		&kgo.Record{Topic: "orders", Value: []byte{0, 0, 0, 0, 1, 'x'}},
		&kgo.Record{Topic: "orders", Partition: 1, Value: []byte{0, 0, 0, 0, 1, 'y'}, Key: []byte{0, 0, 0, 0, 3}},
		&kgo.Record{Topic: "noise", Value: []byte{0, 0, 0, 9, 9, 1}},
		&kgo.Record{Topic: "noise", Value: []byte{0, 0, 0, 0}},
		&kgo.Record{Topic: "noise", Value: []byte(`{}`), Headers: []kgo.RecordHeader{{Key: "__value_schema_id", Value: []byte{1, 2}}}},
		&kgo.Record{Topic: "named", Value: []byte("x"), Headers: []kgo.RecordHeader{{Key: "__value_schema_id", Value: guid(2)}, {Key: "__key_schema_id", Value: guid(1)}}},
	)
	noTime := cmpopts.IgnoreFields(sighting{}, "Time")
	for id, want := range map[int][]topicUse{
		1: {{Topic: "named", Role: "key", Exists: true, Record: &sighting{}}, {Topic: "orders", Role: "value", Exists: true, Record: &sighting{Partition: 1}}},
		2: {{Topic: "named", Role: "value", Subject: "named-value", Exists: true, Record: &sighting{}}},
		3: {{Topic: "orders", Role: "key", Exists: true, Record: &sighting{Partition: 1}}},
	} {
		if diff := cmp.Diff(want, usageOf(t, url, id).Topics, noTime); diff != "" {
			t.Errorf("id %d (-want +got):\n%s", id, diff)
		}
	}
	before := usageOf(t, url, 3).Records
	produce(&kgo.Record{Topic: "orders", Partition: 1, Value: []byte{0, 0, 0, 0, 3}})
	after := usageOf(t, url, 3)
	if after.Records.Read != before.Read+1 || after.Records.Behind != 0 || len(after.Topics) != 2 {
		t.Errorf("%+v after %+v", after, before)
	}

	// What is not there any more carries nothing.
	end := make(kadm.Offsets)
	end.AddOffset("orders", 1, 2, -1)
	if _, err := admin.DeleteRecords(t.Context(), end); err != nil {
		t.Fatal(err)
	}
	if got := usageOf(t, url, 3).Topics; len(got) != 0 {
		t.Errorf("%+v", got)
	}
	if got := usageOf(t, url, 1).Topics; len(got) != 2 || got[1].Topic != "orders" || got[1].Record == nil || got[1].Record.Partition != 0 {
		t.Errorf("the other partition has a record, too: %+v", got)
	}
	if _, err := admin.DeleteTopic(t.Context(), "named"); err != nil {
		t.Fatal(err)
	}
	gone := []topicUse{{Topic: "named", Role: "value", Subject: "named-value"}}
	for began := time.Now(); ; { // clients know of topics from memory, for a moment
		diff := cmp.Diff(gone, usageOf(t, url, 2).Topics)
		if diff == "" {
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatal(diff)
		}
	}
}

// A topic is named to who may read the subjects that are called after it.
func TestUsageIsSeenByPermission(t *testing.T) {
	file := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	guard, err := access.Open(access.Options{Tokens: file("tokens", "all:all-hush\nsome:some-hush\n"), Permissions: file("permissions", "all all *\nsome read s*\n")})
	if err != nil {
		t.Fatal(err)
	}
	kafka := newKafka(t)
	url := serve(t, open(t, kafka, func(o *Options) { o.Access = guard }))
	if status, body, _ := ask(t, url, "POST", "/subjects/s/versions", schemaBody(`"int"`), "Authorization", "Bearer all-hush"); status != 200 {
		t.Fatal(body)
	}
	c := kafkaClient(t, kafka)
	for _, topic := range []string{"hidden", "seen"} {
		if _, err := kadm.NewClient(c).CreateTopic(t.Context(), 1, 1, nil, topic); err != nil {
			t.Fatal(err)
		}
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte{0, 0, 0, 0, 1, 2}}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if all := usageOf(t, url, 1, "Authorization", "Bearer all-hush").Topics; len(all) != 2 {
		t.Errorf("%+v", all)
	}
	if some := usageOf(t, url, 1, "Authorization", "Bearer some-hush").Topics; len(some) != 1 || some[0].Topic != "seen" {
		t.Errorf("%+v", some)
	}
}
