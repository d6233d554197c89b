package plugins

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/plugins/pluginpb"
)

// Records cross the wall in one field of bytes per batch, so that a record costs no message, no allocation and no
// reflection on either side. Integers are varints as in protobuf; "zigzag" maps signed to unsigned ones.
//
//	frames      record …                     to the end of the field; how many is said beside it
//	record      topic       varint           index into the topics of the same message
//	            partition   zigzag           -1: AnyPartition
//	            offset      zigzag           minus that of the record before, of the first one minus 0
//	            timestamp   zigzag           likewise
//	            key         data
//	            value       data
//	            headers     varint           how many, then each of them:
//	              name      varint, bytes    length, text
//	              value     data
//	data        kind        varint           0 null | 1 JSON text | n: encoded under schema n-1
//	            length      varint           not of null
//	            bytes
//
// The numbers of schemas belong to the stream and direction, and count up from 1; each schema's text is sent before
// or with the first record that uses it.

// minFrame is the size of the smallest record, and minHeader that of the smallest header: every part in one byte.
const (
	minFrame  = 7
	minHeader = 2
)

// encoder turns records into messages of one stream. It belongs to one goroutine.
type encoder struct {
	schemas schemaWriter
	unsent  []*pluginpb.Schema // numbered for messages that were not sent
	topics  map[string]uint64
	memory  memory // of the frames
	size    int    // of the last frames: the next ones will be about as large
}

func newEncoder(m memory) *encoder {
	return &encoder{topics: map[string]uint64{}, memory: m}
}

// records encodes a batch. The message is the caller's to send, in this order, or to drop.
func (e *encoder) records(list []connectors.Record) (*pluginpb.Records, error) {
	m := &pluginpb.Records{Schemas: e.unsent, Count: uint32(len(list))}
	e.unsent = nil
	clear(e.topics)
	if err := e.frames(m, e.memory.take(e.size+e.size/8), list); err != nil {
		e.drop(m)
		return nil, err
	}
	e.size = len(m.Frames)
	return m, nil
}

// drop says that a message will not be sent: the schemas that are new in it go with the next one.
func (e *encoder) drop(m *pluginpb.Records) { e.unsent = m.Schemas }

func (e *encoder) frames(m *pluginpb.Records, dst []byte, list []connectors.Record) error {
	var offset, timestamp int64
	var topic uint64
	var err error
	for i := range list {
		r := &list[i]
		if i == 0 || r.Topic != list[i-1].Topic {
			topic = e.topic(m, r.Topic)
		}
		dst = binary.AppendUvarint(dst, topic)
		dst = binary.AppendVarint(dst, int64(r.Partition))
		dst = binary.AppendVarint(dst, r.Offset-offset)
		dst = binary.AppendVarint(dst, r.Timestamp-timestamp)
		offset, timestamp = r.Offset, r.Timestamp
		if dst, err = e.data(dst, m, r.Key); err != nil {
			return fmt.Errorf("key of a record of topic %s: %w", r.Topic, err)
		}
		if dst, err = e.data(dst, m, r.Value); err != nil {
			return fmt.Errorf("value of a record of topic %s: %w", r.Topic, err)
		}
		dst = binary.AppendUvarint(dst, uint64(len(r.Headers)))
		for _, h := range r.Headers {
			dst = append(binary.AppendUvarint(dst, uint64(len(h.Key))), h.Key...)
			if dst, err = e.data(dst, m, h.Value); err != nil {
				return fmt.Errorf("header %s of a record of topic %s: %w", h.Key, r.Topic, err)
			}
		}
	}
	m.Frames = dst
	return nil
}

func (e *encoder) topic(m *pluginpb.Records, name string) uint64 {
	i, ok := e.topics[name]
	if !ok {
		i = uint64(len(m.Topics))
		e.topics[name] = i
		m.Topics = append(m.Topics, name)
	}
	return i
}

func (e *encoder) data(dst []byte, m *pluginpb.Records, d connectors.Data) ([]byte, error) {
	switch {
	case d.Schema != nil:
		id, err := e.schemas.number(d.Schema, m)
		if err != nil {
			return dst, err
		}
		dst = binary.AppendUvarint(dst, uint64(id)+1)
	case d.Bytes == nil:
		return append(dst, 0), nil
	default:
		dst = append(dst, 1)
	}
	return append(binary.AppendUvarint(dst, uint64(len(d.Bytes))), d.Bytes...), nil
}

// errFrames says that the other side sent records that cannot be read.
var errFrames = errors.New("the records are garbled")

