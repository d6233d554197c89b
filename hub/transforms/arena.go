package transforms

import "github.com/sluicehub/sluice/connectors"

// arenaChunk is how much memory an arena takes at once.
const arenaChunk = 64 << 10

// arena gives transforms memory for the values they make, in chunks that records share: it is never used twice, and
// goes when the last record that points into it goes.
type arena struct{ free []byte }

// take returns an empty slice to append to.
func (a *arena) take() []byte {
	if cap(a.free) < arenaChunk/16 {
		a.free = make([]byte, 0, arenaChunk)
	}
	return a.free[:0]
}

// keep hands on what was appended to the slice that take returned.
func (a *arena) keep(b []byte) []byte {
	if cap(b) == cap(a.free) && len(b) <= cap(a.free) {
		a.free = a.free[len(b):len(b):cap(a.free)]
	}
	return b[:len(b):len(b)]
}

// cache keeps what was worked out for a schema, by its pointer. The last one is answered without a look-up.
type cache[P any] struct {
	last *connectors.Schema
	plan P
	all  map[*connectors.Schema]P
}

// cacheSize is how many schemas a transform remembers before it starts anew.
const cacheSize = 1000

func (c *cache[P]) get(s *connectors.Schema, build func(*connectors.Schema) (P, error)) (P, error) {
	if s == c.last {
		return c.plan, nil
	}
	p, ok := c.all[s]
	if !ok {
		var err error
		if p, err = build(s); err != nil {
			return p, err
		}
		if c.all == nil || len(c.all) >= cacheSize {
			c.all = map[*connectors.Schema]P{}
		}
		c.all[s] = p
	}
	c.last, c.plan = s, p
	return p, nil
}
