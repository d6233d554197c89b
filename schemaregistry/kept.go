package schemaregistry

import "sync"

// kept keeps values that take time to make, up to a size in all, and lets go of any others if they are too much. Its
// methods may be called by several goroutines at once.
type kept[K comparable, V any] struct {
	most int // of the sizes in all
	mu   sync.RWMutex
	size int
	all  map[K]sized[V]
}

type sized[V any] struct {
	value V
	size  int
}

func (k *kept[K, V]) get(key K) (V, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	v, ok := k.all[key]
	return v.value, ok
}

// put keeps a value, unless its key has one or it would take too much of the place of others.
func (k *kept[K, V]) put(key K, value V, size int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, there := k.all[key]; there || size > k.most/8 {
		return
	}
	for other, v := range k.all {
		if k.size+size <= k.most {
			break
		}
		k.size -= v.size
		delete(k.all, other)
	}
	if k.all == nil {
		k.all = make(map[K]sized[V])
	}
	k.all[key] = sized[V]{value, size}
	k.size += size
}
