package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/sluicehub/sluice/connectors"
)

// A stored offset is a place in the log of one server. Debezium's offsets do not say of which; so a source partition of
// its own, beside Debezium's, does:
//
//	{"server":"shop","of":"server"}   {"system_identifier":"7412345678901234567","timeline":1}
//
// The identifier is made by initdb. A standby, a promoted standby and a backup have that of their origin, but what was
// promoted or restored goes on in a timeline of its own. An offset of Debezium, or one that a person wrote, comes without
// these and is checked by slot and log only (guard.go).

// ofServer is the part of the source partition that says which server the offsets are of.
const ofServer = "server"

// identity is the source offset that names the server.
type identity struct {
	System   string `json:"system_identifier"`  // "": not known
	Timeline int32  `json:"timeline,omitempty"` // 0: not known, or of a standby, whose timeline may change as it runs
}

func (s *settings) identityPartition() json.RawMessage {
	return connectors.MarshalOffset(sourcePartition{Server: s.prefix, Of: ofServer})
}

// storedIdentity returns the server that the stored offsets are of.
func (s *settings) storedIdentity(offsets []connectors.SourceOffset) identity {
	for _, o := range offsets {
		var part sourcePartition
		var id identity
		if json.Unmarshal(o.Partition, &part) == nil && part == (sourcePartition{s.prefix, ofServer}) && json.Unmarshal(o.Offset, &id) == nil {
			return id
		}
	}
	return identity{}
}

// readIdentity asks the server which one it is. A role that may not know leaves it unknown.
func (t *task) readIdentity(ctx context.Context) error {
	err := t.control.QueryRow(ctx, `SELECT system_identifier::text,
  CASE WHEN pg_is_in_recovery() THEN 0 ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END
  FROM pg_control_system()`).Scan(&t.server.System, &t.server.Timeline)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42501" {
		t.log.Info("the role may not ask for the server's identifier; another server is noticed by slot and log only")
		return nil
	}
	return err
}

// checkSystem reports an error of the class gone if the offsets are of another server.
func (t *task) checkSystem(op string) error {
	if t.server.System == "" || t.stored.System == "" || t.server.System == t.stored.System {
		return nil
	}
	return gone(op, formerServer(t.name),
		"the stored offset is of the server with the system identifier %s, and this one has %s: its log says nothing about the changes since", t.stored.System, t.server.System)
}

// checkTimeline reports an error of the class gone if the offset, which is at, is not a place in this server's log: that of
// the former server went on behind where this one left it. What was read there is on no server any more, and changes of
// this one with those numbers would be passed over.
func (t *task) checkTimeline(ctx context.Context, op string, at pglogrepl.LSN, pos *position) error {
	was, is := t.stored.Timeline, t.server.Timeline
	if was == 0 || is == 0 || was == is {
		return nil
	}
	left, ok, err := t.leftTimeline(ctx, was)
	if err != nil {
		return trouble("read the history of the server's timeline "+strconv.Itoa(int(is)), err)
	}
	if !ok {
		return gone(op, formerServer(t.name), "the stored offset is of timeline %d, which this server's log, of timeline %d, does not come from", was, is)
	}
	if at > left {
		return gone(op, formerServer(t.name), "the stored offset is at LSN %s of timeline %d, which this server's log, of timeline %d, left at %s: "+
			"what was committed between was delivered and is lost, because a standby that had not received it was promoted, or a backup was restored", at, was, is, left)
	}
	t.log.Info("the server's log goes on in another timeline", "was", was, "is", is, "left", left)
	// A transaction that was delivered in part may not have been committed here, and its number be another's.
	pos.TxID, pos.Count = 0, 0
	return nil
}

// leftTimeline returns where the server's log left a timeline; ok is false if it does not come from that.
func (t *task) leftTimeline(ctx context.Context, timeline int32) (at pglogrepl.LSN, ok bool, err error) {
	if t.server.Timeline == 1 { // the first one has no history
		return 0, false, nil
	}
	conn, err := t.s.connectReplication(ctx)
	if err != nil {
		return 0, false, err
	}
	defer conn.Close(ctx)
	history, err := pglogrepl.TimelineHistory(ctx, conn, t.server.Timeline)
	if err != nil {
		return 0, false, err
	}
	for line := range strings.Lines(string(history.Content)) { // timeline, where it was left, and why
		if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == strconv.Itoa(int(timeline)) {
			at, err = pglogrepl.ParseLSN(fields[1])
			return at, err == nil, err
		}
	}
	return 0, false, nil
}

// identify appends which server the batch's offset is of, unless that is stored.
func (t *task) identify(b *connectors.Batch) {
	if t.server == t.stored || t.server.System == "" || len(b.Offsets) == 0 {
		return
	}
	t.stored = t.server
	b.Offsets = append(b.Offsets, connectors.SourceOffset{Partition: t.s.identityPartition(), Offset: connectors.MarshalOffset(t.server)})
}

// checkIdentity says whether an identity that a person wrote is well formed.
func checkIdentity(raw json.RawMessage) error {
	var id identity
	if err := json.Unmarshal(raw, &id); err != nil || id.System == "" {
		return fmt.Errorf(`the offset of this partition must be {"system_identifier":"…"}, not %s`, raw)
	}
	return nil
}
