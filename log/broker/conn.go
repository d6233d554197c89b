package broker

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"strings"
	"time"

	"github.com/sluicehub/sluice/log/broker/layout"
	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxPipelined is how many requests of one connection may await their answer. Clients keep five in flight.
const maxPipelined = 32

// conn is one client connection. Two goroutines own it: serve reads and handles requests in order, answer writes the
// responses in the same order.
type conn struct {
	b         *Broker
	nc        net.Conn
	adv       Advertised
	listener  *Listener
	host      string // where the client is, as rules name it
	inProcess bool
	ctx       context.Context // ends when the connection does
	cancel    context.CancelFunc
	pending   chan pending

	// Of the goroutine that reads:
	who      string    // the client's principal, "" until somebody has logged in who must
	loginBy  time.Time // until when
	exchange exchange  // between SaslHandshake and the last SaslAuthenticate
	ending   error     // why the connection ends after the answer to this request
	// mutedUntil is when the client may go on that used more than its quota.
	mutedUntil time.Time
}

// pending is a request that has been handled up to where it must wait, such as for an fsync.
type pending struct {
	correlation int32
	version     int16
	flexible    bool // the response header has tagged fields
	wait        func() kmsg.Response
	key         int16
	began       time.Time
	size        int   // of the request
	loan        *loan // of the records in the answer
}

// reply is what a handler returns: wait yields the response, nil for none (acks=0). It is called once, on the
// goroutine that writes; what a handler does before it returns happens in the order of requests.
type reply func() kmsg.Response

func now(r kmsg.Response) reply { return func() kmsg.Response { return r } }

// request is one parsed request.
type request struct {
	c         *conn
	ctx       context.Context
	clientID  string
	version   int16
	size      int   // bytes
	throttled int32 // ms that the client has to wait for what it did to topics
	loan      *loan // for records of the answer; ends when that is written
}

func newConn(b *Broker, nc net.Conn, l *Listener, inProcess bool) *conn {
	if l.TLS != nil {
		nc = tls.Server(nc, l.TLS)
	}
	c := &conn{b: b, nc: nc, adv: l.Advertised, listener: l, inProcess: inProcess, pending: make(chan pending, maxPipelined)}
	c.ctx, c.cancel = context.WithCancel(b.ctx)
	if host, _, err := net.SplitHostPort(nc.RemoteAddr().String()); err == nil {
		c.host = host
	} else {
		c.host = nc.RemoteAddr().String()
	}
	return c
}

// serve handles the connection until either side closes it.
func (c *conn) serve() {
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		c.answer()
	}()
	err := c.meet()
	if err == nil {
		err = c.read()
	}
	close(c.pending)
	if c.ending != nil { // the client is told before
		c.nc.SetWriteDeadline(time.Now().Add(c.b.opts.RequestTimeout))
		<-answered
	}
	c.cancel()
	c.nc.Close()
	<-answered
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && c.b.ctx.Err() == nil {
		c.b.logger.Warn("connection closed", "client", c.nc.RemoteAddr().String(), "cause", err)
	}
}

// meet learns who the client is, as far as it need not log in.
func (c *conn) meet() error {
	c.loginBy = time.Now().Add(c.b.opts.RequestTimeout)
	if encrypted, ok := c.nc.(*tls.Conn); ok {
		ctx, cancel := context.WithDeadline(c.ctx, c.loginBy)
		defer cancel()
		if err := encrypted.HandshakeContext(ctx); err != nil {
			return fmt.Errorf("TLS handshake: %w", err)
		}
		if certs := encrypted.ConnectionState().PeerCertificates; len(certs) > 0 && !c.locked() {
			c.who = "User:" + certs[0].Subject.String()
			return nil
		}
	}
	if !c.locked() {
		c.who = anonymous
	}
	return nil
}

// end closes the connection once the request that is being handled is answered.
func (c *conn) end(why string) { c.ending = errors.New(why) }

// maxLockedBytes bounds a request of somebody who has to log in (sasl.server.max.receive.size).
const maxLockedBytes = 512 << 10

