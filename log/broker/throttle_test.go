package broker

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicehub/sluice/log/segment"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// quotasOf are quotas for producers: user, client id ("" for whom it does not matter, "*" for the default), rate.
func quotasOf(all ...[3]any) *throttle {
	var quotas []quota
	for _, q := range all {
		e := quotaEntity{}
		for i, kind := range []string{"user", "client-id"} {
			switch name := q[i].(string); name {
			case "":
			case "*":
				e = append(e, quotaPart{kind, nil})
			default:
				e = append(e, quotaPart{kind, &name})
			}
		}
		quotas = append(quotas, quota{e, map[string]float64{producerByteRate: float64(q[2].(int))}})
	}
	t := &throttle{}
	t.set(quotas)
	return t
}

func TestTheMostSpecialQuotaCounts(t *testing.T) {
	th := quotasOf([3]any{"anna", "app", 1}, [3]any{"anna", "*", 2}, [3]any{"anna", "", 3}, [3]any{"*", "app", 4}, [3]any{"*", "*", 5}, [3]any{"*", "", 6},
		[3]any{"", "app", 7}, [3]any{"", "*", 8})
	for _, c := range []struct {
		user, client string
		rate         float64
		of           meterOf
	}{
		{"anna", "app", 1, meterOf{"=anna", "=app", producerByteRate}}, {"anna", "other", 2, meterOf{"=anna", "=other", producerByteRate}},
		{"bert", "app", 4, meterOf{"=bert", "=app", producerByteRate}}, {"bert", "other", 5, meterOf{"=bert", "=other", producerByteRate}},
	} {
		if rate, of := th.rate(c.user, c.client, producerByteRate); rate != c.rate || of != c.of {
			t.Errorf("%s, %s: %v of %v, want %v of %v", c.user, c.client, rate, of, c.rate, c.of)
		}
	}
	th = quotasOf([3]any{"anna", "", 3}, [3]any{"", "app", 7}, [3]any{"", "*", 8})
	for _, c := range []struct {
		user, client string
		rate         float64
		of           meterOf
	}{
		{"anna", "app", 3, meterOf{"=anna", "", producerByteRate}}, {"bert", "app", 7, meterOf{"", "=app", producerByteRate}}, {"bert", "x", 8, meterOf{"", "=x", producerByteRate}},
	} {
		if rate, of := th.rate(c.user, c.client, producerByteRate); rate != c.rate || of != c.of {
			t.Errorf("%s, %s: %v of %v, want %v of %v", c.user, c.client, rate, of, c.rate, c.of)
		}
	}
}

