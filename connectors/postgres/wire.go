package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// wire is a session taken over from pgconn for what must be fast: COPY and the replication stream. A goroutine reads
// the socket, so that whoever decodes the messages sees without a system call whether there are more, takes all of
// them at once, and decoding and network overlap. Memory is bounded: when too much waits, the goroutine stops
// reading, and the server stops sending.
//
//	message: type: byte | length: int32, itself included | body
type wire struct {
	conn      net.Conn
	limit     int             // of waiting bytes, except for a single larger message
	interrupt <-chan struct{} // ends a wait for messages; nil for never
	done      chan struct{}
	closed    chan struct{}
	once      sync.Once

	mu      sync.Mutex
	waiting []byte // whole messages
	err     error  // why reading ended
	ready   chan struct{}
	room    chan struct{}

	taken, rest []byte // what next takes from; taken is the whole of it
}

// A WAL sender writes each change to its socket. A reader that woke for each of them would spend most of both cores on
// waking up; one that lets a busy sender get ahead for a moment reads them together. A change after a pause is read
// at once.
const (
	soon       = 100 * time.Microsecond // two reads with less between them are of a busy sender
	moderation = time.Millisecond
	fewBytes   = 64 << 10
)

const (
	readSize = 256 << 10
	// maxMessage is what PostgreSQL itself allows.
	maxMessage = 1<<30 + 64<<10
)

// newWire takes the session over. limit is how many bytes may wait to be taken.
func newWire(ctx context.Context, c *pgconn.PgConn, limit int) (*wire, error) {
	if err := c.SyncConn(ctx); err != nil {
		return nil, err
	}
	h, err := c.Hijack()
	if err != nil {
		return nil, err
	}
	w := &wire{conn: h.Conn, limit: limit, done: make(chan struct{}), closed: make(chan struct{}),
		ready: make(chan struct{}, 1), room: make(chan struct{}, 1)}
	go w.pump()
	return w, nil
}

// pump reads until the connection ends or close is called.
func (w *wire) pump() {
	defer close(w.closed)
	buf := make([]byte, 0, readSize)
	last := time.Now()
	for {
		n, err := w.conn.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if now := time.Now(); n < fewBytes && now.Sub(last) < soon && err == nil {
			time.Sleep(moderation)
			last = now.Add(moderation)
		} else {
			last = now
		}
		whole, need, bad := wholeMessages(buf)
		if whole > 0 {
			if !w.put(buf[:whole]) {
				bad = net.ErrClosed
			}
			buf = buf[:copy(buf, buf[whole:])]
		}
		if len(buf) == cap(buf) || len(buf) == 0 && cap(buf) > 4*readSize {
			// A message larger than the buffer: room is doubled as it really arrives, not as its length claims.
			buf = append(make([]byte, 0, max(readSize, min(2*cap(buf), need))), buf...)
		}
		if err == nil {
			err = bad
		}
		if err != nil {
			w.fail(err)
			return
		}
	}
}

// put hands messages over, and waits while too many wait. It reports false when the wire is closed.
func (w *wire) put(messages []byte) bool {
	for {
		w.mu.Lock()
		if len(w.waiting) == 0 || len(w.waiting)+len(messages) <= w.limit {
			w.waiting = append(w.waiting, messages...)
			w.mu.Unlock()
			signal(w.ready)
			return true
		}
		w.mu.Unlock()
		select {
		case <-w.room:
		case <-w.done:
			return false
		}
	}
}

func (w *wire) fail(err error) {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	w.mu.Lock()
	w.err = err
	w.mu.Unlock()
	signal(w.ready)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
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

// advance takes all messages that wait. It reports false if there are none, after waiting if it should.
func (w *wire) advance(ctx context.Context, wait bool) (bool, error) {
	for {
		w.mu.Lock()
		if len(w.waiting) > 0 {
			spare := w.taken[:0]
			if cap(spare) > 2*w.limit {
				spare = nil // it had to hold a single large message
			}
			w.taken, w.waiting = w.waiting, spare
			w.mu.Unlock()
			w.rest = w.taken
			signal(w.room)
			return true, nil
		}
		err := w.err
		w.mu.Unlock()
		if err != nil || !wait {
			return false, err
		}
		select {
		case <-w.ready:
		case <-w.interrupt:
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
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
