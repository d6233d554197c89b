package consumergroup

import (
	"maps"
	"slices"

	"github.com/sluicehub/sluice/log"
)

// assign gives every member a new target, for the group's epoch.
func (g *Group) assign(cfg Config, topics Topics) {
	work := g.work(topics)
	var to map[string][]Partition
	if g.Assignor(cfg) == Range {
		to = work.byRange()
	} else {
		to = work.uniform()
	}
	for _, id := range g.memberIDs() {
		parts := to[id]
		slices.SortFunc(parts, comparePartitions)
		if have, ok := g.targets[id]; !ok || !slices.Equal(have, parts) {
			g.do(targetTo{id, append([]Partition{}, parts...)})
		}
	}
	g.do(assignedTo{g.epoch})
}

// Assignor is the one that most members ask for, of those the first by name; the first of the config if none asks.
func (g *Group) Assignor(cfg Config) string {
	votes := make(map[string]int)
	for _, m := range g.members {
		if slices.Contains(cfg.Assignors, m.assignor) {
			votes[m.assignor]++
		}
	}
	best := ""
	for _, name := range slices.Sorted(maps.Keys(votes)) {
		if votes[name] > votes[best] {
			best = name
		}
	}
	if best == "" {
		return cfg.Assignors[0]
	}
	return best
}

// work is what is to be assigned.
type work struct {
	members []worker
	topics  []load // in order
}

// worker is a member as an assignor sees it.
type worker struct {
	id    string
	rank  string // its place among the members: a static one keeps it
	has   []Partition
	wants map[log.TopicID]bool
}

// load is a topic.
type load struct {
	id         log.TopicID
	partitions int32
	members    []int // who subscribes, in order
}

func (g *Group) work(topics Topics) *work {
	w := &work{}
	at := make(map[log.TopicID]int)
	for i, id := range g.memberIDs() {
		m := g.members[id]
		one := worker{id: id, rank: id, has: g.targets[id], wants: make(map[log.TopicID]bool)}
		if m.instance != "" {
			one.rank = m.instance
		}
		for _, name := range g.subscription(m) {
			topic, partitions, ok := topics.Topic(name)
			if !ok {
				continue
			}
			one.wants[topic] = true
			n, ok := at[topic]
			if !ok {
				n = len(w.topics)
				at[topic] = n
				w.topics = append(w.topics, load{id: topic, partitions: partitions})
			}
			w.topics[n].members = append(w.topics[n].members, i)
		}
		w.members = append(w.members, one)
	}
	slices.SortFunc(w.topics, func(a, b load) int { return slices.Compare(a.id[:], b.id[:]) })
	return w
}

// byRange gives each member of a topic a run of its partitions, the first ones one more where they do not divide.
func (w *work) byRange() map[string][]Partition {
	to := make(map[string][]Partition)
	for _, t := range w.topics {
		slices.SortFunc(t.members, func(a, b int) int { return compareRanks(&w.members[a], &w.members[b]) })
		n, members := int32(0), int32(len(t.members))
		for i, m := range t.members {
			size := t.partitions / members
			if int32(i) < t.partitions%members {
				size++
			}
			id := w.members[m].id
			for range size {
				to[id] = append(to[id], Partition{t.id, n})
				n++
			}
		}
	}
	return to
}