func TestThrottleKeepsTheRate(t *testing.T) {
	th := quotasOf([3]any{"", "app", 1000})
	now := time.Unix(1000, 0)
	use := func(what string, bytes float64, want time.Duration) {
		t.Helper()
		if got := th.use("anna", "app", producerByteRate, bytes, now); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	use("ten seconds' worth may come at once", 10_000, 0)
	use("then no more", 500, 500*time.Millisecond)
	now = now.Add(500 * time.Millisecond)
	use("until it was waited", 0, 0)
	use("and so on", 3000, 3*time.Second)
	if got := th.use("anna", "other", producerByteRate, 1<<30, now); got != 0 {
		t.Errorf("who has no quota: %s", got)
	}
	if got := th.use("anna", "app", consumerByteRate, 1<<30, now); got != 0 {
		t.Errorf("another quota: %s", got)
	}
	if got := th.window("anna", "app", producerByteRate); got != 10_000 {
		t.Errorf("window %d", got)
	}
	sent, start := 0, now
	for range 1000 { // a client that waits as it is told
		sent += 700
		now = now.Add(th.use("bert", "app", producerByteRate, 700, now))
	}
	if rate := float64(sent) / now.Sub(start).Seconds(); rate > 1010 || rate < 990 {
		t.Errorf("%.0f bytes a second in the long run", rate)
	}
	th.set(nil)
	use("without quotas", 1<<30, 0)
}

// TestManyNamesAreMeasuredInOne: what is remembered is bounded, and a new name is no way around a quota.
func TestManyNamesAreMeasuredInOne(t *testing.T) {
	th := quotasOf([3]any{"", "*", 1000})
	now := time.Unix(1000, 0)
	for i := range 2 * maxMeters {
		th.use("anna", fmt.Sprint("app", i), producerByteRate, 10, now)
	}
	if n := len(th.meters); n > maxMeters+1 {
		t.Errorf("%d meters", n)
	}
	if got := th.use("anna", "another name", producerByteRate, 1, now); got == 0 {
		t.Error("a new name is not throttled")
	}
	now = now.Add(quotaWindow)
	if got := th.use("anna", "later", producerByteRate, 1, now); got != 0 || len(th.meters) > 2 {
		t.Errorf("later throttled for %s, by %d meters", got, len(th.meters))
	}
}

// TestClientsAreThrottled: who sends or reads more than it may is told so, and its next request waits. This process may
// do what it likes.
func TestClientsAreThrottled(t *testing.T) {
	s := start(t, t.TempDir())
	if _, err := kadm.NewClient(s.client(true)).CreateTopic(context60(t), 1, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	greedy := quotaEntity{{"client-id", kmsg.StringPtr("greedy")}}
	if err := s.b.quotas.alter(greedy, []quotaChange{{producerByteRate, 1000, false}, {consumerByteRate, 100_000, false}}, false); err != nil {
		t.Fatal(err)
	}
	topic, err := s.log.Topic("t")
	if err != nil {
		t.Fatal(err)
	}
	var records segment.Builder
	records.Add(1, nil, make([]byte, 10_100))
	produce := &kmsg.ProduceRequest{Acks: -1, TimeoutMillis: 1000, Topics: []kmsg.ProduceRequestTopic{{Topic: "t", TopicID: topic.ID(),
		Partitions: []kmsg.ProduceRequestTopicPartition{{Records: records.Batch()}}}}}
	send := func(inProcess bool) int32 {
		t.Helper()
		cl := s.client(inProcess, kgo.ClientID("greedy"))
		resp, err := produce.RequestWith(context60(t), cl)
		if err != nil || resp.Topics[0].Partitions[0].ErrorCode != 0 {
			t.Fatalf("%+v, %v", resp, err)
		}
		return resp.ThrottleMillis
	}
	if got := send(true); got != 0 {
		t.Errorf("this process is throttled for %d ms", got)
	}
	if got := send(false); got < 100 || got > 1000 { // 10 seconds' worth is free
		t.Errorf("throttled for %d ms, want the time of what is above", got)
	}

	// One connection, without a client that would wait by itself.
	nc, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	format := kmsg.NewRequestFormatter(kmsg.FormatterClientID("greedy"))
	var few segment.Builder
	few.Add(1, nil, make([]byte, 300))
	produce.Topics[0].Partitions[0].Records = few.Batch()
	produce.SetVersion(9)
	began := time.Now()
	for _, req := range []kmsg.Request{produce, kmsg.NewPtrMetadataRequest()} {
		if _, err := nc.Write(format.AppendRequest(nil, req, 1)); err != nil {
			t.Fatal(err)
		}
	}
	first, second := answerSize(t, nc), answerSize(t, nc)
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("answers of %d and %d bytes came within %s", first, second, took)
	}
}

// TestTopicsAreThrottled: who made or deleted more partitions than it may is refused topic by topic until it may again, and
// waits where the version does not have the refusal.
func TestTopicsAreThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newExpiryTest(t)
		defer func() { e.stop() }()
		if err := e.b.quotas.alter(quotaEntity{{"client-id", kmsg.StringPtr("app")}}, []quotaChange{{controllerMutationRate, 1, false}}, false); err != nil {
			t.Fatal(err)
		}
		call := func(h handler, version int16, req kmsg.Request) (kmsg.Response, time.Duration) {
			t.Helper()
			c := &conn{b: e.b}
			wait, err := h(&request{c: c, ctx: t.Context(), clientID: "app", version: version}, req)
			if err != nil {
				t.Fatal(err)
			}
			return wait(), max(0, time.Until(c.mutedUntil))
		}
		create := func(what string, version int16, partitions int32, throttle int32, names string, codes ...int16) {
			t.Helper()
			req := kmsg.NewPtrCreateTopicsRequest()
			for _, name := range names {
				rt := kmsg.NewCreateTopicsRequestTopic()
				rt.Topic, rt.NumPartitions, rt.ReplicationFactor = string(name), partitions, 1
				req.Topics = append(req.Topics, rt)
			}
			answer, waits := call(e.b.createTopics, version, req)
			resp := answer.(*kmsg.CreateTopicsResponse)
			var got []int16
			for _, rt := range resp.Topics {
				got = append(got, rt.ErrorCode)
			}
			if !slices.Equal(got, codes) || resp.ThrottleMillis != throttle || waits.Milliseconds() != int64(throttle) {
				t.Errorf("%s: %v after %d ms, waits %s; want %v after %d ms", what, got, resp.ThrottleMillis, waits, codes, throttle)
			}
		}
		exceeded, exists := kerr.ThrottlingQuotaExceeded.Code, kerr.TopicAlreadyExists.Code
		create("what exists costs nothing", 7, 1000, 0, "ab", exists, exists)
		create("the last may take more than is left", 7, 9, 8000, "cdef", 0, 0, exceeded, exceeded)
		time.Sleep(7 * time.Second)
		create("too early", 7, 1, 1000, "ea", exceeded, exists)
		time.Sleep(time.Second)
		create("not any more", 7, 2, 0, "e", 0)
		create("an old version waits", 5, 3, 5000, "f", 0)

		more := kmsg.NewPtrCreatePartitionsRequest()
		more.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: "a", Count: 3}}
		answer, waits := call(e.b.createPartitions, 3, more)
		if resp := answer.(*kmsg.CreatePartitionsResponse); resp.Topics[0].ErrorCode != exceeded || resp.ThrottleMillis != 5000 || waits != 5*time.Second {
			t.Errorf("more partitions: %+v, waits %s", resp, waits)
		}
		gone := kmsg.NewPtrDeleteTopicsRequest()
		gone.TopicNames = []string{"c"}
		answer, waits = call(e.b.deleteTopics, 5, gone)
		if resp := answer.(*kmsg.DeleteTopicsResponse); resp.Topics[0].ErrorCode != exceeded || resp.ThrottleMillis != 5000 || waits != 5*time.Second {
			t.Errorf("delete: %+v, waits %s", resp, waits)
		}
		answer, waits = call(e.b.deleteTopics, 4, gone)
		if resp := answer.(*kmsg.DeleteTopicsResponse); resp.Topics[0].ErrorCode != 0 || resp.ThrottleMillis != 14_000 || waits != 14*time.Second {
			t.Errorf("delete by an old version: %+v, waits %s", resp, waits)
		}
		ask := kmsg.NewPtrMetadataRequest()
		ask.AllowAutoTopicCreation, ask.Topics = true, []kmsg.MetadataRequestTopic{{Topic: kmsg.StringPtr("new")}}
		answer, waits = call(e.b.metadata, 12, ask)
		if resp := answer.(*kmsg.MetadataResponse); resp.Topics[0].ErrorCode != 0 || resp.ThrottleMillis != 15_000 || waits != 15*time.Second {
			t.Errorf("metadata: %+v, waits %s", resp, waits)
		}
	})
}

