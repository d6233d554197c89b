package hub

import (
	"time"

	"github.com/sluicehub/sluice/connectors"
)

const (
	firstRestart = time.Second
	// longestRestart is of errors that nobody classed. Another system that was down is looked for more often.
	longestRestart            = 10 * time.Minute
	longestEnvironmentRestart = time.Minute
	// healthy is how long something must run before its next failure counts as the first again.
	healthy = 2 * time.Minute
)

// backoff decides when something that failed is started again. The zero value has seen no failure.
type backoff struct{ failures int }

// next returns how long to wait after a failure of what had run for that long, or false if it is not started again:
// the configuration must change, or a person must decide.
func (b *backoff) next(err error, ran time.Duration) (time.Duration, bool) {
	if ran >= healthy {
		b.failures = 0
	}
	longest := longestRestart
	switch connectors.ClassOf(err) {
	case connectors.ClassConfig, connectors.ClassGone, connectors.ClassData:
		// A record that was not tolerated would only fail again, and go to the dead letters again.
		return 0, false
	case connectors.ClassEnvironment:
		longest = longestEnvironmentRestart
	}
	delay := longest
	if b.failures < 20 {
		delay = min(firstRestart<<b.failures, longest)
	}
	b.failures++
	return delay, true
}

// reset forgets the failures: a person asked for a restart, or the configuration changed.
func (b *backoff) reset() { b.failures = 0 }
