// Package layout tells how many bytes a message of the Kafka protocol takes, without decoding it. The decoder (kmsg)
// believes what a message says of itself: it makes an array as long as announced, of elements that have no bytes, and
// counts to any number of tagged fields after there is nothing left to read. So what others wrote is checked first, at a
// cost in proportion to its bytes.
package layout

import (
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kbin"
)

// maxParts is how many elements of arrays and tagged fields a message may have: each takes some hundred bytes once it is
// decoded, and may have taken two before. Plain numbers do not count.
const maxParts = 1 << 20

// Layout is what a message consists of, in one version: steps, one after another. It may be used by many at a time.
type Layout []step

// step is a part of a message.
type step struct {
	kind  kind
	width width   // of the number before it
	size  int     // of fixed: its bytes; of array: the least of an element
	of    Layout  // of array: an element; of optional: what is there
	known []known // of tags
}

type kind uint8

const (
	fixed    kind = iota
	sized         // a length, and so many bytes
	array         // a count, and so many elements
	optional      // -1 in a byte for null, or another byte and a structure
	tags          // a count, and so many times number, length, bytes
)

// width is how a length or count is written.
type width uint8

const (
	compact width = iota // a varint, one more than it says
	two
	four
)

// known is a tagged field that is decoded.
type known struct {
	number uint32
	of     Layout
}

// Check returns how many bytes of b the message takes. An error says what does not fit into b.
func (l Layout) Check(b []byte) (int, error) {
	w := walk{b: b}
	err := w.steps(l)
	return w.at, err
}

// Tags is Check of tagged fields alone.
func Tags(b []byte) (int, error) {
	w := walk{b: b}
	err := w.tags(nil)
	return w.at, err
}

// walk is on its way through a message.
type walk struct {
	b     []byte
	at    int
	parts int
}

func (w *walk) steps(l Layout) error {
	for i := range l {
		s := &l[i]
		var err error
		switch s.kind {
		case fixed:
			err = w.skip(s.size)
		case sized:
			var n int
			if n, err = w.length(s.width); err == nil {
				err = w.skip(n)
			}
		case array:
			err = w.array(s)
		case optional:
			if err = w.skip(1); err == nil && w.b[w.at-1] != 0xff {
				err = w.steps(s.of)
			}
		case tags:
			err = w.tags(s.known)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) skip(n int) error {
	if n > len(w.b)-w.at {
		return w.wrong("%d bytes", n)
	}
	w.at += n
	return nil
}

// length reads a length or count; null has none.
func (w *walk) length(as width) (int, error) {
	n := 0
	switch at := w.at; as {
	case compact:
		u, err := w.uvarint()
		return max(0, int(u)-1), err
	case two:
		if err := w.skip(2); err != nil {
			return 0, err
		}
		n = int(int16(binary.BigEndian.Uint16(w.b[at:])))
	case four:
		if err := w.skip(4); err != nil {
			return 0, err
		}
		n = int(int32(binary.BigEndian.Uint32(w.b[at:])))
	}
	return max(0, n), nil
}

func (w *walk) uvarint() (uint32, error) {
	u, n := kbin.Uvarint(w.b[w.at:])
	if n <= 0 {
		return 0, w.wrong("a varint of up to %d bytes", 5)
	}
	w.at += n
	return u, nil
}

func (w *walk) array(s *step) error {
	n, err := w.length(s.width)
	if err != nil {
		return err
	}
	if n > (len(w.b)-w.at)/s.size {
		return w.wrong("an array of %d elements", n)
	}
	if s.of[0].kind == fixed && len(s.of) == 1 {
		return w.skip(n * s.size)
	}
	if err := w.count(n); err != nil {
		return err
	}
	for range n {
		if err := w.steps(s.of); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) tags(decoded []known) error {
	n, err := w.uvarint()
	if err != nil || n == 0 {
		return err
	}
	if int(n) > (len(w.b)-w.at)/2 {
		return w.wrong("%d tagged fields", n)
	}
	if err := w.count(int(n)); err != nil {
		return err
	}
	for range n {
		number, err := w.uvarint()
		if err != nil {
			return err
		}
		size, err := w.uvarint()
		if err != nil {
			return err
		}
		if int(size) > len(w.b)-w.at {
			return w.wrong("a tagged field of %d bytes", size)
		}
		end := w.at + int(size)
		for _, k := range decoded {
			if k.number == number {
				in := walk{b: w.b[:end], at: w.at, parts: w.parts}
				if err := in.steps(k.of); err != nil {
					return err
				}
				w.parts = in.parts
			}
		}
		w.at = end
	}
	return nil
}

func (w *walk) count(n int) error {
	if w.parts += n; w.parts > maxParts {
		return fmt.Errorf("more than %d elements and tagged fields", maxParts)
	}
	return nil
}

// wrong is the error for what is announced at a place and is not there.
func (w *walk) wrong(what string, n any) error {
	return fmt.Errorf(what+" at byte %d, where %d bytes are left", n, w.at, len(w.b)-w.at)
}
