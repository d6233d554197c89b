package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
)

// exchange is the bytes of a request, and the body of the answer that belongs to it; nil: any.
type exchange struct{ request, answer []byte }

// client sends requests on one connection. It does as little as a client can, because it takes the processor from the
// server that it measures: requests are ready bytes, and of the headers of an answer only its length is read.
type client struct {
	net.Conn
	from *bufio.Reader
}

func dial(ctx context.Context, address string) (*client, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &client{conn, bufio.NewReaderSize(conn, 64<<10)}, nil
}

// send sends requests until the end, each when the one before it is answered, and returns how long each took. Every
// answer must be 200, and what it should be.
func (c *client) send(end time.Time, next func(n int) exchange) (times []time.Duration, err error) {
	for began := time.Now(); began.Before(end); {
		e := next(len(times))
		if _, err := c.Write(e.request); err != nil {
			return times, err
		}
		status, body, err := c.receive()
		if err != nil {
			return times, err
		}
		if status != 200 || e.answer != nil && !bytes.Equal(body, e.answer) {
			return times, fmt.Errorf("%.60q is answered %d %.1000q, not %.1000q", e.request, status, body, e.answer)
		}
		now := time.Now()
		times, began = append(times, now.Sub(began)), now
	}
	return times, nil
}

// receive reads an answer. The body is good until the next one.
func (c *client) receive() (status int, body []byte, err error) {
	length := -1
	for n := 0; ; n++ {
		line, err := c.from.ReadSlice('\n')
		if err != nil {
			return 0, nil, err
		}
		line = bytes.TrimSuffix(line, []byte("\r\n"))
		if n > 0 && len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(" "))
		switch {
		case n == 0:
			status, err = strconv.Atoi(string(value[:min(3, len(value))]))
		case string(name) == "Content-Length:":
			length, err = strconv.Atoi(string(value))
		}
		if err != nil {
			return 0, nil, fmt.Errorf("%q: %w", line, err)
		}
	}
	if length < 0 {
		return 0, nil, fmt.Errorf("an answer %d without a length", status)
	}
	if body, err = c.from.Peek(length); err == nil {
		_, err = c.from.Discard(length)
	}
	return status, body, err
}