// read takes requests off the connection, one after another.
//
//	size int32 | api key int16 | api version int16 | correlation id int32 | client id nullable string |
//	tagged fields (flexible versions only) | body
func (c *conn) read() error {
	r := bufio.NewReaderSize(c.nc, 64<<10)
	for {
		most := c.b.set.Load().maxRequestBytes
		if c.locked() {
			c.nc.SetReadDeadline(c.loginBy)
			most = min(most, maxLockedBytes)
		}
		var size [4]byte
		if _, err := io.ReadFull(r, size[:]); err != nil {
			return err
		}
		n := int(int32(binary.BigEndian.Uint32(size[:])))
		if n < 8 || n > most {
			return fmt.Errorf("a request of %d bytes was announced; sizes from 8 to %d (socket.request.max.bytes) are served", n, most)
		}
		frame, err := c.readFrame(r, n)
		if err != nil {
			return fmt.Errorf("read a request of %d bytes: %w", n, err)
		}
		locked := c.locked()
		if err := c.handle(frame); err != nil {
			return err
		}
		if binary.BigEndian.Uint16(frame) == 0 { // Produce is done with its bytes; others may keep some
			c.b.buffers.put(frame)
		}
		c.rest()
		if c.ending != nil {
			return c.ending
		}
		if locked && !c.locked() {
			c.nc.SetReadDeadline(time.Time{})
		}
	}
}

// readFrame reads n bytes. Memory that is not there already grows with what has arrived, not with what was announced,
// and all must arrive within the request timeout.
func (c *conn) readFrame(r *bufio.Reader, n int) ([]byte, error) {
	if r.Buffered() < n {
		if err := c.nc.SetReadDeadline(time.Now().Add(c.b.opts.RequestTimeout)); err == nil {
			defer c.nc.SetReadDeadline(time.Time{})
		}
	}
	const step = 1 << 20
	frame := c.b.buffers.kept(n)
	if frame == nil {
		frame = c.b.buffers.get(min(n, step))
	}
	for read := 0; ; {
		if _, err := io.ReadFull(r, frame[read:]); err != nil {
			return nil, err
		}
		if read = len(frame); read == n {
			return frame, nil
		}
		grown := c.b.buffers.get(min(n, 4*read))
		copy(grown, frame)
		c.b.buffers.put(frame)
		frame = grown
	}
}

// handle parses one request, runs its handler and queues the answer.
func (c *conn) handle(frame []byte) error {
	began := time.Now()
	rd := kbin.Reader{Src: frame}
	key, version, correlation := rd.Int16(), rd.Int16(), rd.Int32()
	clientID := rd.NullableString()
	if err := rd.Complete(); err != nil {
		return fmt.Errorf("request header: %w", err)
	}
	if key == 18 && !c.b.supports(key, version) {
		return c.queue(pending{correlation: correlation, wait: now(c.b.noSuchAPIVersions()), key: key, began: began, size: len(frame), loan: new(loan)})
	}
	if !c.b.supports(key, version) {
		return fmt.Errorf("api key %d in version %d is not served", key, version)
	}
	if c.locked() && key != 17 && key != 18 && key != 36 {
		return fmt.Errorf("%s before the client has logged in; this listener wants %s", kmsg.NameForKey(key), strings.Join(c.listener.SASL, " or "))
	}
	served := &c.b.apis[key]
	req, err := served.decode(key, version, rd.Src)
	if err != nil {
		return fmt.Errorf("%s v%d: %w", kmsg.NameForKey(key), version, err)
	}
	r := &request{c: c, ctx: c.ctx, version: version, size: len(frame), loan: &loan{from: &c.b.buffers}}
	if clientID != nil {
		r.clientID = *clientID
	}
	wait, err := c.call(served.handle, r, req)
	if err != nil {
		r.loan.giveBack()
		return fmt.Errorf("%s v%d: %w", kmsg.NameForKey(key), version, err)
	}
	if wait == nil {
		return nil
	}
	// The header of an ApiVersions response never has tagged fields: a client must be able to read it before it
	// knows versions (KIP-511).
	return c.queue(pending{correlation: correlation, version: version, flexible: req.IsFlexible() && key != 18, wait: wait,
		key: key, began: began, size: len(frame), loan: r.loan})
}

