package schemaregistry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// difference is one thing in which two texts of schemas differ.
type difference struct {
	// Path is where it is: a JSON pointer in which members of lists that have a name are called by it, as /fields/price;
	// of a Protobuf schema, the line in the text that has it.
	Path   string `json:"path"`
	Change string `json:"change"` // added, removed, changed, reordered
	From   any    `json:"from,omitempty"`
	To     any    `json:"to,omitempty"`
}

// maxDifferences bounds an answer.
const maxDifferences = 1000

// differences returns what is different between the texts of two schemas of one kind.
func differences(kind, from, to string) []difference {
	d := differ{list: []difference{}}
	if kind == kindProtobuf {
		d.lines(strings.Split(from, "\n"), strings.Split(to, "\n"))
		return d.list
	}
	old, oldErr := decoded(from)
	next, nextErr := decoded(to)
	if oldErr != nil || nextErr != nil { // a text that an older registry took, perhaps
		d.add("", "changed", from, to)
	} else {
		d.values("", old, next)
	}
	return d.list
}

func decoded(text string) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	return v, d.Decode(&v)
}

type differ struct{ list []difference }

func (d *differ) add(path, change string, from, to any) {
	if len(d.list) < maxDifferences {
		d.list = append(d.list, difference{path, change, from, to})
	}
}

func (d *differ) values(path string, from, to any) {
	switch old := from.(type) {
	case map[string]any:
		if next, ok := to.(map[string]any); ok {
			d.objects(path, old, next)
			return
		}
	case []any:
		if next, ok := to.([]any); ok {
			d.arrays(path, old, next)
			return
		}
	}
	if !reflect.DeepEqual(from, to) {
		d.add(path, "changed", from, to)
	}
}

func (d *differ) objects(path string, from, to map[string]any) {
	names := slices.Sorted(maps.Keys(from))
	for name := range to {
		if _, ok := from[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		old, was := from[name]
		next, is := to[name]
		at := path + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
		switch {
		case !is:
			d.add(at, "removed", old, nil)
		case !was:
			d.add(at, "added", nil, next)
		default:
			d.values(at, old, next)
		}
	}
}

// arrays compares lists by the keys of their members: names, or the members themselves where they are texts, as symbols
// and branches are. What has neither is compared by its place.
func (d *differ) arrays(path string, from, to []any) {
	old, next := keysOf(from), keysOf(to)
	if old == nil || next == nil {
		for i := range max(len(from), len(to)) {
			at := fmt.Sprintf("%s/%d", path, i)
			switch {
			case i >= len(to):
				d.add(at, "removed", from[i], nil)
			case i >= len(from):
				d.add(at, "added", nil, to[i])
			default:
				d.values(at, from[i], to[i])
			}
		}
		return
	}
	places := make(map[string]int, len(next))
	for i, key := range next {
		places[key] = i
	}
	last, ordered := -1, true
	kept := make(map[string]bool)
	for i, key := range old {
		at, ok := places[key]
		if !ok {
			d.add(path+"/"+key, "removed", from[i], nil)
			continue
		}
		kept[key] = true
		ordered = ordered && at > last
		last = at
		d.values(path+"/"+key, from[i], to[at])
	}
	for i, key := range next {
		if !kept[key] {
			d.add(path+"/"+key, "added", nil, to[i])
		}
	}
	if !ordered {
		d.add(path, "reordered", nil, nil)
	}
}

// keysOf returns what the members of a list are called, nil if some have no name or two have one.
func keysOf(list []any) []string {
	keys := make([]string, len(list))
	seen := make(map[string]bool, len(list))
	for i, item := range list {
		switch v := item.(type) {
		case string:
			keys[i] = v
		case map[string]any:
			keys[i], _ = v["name"].(string)
			if keys[i] == "" {
				keys[i], _ = v["type"].(string) // of a branch
			}
		}
		if keys[i] == "" || seen[keys[i]] {
			return nil
		}
		seen[keys[i]] = true
	}
	return keys
}

// maxLines is up to how many lines each the longest common subsequence is looked for.
const maxLines = 3000

// lines compares texts by their lines.
func (d *differ) lines(from, to []string) {
	if len(from) > maxLines || len(to) > maxLines {
		if !slices.Equal(from, to) {
			d.add("", "changed", strings.Join(from, "\n"), strings.Join(to, "\n"))
		}
		return
	}
	// common[i][j] is how many lines from[i:] and to[j:] have in common, in order.
	common := make([][]uint16, len(from)+1)
	for i := range common {
		common[i] = make([]uint16, len(to)+1)
	}
	for i := len(from) - 1; i >= 0; i-- {
		for j := len(to) - 1; j >= 0; j-- {
			if from[i] == to[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	for i, j := 0, 0; i < len(from) || j < len(to); {
		switch {
		case i < len(from) && j < len(to) && from[i] == to[j]:
			i, j = i+1, j+1
		case j == len(to) || i < len(from) && common[i+1][j] >= common[i][j+1]:
			d.add(fmt.Sprint("line ", i+1), "removed", from[i], nil)
			i++
		default:
			d.add(fmt.Sprint("line ", j+1), "added", nil, to[j])
			j++
		}
	}
}
