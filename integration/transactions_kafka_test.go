package integration

import (
	"bytes"
	"context"
	be "encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
)

// TestTransactionsAnswerAsKafkaDoes sends the same requests to Apache Kafka and compares the answers, and what the
// coordinators then have written to __transaction_state, byte for byte but for times and producer ids.
func TestTransactionsAnswerAsKafkaDoes(t *testing.T) {
	t.Parallel()
	kafka, err := services.StartKafka(t.Context(), services.KafkaOptions{})
	must(t, err)
	t.Cleanup(func() { must(t, kafka.Stop()) })
	w := startWorker(t, worker.Options{})
	want := newTxnScript(t, kafka.Bootstrap).run()
	got := newTxnScript(t, w.Kafka).run()
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("- Kafka, + Sluice:\n%s", diff)
	}
}

// txnScript is a sequence of requests and a record of the answers.
type txnScript struct {
	t      *testing.T
	ctx    context.Context
	cl     *kgo.Client
	out    strings.Builder
	id     string // the transactional id at hand
	ids    []string
	pid    int64
	epoch  int16
	known  map[int64]string // producer ids as they came
	offset int32            // sequence of the next record
}

func newTxnScript(t *testing.T, bootstrap string) *txnScript {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.DisableClientMetrics())
	must(t, err)
	t.Cleanup(cl.Close)
	s := &txnScript{t: t, ctx: deadline(t), cl: cl, known: map[int64]string{-1: "none"}}
	_, err = kadm.NewClient(cl).CreateTopics(s.ctx, 1, 1, nil, "t")
	must(t, err)
	s.find(0, "g")
	return s
}

func (s *txnScript) say(format string, args ...any) { fmt.Fprintf(&s.out, format+"\n", args...) }

// name is a producer id independent of the broker.
func (s *txnScript) name(pid int64) string {
	if s.known[pid] == "" {
		s.known[pid] = fmt.Sprintf("p%d", len(s.known))
	}
	return s.known[pid]
}

// ask sends a request until the coordinator has completed what it has decided: Kafka does that after its answer.
func ask[R kmsg.Response](s *txnScript, version int16, req kmsg.Request, code func(R) int16) R {
	s.t.Helper()
	for began := time.Now(); ; {
		resp, err := s.cl.Broker(int(s.broker())).Request(s.ctx, pinned{req, version})
		if err != nil {
			s.t.Fatalf("%T: %v after\n%s", req, err, s.out.String())
		}
		r := resp.(R)
		if time.Since(began) > 20*time.Second {
			return r
		}
		switch code(r) {
		case kerr.ConcurrentTransactions.Code, kerr.CoordinatorLoadInProgress.Code, kerr.CoordinatorNotAvailable.Code, kerr.NotCoordinator.Code, kerr.NotEnoughReplicas.Code:
			select {
			case <-s.ctx.Done():
				s.t.Fatal(s.ctx.Err())
			case <-time.After(10 * time.Millisecond):
			}
		default:
			return r
		}
	}
}

// pinned is a request in a version of its own.
type pinned struct {
	kmsg.Request
	version int16
}

func (p pinned) MaxVersion() int16 { return p.version }

func (s *txnScript) broker() int32 {
	meta, err := kadm.NewClient(s.cl).BrokerMetadata(s.ctx)
	must(s.t, err)
	return meta.Controller
}

// find makes Kafka create the coordinators' topics.
func (s *txnScript) find(kind int8, key string) {
	s.t.Helper()
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.CoordinatorType, find.CoordinatorKeys = kind, []string{key}
	ask(s, 4, find, func(r *kmsg.FindCoordinatorResponse) int16 { return r.Coordinators[0].ErrorCode })
}

// completed waits for the markers.
func (s *txnScript) completed() {
	s.t.Helper()
	req := kmsg.NewPtrDescribeTransactionsRequest()
	req.TransactionalIDs = []string{s.id}
	ask(s, 0, req, func(r *kmsg.DescribeTransactionsResponse) int16 {
		if strings.HasPrefix(r.TransactionStates[0].State, "Prepare") {
			return kerr.ConcurrentTransactions.Code
		}
		return 0
	})
}

