package broker

// repeats are things that a request names more than once, although it may name each once. True are those that are not
// answered yet: the answer has one entry for all of them.
type repeats[K comparable] map[K]bool

func repeated[K comparable, T any](all []T, key func(*T) K) repeats[K] {
	seen, again := make(map[K]bool, len(all)), make(repeats[K])
	for i := range all {
		k := key(&all[i])
		if seen[k] {
			again[k] = true
		}
		seen[k] = true
	}
	return again
}

// has tells whether k is one of them.
func (r repeats[K]) has(k K) bool { _, ok := r[k]; return ok }

// first tells whether k, which is one of them, is not answered yet. After that it is.
func (r repeats[K]) first(k K) bool {
	first := r[k]
	r[k] = false
	return first
}
