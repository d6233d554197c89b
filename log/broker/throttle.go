package broker

import (
	"fmt"
	"maps"
	"math"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Client quotas.
const (
	producerByteRate       = "producer_byte_rate"
	consumerByteRate       = "consumer_byte_rate"
	controllerMutationRate = "controller_mutation_rate" // of partitions that are made and deleted (KIP-599)
	requestPercentage      = "request_percentage"       // of a processor's time (KIP-124)
	connectionCreationRate = "connection_creation_rate" // of an address; not enforced
)

// quotaWindow is over how long a rate is measured: so many seconds' worth may come at once
// (quota.window.num less the present one, quota.window.size.seconds).
const quotaWindow = 10 * time.Second

// longestRequestThrottle bounds how long who used too much of a processor waits (quota.window.size.seconds). One request
// that is expensive then does not shut a client out.
const longestRequestThrottle = time.Second

// maxMeters bounds what is remembered of clients that are named by whoever connects.
const maxMeters = 10_000

// throttle measures what clients use of their quotas. Safe for concurrent use.
type throttle struct {
	mu     sync.Mutex
	rates  map[quotaFor]map[string]float64
	meters map[meterOf]*meter
	forgot time.Time // when those that ran empty were last looked for
}

// quotaFor is an entity of users and clients: a name behind "=", "*" for those without a quota of their own, "" for
// whom it does not matter.
type quotaFor struct{ user, client string }

// meterOf is who shares what is measured: the user, the client, or both, as the quota says that they have.
type meterOf struct{ user, client, key string }

// meter is how much of a rate is used: it fills with bytes, partitions or hundredths of a processor's seconds, and runs
// empty at the rate.
type meter struct {
	level float64
	at    time.Time
}

// set takes over the quotas. What was measured stays.
func (t *throttle) set(all []quota) {
	rates := make(map[quotaFor]map[string]float64)
	for _, q := range all {
		var f quotaFor
		for _, p := range q.Entity {
			name := "*"
			if p.Name != nil {
				name = "=" + *p.Name
			}
			switch p.Type {
			case "user":
				f.user = name
			case "client-id":
				f.client = name
			}
		}
		if f != (quotaFor{}) { // not of an address
			rates[f] = q.Values
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rates = rates
	if t.meters == nil {
		t.meters = make(map[meterOf]*meter)
	}
}

// rate finds the quota of a client, the most special one as Kafka's order has it, and who shares it.
func (t *throttle) rate(user, client, key string) (float64, meterOf) {
	u, c := "="+user, "="+client
	for _, f := range []quotaFor{{u, c}, {u, "*"}, {u, ""}, {"*", c}, {"*", "*"}, {"*", ""}, {"", c}, {"", "*"}} {
		rate, ok := t.rates[f][key]
		if !ok {
			continue
		}
		of := meterOf{key: key}
		if f.user != "" {
			of.user = u
		}
		if f.client != "" {
			of.client = c
		}
		return rate, of
	}
	return 0, meterOf{}
}

// use notes that a client used so much of a rate, and returns for how long it must use no more.
func (t *throttle) use(user, client, key string, n float64, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.rates) == 0 {
		return 0
	}
	rate, of := t.rate(user, client, key)
	if rate <= 0 {
		return 0
	}
	m := t.meter(of, now)
	m.level = max(0, m.level-rate*now.Sub(m.at).Seconds()) + n
	m.at = now
	over := m.level - rate*quotaWindow.Seconds()
	if over <= 0 {
		return 0
	}
	d := time.Duration(min(over/rate, math.MaxInt32/1000) * float64(time.Second))
	if key == requestPercentage {
		d = min(d, longestRequestThrottle)
	}
	return d
}

// has tells whether a client has a quota.
func (t *throttle) has(user, client, key string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.rates) == 0 {
		return false
	}
	rate, _ := t.rate(user, client, key)
	return rate > 0
}

// window is how many bytes a client may use at once, maxInt without a quota.
func (t *throttle) window(user, client, key string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.rates) == 0 {
		return math.MaxInt
	}
	rate, _ := t.rate(user, client, key)
	if rate <= 0 || rate*quotaWindow.Seconds() > math.MaxInt32 {
		return math.MaxInt
	}
	return int(rate * quotaWindow.Seconds())
}

