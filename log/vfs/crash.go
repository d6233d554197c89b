package vfs

import (
	"math/rand/v2"
	"slices"
)

// CrashClone returns a copy of the file system after a crash at this moment.
// Synced bytes and names are there. Each change of a directory since its last
// SyncDir is there or not (a rename as a whole), independently; of each file's
// unsynced bytes all, none, or any subset of sectors is there, and its size is
// any between the durable and the present one. It has the room that it had reserved.
func (m *Mem) CrashClone(rng *rand.Rand) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := crasher{rng: rng, done: map[*node]*node{}}
	return &Mem{root: c.clone(m.root), locks: map[string]bool{}, limit: m.limit}
}

type crasher struct {
	rng  *rand.Rand
	done map[*node]*node
}

func (c *crasher) clone(n *node) *node {
	if d, ok := c.done[n]; ok {
		return d
	}
	if n.names == nil {
		data := c.content(n)
		out := &node{data: data, synced: slices.Clone(data), reserved: n.reserved}
		c.done[n] = out
		return out
	}
	names := map[string]*node{}
	for k, v := range n.durable {
		names[k] = v
	}
	for _, ch := range n.changes {
		if c.rng.IntN(2) == 0 {
			n.apply(names, ch)
		}
	}
	out := newDir()
	c.done[n] = out
	// In order of names, so that one seed gives one result.
	keys := make([]string, 0, len(names))
	for k := range names {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		out.names[k] = c.clone(names[k])
		out.durable[k] = out.names[k]
	}
	return out
}

const memSector = 512

func (c *crasher) content(n *node) []byte {
	if !n.dirty {
		return slices.Clone(n.synced)
	}
	switch c.rng.IntN(3) {
	case 0:
		return slices.Clone(n.data)
	case 1:
		return slices.Clone(n.synced)
	}
	lo, hi := min(len(n.data), len(n.synced)), max(len(n.data), len(n.synced))
	out := make([]byte, lo+c.rng.IntN(hi-lo+1))
	for at := 0; at < len(out); at += memSector {
		src := n.synced
		if c.rng.IntN(2) == 0 {
			src = n.data
		}
		if at < len(src) {
			copy(out[at:min(at+memSector, len(out))], src[at:])
		}
	}
	return out
}
