package broker

import (
	"errors"
	"time"

	"github.com/sluicehub/sluice/log"
	"github.com/sluicehub/sluice/log/segment"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetch answers Fetch: at once if there are min_bytes, or an error; otherwise when there are, or max_wait is over.
func (b *Broker) fetch(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.FetchRequest)
	session, code := b.sessions.begin(req)
	if code != 0 {
		resp := req.ResponseKind().(*kmsg.FetchResponse)
		resp.ErrorCode = code
		return now(resp), nil
	}
	f := &fetching{b: b, r: r, req: req, w: log.NewWaiter()}
	defer f.unwatch()
	f.watch()
	if req.MinBytes > 0 && req.MaxWaitMillis > 0 && !f.ready() {
		timeout := time.NewTimer(time.Duration(req.MaxWaitMillis) * time.Millisecond)
		defer timeout.Stop()
		for waiting := true; waiting; {
			select {
			case <-f.w.C():
				waiting = !f.ready()
			case <-timeout.C:
				waiting = false
			case <-r.ctx.Done():
				waiting = false
			}
		}
	}
	resp := f.read()
	if session != nil {
		b.sessions.end(session, req.SessionEpoch > 0, resp)
	}
	return now(resp), nil
}

// fetching is one Fetch under way.
type fetching struct {
	b     *Broker
	r     *request
	req   *kmsg.FetchRequest
	w     *log.Waiter
	parts []*log.Partition
}

// partition finds what the request names.
func (f *fetching) partition(t *kmsg.FetchRequestTopic, n int32) (*log.Partition, error) {
	return f.r.partition(mayRead, f.r.version >= fetchByID, t.TopicID, t.Topic, n)
}

func (f *fetching) watch() {
	for i := range f.req.Topics {
		t := &f.req.Topics[i]
		for j := range t.Partitions {
			if p, err := f.partition(t, t.Partitions[j].Partition); err == nil {
				p.Watch(f.w)
				f.parts = append(f.parts, p)
			}
		}
	}
}

func (f *fetching) unwatch() {
	for _, p := range f.parts {
		p.Unwatch(f.w)
	}
}

// ready reports whether there is enough to answer with, or an error that the client should know at once.
func (f *fetching) ready() bool {
	need := int64(min(int(f.req.MinBytes), f.most())) // more than an answer holds never comes
	for i := range f.req.Topics {
		t := &f.req.Topics[i]
		for j := range t.Partitions {
			rp := &t.Partitions[j]
			p, err := f.partition(t, rp.Partition)
			if err != nil || rp.FetchOffset < p.LogStart() || rp.FetchOffset > p.HighWatermark() || epochError(p, rp.CurrentLeaderEpoch) != 0 {
				return true
			}
			if need -= p.Available(rp.FetchOffset, need, log.Isolation(f.req.IsolationLevel)); need <= 0 {
				return true
			}
		}
	}
	return false
}

// epochError compares the leader epoch that a client believes in with the partition's.
func epochError(p *log.Partition, current int32) int16 {
	switch have := p.LeaderEpoch(); {
	case current < 0 || current == have:
		return 0
	case current < have:
		return kerr.FencedLeaderEpoch.Code
	}
	return kerr.UnknownLeaderEpoch.Code
}

// most is how many bytes of records an answer may have.
func (f *fetching) most() int {
	if most := f.b.set.Load().maxFetchBytes; f.req.MaxBytes <= 0 || int(f.req.MaxBytes) > most {
		return most
	}
	return int(f.req.MaxBytes)
}

// read makes the response: partitions in the order asked for, until the bytes are used up. The first batch found is
// given even when it is larger than all limits (KIP-74).
func (f *fetching) read() *kmsg.FetchResponse {
	resp := f.req.ResponseKind().(*kmsg.FetchResponse)
	left := f.r.loan.reserve(min(f.most(), f.r.mayUse(consumerByteRate)))
	first, given := true, 0
	for i := range f.req.Topics {
		t := &f.req.Topics[i]
		rt := kmsg.NewFetchResponseTopic()
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		rt.Partitions = make([]kmsg.FetchResponseTopicPartition, len(t.Partitions))
		for j := range t.Partitions {
			n := f.readPartition(t, &t.Partitions[j], &rt.Partitions[j], left, first)
			if n > 0 {
				first = false
			}
			left, given = left-n, given+n
		}
		resp.Topics = append(resp.Topics, rt)
	}
	f.r.loan.keep(f.r.loan.used)
	resp.ThrottleMillis = f.r.used(consumerByteRate, float64(given))
	return resp
}