// TestProcessorTimeIsThrottled: who uses more of a processor than it may is told so in whatever it asks, and its next
// request waits, a second at most. Waiting for records is no use of it.
func TestProcessorTimeIsThrottled(t *testing.T) {
	s := start(t, t.TempDir())
	if _, err := kadm.NewClient(s.client(true)).CreateTopic(context60(t), 1, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	for client, percent := range map[string]float64{"greedy": 0.000001, "patient": 3} {
		if err := s.b.quotas.alter(quotaEntity{{"client-id", &client}}, []quotaChange{{requestPercentage, percent, false}}, false); err != nil {
			t.Fatal(err)
		}
	}
	metadata := kmsg.NewPtrMetadataRequest()
	throttled := func(client string, inProcess bool) int32 {
		t.Helper()
		resp, err := metadata.RequestWith(context60(t), s.client(inProcess, kgo.ClientID(client)))
		if err != nil {
			t.Fatal(err)
		}
		return resp.ThrottleMillis
	}
	if got := throttled("greedy", false); got != 1000 {
		t.Errorf("throttled for %d ms, want a second", got)
	}
	if other, here := throttled("other", false), throttled("greedy", true); other != 0 || here != 0 {
		t.Errorf("without a quota throttled for %d ms, this process for %d", other, here)
	}
	nc, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	format := kmsg.NewRequestFormatter(kmsg.FormatterClientID("greedy"))
	began := time.Now()
	for range 2 {
		if _, err := nc.Write(format.AppendRequest(nil, metadata, 1)); err != nil {
			t.Fatal(err)
		}
	}
	first, second := answerSize(t, nc), answerSize(t, nc)
	if took := time.Since(began); took < time.Second {
		t.Errorf("answers of %d and %d bytes came within %s", first, second, took)
	}

	poll := kmsg.NewPtrFetchRequest() // 3 % of ten seconds are less than it waits
	poll.MaxWaitMillis, poll.MinBytes, poll.SessionEpoch = 400, 1, -1
	poll.Topics = []kmsg.FetchRequestTopic{{Topic: "t", Partitions: []kmsg.FetchRequestTopicPartition{{PartitionMaxBytes: 1000}}}}
	c := &conn{b: s.b, who: anonymous}
	r := &request{c: c, ctx: t.Context(), clientID: "patient", version: 12, loan: &loan{from: &s.b.buffers}}
	began = time.Now()
	wait, err := r.timed(s.b.fetch, poll)
	if err != nil {
		t.Fatal(err)
	}
	if resp, took := wait().(*kmsg.FetchResponse), time.Since(began); resp.ThrottleMillis != 0 || took < 400*time.Millisecond {
		t.Errorf("a fetch that waited for %s is throttled for %d ms", took, resp.ThrottleMillis)
	}
}

// answerSize takes an answer off a connection.
func answerSize(t *testing.T, nc net.Conn) int {
	t.Helper()
	var size [4]byte
	if _, err := io.ReadFull(nc, size[:]); err != nil {
		t.Fatal(err)
	}
	n := int(binary.BigEndian.Uint32(size[:]))
	if _, err := io.CopyN(io.Discard, nc, int64(n)); err != nil {
		t.Fatal(err)
	}
	return n
}
