package broker

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipeBuffer is how much one direction of an in-process connection holds before a writer waits.
const pipeBuffer = 256 << 10

// newPipe returns the two ends of an in-process connection. Unlike net.Pipe it is buffered, so that a writer does
// not have to meet its reader for every piece.
func newPipe() (client, server net.Conn) {
	up, down := newHalf(), newHalf()
	return &pipeEnd{r: down, w: up}, &pipeEnd{r: up, w: down}
}

// half is one direction: a ring of bytes.
type half struct {
	mu       sync.Mutex
	cond     sync.Cond
	buf      []byte
	start, n int
	closed   bool
	rd, wd   time.Time // deadlines
	rTimer   *time.Timer
	wTimer   *time.Timer
}

func newHalf() *half {
	h := &half{buf: make([]byte, pipeBuffer)}
	h.cond.L = &h.mu
	return h
}

func (h *half) read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.n == 0 {
		if h.closed {
			return 0, io.EOF
		}
		if expired(h.rd) {
			return 0, os.ErrDeadlineExceeded
		}
		h.cond.Wait()
	}
	total := 0
	for len(p) > 0 && h.n > 0 {
		c := copy(p, h.buf[h.start:min(h.start+h.n, len(h.buf))])
		h.start, h.n, total, p = (h.start+c)%len(h.buf), h.n-c, total+c, p[c:]
	}
	h.cond.Broadcast()
	return total, nil
}

func (h *half) write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	total := 0
	for len(p) > 0 {
		for h.n == len(h.buf) && !h.closed && !expired(h.wd) {
			h.cond.Wait()
		}
		if h.closed {
			return total, io.ErrClosedPipe
		}
		if h.n == len(h.buf) {
			return total, os.ErrDeadlineExceeded
		}
		end := (h.start + h.n) % len(h.buf)
		free := h.buf[end:]
		if end < h.start {
			free = h.buf[end:h.start]
		}
		c := copy(free, p)
		h.n, total, p = h.n+c, total+c, p[c:]
		h.cond.Broadcast()
	}
	return total, nil
}

func (h *half) close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.cond.Broadcast()
}

// deadline sets one of h's deadlines and wakes whoever waits when it comes.
func (h *half) deadline(which *time.Time, timer **time.Timer, t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if *timer != nil {
		(*timer).Stop()
		*timer = nil
	}
	*which = t
	if !t.IsZero() {
		*timer = time.AfterFunc(time.Until(t), h.wake)
	}
	h.cond.Broadcast()
}

// wake lets waiters look at the deadlines. It holds the lock, or one that has just looked would sleep through it.
func (h *half) wake() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cond.Broadcast()
}

func expired(t time.Time) bool { return !t.IsZero() && !time.Now().Before(t) }

// pipeEnd is one end of an in-process connection.
type pipeEnd struct{ r, w *half }

func (p *pipeEnd) Read(b []byte) (int, error)  { return p.r.read(b) }
func (p *pipeEnd) Write(b []byte) (int, error) { return p.w.write(b) }

func (p *pipeEnd) Close() error {
	p.r.close()
	p.w.close()
	p.SetDeadline(time.Time{})
	return nil
}

func (p *pipeEnd) SetReadDeadline(t time.Time) error {
	p.r.deadline(&p.r.rd, &p.r.rTimer, t)
	return nil
}

func (p *pipeEnd) SetWriteDeadline(t time.Time) error {
	p.w.deadline(&p.w.wd, &p.w.wTimer, t)
	return nil
}

func (p *pipeEnd) SetDeadline(t time.Time) error {
	p.SetReadDeadline(t)
	return p.SetWriteDeadline(t)
}

func (p *pipeEnd) LocalAddr() net.Addr  { return pipeAddr{} }
func (p *pipeEnd) RemoteAddr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "in-process" }
