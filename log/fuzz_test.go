package log

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/sluicehub/sluice/log/segment"
)

// FuzzSnapshot: whatever is accepted is encoded again to the same state.
func FuzzSnapshot(f *testing.F) {
	ps := producers{}
	f.Add(encodeSnapshot(ps))
	for i := range 9 {
		h := segment.Header{ProducerID: int64(i % 2), BaseOffset: int64(i), BaseSequence: int32(i / 2), Attributes: int16(i%2) * segment.AttrTransactional}
		if err := ps.replay(&h, nil, testNow, new(transactions), nil); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(encodeSnapshot(ps))
	ended := ps[1]
	ended.end(segment.Marker{ProducerID: 1, ProducerEpoch: 1, CoordinatorEpoch: 7}, testNow)
	ps[1] = ended
	f.Add(encodeSnapshot(ps))
	f.Add(encodeSnapshot(ps)[:40])
	f.Fuzz(func(t *testing.T, b []byte) {
		ps, err := decodeSnapshot(b)
		if err != nil {
			return
		}
		again, err := decodeSnapshot(encodeSnapshot(ps))
		if err != nil || fmt.Sprint(again) != fmt.Sprint(ps) {
			t.Errorf("%v, %v; want %v", again, err, ps)
		}
	})
}

// FuzzCheckpoints: the small text files decode to something that encodes to
// the same, or fail.
func FuzzCheckpoints(f *testing.F) {
	f.Add(encodeEpochs([]EpochStart{{0, 0}, {3, 10}}))
	f.Add(encodeCheckpoint([]string{"t 0 5"}))
	f.Add(encodeMeta(meta{"abc", 4}))
	f.Add(encodePartitionMeta(TopicID{1, 2}))
	topics, err := encodeTopics([]topicRecord{{Name: "a", ID: "x", Partitions: 3, Configs: map[string]string{"a": "b"}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(topics)
	hint := encodeDurable(77)
	f.Add(hint[:])
	f.Fuzz(func(t *testing.T, b []byte) {
		if es, err := decodeEpochs(b); err == nil {
			if again, err := decodeEpochs(encodeEpochs(es)); err != nil || fmt.Sprint(again) != fmt.Sprint(es) {
				t.Errorf("epochs %v, %v; want %v", again, err, es)
			}
		}
		if m, err := decodeMeta(b); err == nil {
			if again, err := decodeMeta(encodeMeta(m)); err != nil || again != m {
				t.Errorf("meta %v, %v; want %v", again, err, m)
			}
		}
		if id, err := decodePartitionMeta(b); err == nil {
			if again, err := decodePartitionMeta(encodePartitionMeta(id)); err != nil || again != id {
				t.Errorf("topic id %v, %v; want %v", again, err, id)
			}
		}
		if o, ok := decodeDurable(b); ok {
			if again := encodeDurable(o); !bytes.Equal(again[:], b) {
				t.Errorf("durable end %x, want %x", again, b)
			}
		}
		if ts, err := decodeTopics(b); err == nil {
			again, err := encodeTopics(ts)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := decodeTopics(again); err != nil {
				t.Error(err)
			}
		}
		if _, err := decodeCheckpoint(b, 3); err == nil && !bytes.HasPrefix(b, []byte("0\n")) {
			t.Error("a checkpoint of another version was accepted")
		}
	})
}
