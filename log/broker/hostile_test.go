package broker

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehub/sluice/log"
	"github.com/sluicehub/sluice/log/segment"
	"github.com/sluicehub/sluice/log/vfs"
	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// dial opens a plain connection that fails the test instead of hanging it.
func (s *started) dial() net.Conn {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(60 * time.Second))
	s.t.Cleanup(func() { c.Close() })
	return c
}

// closed waits until the broker has closed c.
func closed(t *testing.T, what string, c net.Conn) {
	t.Helper()
	if n, err := io.Copy(io.Discard, c); n != 0 || isTimeout(err) {
		t.Fatalf("%s: got %d bytes, %v; want the connection closed", what, n, err)
	}
}

func isTimeout(err error) bool {
	ne, ok := err.(net.Error)
	return ok && ne.Timeout()
}

func TestHostileBytesHarmNobodyElse(t *testing.T) {
	s := start(t, t.TempDir())
	good := s.client(false, kgo.AllowAutoTopicCreation())
	produce(t, good, "t", 0, 10)
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	for what, bytes := range map[string][]byte{
		"2 GiB announced":    {0x7f, 0xff, 0xff, 0xff, 0, 18, 0, 3},
		"negative size":      {0xff, 0xff, 0xff, 0xff},
		"nothing announced":  {0, 0, 0, 0},
		"http":               []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"tls":                {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3},
		"unknown api":        {0, 0, 0, 10, 0x7f, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff},
		"negative api":       {0, 0, 0, 10, 0xff, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff},
		"truncated metadata": {0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff},
	} {
		c := s.dial()
		if _, err := c.Write(bytes); err != nil {
			t.Fatal(err)
		}
		closed(t, what, c)
	}
	var after runtime.MemStats
	runtime.ReadMemStats(&after)
	if grown := int64(after.TotalAlloc - before.TotalAlloc); grown > 64<<20 {
		t.Errorf("%d MiB were allocated for lies", grown>>20)
	}
	produce(t, good, "t", 10, 20)
}

// used is the processor time that this process has taken.
func used(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// lie is a frame without a client id.
func lie(key, version byte, afterClientID ...byte) []byte {
	frame := append([]byte{0, key, 0, version, 0, 0, 0, 1, 0xff, 0xff}, afterClientID...)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...)
}

// TestLiesCostWhatTheirBytesDo sends frames that announce far more than they hold, to a listener that wants no login and
// to one that does.
func TestLiesCostWhatTheirBytesDo(t *testing.T) {
	s := start(t, t.TempDir())
	locked := s.door(Listener{SASL: []string{ScramSHA512}})
	many := []byte{0xff, 0xff, 0xff, 0xff, 0x0f} // as a varint
	// As many topics as there are bytes, where each takes 18, and as many as there is room for, without a name.
	zeros := lie(3, 12, append(kbin.AppendUvarint([]byte{0}, 99<<20), make([]byte, 99<<20)...)...)
	nameless := lie(3, 4, append(kbin.AppendInt32(nil, 10<<20), make([]byte, 20<<20)...)...)
	for what, c := range map[string]struct {
		at    string
		frame []byte
	}{
		"header":          {s.addr, lie(3, 12, many...)},
		"header, login":   {locked, lie(18, 3, many...)},
		"body":            {s.addr, lie(9, 10, slices.Concat([]byte{0, 1, 0}, many)...)},
		"body, login":     {locked, lie(18, 3, slices.Concat([]byte{0, 1, 1}, many)...)},
		"password, login": {locked, lie(36, 2, slices.Concat([]byte{0, 1}, many)...)},
		"element":         {s.addr, lie(3, 12, slices.Concat([]byte{0, 2}, make([]byte, 16+1), many)...)},
		"tagged field":    {s.addr, lie(1, 18, slices.Concat(make([]byte, 1+21), []byte{1, 1, 1, 1, 1, 12 + 5}, make([]byte, 12), many)...)},
		"zeros":           {s.addr, zeros},
		"nameless":        {s.addr, nameless},
	} {
		t.Run(what, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := used(t)
			nc, err := net.Dial("tcp", c.at)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			nc.SetDeadline(time.Now().Add(4 * time.Minute))
			if _, err := nc.Write(c.frame); err != nil {
				t.Fatal(err)
			}
			closed(t, what, nc)
			took := used(t) - began
			runtime.ReadMemStats(&after)
			if most := 2*time.Second + time.Duration(len(c.frame))*40; took > most {
				t.Errorf("took %v of the processor; want at most %v", took, most)
			}
			if got, most := after.TotalAlloc-before.TotalAlloc, uint64(8<<20+3*len(c.frame)); got > most {
				t.Errorf("%d MiB were allocated; want at most %d", got>>20, most>>20)
			}
		})
	}
}

// crowded is a listener that finds the process without a descriptor, a few times.
type crowded struct {
	net.Listener
	times int
}

func (c *crowded) Accept() (net.Conn, error) {
	if c.times--; c.times >= 0 {
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return c.Listener.Accept()
}

func TestListenerSurvivesTooManyFiles(t *testing.T) {
	s := start(t, t.TempDir())
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.b.Serve(&crowded{inner, 2}, Listener{Advertised: InProcess}) }()
	c, err := net.Dial("tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(60 * time.Second))
	req := kmsg.NewPtrApiVersionsRequest()
	if _, err := c.Write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 8)); err != nil {
		t.Fatalf("no answer: %v", err)
	}
	if err := s.b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestSlowLorisIsCutOff(t *testing.T) {
	s := start(t, t.TempDir(), func(o *Options) { o.RequestTimeout = 100 * time.Millisecond })
	c := s.dial()
	if _, err := c.Write([]byte{0, 0, 1, 0, 0}); err != nil {
		t.Fatal(err)
	}
	closed(t, "a byte of 256", c)
}