func (s *txnScript) init(id string, version int16, pid int64, epoch int16) {
	s.t.Helper()
	if s.id != id {
		s.id, s.ids = id, append(s.ids, id)
		s.find(1, id)
	}
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID, req.TransactionTimeoutMillis, req.ProducerID, req.ProducerEpoch = &id, 60_000, pid, epoch
	r := ask(s, version, req, func(r *kmsg.InitProducerIDResponse) int16 { return r.ErrorCode })
	s.say("%s: init v%d with %s/%d: code %d, %s/%d", id, version, s.name(pid), epoch, r.ErrorCode, s.name(r.ProducerID), r.ProducerEpoch)
	if r.ErrorCode == 0 {
		s.pid, s.epoch, s.offset = r.ProducerID, r.ProducerEpoch, 0
	}
}

func (s *txnScript) end(version int16, commit bool, epoch int16) {
	s.t.Helper()
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = s.id, s.pid, epoch, commit
	r := ask(s, version, req, func(r *kmsg.EndTxnResponse) int16 { return r.ErrorCode })
	s.say("%s: end v%d, commit %v, epoch %d: code %d, %s/%d", s.id, version, commit, epoch, r.ErrorCode, s.name(r.ProducerID), r.ProducerEpoch)
	s.completed()
	if r.ErrorCode == 0 && version >= 5 {
		s.pid, s.epoch, s.offset = r.ProducerID, r.ProducerEpoch, 0
	}
}

func (s *txnScript) add(version int16, topics ...string) {
	s.t.Helper()
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = s.id, s.pid, s.epoch
	for _, t := range topics {
		req.Topics = append(req.Topics, kmsg.AddPartitionsToTxnRequestTopic{Topic: t, Partitions: []int32{0}})
	}
	r := ask(s, version, req, func(r *kmsg.AddPartitionsToTxnResponse) int16 { return r.Topics[0].Partitions[0].ErrorCode })
	codes := map[string]int16{}
	for _, t := range r.Topics {
		codes[t.Topic] = t.Partitions[0].ErrorCode
	}
	s.say("%s: add v%d: %v", s.id, version, codes)
}

func (s *txnScript) addOffsets(version int16, epoch int16) {
	s.t.Helper()
	req := kmsg.NewPtrAddOffsetsToTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = s.id, s.pid, epoch, "g"
	r := ask(s, version, req, func(r *kmsg.AddOffsetsToTxnResponse) int16 { return r.ErrorCode })
	s.say("%s: add offsets v%d: %d", s.id, version, r.ErrorCode)
}

func (s *txnScript) commitOffset(version int16, epoch int16) {
	s.t.Helper()
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch, req.Generation = s.id, "g", s.pid, epoch, -1
	p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	p.Offset, p.Metadata = 7, kmsg.StringPtr("m")
	req.Topics = []kmsg.TxnOffsetCommitRequestTopic{{Topic: "t", Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{p}}}
	r := ask(s, version, req, func(r *kmsg.TxnOffsetCommitResponse) int16 { return r.Topics[0].Partitions[0].ErrorCode })
	s.say("%s: commit an offset v%d: %d", s.id, version, r.Topics[0].Partitions[0].ErrorCode)
}

func (s *txnScript) produce(version int16, id *string, attributes int16, pid int64, epoch int16) {
	s.t.Helper()
	req := kmsg.NewPtrProduceRequest()
	req.TransactionID, req.Acks, req.TimeoutMillis = id, -1, 10_000
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = rawBatch(attributes, pid, epoch, s.offset)
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: "t", Partitions: []kmsg.ProduceRequestTopicPartition{p}}}
	r := ask(s, version, req, func(r *kmsg.ProduceResponse) int16 { return r.Topics[0].Partitions[0].ErrorCode })
	rp := r.Topics[0].Partitions[0]
	s.say("%s: produce v%d, attributes %x, %s/%d: code %d, offset %d", s.id, version, attributes, s.name(pid), epoch, rp.ErrorCode, rp.BaseOffset)
	if rp.ErrorCode == 0 {
		s.offset++
	}
}

// rawBatch is a record batch with one record, x.
func rawBatch(attributes int16, pid int64, epoch int16, sequence int32) []byte {
	b := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1, Magic: 2, Attributes: attributes, FirstTimestamp: time.Now().UnixMilli(), MaxTimestamp: time.Now().UnixMilli(),
		ProducerID: pid, ProducerEpoch: epoch, FirstSequence: sequence, NumRecords: 1, Records: []byte{14, 0, 0, 0, 1, 2, 'x', 0},
	}
	raw := b.AppendTo(nil)
	be.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	be.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	return raw
}

