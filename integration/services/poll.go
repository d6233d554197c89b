package services

import (
	"context"
	"fmt"
	"time"
)

// poll calls try until it returns nil, every step, and gives up when ctx ends.
// The error names what was waited for and try's last answer.
func poll(ctx context.Context, what string, step time.Duration, try func(context.Context) error) error {
	tick := time.NewTicker(step)
	defer tick.Stop()
	began := time.Now()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("services: waited %s for %s: %w (last answer: %w)",
				time.Since(began).Round(time.Millisecond), what, ctx.Err(), err)
		case <-tick.C:
		}
	}
}
