package broker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluicehub/sluice/log"
	"github.com/sluicehub/sluice/log/segment"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fill makes a topic "t" with batches of one record of 20,000 bytes and returns a Fetch of all of it, and how many
// bytes they have.
func (s *started) fill(batches int) (req *kmsg.FetchRequest, size int) {
	s.t.Helper()
	topic, err := s.log.CreateTopic("t", log.TopicID{}, 1, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for range batches {
		var b segment.Builder
		b.Add(time.Now().UnixMilli(), nil, bytes.Repeat([]byte("r"), 20_000))
		size += len(b.Batch())
		if _, err := topic.Partitions()[0].Append(s.t.Context(), b.Batch(), log.AppendOptions{}); err != nil {
			s.t.Fatal(err)
		}
	}
	req = kmsg.NewPtrFetchRequest()
	req.Version, req.MinBytes, req.MaxBytes, req.SessionEpoch = 11, 1, 50<<20, -1
	req.Topics = []kmsg.FetchRequestTopic{{Topic: "t", Partitions: []kmsg.FetchRequestTopicPartition{{CurrentLeaderEpoch: -1, PartitionMaxBytes: 50 << 20}}}}
	return req, size
}

// ask sends a request in process, where 256 KiB of an answer are on their way and no more, and waits for its size.
func (s *started) ask(req kmsg.Request) (c net.Conn, size int) {
	s.t.Helper()
	c, err := s.b.Dial(s.t.Context(), "", "")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(4 * time.Minute))
	if _, err := c.Write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 1)); err != nil {
		s.t.Fatal(err)
	}
	var b [4]byte
	if _, err := io.ReadFull(c, b[:]); err != nil {
		s.t.Fatal(err)
	}
	return c, int(binary.BigEndian.Uint32(b[:]))
}

// nothingLent waits until no answer takes memory.
func (s *started) nothingLent() {
	s.t.Helper()
	for end := time.Now().Add(4 * time.Minute); s.b.buffers.lent.Load() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("%d bytes are lent for ever", s.b.buffers.lent.Load())
		}
	}
}

// TestLargeAnswersTakeLittleMemory: a hundred that have been told of megabytes and do not read them take a piece each;
// who goes away gives it back, and who stays gets all that he was told of, though the topic is deleted meanwhile.
func TestLargeAnswersTakeLittleMemory(t *testing.T) {
	s := start(t, t.TempDir())
	req, want := s.fill(200)
	conns := make([]net.Conn, 100)
	sizes := 0
	for i := range conns {
		var size int
		conns[i], size = s.ask(req)
		sizes += size
	}
	if lent, most := s.b.buffers.lent.Load(), int64(len(conns)*fetchPiece); lent != most || sizes < len(conns)*want {
		t.Errorf("%d bytes are lent for answers of %d, want %d", lent, sizes, most)
	}
	if err := s.log.DeleteTopic("t"); err != nil {
		t.Fatal(err)
	}
	for _, c := range conns[1:] {
		c.Close()
	}
	b := make([]byte, sizes/len(conns))
	if _, err := io.ReadFull(conns[0], b); err != nil {
		t.Fatal(err)
	}
	resp := req.ResponseKind()
	if err := resp.ReadFrom(b[4:]); err != nil {
		t.Fatal(err)
	}
	records, got := resp.(*kmsg.FetchResponse).Topics[0].Partitions[0].RecordBatches, 0
	for rest := records; len(rest) > 0; got++ {
		_, one, err := segment.ParseBatch(rest)
		if err != nil {
			t.Fatal(err)
		}
		rest = rest[len(one):]
	}
	if got != 200 || len(records) != want {
		t.Errorf("%d batches of %d bytes, want 200 of %d", got, len(records), want)
	}
	s.nothingLent()
}

// TestDamageInALargeAnswer: the answer ends where the damage is, and so does the connection. A consumer gets all that is
// before it, and then is told.
func TestDamageInALargeAnswer(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	const good = 40
	req, _ := s.fill(50)
	s.stop()
	path := filepath.Join(dir, "t-0", segment.FileName(0, segment.LogSuffix))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[good*(len(b)/50)+1000] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s = start(t, dir)
	c, size := s.ask(req)
	if n, err := io.Copy(io.Discard, c); err != nil || n < good*20_000 || n >= int64(size) {
		t.Errorf("%d of %d bytes, %v", n, size, err)
	}
	s.nothingLent()
	consumer := s.client(false, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"t": {0: kgo.NewOffset().At(0)}}), kgo.FetchMaxPartitionBytes(50<<20))
	if got := consume(t, consumer, good); len(got[0]) != good {
		t.Errorf("%d records, want %d", len(got[0]), good)
	}
	if err := consumer.PollFetches(context60(t)).Err(); !errors.Is(err, kerr.InvalidRecord) {
		t.Errorf("at the damage: %v", err)
	}
}
