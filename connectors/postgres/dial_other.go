//go:build !linux

package postgres

import (
	"syscall"
	"time"
)

// limitUnanswered does nothing where there is no such limit for each connection.
func limitUnanswered(syscall.RawConn, time.Duration) error { return nil }
