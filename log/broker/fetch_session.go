package broker

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Bounds of what the fetch sessions may hold. A session that does not fit is not made: the client then sends its full
// list each time.
const (
	maxFetchPartitions = 200_000         // over all sessions
	fetchSessionIdle   = 2 * time.Minute // younger sessions are not put out by new ones
	fetchSessionFinal  = int32(-1)       // epoch of a request that wants no session
	fetchSessionFirst  = int32(0)        // epoch of a request that wants a new one
)

// fetchSessions keep what clients fetch from, so that they need to send only what changes, and are answered only what
// changed (KIP-227). Safe for concurrent use.
type fetchSessions struct {
	limit      int // of sessions (max.incremental.fetch.session.cache.slots)
	mu         sync.Mutex
	byID       map[int32]*fetchSession
	partitions int
}

func newFetchSessions(limit int) *fetchSessions {
	return &fetchSessions{limit: limit, byID: make(map[int32]*fetchSession)}
}

// fetchSession is one session. It is guarded by the mu of its fetchSessions.
type fetchSession struct {
	id, epoch int32 // epoch is the one that the next request has
	byID      bool  // whether its requests name topics by id
	used      time.Time
	order     []fetchKey // who was given records goes to the end
	parts     map[fetchKey]*fetchState
}

// fetchKey is a partition as a session's requests name it.
type fetchKey struct {
	topic     string
	id        [16]byte
	partition int32
}

// fetchState is a partition of a session: what the client asked for last, and what it was told last.
type fetchState struct {
	asked              kmsg.FetchRequestTopicPartition
	told               bool
	watermark, logHead int64
}

// begin takes a request into its session and completes it, where it is incremental, by what the session holds. The
// session is nil where none is wanted. A code other than 0 is the answer.
func (s *fetchSessions) begin(req *kmsg.FetchRequest) (*fetchSession, int16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	have := s.byID[req.SessionID]
	if req.SessionEpoch == fetchSessionFinal || req.SessionEpoch == fetchSessionFirst {
		if have != nil {
			s.drop(have)
		}
		if req.SessionEpoch == fetchSessionFinal {
			return nil, 0
		}
		return s.open(req), 0
	}
	switch {
	case have == nil:
		return nil, kerr.FetchSessionIDNotFound.Code
	case have.byID != (req.Version >= fetchByID):
		return nil, kerr.FetchSessionTopicIDError.Code
	case have.epoch != req.SessionEpoch:
		return nil, kerr.InvalidFetchSessionEpoch.Code
	}
	s.change(have, req)
	have.used = time.Now()
	if have.epoch++; have.epoch < 0 {
		have.epoch = 1
	}
	req.Topics = have.request()
	return have, 0
}

// open makes a session of a full request, nil if there is no room.
func (s *fetchSessions) open(req *kmsg.FetchRequest) *fetchSession {
	n := 0
	for i := range req.Topics {
		n += len(req.Topics[i].Partitions)
	}
	if len(s.byID) >= s.limit {
		s.evict()
	}
	if n == 0 || len(s.byID) >= s.limit || s.partitions+n > maxFetchPartitions {
		return nil
	}
	f := &fetchSession{id: 1 + rand.Int32N(math.MaxInt32), epoch: 1, byID: req.Version >= fetchByID, used: time.Now(),
		parts: make(map[fetchKey]*fetchState, n)}
	if s.byID[f.id] != nil {
		return nil // by a chance of one in millions; the next request tries again
	}
	s.byID[f.id] = f
	s.change(f, req)
	return f
}

// evict drops the session that was not used for longest, if that is long ago.
func (s *fetchSessions) evict() {
	var oldest *fetchSession
	for _, f := range s.byID {
		if oldest == nil || f.used.Before(oldest.used) {
			oldest = f
		}
	}
	if oldest != nil && time.Since(oldest.used) > fetchSessionIdle {
		s.drop(oldest)
	}
}

func (s *fetchSessions) drop(f *fetchSession) {
	delete(s.byID, f.id)
	s.partitions -= len(f.parts)
}

// change puts what a request adds, alters and forgets into the session.
func (s *fetchSessions) change(f *fetchSession, req *kmsg.FetchRequest) {
	s.partitions -= len(f.parts)
	defer func() { s.partitions += len(f.parts) }()
	for _, t := range req.ForgottenTopics {
		for _, n := range t.Partitions {
			key := fetchKey{t.Topic, t.TopicID, n}
			if f.parts[key] != nil {
				delete(f.parts, key)
				f.order = slices.DeleteFunc(f.order, func(k fetchKey) bool { return k == key })
			}
		}
	}
	for i := range req.Topics {
		t := &req.Topics[i]
		for _, p := range t.Partitions {
			key := fetchKey{t.Topic, t.TopicID, p.Partition}
			st := f.parts[key]
			if st == nil {
				st = &fetchState{}
				f.parts[key] = st
				f.order = append(f.order, key)
			}
			st.asked = p
		}
	}
}

// request is the full list of the session.
func (f *fetchSession) request() []kmsg.FetchRequestTopic {
	var all []kmsg.FetchRequestTopic
	for _, key := range f.order {
		if n := len(all); n == 0 || all[n-1].Topic != key.topic || all[n-1].TopicID != key.id {
			t := kmsg.NewFetchRequestTopic()
			t.Topic, t.TopicID = key.topic, key.id
			all = append(all, t)
		}
		t := &all[len(all)-1]
		t.Partitions = append(t.Partitions, f.parts[key].asked)
	}
	return all
}

// end takes out of an incremental answer what its client knows already, and notes what it is told. A first answer is
// left whole.
func (s *fetchSessions) end(f *fetchSession, incremental bool, resp *kmsg.FetchResponse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	resp.SessionID = f.id
	served := make(map[fetchKey]bool)
	for i := range resp.Topics {
		t := &resp.Topics[i]
		t.Partitions = slices.DeleteFunc(t.Partitions, func(p kmsg.FetchResponseTopicPartition) bool {
			key := fetchKey{t.Topic, t.TopicID, p.Partition}
			st := f.parts[key]
			if st == nil {
				return incremental // forgotten meanwhile by a request that overtook
			}
			if len(p.RecordBatches) > 0 {
				served[key] = true
			}
			return !st.news(&p) && incremental
		})
	}
	resp.Topics = slices.DeleteFunc(resp.Topics, func(t kmsg.FetchResponseTopic) bool { return len(t.Partitions) == 0 && incremental })
	if len(served) > 0 { // the byte limit cuts off the end of the list, so everybody comes to its front in turn
		slices.SortStableFunc(f.order, func(a, b fetchKey) int { return rank(served[a]) - rank(served[b]) })
	}
}

func rank(served bool) int {
	if served {
		return 1
	}
	return 0
}

// news reports whether p says something that its client was not told, and notes that it is told now.
func (st *fetchState) news(p *kmsg.FetchResponseTopicPartition) bool {
	same := st.told && st.watermark == p.HighWatermark && st.logHead == p.LogStartOffset
	st.told, st.watermark, st.logHead = p.ErrorCode == 0, p.HighWatermark, p.LogStartOffset
	return !same || len(p.RecordBatches) > 0 || p.ErrorCode != 0 || p.DivergingEpoch.Epoch >= 0
}
