package broker

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetchRequest asks for partitions of topic t at offset 0.
func fetchRequest(session, epoch int32, partitions ...int32) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.SetVersion(12)
	req.SessionID, req.SessionEpoch = session, epoch
	t := kmsg.NewFetchRequestTopic()
	t.Topic = "t"
	for _, n := range partitions {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition = n
		t.Partitions = append(t.Partitions, p)
	}
	if len(partitions) > 0 {
		req.Topics = append(req.Topics, t)
	}
	return req
}

// fetchAnswer answers a request: each partition with a high watermark, and with records if it is in full.
func fetchAnswer(req *kmsg.FetchRequest, watermark int64, full ...int32) *kmsg.FetchResponse {
	resp := kmsg.NewPtrFetchResponse()
	for _, t := range req.Topics {
		rt := kmsg.NewFetchResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewFetchResponseTopicPartition()
			rp.Partition, rp.HighWatermark = p.Partition, watermark
			for _, n := range full {
				if n == p.Partition {
					rp.RecordBatches = []byte("records")
				}
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

func partitionsIn(resp *kmsg.FetchResponse) []int32 {
	var all []int32
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			all = append(all, p.Partition)
		}
	}
	return all
}

func wantPartitions(t *testing.T, what string, got []int32, want ...int32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: partitions %v, want %v", what, got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("%s: partitions %v, want %v", what, got, want)
		}
	}
}

func TestFetchSessionTellsOnlyWhatChanged(t *testing.T) {
	s := newFetchSessions(10)
	req := fetchRequest(0, 0, 0, 1, 2)
	f, code := s.begin(req)
	if code != 0 || f == nil {
		t.Fatalf("no session: %v", kerr.ErrorForCode(code))
	}
	resp := fetchAnswer(req, 7)
	s.end(f, false, resp)
	wantPartitions(t, "first answer", partitionsIn(resp), 0, 1, 2)

	next := func(epoch int32, watermark int64, full ...int32) (asked, told []int32) {
		t.Helper()
		req := fetchRequest(f.id, epoch)
		g, code := s.begin(req)
		if code != 0 || g != f {
			t.Fatalf("epoch %d: %v", epoch, kerr.ErrorForCode(code))
		}
		for _, p := range req.Topics {
			for _, q := range p.Partitions {
				asked = append(asked, q.Partition)
			}
		}
		resp := fetchAnswer(req, watermark, full...)
		s.end(f, true, resp)
		return asked, partitionsIn(resp)
	}
	asked, told := next(1, 7)
	wantPartitions(t, "asked", asked, 0, 1, 2)
	wantPartitions(t, "nothing new", told)
	_, told = next(2, 7, 0)
	wantPartitions(t, "records of 0", told, 0)
	asked, told = next(3, 8)
	wantPartitions(t, "who was served is asked last", asked, 1, 2, 0)
	wantPartitions(t, "new high watermarks", told, 1, 2, 0)

	forget := fetchRequest(f.id, 4)
	forget.ForgottenTopics = append(forget.ForgottenTopics, kmsg.FetchRequestForgottenTopic{Topic: "t", Partitions: []int32{1, 9}})
	if _, code := s.begin(forget); code != 0 {
		t.Fatal(kerr.ErrorForCode(code))
	}
	asked, _ = next(5, 8)
	wantPartitions(t, "one is forgotten", asked, 2, 0)
	if s.partitions != 2 {
		t.Errorf("%d partitions are counted, want 2", s.partitions)
	}
}

func TestFetchSessionIsRefused(t *testing.T) {
	s := newFetchSessions(10)
	f, _ := s.begin(fetchRequest(0, 0, 0))
	byID := fetchRequest(f.id, 1)
	byID.SetVersion(fetchByID)
	for _, tt := range []struct {
		name string
		req  *kmsg.FetchRequest
		want *kerr.Error
	}{
		{"another epoch", fetchRequest(f.id, 2), kerr.InvalidFetchSessionEpoch},
		{"unknown session", fetchRequest(f.id+1, 1), kerr.FetchSessionIDNotFound},
		{"names and ids mixed", byID, kerr.FetchSessionTopicIDError},
	} {
		if _, code := s.begin(tt.req); code != tt.want.Code {
			t.Errorf("%s: %v, want %v", tt.name, kerr.ErrorForCode(code), tt.want)
		}
	}
	if g, code := s.begin(fetchRequest(f.id, fetchSessionFinal, 0)); g != nil || code != 0 {
		t.Errorf("closing: session %v, %v", g, kerr.ErrorForCode(code))
	}
	if len(s.byID) != 0 || s.partitions != 0 {
		t.Errorf("%d sessions with %d partitions are left", len(s.byID), s.partitions)
	}
}

func TestFetchSessionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFetchSessions(2)
		open := func() *fetchSession {
			f, code := s.begin(fetchRequest(0, 0, 0))
			if code != 0 {
				t.Fatal(kerr.ErrorForCode(code))
			}
			return f
		}
		first := open()
		time.Sleep(time.Second)
		open()
		if f := open(); f != nil {
			t.Error("a third session was made of two")
		}
		time.Sleep(fetchSessionIdle)
		if f := open(); f == nil || s.byID[first.id] != nil {
			t.Error("the idle session was not replaced")
		}
		s.partitions = maxFetchPartitions + 5
		time.Sleep(2 * fetchSessionIdle)
		if f := open(); f != nil {
			t.Error("a session was made beyond the limit of partitions")
		}
	})
}