// view says what readers see.
func (s *txnScript) view() {
	s.t.Helper()
	req := kmsg.NewPtrFetchRequest()
	req.IsolationLevel, req.MaxBytes, req.SessionEpoch = 1, 1<<20, -1
	p := kmsg.NewFetchRequestTopicPartition()
	p.PartitionMaxBytes = 1 << 20
	req.Topics = []kmsg.FetchRequestTopic{{Topic: "t", Partitions: []kmsg.FetchRequestTopicPartition{p}}}
	r := ask(s, 12, req, func(r *kmsg.FetchResponse) int16 { return r.ErrorCode })
	rp := r.Topics[0].Partitions[0]
	aborted := "null"
	if rp.AbortedTransactions != nil {
		aborted = ""
		for _, a := range rp.AbortedTransactions {
			aborted += fmt.Sprintf("%s from %d ", s.name(a.ProducerID), a.FirstOffset)
		}
	}
	s.say("fetch: code %d, high watermark %d, last stable %d, aborted %s", rp.ErrorCode, rp.HighWatermark, rp.LastStableOffset, aborted)
	s.say("batches: %s", s.batches(rp.RecordBatches))
}

// batches says what readers get, markers whole.
func (s *txnScript) batches(raw []byte) string {
	var out strings.Builder
	for len(raw) > 0 {
		var b kmsg.RecordBatch
		must(s.t, b.ReadFrom(raw))
		fmt.Fprintf(&out, "%d %s/%d seq %d attributes %x", b.FirstOffset, s.name(b.ProducerID), b.ProducerEpoch, b.FirstSequence, b.Attributes)
		if b.Attributes&0x20 != 0 {
			fmt.Fprintf(&out, " % x", b.Records)
		}
		out.WriteString("; ")
		raw = raw[12+b.Length:]
	}
	return out.String()
}

// described says what DescribeTransactions and DescribeProducers say.
func (s *txnScript) described() {
	s.t.Helper()
	req := kmsg.NewPtrDescribeTransactionsRequest()
	req.TransactionalIDs = append([]string{"nobody"}, s.ids...)
	r := ask(s, 0, req, func(*kmsg.DescribeTransactionsResponse) int16 { return 0 })
	for _, x := range r.TransactionStates {
		s.say("described %s: code %d, %s, timeout %d, started %v, %s/%d, %v", x.TransactionalID, x.ErrorCode, x.State, x.TimeoutMillis, x.StartTimestamp > 0, s.name(x.ProducerID), x.ProducerEpoch, x.Topics)
	}
	preq := kmsg.NewPtrDescribeProducersRequest()
	preq.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: "t", Partitions: []int32{0}}}
	pr := ask(s, 0, preq, func(*kmsg.DescribeProducersResponse) int16 { return 0 })
	producers := map[string]string{}
	for _, p := range pr.Topics[0].Partitions[0].ActiveProducers {
		producers[s.name(p.ProducerID)] = fmt.Sprintf("epoch %d, sequence %d, open from %d, marked %v", p.ProducerEpoch, p.LastSequence, p.CurrentTxnStartOffset, p.CoordinatorEpoch >= 0)
	}
	s.say("producers: %v", producers)
}

