package broker

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestFetchDoesNotWaitForMoreThanItMayHave: who waits for more bytes than an answer may hold has it when it is full.
func TestFetchDoesNotWaitForMoreThanItMayHave(t *testing.T) {
	s := start(t, t.TempDir())
	producer := s.client(true, kgo.AllowAutoTopicCreation(), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err := producer.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: make([]byte, 3000)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = 10*60_000, 10_000, 2000, -1
	req.Topics = []kmsg.FetchRequestTopic{{Topic: "t", Partitions: []kmsg.FetchRequestTopicPartition{{CurrentLeaderEpoch: -1, PartitionMaxBytes: 1 << 20}}}}
	ctx := context60(t)
	wait, err := s.b.fetch(&request{c: &conn{b: s.b, inProcess: true}, ctx: ctx, version: 11, loan: &loan{from: &s.b.buffers}}, req)
	if err != nil {
		t.Fatal(err)
	}
	if p := wait().(*kmsg.FetchResponse).Topics[0].Partitions[0]; p.ErrorCode != 0 || len(p.RecordBatches) < 3000 || ctx.Err() != nil {
		t.Errorf("error %d, %d bytes, %v", p.ErrorCode, len(p.RecordBatches), ctx.Err())
	}
}
