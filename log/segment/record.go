package segment

import (
	"fmt"
	"iter"
)

// A record inside a batch. All numbers are zigzag varints except attributes.
//
//	+------+----------+---------+--------+-------+---+-------+-----+--------+
//	|length|attributes|timestamp|offset  |key len|key|val len|value|headers |
//	|      | i8, 0    |delta    |delta   |-1 null|   |-1 null|     |count…  |
//	+------+----------+---------+--------+-------+---+-------+-----+--------+
//
// A header is key length, key, value length (-1 null), value.

// Record is one decoded record. Its slices alias the batch, or the memory the
// batch was decompressed into.
type Record struct {
	Offset    int64
	Timestamp int64  // ms since 1970
	Key       []byte // nil: null
	Value     []byte // nil: null, a tombstone
	Headers   []byte // as stored, count included

	index int
	raw   []byte // the record as stored, length included
}

// Payload returns the records of a batch, decompressed when needed, at most
// MaxPayload bytes. The result may alias batch.
func Payload(h *Header, batch []byte) ([]byte, error) {
	body := batch[HeaderSize:]
	if h.Codec() == 0 {
		return body, nil
	}
	out, err := decompress(h.Codec(), body)
	if err != nil {
		return nil, fmt.Errorf("%w: decompress: %v", ErrBadBatch, err)
	}
	return out, nil
}

// Records decodes the records of a checked batch in order. It stops after the
// first error, and fails when there are fewer or more records than the header
// says.
func Records(h *Header, batch []byte) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		body, err := Payload(h, batch)
		if err != nil {
			yield(Record{}, err)
			return
		}
		for i := range int(h.Count) {
			rec, n, err := readRecord(h, body)
			if err != nil {
				yield(Record{}, fmt.Errorf("record %d: %w", i, err))
				return
			}
			rec.index = i
			body = body[n:]
			if !yield(rec, nil) {
				return
			}
		}
		if err := allRead(body); err != nil {
			yield(Record{}, err)
		}
	}
}

// allRead refuses what comes after the last record.
func allRead(body []byte) error {
	if len(body) != 0 {
		return fmt.Errorf("%w: %d bytes after the last record", ErrBadBatch, len(body))
	}
	return nil
}

// readRecord decodes the record at the start of b and says how long it is.
func readRecord(h *Header, b []byte) (Record, int, error) {
	var r Record
	size, n := varint(b)
	if n <= 0 || size < 0 || size > int64(len(b)-n) {
		return r, 0, ErrShort
	}
	total := n + int(size)
	r.raw = b[:total:total]
	d := varints{b: b[n:total]}
	d.skip(1)
	tsDelta := d.next()
	offDelta := d.next()
	r.Key = d.bytes()
	r.Value = d.bytes()
	if d.bad {
		return r, 0, fmt.Errorf("%w: record cut short", ErrBadBatch)
	}
	if offDelta < 0 || offDelta > int64(h.LastOffsetDelta) {
		return r, 0, fmt.Errorf("%w: offset delta %d outside the batch", ErrBadBatch, offDelta)
	}
	r.Headers = d.b
	if !d.skipHeaders() {
		return r, 0, fmt.Errorf("%w: headers", ErrBadBatch)
	}
	r.Offset = h.BaseOffset + offDelta
	r.Timestamp = h.BaseTimestamp + tsDelta
	if h.LogAppendTime() {
		r.Timestamp = h.MaxTimestamp
	}
	return r, total, nil
}

// varints reads zigzag varints and length-prefixed bytes; bad is sticky.
type varints struct {
	b   []byte
	bad bool
}

func (d *varints) skip(n int) {
	if n < 0 || len(d.b) < n {
		d.bad = true
		return
	}
	d.b = d.b[n:]
}

func (d *varints) next() int64 {
	v, n := varint(d.b)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *varints) bytes() []byte {
	n := d.next()
	if d.bad || n < 0 {
		d.bad = d.bad || n != -1
		return nil
	}
	if n > int64(len(d.b)) {
		d.bad = true
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func (d *varints) skipHeaders() bool {
	count := d.next()
	if count < 0 || count > int64(len(d.b)) {
		return false
	}
	for range count {
		if key := d.bytes(); key == nil {
			return false
		}
		d.bytes()
	}
	return !d.bad && len(d.b) == 0
}
