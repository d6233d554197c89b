package consumergroup

import (
	"maps"

	"github.com/sluicehub/sluice/log"
)

// Record is one record of the topic that groups are kept in. A nil Value deletes.
type Record struct{ Key, Value []byte }

// change gives a part of a group's state a new value. Each is one record.
type change interface {
	record(group string) Record
	// apply makes the change and returns the one that takes it back.
	apply(g *Group) change
}

type (
	// epochTo is a new epoch of the group; 0 deletes the group.
	epochTo struct {
		epoch int32
		hash  int64
	}
	// assignedTo is a new epoch of the targets; 0 deletes it.
	assignedTo struct{ epoch int32 }
	// memberTo is what a member says of itself; nil deletes it.
	memberTo struct {
		id string
		to *member
	}
	// targetTo is what a member should have; nil deletes it.
	targetTo struct {
		id string
		to []Partition
	}
	// heldTo is what a member has; nil deletes it.
	heldTo struct {
		id string
		to *held
	}
	// resolvedTo are the topics of a regular expression; nil deletes them.
	resolvedTo struct {
		regex string
		to    *resolved
	}
)

// do makes a change, of which there will be a record.
func (g *Group) do(c change) {
	g.undo = append(g.undo, c.apply(g))
	g.todo = append(g.todo, c)
}

// Records are the changes since Keep or Undo, in order.
func (g *Group) Records() []Record {
	all := make([]Record, 0, len(g.todo))
	for _, c := range g.todo {
		all = append(all, c.record(g.id))
	}
	return all
}

// Keep makes the changes stay.
func (g *Group) Keep() {
	if len(g.todo) > 0 {
		maps.DeleteFunc(g.deadlines, func(id string, _ deadline) bool { return g.members[id] == nil })
	}
	g.todo, g.undo = nil, nil
}

// Undo takes back the changes since Keep, as if they had not been.
func (g *Group) Undo() {
	for i := len(g.undo) - 1; i >= 0; i-- {
		g.undo[i].apply(g)
	}
	if len(g.undo) > 0 {
		g.topics, g.regexTopics = -1, -1 // what they are of may be gone
	}
	g.todo, g.undo = nil, nil
}

// Delete deletes everything of the group.
func (g *Group) Delete() {
	for _, id := range g.memberIDs() {
		g.drop(id)
	}
	for regex := range maps.Clone(g.resolved) {
		g.do(resolvedTo{regex, nil})
	}
	g.do(assignedTo{})
	g.do(epochTo{})
}

// drop deletes everything of a member.
func (g *Group) drop(id string) {
	g.do(heldTo{id, nil})
	g.do(targetTo{id, nil})
	g.do(memberTo{id, nil})
}

func (c epochTo) apply(g *Group) change {
	was := epochTo{g.epoch, g.hash}
	g.epoch, g.hash = c.epoch, c.hash
	return was
}

func (c assignedTo) apply(g *Group) change {
	was := assignedTo{g.assigned}
	g.assigned = c.epoch
	return was
}

func (c memberTo) apply(g *Group) change {
	was := memberTo{c.id, g.members[c.id]}
	if m := was.to; m != nil && m.instance != "" && g.instances[m.instance] == c.id {
		delete(g.instances, m.instance)
	}
	if c.to == nil {
		delete(g.members, c.id)
		return was
	}
	g.members[c.id] = c.to
	if c.to.instance != "" {
		g.instances[c.to.instance] = c.id
	}
	return was
}

func (c targetTo) apply(g *Group) change {
	was := targetTo{c.id, g.targets[c.id]}
	if c.to == nil {
		delete(g.targets, c.id)
	} else {
		g.targets[c.id] = c.to
	}
	return was
}

func (c heldTo) apply(g *Group) change {
	was := heldTo{c.id, g.held[c.id]}
	if was.to != nil {
		for _, some := range []map[Partition]int32{was.to.assigned, was.to.revoking} {
			for p := range some {
				if g.owners[p] == c.id {
					delete(g.owners, p)
				}
			}
		}
	}
	if c.to == nil {
		delete(g.held, c.id)
		return was
	}
	g.held[c.id] = c.to
	for _, some := range []map[Partition]int32{c.to.assigned, c.to.revoking} {
		for p := range some {
			g.owners[p] = c.id
		}
	}
	return was
}

func (c resolvedTo) apply(g *Group) change {
	was := resolvedTo{c.regex, g.resolved[c.regex]}
	if c.to == nil {
		delete(g.resolved, c.regex)
	} else {
		g.resolved[c.regex] = c.to
	}
	return was
}

// byTopic are partitions by topic, in order.
func byTopic(all []Partition) (topics []log.TopicID, numbers [][]int32) {
	for _, p := range all {
		if n := len(topics); n == 0 || topics[n-1] != p.Topic {
			topics, numbers = append(topics, p.Topic), append(numbers, nil)
		}
		n := len(numbers) - 1
		numbers[n] = append(numbers[n], p.Number)
	}
	return topics, numbers
}
