package plugins

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/sluicehub/sluice/plugins/pluginpb"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// carriers are messages with a batch of n bytes.
func carriers(n int) []proto.Message {
	records := func() *pluginpb.Records {
		frames := make([]byte, n)
		for i := range frames {
			frames[i] = byte(i * 7)
		}
		return &pluginpb.Records{Schemas: []*pluginpb.Schema{{Id: 1, Text: []byte("text")}}, Topics: []string{"a", "b"}, Count: 3, Frames: frames}
	}
	return []proto.Message{
		&pluginpb.ToTask{What: &pluginpb.ToTask_Put{Put: &pluginpb.Put{Records: records(), From: &pluginpb.TopicPartition{Topic: "a", Partition: 1}, End: 9}}},
		&pluginpb.FromTask{What: &pluginpb.FromTask_Batch{Batch: &pluginpb.SourceBatch{Records: records(), EventTime: 5, Eof: true}}},
	}
}

// pieces cuts what was marshalled as the connection does.
func pieces(data mem.BufferSlice, size int) mem.BufferSlice {
	var cut mem.BufferSlice
	for piece := range slices.Chunk(data.Materialize(), size) {
		cut = append(cut, mem.SliceBuffer(piece))
	}
	return cut
}

func TestCodec(t *testing.T) {
	for _, n := range []int{0, 1, minApart - 1, minApart, 100_000, 2 << 20} {
		for i, want := range carriers(n) {
			for _, size := range []int{20, 16 << 10, 8 << 20} {
				here, there := newCodec(newMemory()), newCodec(newMemory())
				data, err := here.Marshal(carriers(n)[i])
				if err != nil {
					t.Fatal(err)
				}
				got := want.ProtoReflect().New().Interface()
				if err := there.Unmarshal(pieces(data, size), got); err != nil {
					t.Fatal(err)
				}
				if !proto.Equal(want, got) {
					t.Fatalf("%d bytes in pieces of %d: %.1000v", n, size, got)
				}
				plain := want.ProtoReflect().New().Interface() // the codec of whoever knows nothing of ours
				if err := proto.Unmarshal(data.Materialize(), plain); err != nil {
					t.Fatal(err)
				}
				if !proto.Equal(want, plain) {
					t.Fatalf("%d bytes, read by any codec: %.1000v", n, plain)
				}
			}
		}
	}
}

// TestCodecMemory sees the memory of frames come back when they are sent, and not before.
func TestCodecMemory(t *testing.T) {
	c := newCodec(newMemory())
	m := carriers(minApart)[0].(*pluginpb.ToTask)
	frames := m.GetPut().GetRecords().Frames
	data, err := c.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.memory) > 0 {
		t.Fatal("the memory of frames was given back before they were sent")
	}
	data.Free()
	if got := c.memory.take(minApart); len(got) != 0 || &got[:1][0] != &frames[0] {
		t.Fatal("the memory of frames was not given back")
	}
}

// FuzzCodec reads any bytes as gRPC's own codec does, or refuses them.
func FuzzCodec(f *testing.F) {
	for _, n := range []int{3, minApart} {
		for _, m := range carriers(n) {
			data, err := newCodec(newMemory()).Marshal(m)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data.Materialize(), uint16(len(data.Materialize())))
		}
	}
	f.Add([]byte{58, 4, 10, 2, 34, 0}, uint16(6))                          // frames that belong to nothing
	f.Add([]byte{58, 5, 10, 3, 34, 1, 1, 58, 4, 10, 2, 34, 0}, uint16(13)) // frames twice
	f.Fuzz(func(t *testing.T, b []byte, size uint16) {
		var got, want pluginpb.ToTask
		err := newCodec(newMemory()).Unmarshal(pieces(mem.BufferSlice{mem.SliceBuffer(b)}, max(1, int(size))), &got)
		if errors.Is(err, errNonsense) {
			return
		}
		if other := proto.Unmarshal(bytes.Clone(b), &want); (err == nil) != (other == nil) {
			t.Fatalf("%v, but %v", err, other)
		}
		if err == nil && !proto.Equal(&want, &got) {
			t.Fatalf("%v, but %v", &got, &want)
		}
	})
}

func TestReceiving(t *testing.T) {
	r := &receiving{}
	for _, n := range []int{1, maxPiece, 0, 100, maxPiece + 1, 2000, 3 * maxPiece, maxPiece} {
		b := r.Get(n)
		if len(*b) != n {
			t.Fatalf("%d bytes asked for, %d had", n, len(*b))
		}
		*b = (*b)[:n/2] // gRPC cuts what pads a frame
		r.Put(b)
	}
}
