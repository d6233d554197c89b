package broker

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestFiguresOfAPIsAndGroups(t *testing.T) {
	s := start(t, t.TempDir())
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.addr), kgo.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	old := time.Now().Add(-time.Hour)
	for range 5 {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Timestamp: old, Value: []byte("v")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	offsets := kadm.Offsets{}
	offsets.AddOffset("t", 0, 2, -1)
	if err := kadm.NewClient(cl).CommitAllOffsets(t.Context(), "behind", offsets); err != nil {
		t.Fatal(err)
	}
	offsets = kadm.Offsets{}
	offsets.AddOffset("t", 0, 5, -1)
	if err := kadm.NewClient(cl).CommitAllOffsets(t.Context(), "done", offsets); err != nil {
		t.Fatal(err)
	}
	lags := make(map[string]GroupLag)
	for _, l := range s.b.GroupLags() {
		lags[l.Group] = l
	}
	if l := lags["behind"]; l.Records != 3 || l.Age < time.Hour || l.Age > 2*time.Hour {
		t.Errorf("behind: %+v", l)
	}
	if l, ok := lags["done"]; !ok || l.Records != 0 || l.Age != 0 {
		t.Errorf("done: %+v", l)
	}
	// An answer is counted after it was sent.
	for until := time.Now().Add(time.Minute); produced(s.b.APIStats()) != 5; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%d requests to produce are counted, want 5", produced(s.b.APIStats()))
		}
	}
	for _, a := range s.b.APIStats() {
		sum := int64(0)
		for _, n := range a.Counts {
			sum += n
		}
		if a.Requests != sum || a.In <= 0 || a.Out <= 0 || a.Time <= 0 {
			t.Errorf("%+v", a)
		}
	}
}

func produced(all []APIStats) int64 {
	for _, a := range all {
		if a.Name == "Produce" {
			return a.Requests
		}
	}
	return 0
}
