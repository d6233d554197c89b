package integration

import (
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"
)

// paced is a way to a server on which answers pass only as far as they are let: a test finds its connector in the middle
// of a snapshot then, however slow the test itself is.
type paced struct {
	listener net.Listener
	to       string
	running  sync.WaitGroup

	mu    sync.Mutex
	moved *sync.Cond
	left  int // bytes that may pass
	open  bool
	ended bool
	conns map[net.Conn]bool
}

func newPaced(t *testing.T, host string, port int) *paced {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &paced{listener: l, to: net.JoinHostPort(host, strconv.Itoa(port)), conns: map[net.Conn]bool{}}
	p.moved = sync.NewCond(&p.mu)
	p.running.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

func (p *paced) port() int { return p.listener.Addr().(*net.TCPAddr).Port }

// let lets that many bytes pass from now on, whatever was let before.
func (p *paced) let(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left = n
	p.moved.Broadcast()
}

// trickle lets a little pass again and again until it is told to stop.
func (p *paced) trickle() (stop func()) {
	end := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		pause := time.NewTicker(50 * time.Millisecond)
		defer pause.Stop()
		for {
			p.let(16 << 10)
			select {
			case <-end:
				return
			case <-pause.C:
			}
		}
	})
	return func() { close(end); done.Wait() }
}

// release lets everything pass.
func (p *paced) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = true
	p.moved.Broadcast()
}

func (p *paced) close() {
	p.listener.Close()
	p.mu.Lock()
	p.ended = true
	p.moved.Broadcast()
	for c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.running.Wait()
}

func (p *paced) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.serve(client) })
	}
}

// serve carries one connection, until either end closes it.
func (p *paced) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		return // the server is down: the client sees it hang up
	}
	defer server.Close()
	if !p.keep(client, server) {
		return
	}
	defer p.forget(client, server)
	var asked sync.WaitGroup
	asked.Go(func() {
		_, _ = io.Copy(server, client) // ends with either connection
		server.Close()
	})
	p.answers(client, server)
	client.Close()
	asked.Wait()
}

func (p *paced) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.conns[c] = true
	}
	return !p.ended
}

func (p *paced) forget(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		delete(p.conns, c)
	}
}

// answers copies what the server says, as far as it may pass.
func (p *paced) answers(client, server net.Conn) {
	buf := make([]byte, 16<<10)
	for {
		n, err := server.Read(buf)
		for part := buf[:n]; len(part) > 0; {
			may := p.take(len(part))
			if may == 0 {
				return
			}
			if _, err := client.Write(part[:may]); err != nil {
				return
			}
			part = part[may:]
		}
		if err != nil {
			return
		}
	}
}

// take waits until something may pass and returns how much of n; 0 is that it is over.
func (p *paced) take(n int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.left == 0 && !p.open && !p.ended {
		p.moved.Wait()
	}
	if p.ended {
		return 0
	}
	if !p.open {
		n = min(n, p.left)
		p.left -= n
	}
	return n
}
