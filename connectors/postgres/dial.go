package postgres

import (
	"net"
	"syscall"
	"time"
)

// silence is how long a server may be out of reach before its connections are given up.
const silence = time.Minute

// dialer makes connections that end when nothing is heard of the other side for so long: a network that swallows all does
// not say so. While nothing is sent, the system asks the other side; of what is sent, it would wait for a sign of its
// arrival for a quarter of an hour. A server that takes its time answers all the same: the system does, for it.
func dialer(silence time.Duration) *net.Dialer {
	return &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: silence / 2, Interval: silence / 8, Count: 4},
		Control: func(network, _ string, c syscall.RawConn) error {
			if network == "unix" {
				return nil
			}
			return limitUnanswered(c, silence)
		},
	}
}
