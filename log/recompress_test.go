package log

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/sluicehub/sluice/log/segment"
)

func TestCompressionTypeOfTheTopic(t *testing.T) {
	l, err := Open(Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, tt := range []struct {
		config, level string
		codec         int
	}{
		{"uncompressed", "", segment.CodecNone}, {"gzip", "9", segment.CodecGzip}, {"gzip", "-1", segment.CodecGzip}, {"snappy", "", segment.CodecSnappy},
		{"lz4", "9", segment.CodecLZ4}, {"lz4", "17", segment.CodecLZ4}, {"zstd", "22", segment.CodecZstd}, {"zstd", "-5", segment.CodecZstd},
	} {
		name := fmt.Sprintf("t-%s-%s", tt.config, tt.level)
		configs := map[string]string{"compression.type": tt.config, "message.timestamp.type": "LogAppendTime"}
		if tt.level != "" {
			configs["compression."+tt.config+".level"] = tt.level
		}
		topic, err := l.CreateTopic(name, TopicID{}, 1, configs)
		if err != nil {
			t.Fatal(err)
		}
		p, _ := topic.Partition(0)
		for from := range segment.CodecZstd + 1 {
			if _, err := p.Append(t.Context(), compressedBatch(t, from, int32(from*10)), AppendOptions{CheckRecords: true}); err != nil {
				t.Fatalf("%s from codec %d: %v", name, from, err)
			}
		}
		if again, err := p.Append(t.Context(), compressedBatch(t, segment.CodecZstd, 40), AppendOptions{}); err != nil || !again.Duplicate {
			t.Errorf("%s: sent again: %+v, %v", name, again, err)
		}
		res, err := p.Read(0, ReadOptions{MaxBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		records := 0
		for b := res.Batches; len(b) > 0; {
			h, batch, err := segment.ParseBatch(b)
			if err != nil {
				t.Fatal(err)
			}
			if h.Codec() != tt.codec || h.ProducerID != 7 || !h.LogAppendTime() {
				t.Errorf("%s: batch at %d has codec %d, producer %d, LogAppendTime %t", name, h.BaseOffset, h.Codec(), h.ProducerID, h.LogAppendTime())
			}
			for rec, err := range segment.Records(&h, batch) {
				if err != nil {
					t.Fatal(err)
				}
				if want := fmt.Sprintf("k%d", records%10); string(rec.Key) != want || rec.Offset != int64(records) {
					t.Fatalf("%s: record %d has offset %d, key %q", name, records, rec.Offset, rec.Key)
				}
				records++
			}
			b = b[len(batch):]
		}
		if records != 50 {
			t.Errorf("%s: %d records, want 50", name, records)
		}
	}
}

func TestRecompressedBatchMayBeTooLarge(t *testing.T) {
	l, err := Open(Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	topic, err := l.CreateTopic("t", TopicID{}, 1, map[string]string{"compression.type": "uncompressed", "max.message.bytes": "600"})
	if err != nil {
		t.Fatal(err)
	}
	p, _ := topic.Partition(0)
	if _, err := p.Append(t.Context(), compressedBatch(t, segment.CodecGzip, 0), AppendOptions{}); !errors.Is(err, ErrMessageTooLarge) {
		t.Errorf("append: %v, want ErrMessageTooLarge", err)
	}
	if p.LogEnd() != 0 {
		t.Errorf("the log end is %d", p.LogEnd())
	}
}

// compressedBatch is ten records of producer 7, easy to compress.
func compressedBatch(t *testing.T, codec int, sequence int32) []byte {
	t.Helper()
	b := segment.Builder{Idempotent: true, ProducerID: 7, BaseSequence: sequence}
	for i := range 10 {
		b.Add(1_700_000_000_000+int64(i), fmt.Appendf(nil, "k%d", i), bytes.Repeat([]byte("value "), 20))
	}
	h, batch, err := segment.ParseBatch(b.Batch())
	if err != nil {
		t.Fatal(err)
	}
	c, err := segment.NewCompressor(codec, segment.DefaultLevel)
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.Convert(nil, &h, batch)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