func TestVersionFromTheFutureIsToldWhatThereIs(t *testing.T) {
	s := start(t, t.TempDir())
	c := s.dial()
	if _, err := c.Write([]byte{0, 0, 0, 11, 0, 18, 0, 99, 0, 0, 0, 7, 0xff, 0xff, 0}); err != nil {
		t.Fatal(err)
	}
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(c, body); err != nil {
		t.Fatal(err)
	}
	resp := kmsg.NewPtrApiVersionsResponse()
	if err := resp.ReadFrom(body[4:]); err != nil {
		t.Fatal(err)
	}
	if binary.BigEndian.Uint32(body) != 7 || resp.ErrorCode != 35 || len(resp.ApiKeys) != 1 || resp.ApiKeys[0].ApiKey != 18 || resp.ApiKeys[0].MaxVersion < 4 {
		t.Fatalf("correlation %x, %+v", body[:4], resp)
	}
}

func TestAPIVersions(t *testing.T) {
	s := start(t, t.TempDir())
	ask := func(cluster *string, node int32) *kmsg.ApiVersionsResponse {
		t.Helper()
		req := kmsg.NewPtrApiVersionsRequest()
		req.ClusterID, req.NodeID, req.ClientSoftwareName, req.ClientSoftwareVersion = cluster, node, "test", "1"
		resp, err := s.client(false).SeedBrokers()[0].Request(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		return resp.(*kmsg.ApiVersionsResponse)
	}
	id := s.log.ClusterID()
	resp := ask(&id, nodeID)
	for _, k := range resp.ApiKeys {
		if k.ApiKey == 0 && k.MinVersion != 0 {
			t.Errorf("Produce is advertised from %d: old librdkafka then stops compressing", k.MinVersion)
		}
	}
	if len(resp.ApiKeys) < 40 || resp.ErrorCode != 0 {
		t.Errorf("%+v", resp)
	}
	if resp := ask(kmsg.StringPtr("another"), nodeID); resp.ErrorCode != kerr.RebootstrapRequired.Code {
		t.Errorf("another cluster: %d", resp.ErrorCode)
	}
	if resp := ask(&id, nodeID+1); resp.ErrorCode != kerr.RebootstrapRequired.Code {
		t.Errorf("another node: %d", resp.ErrorCode)
	}
	if resp := ask(&id, -1); resp.ErrorCode != kerr.InvalidRequest.Code {
		t.Errorf("a cluster and no node: %d", resp.ErrorCode)
	}
}

func FuzzRequest(f *testing.F) {
	l, err := log.Open(log.Options{Dir: "/fuzz", FS: vfs.NewMem()})
	if err != nil {
		f.Fatal(err)
	}
	b, err := New(Options{Log: l})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { b.Close(); l.Close() })
	if _, err := l.CreateTopic("t", log.TopicID{}, 1, nil); err != nil {
		f.Fatal(err)
	}
	var batch segment.Builder
	batch.Add(1, []byte("k"), []byte("v"))
	produce := kmsg.NewPtrProduceRequest()
	produce.Acks = -1
	produce.Topics = []kmsg.ProduceRequestTopic{{Topic: "t", Partitions: []kmsg.ProduceRequestTopicPartition{{Records: batch.Batch()}}}}
	fetch := kmsg.NewPtrFetchRequest()
	fetch.Topics = []kmsg.FetchRequestTopic{{Topic: "t", Partitions: []kmsg.FetchRequestTopicPartition{{PartitionMaxBytes: 1000, CurrentLeaderEpoch: -1}}}}
	for _, req := range []kmsg.Request{produce, fetch, kmsg.NewPtrMetadataRequest(), kmsg.NewPtrApiVersionsRequest(), kmsg.NewPtrOffsetFetchRequest()} {
		api := b.apis[req.Key()]
		for _, v := range []int16{api.min, api.max} {
			req.SetVersion(v)
			frame := binary.BigEndian.AppendUint16(nil, uint16(req.Key()))
			frame = binary.BigEndian.AppendUint16(frame, uint16(v))
			frame = append(frame, 0, 0, 0, 1, 0xff, 0xff)
			if req.IsFlexible() {
				frame = append(frame, 0)
			}
			f.Add(req.AppendTo(frame))
		}
	}
	// Many tagged fields are announced in a header, and in a body.
	f.Add(lie(9, 10, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 1, 0, 0)[4:])
	f.Add(lie(18, 3, 0, 1, 1, 0xff, 0xff, 0xff, 0xff, 0x0f)[4:])
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) < 8 {
			return
		}
		switch key := binary.BigEndian.Uint16(frame); key {
		case 1, 11, 14: // these may wait as long as the request says
			return
		case 19, 37: // these make as many partitions as the request says
			return
		}
		began := used(t)
		defer func() {
			if took := used(t) - began; took > 2*time.Second {
				t.Errorf("took %v of the processor", took)
			}
		}()
		client, server := newPipe()
		defer client.Close()
		c := newConn(b, server, &Listener{Advertised: InProcess}, false)
		defer c.cancel()
		if err := c.handle(frame); err != nil {
			return
		}
		select {
		case p := <-c.pending:
			if resp := p.wait(); resp != nil {
				resp.SetVersion(p.version)
				resp.AppendTo(nil)
			}
		default:
		}
	})
}
