package main

import (
	"runtime"
	"testing"
	"time"
)

func TestGarbageFor(t *testing.T) {
	for _, c := range []struct {
		live uint64
		want int
	}{{0, 3200}, {8 << 20, 400}, {32 << 20, 100}, {64 << 20, garbage}, {1 << 40, garbage}} {
		if got := garbageFor(c.live); got != c.want {
			t.Errorf("%d bytes in use: %d, want %d", c.live, got, c.want)
		}
	}
}

func TestPaceFollowsCollections(t *testing.T) {
	set := make(chan int, 100)
	p := &pacer{percent: garbage, set: func(percent int) {
		select {
		case set <- percent:
		default: // the test is over, collections go on
		}
	}}
	p.await()
	until := func(what string, is func(percent int) bool) {
		t.Helper()
		for deadline := time.After(time.Minute); ; {
			runtime.GC()
			select {
			case percent := <-set:
				if is(percent) {
					return
				}
			case <-time.After(time.Millisecond):
			case <-deadline:
				t.Fatal(what)
			}
		}
	}
	until("the share does not rise while little is in use", func(percent int) bool { return percent > garbage })
	much := make([]byte, 100<<20)
	until("the share does not fall when much is in use", func(percent int) bool { return percent == garbage })
	runtime.KeepAlive(much)
	until("the share does not rise again", func(percent int) bool { return percent > garbage })
}
