//go:build !linux

package plugins

import "time"

// usage is not known on this system.
func usage(int) (cpu time.Duration, resident int64) { return 0, 0 }