// meter is what measures those who share a quota. Where there are too many, all new ones share one: who makes up names for
// itself gets neither memory nor more than its rate by it.
func (t *throttle) meter(of meterOf, now time.Time) *meter {
	if t.meters[of] == nil && len(t.meters) >= maxMeters {
		if t.forget(now); len(t.meters) >= maxMeters {
			of = meterOf{key: of.key}
		}
	}
	m := t.meters[of]
	if m == nil {
		m = &meter{at: now}
		t.meters[of] = m
	}
	return m
}

// forget makes room, at most once a second: meters that were not used for so long have run empty, or nearly so.
func (t *throttle) forget(now time.Time) {
	if now.Sub(t.forgot) < time.Second {
		return
	}
	t.forgot = now
	maps.DeleteFunc(t.meters, func(_ meterOf, m *meter) bool { return now.Sub(m.at) >= quotaWindow })
}

// mayUse is how many bytes the client of a request may use at once.
func (r *request) mayUse(key string) int {
	if r.c.inProcess {
		return math.MaxInt
	}
	return r.c.b.quotas.throttle.window(r.user(), r.clientID, key)
}

// user is the client's principal as quotas name it.
func (r *request) user() string { return strings.TrimPrefix(r.c.who, "User:") }

// used notes how much of a rate the client of a request used, and returns what the answer says about it in ms. The next
// request of the connection waits as long (KIP-219). This process is not throttled.
func (r *request) used(key string, n float64) int32 {
	if r.c.inProcess {
		return 0
	}
	now := time.Now()
	d := r.c.b.quotas.throttle.use(r.user(), r.clientID, key, n, now)
	if d <= 0 {
		return 0
	}
	if until := now.Add(d); until.After(r.c.mutedUntil) {
		r.c.mutedUntil = until
	}
	return int32(math.Ceil(d.Seconds() * 1000))
}

// never is a version that no request has.
const never = math.MaxInt16

// mutates notes that a request makes or deletes so many partitions of a topic. Who has something left of the rate may do all
// of it, and who has not waits behind it (request.throttled); but from the version strict on it is refused.
func (r *request) mutates(partitions int, strict int16) error {
	if r.c.inProcess {
		return nil
	}
	n := partitions
	if r.version >= strict {
		n = 0 // only a look
	}
	ms := r.used(controllerMutationRate, float64(n))
	r.throttled = max(r.throttled, ms)
	if r.version < strict {
		return nil
	}
	if ms > 0 {
		return fmt.Errorf("%w: %s allows more in %d ms", kerr.ThrottlingQuotaExceeded, controllerMutationRate, ms)
	}
	r.c.b.quotas.throttle.use(r.user(), r.clientID, controllerMutationRate, float64(partitions), time.Now())
	return nil
}

// timed calls a handler, for a client with a quota of processor time on a thread of its own, so that its time can be told:
// what it waits for, fsyncs, locks, records that are to come, is none.
func (r *request) timed(h handler, req kmsg.Request) (reply, error) {
	if r.c.inProcess || r.c.who == "" || !r.c.b.quotas.throttle.has(r.user(), r.clientID, requestPercentage) {
		return h(r, req)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := threadTime()
	wait, err := h(r, req)
	ms := r.used(requestPercentage, 100*(threadTime()-began).Seconds())
	if ms == 0 || wait == nil {
		return wait, err
	}
	return func() kmsg.Response {
		resp := wait()
		if t, ok := resp.(kmsg.SetThrottleResponse); ok {
			said, _ := resp.(kmsg.ThrottleResponse).Throttle()
			t.SetThrottle(max(ms, said))
		}
		return resp
	}, err
}

// rest waits until the client may go on. A connection that ends ends it too.
func (c *conn) rest() {
	d := time.Until(c.mutedUntil)
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.ctx.Done():
	}
}
