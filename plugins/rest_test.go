package plugins

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestReleaseAtRest gives back once after each busy time, and only when it is over.
func TestReleaseAtRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		// What the process does in each interval from its start on: it starts, rests, works, rests, and rests on.
		intervals := []time.Duration{time.Second, restCPU, 0, time.Second, time.Second, restCPU + 1, restCPU, restCPU, 0, 0}
		used := func() (sum time.Duration) {
			for _, cpu := range intervals[:min(len(intervals), int(time.Since(began)/restInterval))] {
				sum += cpu
			}
			return sum
		}
		var at []int
		done := make(chan struct{})
		go func() {
			defer close(done)
			releaseAtRest(ctx, used, func() { at = append(at, int(time.Since(began)/restInterval)) })
		}()
		time.Sleep(time.Duration(len(intervals)) * restInterval)
		synctest.Wait()
		cancel()
		<-done
		if want := []int{2, 7}; !slices.Equal(at, want) {
			t.Errorf("released after intervals %v, want %v", at, want)
		}
	})
}