// fetchPiece is about how many bytes of a partition are read at once: what comes after them is read while they are on
// their way, into the same memory.
const fetchPiece = 256 << 10

// readPartition fills rp and returns how many bytes of records it will have.
func (f *fetching) readPartition(t *kmsg.FetchRequestTopic, p *kmsg.FetchRequestTopicPartition, rp *kmsg.FetchResponseTopicPartition, left int, first bool) int {
	rp.Default()
	rp.Partition, rp.HighWatermark, rp.LastStableOffset, rp.LogStartOffset = p.Partition, -1, -1, -1
	rp.RecordBatches = []byte{} // null is an invalid size to librdkafka
	part, err := f.partition(t, p.Partition)
	if err != nil {
		rp.ErrorCode = errorCode(err)
		return 0
	}
	if code := epochError(part, p.CurrentLeaderEpoch); code != 0 {
		rp.ErrorCode = code
		return 0
	}
	if f.diverged(part, p, rp) {
		return 0
	}
	res, err := part.Read(p.FetchOffset, log.ReadOptions{MaxBytes: max(0, min(int(p.PartitionMaxBytes), left)),
		MinOneBatch: first, Isolation: log.Isolation(f.req.IsolationLevel), Piece: fetchPiece, Memory: f.r.loan.get})
	if err != nil {
		rp.ErrorCode = fetchCode(err)
		return 0
	}
	rp.HighWatermark, rp.LastStableOffset, rp.LogStartOffset = res.HighWatermark, res.LastStable, res.LogStart
	if res.Batches != nil {
		rp.RecordBatches = res.Batches
		f.r.loan.hold(res.Batches, res.Rest)
	}
	if f.req.IsolationLevel == int8(log.ReadCommitted) {
		rp.AbortedTransactions = abortedTransactions(res.Aborted)
	}
	return len(res.Batches) + res.Rest.Len()
}

// abortedTransactions lists what a reader of committed records skips; a list without any is not null.
func abortedTransactions(all []segment.Aborted) []kmsg.FetchResponseTopicPartitionAbortedTransaction {
	out := make([]kmsg.FetchResponseTopicPartitionAbortedTransaction, len(all))
	for i, a := range all {
		out[i] = kmsg.NewFetchResponseTopicPartitionAbortedTransaction()
		out[i].ProducerID, out[i].FirstOffset = a.ProducerID, a.First
	}
	return out
}

// fetchCode is errorCode, but for damage: INVALID_RECORD is a code at which the consumers of Java, librdkafka and
// franz-go tell their user. KAFKA_STORAGE_ERROR all of them take for a leader about to move, and CORRUPT_MESSAGE franz-go
// takes for one that passes: they ask again for ever, in silence.
func fetchCode(err error) int16 {
	if d := (*log.DamageError)(nil); errors.As(err, &d) {
		return kerr.InvalidRecord.Code
	}
	return errorCode(err)
}

// diverged tells a client whose last fetched epoch does not end where its position is, where it does (KIP-595).
func (f *fetching) diverged(part *log.Partition, p *kmsg.FetchRequestTopicPartition, rp *kmsg.FetchResponseTopicPartition) bool {
	if f.r.version < 12 || p.LastFetchedEpoch < 0 {
		return false
	}
	epoch, end, ok := part.OffsetForLeaderEpoch(p.LastFetchedEpoch)
	if !ok || epoch == p.LastFetchedEpoch && end >= p.FetchOffset {
		return false
	}
	rp.DivergingEpoch.Epoch, rp.DivergingEpoch.EndOffset = epoch, end
	rp.HighWatermark, rp.LastStableOffset, rp.LogStartOffset = part.HighWatermark(), part.LastStable(), part.LogStart()
	return true
}
