package postgres

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"
)

// TestUnansweredConnectionEnds writes to one who takes nothing: the connection ends, and nobody waits for ever.
func TestUnansweredConnectionEnds(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := dialer(time.Second).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(4 * time.Minute))
	for err == nil {
		_, err = conn.Write(make([]byte, 1<<16))
	}
	if !errors.Is(err, syscall.ETIMEDOUT) {
		t.Errorf("the connection ended with %v", err)
	}
}
