package broker

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/sluicehub/sluice/log"
	"github.com/sluicehub/sluice/log/broker/consumergroup"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// consumerSettings are the configs of groups of the consumer protocol (group.consumer.*). A group may have a session
// timeout and a heartbeat interval of its own, within bounds.
type consumerSettings struct {
	session, minSession, maxSession       time.Duration
	heartbeat, minHeartbeat, maxHeartbeat time.Duration
	regexRefresh                          time.Duration
	maxSize                               int
	assignors                             []string
	migration                             migration
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
func (b *Broker) consumerConfig(group string) consumergroup.Config {
	s := &b.set.Load().consumer
	c := consumergroup.Config{Session: s.session, Heartbeat: s.heartbeat, MaxSize: s.maxSize, Assignors: s.assignors, RegexRefresh: s.regexRefresh}
	own := b.dynamic.Load().Groups[group]
	if n, err := strconv.Atoi(own[groupSession]); err == nil { // the bounds may have changed since it was set
		c.Session = min(max(time.Duration(n)*time.Millisecond, s.minSession), s.maxSession)
	}
	if n, err := strconv.Atoi(own[groupHeartbeat]); err == nil {
		c.Heartbeat = min(max(time.Duration(n)*time.Millisecond, s.minHeartbeat), s.maxHeartbeat)
	}
	return c
}

// Configs that a group may have of its own.
const (
	groupSession   = "consumer.session.timeout.ms"
	groupHeartbeat = "consumer.heartbeat.interval.ms"
)

// sourceGroup is the source of a config that is set of a group, as DescribeConfigs numbers it.
const sourceGroup log.ConfigSource = 8

// groupConfigDefs are the configs of groups. Broker is the config that has the default.
func (s *consumerSettings) groupConfigDefs() []log.ConfigDef {
	def := func(name string, value, lo, hi time.Duration, doc string) log.ConfigDef {
		return log.ConfigDef{Name: name, Type: log.TypeInt, Default: strconv.FormatInt(value.Milliseconds(), 10), Min: lo.Milliseconds(), Max: hi.Milliseconds(),
			Doc: doc, Broker: "group." + name}
	}
	return []log.ConfigDef{
		def(groupSession, s.session, s.minSession, s.maxSession, "After how long a silent member of the group is gone."),
		def(groupHeartbeat, s.heartbeat, s.minHeartbeat, s.maxHeartbeat, "How often members of the group are to say that they live."),
	}
}

// checkGroup tells whether these may be the configs of a group.
func (s *consumerSettings) checkGroup(values map[string]string) error {
	millis := make(map[string]int)
	for _, d := range s.groupConfigDefs() {
		v, ok := values[d.Name]
		if !ok {
			v = d.Default
		} else if err := d.Check(v); err != nil {
			return err
		}
		millis[d.Name], _ = strconv.Atoi(v) // checked
	}
	for name, v := range values {
		if _, ok := millis[name]; !ok {
			return &log.ConfigError{Name: name, Value: v, Reason: "unknown group config"}
		}
	}
	if millis[groupHeartbeat] >= millis[groupSession] {
		return &log.ConfigError{Name: groupSession, Value: strconv.Itoa(millis[groupSession]), Reason: fmt.Sprintf("must be more than %s, %d", groupHeartbeat, millis[groupHeartbeat])}
	}
	return nil
}

// groupConfigs shows the configs of a group, whether it is there or not.
func (b *Broker) groupConfigs(group string) []kmsg.DescribeConfigsResponseResourceConfig {
	own := b.dynamic.Load().Groups[group]
	brokers := b.brokerConfigs()
	var all []kmsg.DescribeConfigsResponseResourceConfig
	for _, d := range b.set.Load().consumer.groupConfigDefs() {
		i := slices.IndexFunc(brokers, func(c kmsg.DescribeConfigsResponseResourceConfig) bool { return c.Name == d.Broker })
		c := describeConfig(d, *brokers[i].Value, log.ConfigSource(brokers[i].Source))
		if v, ok := own[d.Name]; ok {
			c = describeConfig(d, v, sourceGroup)
			addSynonym(&c, d.Name, v, sourceGroup)
		}
		c.ConfigSynonyms = append(c.ConfigSynonyms, brokers[i].ConfigSynonyms...)
		all = append(all, c)
	}
	return all
}
