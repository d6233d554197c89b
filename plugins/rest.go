package plugins

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

const (
	// restInterval is how often this process looks whether it rests.
	restInterval = 2 * time.Second
	// restCPU is the most that a process uses in that time which rests: pings, figures and keepalives.
	restCPU = restInterval / 50
	// busyCPU is what it must have used, in all, since it last gave memory back. That costs some milliseconds.
	busyCPU = restInterval / 40
)

// ReleaseAtRest gives back, each time this process comes to rest, the memory that only its work needed, until ctx ends:
// the heap of a snapshot, and the pages of the executable that its start and its work went through. Go's runtime would
// keep the first for minutes, and nothing would ever take back the second while the machine has memory to spare, but
// resident memory is what operators see and what containers are bounded by.
func ReleaseAtRest(ctx context.Context) {
	releaseAtRest(ctx, func() time.Duration { cpu, _ := Usage(os.Getpid()); return cpu }, func() {
		runtime.GC() // what lies in pools outlives one collection
		debug.FreeOSMemory()
		releasePages()
	})
}

func releaseAtRest(ctx context.Context, used func() time.Duration, release func()) {
	tick := time.NewTicker(restInterval)
	defer tick.Stop()
	last, released := used(), time.Duration(0)
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now := used()
		if now-last <= restCPU && now-released >= busyCPU {
			release()
			now = used()
			released = now
		}
		last = now
	}
}
