package mysql_test

import "strings"

// ended reports whether no incremental snapshot is going on behind the newest offset.
func (r *run) ended() bool {
	_, offsets := r.taken()
	for _, o := range offsets {
		if strings.Contains(string(o.Offset), "incremental_snapshot_collections") {
			return false
		}
	}
	return true
}
