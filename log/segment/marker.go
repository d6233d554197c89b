package segment

import (
	"encoding/binary"
	"fmt"
)

// A marker ends the open transaction of a producer in one partition. It is a
// control batch with one record, transactional, without a sequence number:
//
//	key:   +-------------+------------------------------+
//	       | version i16 | type i16: 0 abort, 1 commit  |
//	       +-------------+------------------------------+
//	value: +-------------+------------------------------+
//	       | version i16 | coordinator epoch i32        |
//	       +-------------+------------------------------+
//
// Other types of control records belong to Kafka's metadata log.

// Marker is what such a batch says.
type Marker struct {
	ProducerID       int64
	ProducerEpoch    int16
	Commit           bool // otherwise abort
	CoordinatorEpoch int32
}

const (
	markerAbort  = 0
	markerCommit = 1
)

// MarkerBatch makes the batch of a marker at base offset 0. The timestamp is in
// ms since 1970.
func MarkerBatch(m Marker, timestamp int64) []byte {
	kind := uint16(markerAbort)
	if m.Commit {
		kind = markerCommit
	}
	key := binary.BigEndian.AppendUint16(make([]byte, 2, 4), kind)
	value := binary.BigEndian.AppendUint32(make([]byte, 2, 6), uint32(m.CoordinatorEpoch))
	b := Builder{
		Idempotent: true, ProducerID: m.ProducerID, ProducerEpoch: m.ProducerEpoch, BaseSequence: NoSequence,
		Transactional: true, control: true,
	}
	b.Add(timestamp, key, value)
	return b.Batch()
}

// ParseMarker reads a control batch. ok is false when it is not a marker.
func ParseMarker(h *Header, batch []byte) (m Marker, ok bool, err error) {
	if !h.Control() || h.Count == 0 {
		return m, false, nil
	}
	for r, err := range Records(h, batch) {
		if err != nil {
			return m, false, err
		}
		if len(r.Key) < 4 {
			return m, false, fmt.Errorf("%w: control record with a key of %d bytes", ErrBadBatch, len(r.Key))
		}
		kind := binary.BigEndian.Uint16(r.Key[2:])
		if kind != markerAbort && kind != markerCommit {
			return m, false, nil
		}
		if len(r.Value) < 6 {
			return m, false, fmt.Errorf("%w: marker with a value of %d bytes", ErrBadBatch, len(r.Value))
		}
		return Marker{
			ProducerID: h.ProducerID, ProducerEpoch: h.ProducerEpoch, Commit: kind == markerCommit,
			CoordinatorEpoch: int32(binary.BigEndian.Uint32(r.Value[2:])),
		}, true, nil
	}
	return m, false, nil
}
