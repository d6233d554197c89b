package layout

import (
	"encoding/binary"
	"fmt"
)

// Message is a message that begins with its version, such as the value of a record. It may be used by many at a time.
type Message struct{ versions []Layout }

// NewMessage compiles a layout, without the version before it, for versions 0 to last, of which flexible is the first that
// is so. Later versions are read as the last.
func NewMessage(text string, last, flexible int16) *Message {
	m := new(Message)
	for v := range last + 1 {
		m.versions = append(m.versions, Compile("i16 "+text, v, v >= flexible))
	}
	return m
}

// Decode checks b and has it read.
func (m *Message) Decode(into interface{ ReadFrom([]byte) error }, b []byte) error {
	if len(b) < 2 {
		return fmt.Errorf("%d bytes, where the version takes 2", len(b))
	}
	version := int(int16(binary.BigEndian.Uint16(b)))
	if _, err := m.versions[min(max(version, 0), len(m.versions)-1)].Check(b); err != nil {
		return err
	}
	return into.ReadFrom(b)
}
