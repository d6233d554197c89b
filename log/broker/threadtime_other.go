//go:build !linux

package broker

import "time"

// threadTime is not known here: request_percentage is not enforced.
func threadTime() time.Duration { return 0 }
