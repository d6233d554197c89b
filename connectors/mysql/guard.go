package mysql

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/sluicehub/sluice/connectors"
)

// checkOffset reports an error of the class gone if the server's log no longer has all that follows the offset, or if
// the server is not the one that the offset is of.
func (t *task) checkOffset(ctx context.Context, p *position) error {
	const op = "go on from the stored source offset"
	if !t.server.logging {
		return gone(op, "start the server with log_bin, or "+afresh(t.name), "the server has no binary log any more: the changes since then are gone")
	}
	if p.GTIDs != "" && t.server.gtids {
		return t.checkGTIDs(ctx, op, p)
	}
	if t.storedServer != "" && t.server.uuid != "" && t.storedServer != t.server.uuid {
		return gone(op, "connect to the server that was captured so far, or "+afresh(t.name)+"; with gtid_mode=ON a source can go on from another server of the same replication",
			"the stored offset is a place in the log of the server %s, and this is %s", t.storedServer, t.server.uuid)
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

// storedServer is the server_uuid of the server whose log the stored definitions are from, "" if it is not known: of
// Debezium's offsets, and of MariaDB, which has none.
func (s *settings) storedServer(offsets []connectors.SourceOffset) string {
	for _, o := range offsets {
		var part sourcePartition
		var of storedVersions
		if json.Unmarshal(o.Partition, &part) == nil && part.Server == s.prefix && part.Table != "" && json.Unmarshal(o.Offset, &of) == nil && of.Server != "" {
			return of.Server
		}
	}
	return ""
}

// checkGTIDs compares sets of GTIDs: what the server has purged must have been read, and what was read must be the
// server's.
func (t *task) checkGTIDs(ctx context.Context, op string, p *position) error {
	ours, err := t.s.flavor.parseGTIDs(p.GTIDs)
	if err != nil {
		return wrong(op, "correct or delete the connector's offsets", "%w", err)
	}
	if t.server.mariadb {
		return t.checkDomains(ctx, op, p)
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

// checkDomains compares the places in MariaDB's domains, in each of which transactions have growing numbers. The server
// does not do it for a domain that it does not know, and would send what it has of it.
func (t *task) checkDomains(ctx context.Context, op string, p *position) error {
	files, err := logFiles(ctx, t.control)
	if err != nil || len(files) == 0 {
		return trouble("list the binary logs", err)
	}
	r, err := t.control.one(ctx, "SELECT @@GLOBAL.gtid_binlog_state, BINLOG_GTID_POS("+quoteText(files[0].name)+", 4)")
	if err != nil {
		return trouble("read the server's GTIDs", err)
	}
	ours, executed, purged := domains(p.GTIDs), domains(r[0]), domains(r[1])
	for d, n := range purged {
		if ours[d] < n {
			return gone(op, afresh(t.name), "the server has purged transactions that were not read: its oldest log, %s, begins behind %s, read were %s", files[0].name, r[1], p.GTIDs)
		}
	}
	for d, n := range ours {
		if executed[d] < n {
			return gone(op, "connect to the server that was captured so far or to one that has replicated from it, or "+afresh(t.name), "read were %s, but the server's log has only %s: it is another server, or was restored from a backup, or RESET MASTER was run", p.GTIDs, r[0])
		}
	}
	return nil
}

// domains returns the last number in each domain of MariaDB's GTIDs, DOMAIN-SERVER-NUMBER,…
func domains(gtids string) map[string]uint64 {
	last := map[string]uint64{}
	for _, gtid := range strings.Split(gtids, ",") {
		if part := strings.Split(strings.TrimSpace(gtid), "-"); len(part) == 3 {
			n, _ := strconv.ParseUint(part[2], 10, 64) // the server's own, or read when the offset was
			last[part[0]] = max(last[part[0]], n)
		}
	}
	return last
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