// decodeRecords appends the records of a message to dst. Their bytes share the message's. schemas are those of the
// stream when the message arrived.
func decodeRecords(m *pluginpb.Records, schemas []*connectors.Schema, dst []connectors.Record) ([]connectors.Record, error) {
	if m == nil {
		return dst, nil
	}
	d := decoder{src: m.Frames, schemas: schemas, topics: m.Topics}
	if uint64(m.Count)*minFrame > uint64(len(m.Frames)) {
		return dst, fmt.Errorf("%w: %d records in %d bytes", errFrames, m.Count, len(m.Frames))
	}
	dst = slices.Grow(dst, int(m.Count))
	for i := range m.Count {
		dst = append(dst, connectors.Record{})
		d.left = int(m.Count - i)
		if err := d.record(&dst[len(dst)-1]); err != nil {
			return dst[:len(dst)-1], fmt.Errorf("record %d of %d: %w", i+1, m.Count, err)
		}
	}
	if len(d.src) > 0 {
		return dst, fmt.Errorf("%w: %d bytes behind the last one", errFrames, len(d.src))
	}
	return dst, nil
}

type decoder struct {
	src               []byte
	schemas           []*connectors.Schema
	topics            []string
	offset, timestamp int64
	left              int                 // records, with the present one
	spare             []connectors.Header // memory for the headers of those
	last              []connectors.Header // of the last record that had any
}

func (d *decoder) record(r *connectors.Record) error {
	topic, err := d.uvarint()
	if err != nil {
		return err
	}
	if topic >= uint64(len(d.topics)) {
		return fmt.Errorf("%w: topic number %d of %d", errFrames, topic, len(d.topics))
	}
	r.Topic = d.topics[topic]
	partition, err := d.varint()
	if err != nil {
		return err
	}
	r.Partition = int32(partition)
	if int64(r.Partition) != partition || partition < -1 {
		return fmt.Errorf("%w: partition %d", errFrames, partition)
	}
	offset, err := d.varint()
	if err != nil {
		return err
	}
	timestamp, err := d.varint()
	if err != nil {
		return err
	}
	d.offset, d.timestamp = d.offset+offset, d.timestamp+timestamp
	r.Offset, r.Timestamp = d.offset, d.timestamp
	if r.Key, err = d.data(); err != nil {
		return fmt.Errorf("key: %w", err)
	}
	if r.Value, err = d.data(); err != nil {
		return fmt.Errorf("value: %w", err)
	}
	return d.headers(r)
}

func (d *decoder) headers(r *connectors.Record) error {
	n, err := d.uvarint()
	if err != nil || n == 0 {
		return err
	}
	if n > uint64(len(d.src))/minHeader {
		return fmt.Errorf("%w: %d headers in %d bytes", errFrames, n, len(d.src))
	}
	list := d.room(int(n))
	for i := range list {
		h := &list[i]
		name, err := d.bytes()
		if err != nil {
			return err
		}
		if i < len(d.last) && d.last[i].Key == string(name) {
			h.Key = d.last[i].Key
		} else {
			h.Key = string(name)
		}
		if h.Value, err = d.data(); err != nil {
			return fmt.Errorf("header %q: %w", name, err)
		}
	}
	r.Headers, d.last = list, list
	return nil
}

// room returns n headers. Records of one batch mostly have equally many, so that there is one allocation for all.
func (d *decoder) room(n int) []connectors.Header {
	if len(d.spare) < n {
		d.spare = make([]connectors.Header, min(n*d.left, max(n, len(d.src)/minHeader)))
	}
	list := d.spare[:n:n]
	d.spare = d.spare[n:]
	return list
}

func (d *decoder) data() (connectors.Data, error) {
	kind, err := d.uvarint()
	if err != nil || kind == 0 {
		return connectors.Data{}, err
	}
	var out connectors.Data
	if kind > 1 {
		if kind-1 > uint64(len(d.schemas)) {
			return out, fmt.Errorf("%w: schema number %d, of which nothing was said", errFrames, kind-1)
		}
		out.Schema = d.schemas[kind-2]
	}
	out.Bytes, err = d.bytes()
	return out, err
}

func (d *decoder) bytes() ([]byte, error) {
	n, err := d.uvarint()
	if err != nil {
		return nil, err
	}
	if n > uint64(len(d.src)) {
		return nil, fmt.Errorf("%w: a length of %d in %d bytes", errFrames, n, len(d.src))
	}
	b := d.src[:n:n]
	d.src = d.src[n:]
	return b, nil
}

func (d *decoder) uvarint() (uint64, error) {
	if len(d.src) > 0 && d.src[0] < 0x80 {
		u := uint64(d.src[0])
		d.src = d.src[1:]
		return u, nil
	}
	u, n := binary.Uvarint(d.src)
	if n <= 0 {
		return 0, fmt.Errorf("%w: no integer where one belongs", errFrames)
	}
	d.src = d.src[n:]
	return u, nil
}

func (d *decoder) varint() (int64, error) {
	u, err := d.uvarint()
	return int64(u>>1) ^ -int64(u&1), err
}
