package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// wire is a session taken over from pgconn for what must be fast: COPY and the replication stream. A goroutine reads
// the socket into blocks of whole messages, so that whoever decodes them sees without a system call whether there is
// more, and network and decoding overlap. Memory is bounded: when nobody takes blocks, the goroutine stops reading,
// and the server stops sending.
//
//	message: type: byte | length: int32, itself included | body
type wire struct {
	conn   net.Conn
	full   chan []byte // whole messages
	free   chan []byte
	done   chan struct{}
	once   sync.Once
	err    error // why reading ended; set before full is closed
	closed chan struct{}

	block, rest []byte // what next takes from
}

const (
	blockSize  = 256 << 10
	blockCount = 4
	// maxMessage is what PostgreSQL itself allows.
	maxMessage = 1<<30 + 64<<10
)

// newWire takes the session over. readAhead is how many blocks may wait.
func newWire(ctx context.Context, c *pgconn.PgConn, readAhead int) (*wire, error) {
	if err := c.SyncConn(ctx); err != nil {
		return nil, err
	}
	h, err := c.Hijack()
	if err != nil {
		return nil, err
	}
	w := &wire{conn: h.Conn, full: make(chan []byte, readAhead), free: make(chan []byte, readAhead+2),
		done: make(chan struct{}), closed: make(chan struct{})}
	go w.pump()
	return w, nil
}

// pump reads until the connection ends or close is called.
func (w *wire) pump() {
	defer close(w.closed)
	defer close(w.full)
	buf := make([]byte, 0, blockSize)
	for {
		n, err := w.conn.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		whole, need, bad := wholeMessages(buf)
		if bad != nil {
			w.err = bad
			return
		}
		if whole > 0 {
			next := w.take(max(blockSize, need))
			next = append(next, buf[whole:]...)
			select {
			case w.full <- buf[:whole]:
			case <-w.done:
				w.err = net.ErrClosed
				return
			}
			buf = next
		} else if len(buf) == cap(buf) {
			// A message larger than the block: room is doubled as it really arrives, not as its length claims.
			buf = append(make([]byte, 0, min(2*cap(buf), max(need, 2*blockSize))), buf...)
		}
		if err != nil {
			w.err = err
			if errors.Is(err, io.EOF) {
				w.err = io.ErrUnexpectedEOF
			}
			return
		}
	}
}

// take returns an empty block with that capacity at least.
func (w *wire) take(size int) []byte {
	select {
	case b := <-w.free:
		if cap(b) >= size && cap(b) <= 4*blockSize {
			return b[:0]
		}
	default:
	}
	return make([]byte, 0, min(size, 2*blockSize))
}

// wholeMessages returns how many bytes of b are whole messages, and how many the message that follows them needs.
func wholeMessages(b []byte) (whole, need int, err error) {
	for {
		if len(b)-whole < 5 {
			return whole, 5, nil
		}
		size := int(binary.BigEndian.Uint32(b[whole+1:]))
		if size < 4 || size > maxMessage {
			return whole, 0, fmt.Errorf("the server sent a message of type %q with a length of %d", b[whole], size)
		}
		if len(b)-whole < size+1 {
			return whole, size + 1, nil
		}
		whole += size + 1
	}
}

// next returns the next message; its body is valid until the call after it. With wait false it returns ok false
// when there is none yet. The messages N (notice) and S (parameter status) are left out, E is an error.
func (w *wire) next(ctx context.Context, wait bool) (kind byte, body []byte, ok bool, err error) {
	for {
		if len(w.rest) == 0 {
			if more, err := w.advance(ctx, wait); !more {
				return 0, nil, false, err
			}
		}
		size := int(binary.BigEndian.Uint32(w.rest[1:]))
		kind, body = w.rest[0], w.rest[5:size+1]
		w.rest = w.rest[size+1:]
		switch kind {
		case 'N', 'S':
		case 'E':
			var e pgproto3.ErrorResponse
			if err := e.Decode(body); err != nil {
				return 0, nil, false, err
			}
			return 0, nil, false, pgconn.ErrorResponseToPgError(&e)
		default:
			return kind, body, true, nil
		}
	}
}

// advance takes the next block.
func (w *wire) advance(ctx context.Context, wait bool) (bool, error) {
	if w.block != nil {
		select {
		case w.free <- w.block:
		default:
		}
		w.block = nil
	}
	var ok bool
	if !wait {
		select {
		case w.block, ok = <-w.full:
		default:
			return false, nil
		}
	} else {
		select {
		case w.block, ok = <-w.full:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	if !ok {
		return false, w.err
	}
	w.rest = w.block
	return true, nil
}

// query sends a simple query.
func (w *wire) query(sql string) error {
	msg, err := (&pgproto3.Query{String: sql}).Encode(nil)
	if err == nil {
		_, err = w.conn.Write(msg)
	}
	return err
}

// expect waits for a message of that kind and fails at any other.
func (w *wire) expect(ctx context.Context, kind byte) ([]byte, error) {
	got, body, _, err := w.next(ctx, true)
	if err == nil && got != kind {
		err = fmt.Errorf("the server sent a message of type %q, expected %q", got, kind)
	}
	return body, err
}

// close ends the connection and waits for the goroutine.
func (w *wire) close() {
	w.once.Do(func() {
		close(w.done)
		w.conn.Close()
	})
	<-w.closed
}
