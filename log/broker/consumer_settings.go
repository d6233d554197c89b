package broker

import (
	"fmt"
	"time"

	"github.com/sluicehub/sluice/log/broker/consumergroup"
)

// consumerSettings are the configs of groups of the consumer protocol (group.consumer.*). A group may have a session
// timeout and a heartbeat interval of its own, within bounds.
type consumerSettings struct {
	session, minSession, maxSession       time.Duration
	heartbeat, minHeartbeat, maxHeartbeat time.Duration
	regexRefresh                          time.Duration
	maxSize                               int
	assignors                             []string
}

func (s *consumerSettings) check() error {
	for _, c := range []struct {
		name          string
		value, lo, hi time.Duration
	}{
		{"session.timeout.ms", s.session, s.minSession, s.maxSession},
		{"heartbeat.interval.ms", s.heartbeat, s.minHeartbeat, s.maxHeartbeat},
	} {
		if c.value < c.lo || c.value > c.hi {
			return fmt.Errorf("broker config group.consumer.%s: %s is not from group.consumer.min.%s, %s, to group.consumer.max.%s, %s", c.name, c.value, c.name, c.lo, c.name, c.hi)
		}
	}
	if s.heartbeat >= s.session {
		return fmt.Errorf("broker config group.consumer.heartbeat.interval.ms: %s must be less than group.consumer.session.timeout.ms, %s", s.heartbeat, s.session)
	}
	return nil
}

// consumerConfig is how a group is run.
func (b *Broker) consumerConfig(string) consumergroup.Config {
	s := &b.set.consumer
	return consumergroup.Config{Session: s.session, Heartbeat: s.heartbeat, MaxSize: s.maxSize, Assignors: s.assignors, RegexRefresh: s.regexRefresh}
}
