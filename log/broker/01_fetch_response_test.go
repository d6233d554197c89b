package broker

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestFetchResponseIsEncodedAsKmsgDoes compares the bytes of both in every version that is served.
func TestFetchResponseIsEncodedAsKmsgDoes(t *testing.T) {
	large := bytes.Repeat([]byte("record"), beside)
	for version := int16(4); version <= 18; version++ {
		for what, resp := range map[string]*kmsg.FetchResponse{
			"nothing":    {ThrottleMillis: 7, ErrorCode: 71, SessionID: 5},
			"small":      fetchResponse([]byte("records")),
			"large":      fetchResponse(large),
			"both":       fetchResponse(large, []byte{}, []byte("records"), large, large),
			"no records": fetchResponse([]byte{}),
		} {
			t.Run(fmt.Sprintf("v%d %s", version, what), func(t *testing.T) {
				p := pending{correlation: 77, version: version, flexible: version >= 12, loan: new(loan)}
				pieces, _ := p.encode(nil, resp)
				var got []byte
				for _, piece := range pieces {
					got = append(got, piece.bytes...)
				}
				header := []byte{0, 0, 0, 77}
				if p.flexible {
					header = append(header, 0)
				}
				want := resp.AppendTo(header)
				if size := int(got[0])<<24 | int(got[1])<<16 | int(got[2])<<8 | int(got[3]); size != len(want) {
					t.Errorf("size %d, want %d", size, len(want))
				}
				if !bytes.Equal(got[4:], want) {
					t.Error(cmp.Diff(want, got[4:]))
				}
			})
		}
	}
}

// fetchResponse has all that answers of this broker can have.
func fetchResponse(records ...[]byte) *kmsg.FetchResponse {
	resp := kmsg.NewPtrFetchResponse()
	resp.ThrottleMillis, resp.SessionID = 9, 3
	for i, b := range records {
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic, topic.TopicID = fmt.Sprint("topic-", i), [16]byte{1, byte(i)}
		p := kmsg.NewFetchResponseTopicPartition()
		p.Partition, p.HighWatermark, p.LastStableOffset, p.LogStartOffset, p.RecordBatches = int32(i), 100, 90, 10, b
		other := p
		other.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 1, FirstOffset: 2}, {ProducerID: 3, FirstOffset: 4}}
		other.DivergingEpoch.Epoch, other.DivergingEpoch.EndOffset = 4, 50
		none := p
		none.ErrorCode, none.AbortedTransactions = 1, []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
		topic.Partitions = append(topic.Partitions, p, other, none)
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}
