package consumergroup

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestModel lets members join, leave, be silent, come back, lose answers and change what they want, lets topics come,
// grow and go, writes fail and the broker restart, in any order. In half of the groups there are members of the classic
// protocol too. Never do two own a partition; when all is quiet, every
// partition that somebody wants is owned, by numbers as even as can be.
func TestModel(t *testing.T) {
	seeds := uint64(150)
	if os.Getenv("SLUICE_TORTURE") != "" {
		seeds = 20_000
	}
	for seed := range seeds {
		m := &model{groupTest: newGroupTest(t), rnd: rand.New(rand.NewPCG(seed, 848)), by: make(map[string]*client), classics: make(map[string]*classicClient)}
		m.run(seed)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

type model struct {
	*groupTest
	rnd  *rand.Rand
	by   map[string]*client // members, as they think
	next int
	// classics are those of the classic protocol.
	classics map[string]*classicClient
}

func (m *model) run(seed uint64) {
	for i := range 3 {
		m.topics.make(fmt.Sprintf("t%d", i), 1+m.rnd.Int32N(8))
	}
	for step := range 150 {
		if seed%2 == 1 && m.rnd.IntN(2) == 0 {
			m.stepClassic()
		} else {
			m.step()
		}
		m.now = m.now.Add(time.Duration(m.rnd.IntN(4000)) * time.Millisecond)
		m.g.Expire(m.topics, m.now)
		m.fail = m.rnd.IntN(20) == 0
		m.write()
		m.fail = false
		m.check(seed, step)
	}
	m.calm(seed)
}

func (m *model) any() *client {
	ids := slices.Sorted(maps.Keys(m.by))
	if len(ids) == 0 {
		return nil
	}
	return m.by[ids[m.rnd.IntN(len(ids))]]
}

func (m *model) step() {
	c, dice := m.any(), m.rnd.IntN(100)
	switch {
	case dice < 8 && len(m.by) < 9 || c == nil:
		m.join()
	case dice < 12:
		m.leave(c)
	case dice < 14: // it dies
		delete(m.by, c.id)
	case dice < 16:
		m.topics.make(fmt.Sprintf("t%d", m.rnd.IntN(6)), 1+m.rnd.Int32N(8))
	case dice < 18:
		m.topics.delete(fmt.Sprintf("t%d", m.rnd.IntN(6)))
	case dice < 20:
		m.groupTest.restart()
	case dice < 24: // it wants something else
		c.topics = m.subscription()
		m.put(c, c.whole())
	case dice < 30: // the answer is lost
		epoch, has := c.epoch, slices.Clone(c.has)
		_ = c.send(c.whole()) // so is a refusal
		c.epoch, c.has = epoch, has
	default:
		m.beat(c)
	}
}

func (m *model) subscription() []string {
	var names []string
	for i := range 6 {
		if m.rnd.IntN(2) == 0 {
			names = append(names, fmt.Sprintf("t%d", i))
		}
	}
	return names
}

func (m *model) join() {
	m.next++
	c := m.client(fmt.Sprintf("m%03d", m.next), m.subscription()...)
	switch m.rnd.IntN(4) {
	case 0:
		c.instance = fmt.Sprintf("i%d", m.rnd.IntN(3))
	case 1:
		c.regex = fmt.Sprintf("t[%d-%d]", m.rnd.IntN(3), 3+m.rnd.IntN(3))
	}
	m.fail = m.rnd.IntN(10) == 0
	if c.send(c.whole()) == nil {
		m.by[c.id] = c
	}
}

// put sends a heartbeat as a client does: one that is refused gives up all and joins again.
func (m *model) put(c *client, req *kmsg.ConsumerGroupHeartbeatRequest) {
	m.fail = m.rnd.IntN(20) == 0
	if err := c.send(req); err != nil && !errors.Is(err, kerr.KafkaStorageError) {
		c.epoch, c.has = 0, nil
		m.fail = false
		if c.send(c.whole()) != nil {
			delete(m.by, c.id)
		}
	}
}

// beat says what it has half of the time; else it tells nothing and gives nothing up.
func (m *model) beat(c *client) {
	req := c.request()
	req.RebalanceTimeoutMillis = -1
	if m.rnd.IntN(2) == 0 {
		c.report(req)
	}
	m.put(c, req)
}

func (m *model) leave(c *client) {
	req := c.request()
	req.MemberEpoch = -1
	if c.instance != "" && m.rnd.IntN(2) == 0 {
		req.MemberEpoch = away
	}
	delete(m.by, c.id)
	_ = c.send(req) // it may be gone already
}

// check looks for a partition with two owners: by what members were told, and by what the group believes.
func (m *model) check(seed uint64, step int) {
	owner := make(map[Partition]string)
	for id, h := range m.g.held {
		for p := range h.assigned {
			if o, ok := owner[p]; ok {
				m.Fatalf("seed %d, step %d: %v is %s's and %s's", seed, step, p, o, id)
			}
			owner[p] = id
		}
		for p := range h.revoking {
			if o, ok := owner[p]; ok {
				m.Fatalf("seed %d, step %d: %v is %s's and %s has yet to give it up", seed, step, p, o, id)
			}
			owner[p] = id
		}
	}
	if !maps.Equal(owner, m.g.owners) {
		m.Fatalf("seed %d, step %d: owners %v, want %v", seed, step, m.g.owners, owner)
	}
	for id, c := range m.by {
		for _, p := range c.has {
			if o, ok := owner[p]; ok && o != id && m.g.members[id] != nil && c.epoch >= m.g.holds(id).previous {
				m.Fatalf("seed %d, step %d: %s reads %v, which is %s's", seed, step, id, p, o)
			}
		}
	}
	m.checkClassic(owner, seed, step)
}

// calm lets the members that live come to rest.
func (m *model) calm(seed uint64) {
	for range 60 {
		m.now = m.now.Add(2 * time.Second)
		for _, id := range slices.Sorted(maps.Keys(m.by)) {
			if c := m.by[id]; c != nil {
				req := c.request()
				req.RebalanceTimeoutMillis = -1
				c.report(req)
				if err := c.send(req); err != nil {
					c.epoch, c.has = 0, nil
					if c.send(c.whole()) != nil {
						delete(m.by, id)
					}
				}
			}
		}
		m.calmClassic()
		m.g.Expire(m.topics, m.now)
		m.write()
	}
	if len(m.by)+len(m.classics) == 0 {
		return
	}
	m.want(fmt.Sprintf("seed %d: state", seed), m.g.State(), Stable)
	wanted := make(map[Partition]bool)
	for _, c := range m.g.members {
		for _, name := range m.g.subscription(c) {
			if id, n, ok := m.topics.Topic(name); ok {
				for i := range n {
					wanted[Partition{id, i}] = true
				}
			}
		}
	}
	for p := range wanted {
		if _, ok := m.g.owners[p]; !ok {
			m.Errorf("seed %d: nobody has %v", seed, p)
		}
	}
	m.want(fmt.Sprintf("seed %d: owned", seed), len(m.g.owners), len(wanted))
}
