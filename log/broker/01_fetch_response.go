package broker

import (
	"github.com/sluicehub/sluice/log"
	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// beside is from how many bytes on records are written from where they were read to; fewer are cheaper copied.
const beside = 16 << 10

// fetchEncoder encodes a FetchResponse as kmsg does, from version 4 on, except that it does not copy the records:
//
//	throttle i32 | v7: error i16, session i32 | topics: [ v13: id uuid, else name | partitions: [
//	  partition i32, error i16, high watermark i64, last stable i64 | v5: log start i64 |
//	  aborted: [ producer i64, first offset i64 ] | v11: preferred replica i32 | records bytes |
//	  v12: tag 0: diverging epoch i32, end offset i64 ] ]
//
// From version 12 on lengths are compact and every bracket, and the whole, ends with tags.
type fetchEncoder struct {
	buf      []byte
	flexible bool
	cuts     []cut
	loan     *loan
}

// cut says that records come after so many bytes of all else.
type cut struct {
	at      int
	records piece
}

// piece is a part of an answer: bytes, and records behind them that are still to be read, or nil.
type piece struct {
	bytes []byte
	rest  *log.Rest
}

// appendFetch returns buf and the response behind it in pieces that are to be written one after the other, and the memory
// of all but the records, for the next one. What follows the records in the response is in the loan.
func appendFetch(buf []byte, resp *kmsg.FetchResponse, loan *loan) (pieces []piece, all []byte) {
	e := &fetchEncoder{buf: buf, flexible: resp.Version >= 12, loan: loan}
	e.buf = kbin.AppendInt32(e.buf, resp.ThrottleMillis)
	if resp.Version >= 7 {
		e.buf = kbin.AppendInt16(e.buf, resp.ErrorCode)
		e.buf = kbin.AppendInt32(e.buf, resp.SessionID)
	}
	e.length(len(resp.Topics))
	for i := range resp.Topics {
		t := &resp.Topics[i]
		switch {
		case resp.Version >= fetchByID:
			e.buf = kbin.AppendUuid(e.buf, t.TopicID)
		case e.flexible:
			e.buf = kbin.AppendCompactString(e.buf, t.Topic)
		default:
			e.buf = kbin.AppendString(e.buf, t.Topic)
		}
		e.length(len(t.Partitions))
		for j := range t.Partitions {
			e.partition(&t.Partitions[j], resp.Version)
		}
		e.noTags()
	}
	e.noTags()
	return e.pieces(), e.buf
}

func (e *fetchEncoder) partition(p *kmsg.FetchResponseTopicPartition, version int16) {
	e.buf = kbin.AppendInt32(e.buf, p.Partition)
	e.buf = kbin.AppendInt16(e.buf, p.ErrorCode)
	e.buf = kbin.AppendInt64(e.buf, p.HighWatermark)
	e.buf = kbin.AppendInt64(e.buf, p.LastStableOffset)
	if version >= 5 {
		e.buf = kbin.AppendInt64(e.buf, p.LogStartOffset)
	}
	e.aborted(p.AbortedTransactions)
	if version >= 11 {
		e.buf = kbin.AppendInt32(e.buf, p.PreferredReadReplica)
	}
	e.records(p.RecordBatches)
	if !e.flexible {
		return
	}
	if p.DivergingEpoch.Epoch < 0 && p.DivergingEpoch.EndOffset < 0 {
		e.noTags()
		return
	}
	e.buf = append(e.buf, 1, 0, 4+8+1) // one tag, number 0, so many bytes
	e.buf = kbin.AppendInt32(e.buf, p.DivergingEpoch.Epoch)
	e.buf = kbin.AppendInt64(e.buf, p.DivergingEpoch.EndOffset)
	e.noTags()
}

// aborted encodes a list that is null for readers of uncommitted records.
func (e *fetchEncoder) aborted(all []kmsg.FetchResponseTopicPartitionAbortedTransaction) {
	if e.flexible {
		e.buf = kbin.AppendCompactNullableArrayLen(e.buf, len(all), all == nil)
	} else {
		e.buf = kbin.AppendNullableArrayLen(e.buf, len(all), all == nil)
	}
	for i := range all {
		e.buf = kbin.AppendInt64(e.buf, all[i].ProducerID)
		e.buf = kbin.AppendInt64(e.buf, all[i].FirstOffset)
		e.noTags()
	}
}

func (e *fetchEncoder) records(b []byte) {
	rest := e.loan.rest(b)
	n := len(b) + rest.Len()
	if e.flexible {
		e.buf = kbin.AppendUvarint(e.buf, uint32(n+1))
	} else {
		e.buf = kbin.AppendInt32(e.buf, int32(n))
	}
	if n < beside {
		e.buf = append(e.buf, b...)
		return
	}
	e.cuts = append(e.cuts, cut{len(e.buf), piece{b, rest}})
}

func (e *fetchEncoder) length(n int) {
	if e.flexible {
		e.buf = kbin.AppendCompactArrayLen(e.buf, n)
	} else {
		e.buf = kbin.AppendArrayLen(e.buf, n)
	}
}

func (e *fetchEncoder) noTags() {
	if e.flexible {
		e.buf = append(e.buf, 0)
	}
}

// pieces puts the records back in their places.
func (e *fetchEncoder) pieces() []piece {
	out, done := make([]piece, 0, 2*len(e.cuts)+1), 0
	for _, c := range e.cuts {
		out = append(out, piece{bytes: e.buf[done:c.at]}, c.records)
		done = c.at
	}
	return append(out, piece{bytes: e.buf[done:]})
}
