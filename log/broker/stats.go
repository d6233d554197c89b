package broker

import (
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// LatencyBuckets are the upper bounds of APIStats.Counts; one more count follows for everything above.
func LatencyBuckets() []time.Duration {
	return []time.Duration{
		250 * time.Microsecond, 500 * time.Microsecond, time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond,
		25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 5 * time.Second,
	}
}

// APIStats are figures of one API since the start.
type APIStats struct {
	Name     string
	Requests int64         // answered, those that want no answer included
	In, Out  int64         // bytes of requests and answers
	Time     time.Duration // total, from a request's arrival to its answer's last byte
	Counts   []int64       // by LatencyBuckets
}

// apiCounters counts one API.
type apiCounters struct {
	in, out, nanos atomic.Int64
	counts         []atomic.Int64 // one for each bucket; their sum is the number of requests
}

func newAPICounters(n int) []apiCounters {
	all := make([]apiCounters, n)
	for i := range all {
		all[i].counts = make([]atomic.Int64, len(LatencyBuckets())+1)
	}
	return all
}

func (c *apiCounters) note(bounds []time.Duration, took time.Duration, in, out int) {
	c.in.Add(int64(in))
	c.out.Add(int64(out))
	c.nanos.Add(int64(took))
	i := 0
	for i < len(bounds) && took > bounds[i] {
		i++
	}
	c.counts[i].Add(1)
}

// APIStats are the figures of the APIs that were used, by key.
func (b *Broker) APIStats() []APIStats {
	var all []APIStats
	for key := range b.apis {
		c := &b.counters[key]
		s := APIStats{Name: kmsg.NameForKey(int16(key)), In: c.in.Load(), Out: c.out.Load(), Time: time.Duration(c.nanos.Load())}
		for i := range c.counts {
			n := c.counts[i].Load()
			s.Requests += n
			s.Counts = append(s.Counts, n)
		}
		if s.Requests > 0 {
			all = append(all, s)
		}
	}
	return all
}

// GroupLag is how far a group is behind in one partition.
type GroupLag struct {
	Group, Topic string
	Partition    int32
	Records      int64         // between the committed offset and the high watermark
	Age          time.Duration // of the first record that is not committed; 0 if there is none
}

// GroupLags lists the lag of all groups where they have committed offsets, in no order. Offsets of topics that are gone
// are left out, and ages that cannot be read are 0.
func (b *Broker) GroupLags() []GroupLag {
	var all []GroupLag
	for _, id := range b.groups.store.groups() {
		for _, p := range b.groups.store.places(id) {
			c, ok := b.groups.store.get(id, p)
			part, err := b.log.Partition(p.topic, p.partition)
			if !ok || err != nil {
				continue
			}
			at := max(c.offset, part.LogStart())
			lag := GroupLag{Group: id, Topic: p.topic, Partition: p.partition, Records: max(0, part.HighWatermark()-at)}
			if lag.Records > 0 {
				if ms, ok, err := part.BatchTime(at); err == nil && ok && ms >= 0 {
					lag.Age = max(0, time.Since(time.UnixMilli(ms)))
				}
			}
			all = append(all, lag)
		}
	}
	return all
}
