package protocol

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/sluicehub/sluice/log/segment"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// batch makes a batch of one record and lets edit change its bytes; the checksum is made anew.
func batch(timestamp int64, key, value []byte, edit func([]byte)) []byte {
	var b segment.Builder
	b.Add(timestamp, key, value)
	bytes := b.Batch()
	if edit != nil {
		edit(bytes)
		binary.BigEndian.PutUint32(bytes[17:], crc32.Checksum(bytes[21:], crc32.MakeTable(crc32.Castagnoli)))
	}
	return bytes
}

// sequenced makes a batch of n records of an idempotent producer.
func sequenced(id int64, epoch int16, sequence int32, n int) []byte {
	b := segment.Builder{Idempotent: true, ProducerID: id, ProducerEpoch: epoch, BaseSequence: sequence}
	for i := range n {
		b.Add(1_700_000_000_000, fmt.Appendf(nil, "k%d", i), []byte("value"))
	}
	return b.Batch()
}

// noteMade remembers the ids of topics that CreateTopics made.
func noteMade(n *node, resp kmsg.Response) {
	for _, t := range resp.(*kmsg.CreateTopicsResponse).Topics {
		n.ids[t.Topic] = t.TopicID
	}
}

// validationExchanges are batches that a leader must refuse, or take in its own way.
func validationExchanges(prefix string) []exchange {
	plain, compacted, small, stamped := prefix+"-v-plain", prefix+"-v-compacted", prefix+"-v-small", prefix+"-v-stamped"
	at, key, value := time.Now().UnixMilli(), []byte("k"), []byte("v")
	list := []exchange{
		{name: "create plain", once: true, version: 7, request: always(createTopic(plain, 1)), differs: ownDefaults, note: noteMade},
		{name: "create compacted", once: true, version: 7, request: always(createTopic(compacted, 1, "cleanup.policy", "compact")), differs: ownDefaults, note: noteMade},
		{name: "create small", once: true, version: 7, request: always(createTopic(small, 1, "max.message.bytes", "200", "message.timestamp.before.max.ms", "1000")), differs: ownDefaults, note: noteMade},
		{name: "create stamped", once: true, version: 7, request: always(createTopic(stamped, 1, "message.timestamp.type", "LogAppendTime")), differs: ownDefaults, note: noteMade},
		{name: "metadata of four", version: 12, request: metadata(plain, compacted, small, stamped), differs: []string{"LeaderEpoch"}},
	}
	add := func(name, topic string, records []byte, differs ...string) {
		list = append(list, exchange{name: name, once: true, version: 9, request: produce(topic, 0, -1, records), differs: append(differs, "LogStartOffset")})
	}
	u16 := func(at int, v uint16) func([]byte) {
		return func(b []byte) { binary.BigEndian.PutUint16(b[at:], v) }
	}
	u32 := func(at int, v uint32) func([]byte) {
		return func(b []byte) { binary.BigEndian.PutUint32(b[at:], v) }
	}
	add("a good batch", plain, batch(at, key, value, nil))
	add("without a key", compacted, batch(at, nil, value, nil))
	var some segment.Builder
	for _, k := range [][]byte{key, nil, key, nil} {
		some.Add(at, k, value)
	}
	add("some without a key", compacted, some.Batch())
	add("a tombstone", compacted, batch(at, key, nil, nil))
	add("too large", small, batch(at, key, make([]byte, 300), nil))
	add("too old", small, batch(at-3_600_000, key, value, nil))
	add("from the future", plain, batch(at+2*3_600_000, key, value, nil))
	add("time of the append", stamped, batch(at, key, value, nil), "LogAppendTime")
	add("two batches", plain, append(batch(at, key, value, nil), batch(at, key, value, nil)...))
	add("no batch", plain, []byte{})
	add("a wrong checksum", plain, func() []byte { b := batch(at, key, value, nil); b[len(b)-1] ^= 1; return b }())
	add("an old format", plain, func() []byte { b := batch(at, key, value, nil); b[16] = 1; return b }())
	add("a control batch", plain, batch(at, key, value, u16(21, segment.AttrControl)))
	add("a wrong count", plain, batch(at, key, value, u32(57, 2)))
	add("a wrong last offset", plain, batch(at, key, value, u32(23, 5)))
	add("another base offset", plain, batch(at, key, value, u32(4, 77)))
	add("cut short", plain, batch(at, key, value, nil)[:65])
	const id = 123456789
	add("a producer nobody knows, in the middle", plain, sequenced(id, 0, 5, 2))
	add("its next", plain, sequenced(id, 0, 7, 2))
	add("its next again", plain, sequenced(id, 0, 7, 2), "LogAppendTime") // Kafka shows the records' time
	add("a gap", plain, sequenced(id, 0, 20, 1))
	add("part of a duplicate", plain, sequenced(id, 0, 8, 1))
	add("the next epoch, in the middle", plain, sequenced(id, 1, 3, 1))
	add("the next epoch", plain, sequenced(id, 1, 0, 1))
	add("the epoch before", plain, sequenced(id, 0, 9, 1))
	list = append(list, exchange{name: "the end", version: 8, request: listOffset(plain, -1), differs: []string{"LeaderEpoch"}})
	return list
}