// states says what the coordinator wrote.
func (s *txnScript) states() {
	s.t.Helper()
	adm := kadm.NewClient(s.cl)
	ends, err := adm.ListEndOffsets(s.ctx, "__transaction_state")
	must(s.t, err)
	byID := map[string][]string{}
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	reader, err := kgo.NewClient(append(s.cl.Opts(), kgo.ConsumeTopics("__transaction_state"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	must(s.t, err)
	defer reader.Close()
	for len(left) > 0 {
		fetches := reader.PollFetches(s.ctx)
		must(s.t, fetches.Err0())
		for it := fetches.RecordIter(); !it.Done(); {
			r := it.Next()
			key := kmsg.NewTxnMetadataKey()
			must(s.t, key.ReadFrom(r.Key))
			byID[key.TransactionalID] = append(byID[key.TransactionalID], s.state(r.Value))
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		}
	}
	for _, id := range s.ids {
		for _, v := range byID[id] {
			s.say("state of %s: %s", id, v)
		}
	}
}

func (s *txnScript) state(raw []byte) string {
	v := kmsg.NewTxnMetadataValue()
	must(s.t, v.ReadFrom(raw))
	if !bytes.Equal(v.AppendTo(nil), raw) {
		s.t.Errorf("%x has something that is not understood", raw)
	}
	topics := "null"
	slices.SortFunc(v.Topics, func(a, b kmsg.TxnMetadataValueTopic) int { return strings.Compare(a.Topic, b.Topic) })
	if v.Topics != nil {
		topics = fmt.Sprint(v.Topics)
	}
	return fmt.Sprintf("version %d, %s/%d, timeout %d, %v, %s, started %v, previous %s, next %s/%d, client %d, %d bytes", v.Version, s.name(v.ProducerID), v.ProducerEpoch, v.TimeoutMillis,
		int8(v.State), topics, v.StartTimestamp > 0, s.name(v.PreviousProducerID), s.name(v.NextProducerID), v.NextProducerEpoch, v.ClientTransactionVersion, len(raw))
}

const transactionalBit = 0x10

func (s *txnScript) run() string {
	s.t.Helper()
	two, one := "two", "one"
	s.init(two, 5, -1, -1)
	s.end(5, true, s.epoch)  // nothing to commit
	s.end(5, false, s.epoch) // nothing to abort, but the next epoch
	s.end(5, false, s.epoch-1)
	s.end(5, true, s.epoch-1)
	s.produce(12, &two, transactionalBit, s.pid, s.epoch)
	s.produce(12, &two, transactionalBit, s.pid, s.epoch)
	s.view()
	s.described()
	s.produce(12, &two, 0, s.pid, s.epoch) // not in the transaction
	s.produce(12, nil, transactionalBit, s.pid, s.epoch)
	s.produce(12, &two, transactionalBit, s.pid, s.epoch+1)
	s.produce(12, &two, transactionalBit, s.pid+1000, s.epoch)
	s.end(5, true, s.epoch+1)
	s.end(5, true, s.epoch)
	s.end(5, true, s.epoch-1) // again
	s.end(5, false, s.epoch-1)
	s.produce(12, &two, transactionalBit, s.pid, s.epoch-1) // late
	s.view()
	s.produce(12, &two, transactionalBit, s.pid, s.epoch)
	s.commitOffset(5, s.epoch)
	s.commitOffset(5, s.epoch+1)
	s.end(5, false, s.epoch)
	s.view()
	s.init(two, 5, s.pid, s.epoch)
	s.init(two, 5, s.pid, s.epoch-1) // again
	s.init(two, 5, s.pid, s.epoch-2)
	s.init(two, 5, s.pid+1000, s.epoch)
	s.produce(12, &two, transactionalBit, s.pid, s.epoch)
	s.init(two, 5, -1, -1) // aborts
	s.view()
	s.described()

	s.init(one, 4, -1, -1)
	s.end(3, true, s.epoch)
	s.end(3, false, s.epoch)
	s.produce(9, &one, transactionalBit, s.pid, s.epoch) // not added
	s.produce(11, &one, transactionalBit, s.pid, s.epoch)
	s.add(3, "t", "nowhere")
	s.add(3, "t")
	s.add(3, "t")
	s.produce(11, &one, transactionalBit, s.pid, s.epoch)
	s.commitOffset(3, s.epoch) // not added
	s.addOffsets(3, s.epoch+1)
	s.addOffsets(1, s.epoch+1)
	s.addOffsets(3, s.epoch)
	s.commitOffset(3, s.epoch)
	s.end(3, true, s.epoch+1)
	s.end(1, true, s.epoch+1)
	s.end(3, true, s.epoch)
	s.end(3, true, s.epoch)
	s.end(3, false, s.epoch)
	s.add(3, "t")
	s.produce(11, &one, transactionalBit, s.pid, s.epoch)
	s.end(3, false, s.epoch)
	s.end(3, false, s.epoch)
	s.init(one, 4, s.pid, s.epoch)
	s.view()
	s.described()
	s.states()
	return s.out.String()
}
