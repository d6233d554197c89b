package postgres

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
)

// TestAcknowledger reports what is durable, but no more than the server has read in this session.
func TestAcknowledger(t *testing.T) {
	ours, servers := net.Pipe()
	defer servers.Close()
	next := func() (lsn pglogrepl.LSN) {
		t.Helper()
		servers.SetReadDeadline(time.Now().Add(time.Minute))
		msg := make([]byte, 39)
		if _, err := io.ReadFull(servers, msg); err != nil {
			t.Fatal(err)
		}
		flushed := binary.BigEndian.Uint64(msg[6+8:])
		if written, applied := binary.BigEndian.Uint64(msg[6:]), binary.BigEndian.Uint64(msg[6+16:]); written != flushed || applied != flushed {
			t.Fatalf("written %d, flushed %d, applied %d", written, flushed, applied)
		}
		return pglogrepl.LSN(flushed)
	}
	// The next report may have been on its way before.
	await := func(want pglogrepl.LSN) {
		t.Helper()
		last := next()
		for range 3 {
			if last == want {
				return
			}
			last = next()
		}
		t.Fatalf("reported %s, want %s", last, want)
	}
	a := newAcknowledger(ours, 100, time.Millisecond, false)
	for range 3 {
		if lsn := next(); lsn != 0 {
			t.Fatalf("reported %s before the server has read anything", lsn)
		}
	}
	a.heard(50)
	for range 3 {
		if lsn := next(); lsn != 0 {
			t.Fatalf("reported %s, which moves the slot back", lsn)
		}
	}
	a.heard(150)
	await(100)
	a.advance(140)
	await(140)
	a.heard(120)
	a.advance(200)
	await(150)
	go io.Copy(io.Discard, servers)
	a.close()
	ours.Close()
}
