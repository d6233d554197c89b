package plugins

import (
	"fmt"
	"slices"
	"sync"

	"github.com/sluicehub/sluice/plugins/pluginpb"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	protobuf "google.golang.org/protobuf/proto"
)

// codec writes and reads messages as gRPC's own codec for protobuf does, but does not copy the frames of a batch
// into the message, and copies them once on their way out of it, into memory that is used again. gRPC's own copies
// them three times more, and has no memory to use again for messages beyond 1 MiB.
//
// Frames stand at the end of the message, apart from the rest of the batch. In protobuf, the parts of a message that is
// there twice are put together, so any codec reads what this one writes:
//
//	ToTask | FromTask   put | batch   everything but the frames
//	                    put | batch   records   frames     to the end
//
// A message that is laid out in another way is read by gRPC's own codec.
type codec struct {
	encoding.CodecV2 // for all that has no frames
	memory           memory
}

func newCodec(m memory) *codec { return &codec{encoding.GetCodecV2(proto.Name), m} }

// minApart is how many bytes of frames it takes to let them stand apart. gRPC hands back no memory of less than 1 KiB.
const minApart = 4 << 10

// framesField is the number of frames in Records; records is that of Records in Put and in SourceBatch.
const framesField, recordsField = 4, 1

// carried returns the records in a message that has a batch, and the numbers of the fields down to their frames.
func carried(v any) (*pluginpb.Records, [3]protowire.Number) {
	switch m := v.(type) {
	case *pluginpb.ToTask:
		return m.GetPut().GetRecords(), [3]protowire.Number{7, recordsField, framesField}
	case *pluginpb.FromTask:
		return m.GetBatch().GetRecords(), [3]protowire.Number{6, recordsField, framesField}
	}
	return nil, [3]protowire.Number{}
}

// Marshal implements encoding.CodecV2. It takes the frames out of a message: their memory is used for others as soon as
// they are sent.
func (c *codec) Marshal(v any) (mem.BufferSlice, error) {
	records, path := carried(v)
	frames := records.GetFrames()
	if len(frames) < minApart {
		data, err := c.CodecV2.Marshal(v)
		if err == nil && records != nil {
			records.Frames = nil
			c.memory.give(frames)
		}
		return data, err
	}
	records.Frames = nil
	data, err := c.CodecV2.Marshal(v)
	if err != nil {
		return nil, err
	}
	return append(data, mem.SliceBuffer(framesHead(path, len(frames))), mem.NewBuffer(&frames, c.memory)), nil
}

// framesHead is what stands before frames that stand apart.
func framesHead(path [3]protowire.Number, n int) []byte {
	var head []byte
	for _, number := range slices.Backward(path[:]) { // from the inside to the outside
		inner := head
		head = protowire.AppendTag(nil, number, protowire.BytesType)
		head = append(protowire.AppendVarint(head, uint64(len(inner)+n)), inner...)
	}
	return head
}

// Unmarshal implements encoding.CodecV2.
func (c *codec) Unmarshal(data mem.BufferSlice, v any) error {
	_, path := carried(v)
	if path[0] == 0 || len(data) == 0 {
		return c.CodecV2.Unmarshal(data, v)
	}
	total := data.Len()
	first := data[0].ReadOnlyData()
	head, start, ok := apart(first, total, path)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	if err := protobuf.Unmarshal(first[:head], v.(protobuf.Message)); err != nil {
		return err
	}
	records, _ := carried(v)
	if records == nil || records.Frames != nil {
		return fmt.Errorf("%w: frames that belong to nothing", errNonsense)
	}
	frames := append(c.memory.take(total-start), first[start:]...)
	for _, piece := range data[1:] {
		frames = append(frames, piece.ReadOnlyData()...)
	}
	records.Frames = frames
	return nil
}

// apart finds frames that stand apart, from the first bytes of a message: where what stands before them ends, and where
// they begin.
func apart(first []byte, total int, path [3]protowire.Number) (head, start int, ok bool) {
	for head < len(first) {
		if start, ok = descend(first, head, total, path); ok {
			return head, start, true
		}
		_, _, n := protowire.ConsumeField(first[head:])
		if n < 0 {
			return 0, 0, false
		}
		head += n
	}
	return 0, 0, false
}

// descend goes down the path from at, and reports false if there is anything else on the way, or behind.
func descend(first []byte, at, total int, path [3]protowire.Number) (start int, ok bool) {
	for _, want := range path {
		number, kind, n := protowire.ConsumeTag(first[at:])
		if n < 0 || number != want || kind != protowire.BytesType {
			return 0, false
		}
		at += n
		size, n := protowire.ConsumeVarint(first[at:])
		if at += n; n < 0 || size != uint64(total-at) {
			return 0, false
		}
	}
	return at, true
}

// memory is where frames lie. What they no longer need is kept for others. Any goroutine may use it.
type memory chan []byte

// spareFrames is how many pieces are kept, and maxSpare how large one may be: a batch is about 1 MiB.
const spareFrames, maxSpare = 4, 4 << 20

func newMemory() memory { return make(memory, spareFrames) }

// take returns memory without content, with room for n bytes.
func (m memory) take(n int) []byte {
	select {
	case b := <-m:
		if cap(b) >= n {
			return b[:0]
		}
	default:
	}
	return make([]byte, 0, n)
}

// give keeps b, which nobody uses any more.
func (m memory) give(b []byte) {
	if cap(b) == 0 || cap(b) > maxSpare {
		return
	}
	select {
	case m <- b:
	default:
	}
}

// Get implements mem.BufferPool.
func (m memory) Get(n int) *[]byte {
	b := m.take(n)[:n]
	return &b
}

// Put implements mem.BufferPool. gRPC calls it when frames are sent.
func (m memory) Put(b *[]byte) { m.give(*b) }

// receiving is the memory of what gRPC receives, a piece for each frame of HTTP/2. gRPC's own would be cleared each time,
// before the whole of it is written over.
type receiving struct{ spare sync.Pool }

// maxPiece is the largest frame that gRPC sends.
const maxPiece = 16 << 10

// Get implements mem.BufferPool.
func (r *receiving) Get(n int) *[]byte {
	if b, ok := r.spare.Get().(*[]byte); ok && n <= cap(*b) {
		*b = (*b)[:n]
		return b
	}
	b := make([]byte, n, max(n, maxPiece))
	return &b
}

// Put implements mem.BufferPool.
func (r *receiving) Put(b *[]byte) {
	if cap(*b) == maxPiece {
		r.spare.Put(b)
	}
}
