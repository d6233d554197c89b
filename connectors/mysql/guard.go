package mysql

import (
	"context"
	"fmt"
	"strings"
)

// checkOffset reports an error of the class gone if the server's log no longer has all that follows the offset, or if
// the server is not the one that the offset is of.
func (t *task) checkOffset(ctx context.Context, p *position) error {
	const op = "go on from the stored source offset"
	if p.GTIDs != "" && t.server.gtids {
		return t.checkGTIDs(ctx, op, p)
	}
	files, err := logFiles(ctx, t.control)
	if err != nil {
		return trouble("list the binary logs", err)
	}
	for _, f := range files {
		if f.name != p.File {
			continue
		}
		if p.Pos > f.size {
			return gone(op, "connect to the server that was captured so far, or "+afresh(t.name), "the stored offset is at %s:%d, but that file has %d bytes: it is another server, or was restored from a backup", p.File, p.Pos, f.size)
		}
		return nil
	}
	oldest := "it has none"
	if len(files) > 0 {
		oldest = "its oldest one is " + files[0].name
	}
	return gone(op, afresh(t.name), "the stored offset is in %s, which the server has purged (%s): the changes since then are gone", p.File, oldest)
}

// checkGTIDs compares sets of GTIDs: what the server has purged must have been read, and what was read must be the
// server's.
func (t *task) checkGTIDs(ctx context.Context, op string, p *position) error {
	ours, err := t.s.flavor.parseGTIDs(p.GTIDs)
	if err != nil {
		return wrong(op, "correct or delete the connector's offsets", "%w", err)
	}
	if t.server.mariadb {
		return nil // its domains cannot be compared from outside; the server refuses what it does not have
	}
	r, err := t.control.one(ctx, "SELECT @@GLOBAL.gtid_purged, @@GLOBAL.gtid_executed")
	if err != nil {
		return trouble("read the server's GTIDs", err)
	}
	purged, err1 := t.s.flavor.parseGTIDs(t.counted(r[0]))
	executed, err2 := t.s.flavor.parseGTIDs(r[1])
	if err1 != nil || err2 != nil {
		return fmt.Errorf("read the server's GTIDs: %w %w", err1, err2)
	}
	if !ours.Contain(purged) {
		return gone(op, afresh(t.name), "the server has purged transactions that were not read: it has purged %s, read were %s", purged, ours)
	}
	own, err := t.s.flavor.parseGTIDs(t.counted(p.GTIDs))
	if err == nil && !executed.Contain(own) {
		return gone(op, "connect to the server that was captured so far or to one that has replicated from it, or "+afresh(t.name), "read were %s, but the server has executed only %s: it is another server, or was restored from a backup", ours, executed)
	}
	return nil
}

// counted leaves out the sets of servers that do not count (gtid.source.includes and .excludes).
func (t *task) counted(set string) string {
	var kept []string
	for _, part := range strings.Split(strings.Join(strings.Fields(set), ""), ",") {
		source, _, _ := strings.Cut(part, ":")
		if part != "" && t.s.sources.Allows(source) {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, ",")
}
