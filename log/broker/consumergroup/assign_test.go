package consumergroup

import (
	"fmt"
	"slices"
	"testing"

	"github.com/sluicehub/sluice/log"
)

// spec is work for an assignor: topics a, b, … with so many partitions, and what each member wants, by their letters.
func spec(sizes []int32, wants ...string) *work {
	w := &work{}
	for i, n := range sizes {
		w.topics = append(w.topics, load{id: log.TopicID{byte('a' + i)}, partitions: n})
	}
	for i, letters := range wants {
		one := worker{id: fmt.Sprintf("m%02d", i), rank: fmt.Sprintf("m%02d", i), wants: make(map[log.TopicID]bool)}
		for _, l := range letters {
			one.wants[log.TopicID{byte(l)}] = true
			t := &w.topics[l-'a']
			t.members = append(t.members, i)
		}
		w.members = append(w.members, one)
	}
	return w
}

// had gives the members of w what they had before.
func (w *work) had(before map[string][]Partition) *work {
	for i := range w.members {
		w.members[i].has = before[w.members[i].id]
		slices.SortFunc(w.members[i].has, comparePartitions)
	}
	return w
}

// counts is how many partitions each member has.
func (w *work) counts(to map[string][]Partition) []int {
	var all []int
	for _, m := range w.members {
		all = append(all, len(to[m.id]))
	}
	return all
}

func moved(before, after map[string][]Partition) (n int) {
	for id, parts := range after {
		for _, p := range parts {
			if !slices.Contains(before[id], p) {
				n++
			}
		}
	}
	return n
}

func TestUniformIsEvenAndMovesTheLeast(t *testing.T) {
	all := func(n int) []string { return slices.Repeat([]string{"ab"}, n) }
	sizes := []int32{7, 5}
	three := spec(sizes, all(3)...).uniform()
	for _, c := range []struct {
		name   string
		sizes  []int32
		wants  []string
		before map[string][]Partition
		counts string
		moved  int
	}{
		{"three anew", sizes, all(3), nil, "[4 4 4]", 12},
		{"nothing changed", sizes, all(3), three, "[4 4 4]", 0},
		{"a fourth", sizes, all(4), three, "[3 3 3 3]", 3},
		{"a fourth and a fifth", sizes, all(5), three, "[3 3 2 2 2]", 4},
		{"one left", sizes, all(2), three, "[6 6]", 4},
		{"a topic grew", []int32{9, 5}, all(3), three, "[5 5 4]", 2},
		{"a topic is empty", []int32{7, 0}, all(3), three, "[3 2 2]", 2},
		{"one wants less", sizes, []string{"ab", "ab", "a"}, three, "[4 4 4]", -1},
		{"each something else", []int32{4, 4}, []string{"a", "b", "ab"}, nil, "[2 3 3]", 8},
		{"few want much", []int32{9, 2}, []string{"a", "ab", "b"}, nil, "[5 4 2]", 11},
		{"nobody", sizes, nil, nil, "[]", 0},
	} {
		w := spec(c.sizes, c.wants...).had(c.before)
		to := w.uniform()
		if got := fmt.Sprint(w.counts(to)); got != c.counts {
			t.Errorf("%s: %s, want %s", c.name, got, c.counts)
		}
		if n := moved(c.before, to); c.moved >= 0 && n != c.moved {
			t.Errorf("%s: %d partitions moved, want %d", c.name, n, c.moved)
		}
	}
}

func TestRangeGivesRuns(t *testing.T) {
	w := spec([]int32{5, 2}, "ab", "ab", "a")
	to := w.byRange()
	a, b := log.TopicID{'a'}, log.TopicID{'b'}
	for id, want := range map[string][]Partition{
		"m00": {{a, 0}, {a, 1}, {b, 0}}, "m01": {{a, 2}, {a, 3}, {b, 1}}, "m02": {{a, 4}},
	} {
		if !slices.Equal(to[id], want) {
			t.Errorf("%s has %v, want %v", id, to[id], want)
		}
	}
}

func BenchmarkUniform(b *testing.B) {
	wants := slices.Repeat([]string{"a"}, 1000)
	before := spec([]int32{10_000}, wants[1:]...).uniform()
	for b.Loop() {
		spec([]int32{10_000}, wants...).had(before).uniform()
	}
}
