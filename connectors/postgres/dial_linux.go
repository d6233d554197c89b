package postgres

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// limitUnanswered ends the connection when the other side does not confirm what was sent for so long (RFC 5482).
func limitUnanswered(c syscall.RawConn, d time.Duration) error {
	var err error
	called := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
	})
	if called != nil {
		return called
	}
	return err
}
