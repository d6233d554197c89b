package log

import (
	"crypto/md5"
	"encoding/binary"
)

// keyMap remembers the last offset of each key in 24 bytes a key, as Kafka's
// SkimpyOffsetMap does: 16 bytes of MD5, which is no secret here but a name,
// and the offset. Open addressing; it grows up to its limit.
type keyMap struct {
	slots []keySlot
	n     int
	max   int // keys
}

type keySlot struct {
	hi, lo uint64
	next   int64 // offset + 1; 0 is an empty slot
}

const (
	keyMapStart = 1 << 10 // slots
	keyMapMax   = 1 << 21 // slots: 48 MiB
)

func newKeyMap(maxSlots int) *keyMap {
	return &keyMap{slots: make([]keySlot, min(keyMapStart, maxSlots)), max: maxSlots / 4 * 3}
}

func (m *keyMap) find(key []byte) (*keySlot, uint64, uint64) {
	sum := md5.Sum(key)
	hi, lo := binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:])
	return m.slot(hi, lo), hi, lo
}

func (m *keyMap) slot(hi, lo uint64) *keySlot {
	mask := uint64(len(m.slots) - 1)
	for i := lo & mask; ; i = (i + 1) & mask {
		if s := &m.slots[i]; s.next == 0 || s.hi == hi && s.lo == lo {
			return s
		}
	}
}

// put sets the offset of a key. It is false when the map is full.
func (m *keyMap) put(key []byte, offset int64) bool {
	s, hi, lo := m.find(key)
	if s.next == 0 {
		if m.n >= m.max {
			return false
		}
		if m.n >= len(m.slots)/4*3 {
			m.grow()
			s = m.slot(hi, lo)
		}
		s.hi, s.lo = hi, lo
		m.n++
	}
	s.next = offset + 1
	return true
}

func (m *keyMap) grow() {
	old := m.slots
	m.slots = make([]keySlot, 2*len(old))
	for _, s := range old {
		if s.next != 0 {
			*m.slot(s.hi, s.lo) = s
		}
	}
}

// get is the last offset of a key, or -1.
func (m *keyMap) get(key []byte) int64 {
	s, _, _ := m.find(key)
	return s.next - 1
}
