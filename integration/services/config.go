package services

import (
	"maps"
	"slices"
	"strings"
)

// properties writes settings one a line, name and value parted by sep, those of
// over above those of base.
func properties(base, over map[string]string, sep string) string {
	all := maps.Clone(base)
	maps.Copy(all, over)
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		b.WriteString(name + sep + all[name] + "\n")
	}
	return b.String()
}
