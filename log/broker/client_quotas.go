package broker

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/sluicehub/sluice/log"
	"github.com/twmb/franz-go/pkg/kerr"
)

// quotaState is the name under which the log keeps the client quotas, as JSON.
const quotaState = "client-quotas"

// clientQuotas are the quotas that administrators set. All are kept and shown; throttle.go enforces all but
// connectionCreationRate. Safe for
// concurrent use.
type clientQuotas struct {
	log      *log.Log
	throttle throttle

	mu  sync.Mutex
	all []quota // by entity
}

// quota is what one entity may use.
type quota struct {
	Entity quotaEntity        `json:"entity"`
	Values map[string]float64 `json:"values"`
}

// quotaEntity is whom a quota is for: parts of different types, by type.
type quotaEntity []quotaPart

// quotaPart is one part of an entity. A nil name means those without a quota of their own.
type quotaPart struct {
	Type string  `json:"type"`
	Name *string `json:"name"`
}

func (p quotaPart) compare(q quotaPart) int {
	switch {
	case p.Type != q.Type:
		return cmp.Compare(p.Type, q.Type)
	case p.Name == nil || q.Name == nil:
		return rank(p.Name != nil) - rank(q.Name != nil)
	}
	return cmp.Compare(*p.Name, *q.Name)
}

func (e quotaEntity) compare(f quotaEntity) int { return slices.CompareFunc(e, f, quotaPart.compare) }

// part returns the entity's part of a type.
func (e quotaEntity) part(kind string) (quotaPart, bool) {
	i := slices.IndexFunc(e, func(p quotaPart) bool { return p.Type == kind })
	if i < 0 {
		return quotaPart{}, false
	}
	return e[i], true
}

func openClientQuotas(l *log.Log) (*clientQuotas, error) {
	q := &clientQuotas{log: l}
	b, err := l.LoadState(quotaState)
	if err != nil || b == nil {
		return q, err
	}
	if err := json.Unmarshal(b, &q.all); err != nil {
		return nil, fmt.Errorf("%s: %w", quotaState, err)
	}
	q.throttle.set(q.all)
	return q, nil
}

// quotaChange sets a value of an entity, or removes it.
type quotaChange struct {
	key    string
	value  float64
	remove bool
}

// alter changes one entity's quotas durably, or only checks.
func (q *clientQuotas) alter(e quotaEntity, changes []quotaChange, validateOnly bool) error {
	slices.SortFunc(e, quotaPart.compare)
	if err := checkEntity(e); err != nil {
		return err
	}
	_, ofIP := e.part("ip")
	for _, c := range changes {
		if err := c.check(ofIP); err != nil {
			return err
		}
	}
	if validateOnly {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	after := q.changed(e, changes)
	b, err := json.Marshal(after)
	if err != nil {
		return err
	}
	if err := q.log.SaveState(quotaState, b); err != nil {
		return err
	}
	q.all = after
	q.throttle.set(after)
	return nil
}

// changed is all quotas after changes to one entity's. An entity of which nothing is left goes.
func (q *clientQuotas) changed(e quotaEntity, changes []quotaChange) []quota {
	mine := quota{Entity: e, Values: make(map[string]float64)}
	var after []quota
	for _, have := range q.all {
		if have.Entity.compare(e) != 0 {
			after = append(after, have)
			continue
		}
		for k, v := range have.Values {
			mine.Values[k] = v
		}
	}
	for _, c := range changes {
		if c.remove {
			delete(mine.Values, c.key)
		} else {
			mine.Values[c.key] = c.value
		}
	}
	if len(mine.Values) > 0 {
		after = append(after, mine)
	}
	slices.SortFunc(after, func(a, b quota) int { return a.Entity.compare(b.Entity) })
	return after
}

func checkEntity(e quotaEntity) error {
	for i, p := range e {
		switch {
		case p.Type != "user" && p.Type != "client-id" && p.Type != "ip":
			return fmt.Errorf("%w: unknown entity type %q: quotas are for user, client-id and ip", kerr.InvalidRequest, p.Type)
		case i > 0 && e[i-1].Type == p.Type:
			return fmt.Errorf("%w: two entities of type %s", kerr.InvalidRequest, p.Type)
		case p.Type == "ip" && len(e) > 1:
			return fmt.Errorf("%w: an ip cannot be combined with other entities", kerr.InvalidRequest)
		case p.Name != nil && *p.Name == "":
			return fmt.Errorf("%w: the name of a %s is empty", kerr.InvalidRequest, p.Type)
		}
	}
	if len(e) == 0 {
		return fmt.Errorf("%w: the entity is empty", kerr.InvalidRequest)
	}
	return nil
}

// check follows Kafka's quota configs: rates in bytes and connections are whole numbers.
func (c quotaChange) check(ofIP bool) error {
	known, whole := []string{consumerByteRate, controllerMutationRate, producerByteRate, requestPercentage}, strings.HasSuffix(c.key, "byte_rate")
	if ofIP {
		known, whole = []string{connectionCreationRate}, true
	}
	switch {
	case !slices.Contains(known, c.key):
		return fmt.Errorf("%w: unknown quota %q: want one of %s", kerr.InvalidRequest, c.key, strings.Join(known, ", "))
	case c.remove:
		return nil
	case !(c.value > 0) || math.IsInf(c.value, 0):
		return fmt.Errorf("%w: quota %s must be more than 0", kerr.InvalidRequest, c.key)
	case whole && c.value != math.Trunc(c.value):
		return fmt.Errorf("%w: quota %s must be a whole number", kerr.InvalidRequest, c.key)
	}
	return nil
}

// list returns the quotas for whose entities match says yes.
func (q *clientQuotas) list(match func(quotaEntity) bool) []quota {
	q.mu.Lock()
	defer q.mu.Unlock()
	var some []quota
	for _, one := range q.all {
		if match(one.Entity) {
			some = append(some, one)
		}
	}
	return some
}