// decode reads a request from behind the client id in its header.
func (a *api) decode(key, version int16, b []byte) (kmsg.Request, error) {
	req := kmsg.RequestForKey(key)
	req.SetVersion(version)
	if req.IsFlexible() {
		n, err := layout.Tags(b)
		if err != nil {
			return nil, fmt.Errorf("header: %w", err)
		}
		b = b[n:]
	}
	if _, err := a.layouts[version-a.min].Check(b); err != nil {
		return nil, err
	}
	return req, req.ReadFrom(b) // what is behind the request is of no meaning
}

// call runs a handler. A panic in it ends this connection, not the broker.
func (c *conn) call(h handler, r *request, req kmsg.Request) (wait reply, err error) {
	defer func() {
		if p := recover(); p != nil {
			c.b.logger.Error("a request handler panicked", "api", kmsg.NameForKey(req.Key()), "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("internal error: %v", p)
		}
	}()
	return r.timed(h, req)
}

func (c *conn) queue(p pending) error {
	select {
	case c.pending <- p:
		return nil
	case <-c.ctx.Done():
		p.loan.giveBack()
		return net.ErrClosed
	}
}

// answer writes the responses in the order of their requests.
func (c *conn) answer() {
	var buf []byte
	broken := false
	for p := range c.pending {
		n := 0
		if resp := p.wait(); resp != nil && !broken {
			var pieces []piece
			var err error
			pieces, buf = p.encode(buf[:0], resp)
			if n, err = c.write(pieces); err != nil {
				broken = true // the reader sees it too, and ends the connection
				c.cancel()
				c.nc.Close()
			}
		}
		p.loan.giveBack()
		c.note(&p, n)
		if cap(buf) > 8<<20 {
			buf = nil
		}
	}
}

// write writes an answer, and reads the rests in it, each when what is before it is on its way. An answer of which a rest
// cannot be read has no end: its size was announced. The client notices that the connection closes, comes again for what
// it missed, and is told then.
func (c *conn) write(pieces []piece) (n int, err error) {
	all := make(net.Buffers, 0, len(pieces))
	ready := all
	for i, p := range pieces {
		ready = append(ready, p.bytes)
		if p.rest == nil && i+1 < len(pieces) {
			continue
		}
		written, err := ready.WriteTo(c.nc)
		n += int(written)
		for err == nil && p.rest.Len() > 0 {
			var b []byte
			if b, err = p.rest.Next(); err != nil {
				c.b.logger.Warn("an answer to a fetch was cut off", "client", c.nc.RemoteAddr().String(), "cause", err)
				return n, err
			}
			var m int
			m, err = c.nc.Write(b)
			n += m
		}
		if err != nil {
			return n, err
		}
		ready = all
	}
	return n, nil
}

// encode appends the answer to buf, which it returns, but for large records, and all that is to be written.
//
//	size int32 | correlation id int32 | tagged fields (flexible versions only) | body
func (p *pending) encode(buf []byte, resp kmsg.Response) (pieces []piece, all []byte) {
	resp.SetVersion(p.version)
	buf = append(buf, 0, 0, 0, 0)
	buf = binary.BigEndian.AppendUint32(buf, uint32(p.correlation))
	if p.flexible {
		buf = append(buf, 0)
	}
	if fetch, ok := resp.(*kmsg.FetchResponse); ok {
		pieces, buf = appendFetch(buf, fetch, p.loan)
	} else {
		buf = resp.AppendTo(buf)
		pieces = []piece{{bytes: buf}}
	}
	size := -4
	for _, piece := range pieces {
		size += len(piece.bytes) + piece.rest.Len()
	}
	binary.BigEndian.PutUint32(buf, uint32(size))
	return pieces, buf
}

// note counts a request that is done with.
func (c *conn) note(p *pending, answered int) {
	c.b.counters[p.key].note(c.b.latencies, time.Since(p.began), p.size, answered)
}
