package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// slot is what the server says about the replication slot.
type slot struct {
	database, plugin string
	active           bool
	confirmed        pglogrepl.LSN
	restart          pglogrepl.LSN // from where a session reads; 0 if the slot is lost
	segment          int64         // size of the files of the log
	status           string        // wal_status; "" before PostgreSQL 13
	retained         int64         // bytes of WAL kept for it
}

// findSlot returns the slot, or nil if there is none of that name.
func findSlot(ctx context.Context, conn *pgx.Conn, name string) (*slot, error) {
	var s slot
	var confirmed, restart string
	err := conn.QueryRow(ctx, `SELECT coalesce(database, ''), coalesce(plugin, ''), active, coalesce(confirmed_flush_lsn, '0/0')::text,
  coalesce(restart_lsn, '0/0')::text, (SELECT setting::bigint * CASE unit WHEN '8kB' THEN 8192 ELSE 1 END FROM pg_settings WHERE name = 'wal_segment_size'),
  coalesce(to_jsonb(s)->>'wal_status', ''),
  coalesce(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END, restart_lsn), 0)::bigint
FROM pg_replication_slots s WHERE slot_name = `+quoteText(name)).Scan(&s.database, &s.plugin, &s.active, &confirmed, &restart, &s.segment, &s.status, &s.retained)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read slot %s: %w", name, err)
	}
	if s.confirmed, err = pglogrepl.ParseLSN(confirmed); err == nil {
		s.restart, err = pglogrepl.ParseLSN(restart)
	}
	return &s, err
}

// needs reports whether a session on the slot has to read a file of the log.
//
//	name: timeline | 4 GiB of log | file in these, 8 hexadecimal digits each
func (s *slot) needs(file string) bool {
	if len(file) != 24 {
		return true
	}
	high, err1 := strconv.ParseUint(file[8:16], 16, 32)
	low, err2 := strconv.ParseUint(file[16:], 16, 32)
	return err1 != nil || err2 != nil || uint64(s.restart) < high<<32+(low+1)*uint64(s.segment)
}

// madeSlot is a slot just made, and the snapshot of the database at the point where its changes begin.
type madeSlot struct {
	point    pglogrepl.LSN
	snapshot string // valid until the next command of the session
}

// createSlot makes a slot. The session must take replication commands. It waits until all transactions that are
// running now have ended.
func createSlot(ctx context.Context, conn *pgconn.PgConn, name string, temporary, export, failover bool, version int) (madeSlot, error) {
	action := "NOEXPORT_SNAPSHOT"
	if export {
		action = "EXPORT_SNAPSHOT"
	}
	temp := ""
	if temporary {
		temp = "TEMPORARY "
	}
	sql := fmt.Sprintf("CREATE_REPLICATION_SLOT %s %sLOGICAL pgoutput %s", quote(name), temp, action)
	if failover && version >= 170000 && !temporary {
		how := "nothing"
		if export {
			how = "export"
		}
		sql = fmt.Sprintf("CREATE_REPLICATION_SLOT %s LOGICAL pgoutput (SNAPSHOT '%s', FAILOVER true)", quote(name), how)
	}
	r, err := pglogrepl.ParseCreateReplicationSlot(conn.Exec(ctx, sql))
	if err != nil {
		return madeSlot{}, fmt.Errorf("create slot %s: %w", name, err)
	}
	point, err := pglogrepl.ParseLSN(r.ConsistentPoint)
	return madeSlot{point, r.SnapshotName}, err
}

// dropSlot drops the slot, if it is there and nobody uses it.
func dropSlot(ctx context.Context, conn *pgx.Conn, name string) error {
	_, err := conn.Exec(ctx, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active AND slot_name = "+quoteText(name))
	return err
}

// waitUnused waits until no other session uses the slot, and returns it, or nil if there is none: after a crash the server
// notices late that the old session is gone. It gives up after the time that slot.max.retries and slot.retry.delay.ms
// make.
func (t *task) waitUnused(ctx context.Context) (*slot, error) {
	limit := time.Duration(t.s.v.Int("slot.max.retries")) * t.s.v.Duration("slot.retry.delay.ms")
	ctx, cancel := context.WithTimeout(ctx, max(limit, time.Second))
	defer cancel()
	for looked := 0; ; looked++ {
		s, err := findSlot(ctx, t.control, t.s.slot)
		if err != nil || s == nil || !s.active {
			return s, err
		}
		if looked == 5 { // the end of a session of our own is noticed sooner
			t.log.Warn("the replication slot is in use by another session; waiting", "slot", t.s.slot)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("slot %s is in use by another session, perhaps of another connector with the same slot.name: %w", t.s.slot, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}
