package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicehub/sluice/connectors"
)

// What stands between a stored offset and the slot: a source must never go on over a gap. The server itself does not
// object to an offset that is older than its slot; it silently starts at the slot.

// checkSlot refuses a slot of another database or plug-in.
func (t *task) checkSlot(sl *slot) error {
	op := "check slot " + t.s.slot
	if sl.plugin != "pgoutput" {
		kind := "a physical slot"
		if sl.plugin != "" {
			kind = "of the plug-in " + sl.plugin
		}
		return wrong(op, "set slot.name to another name, or drop the slot: "+dropSQL(t.s.slot), "the slot is %s, not of pgoutput", kind)
	}
	if db := t.s.v.String("database.dbname"); sl.database != db {
		return wrong(op, "set slot.name to another name", "the slot is of the database %s, not of %s", sl.database, db)
	}
	return nil
}

func dropSQL(name string) string { return "SELECT pg_drop_replication_slot(" + quoteText(name) + ")" }

// checkOffset reports an error of the class gone if the slot cannot give all that follows the offset.
func (t *task) checkOffset(ctx context.Context, sl *slot, pos *position) error {
	op := "go on from the stored source offset"
	at := max(pos.Commit, pos.Event)
	if err := t.checkSystem(op); err != nil {
		return err
	}
	switch {
	case sl == nil:
		return gone(op, afresh(t.name, ""), "the replication slot %s does not exist any more, so the changes since LSN %s are not kept; "+
			"it was dropped, or the server is another one or was restored", t.s.slot, at)
	case sl.status == "lost":
		return gone(op, afresh(t.name, dropSQL(t.s.slot)), "the replication slot %s is lost: the server removed WAL that it needed (max_slot_wal_keep_size)", t.s.slot)
	}
	if err := t.checkTimeline(ctx, op, at, pos); err != nil {
		return err
	}
	if err := t.checkEnd(ctx, op, at, pos); err != nil {
		return err
	}
	if sl.confirmed <= at {
		return nil
	}
	switch t.s.v.String("offset.mismatch.strategy") {
	case "trust_slot", "trust_greater_lsn":
		t.log.Warn("changes are missing between the stored offset and the slot; going on at the slot, as offset.mismatch.strategy says", "offset", at, "slot", sl.confirmed)
		*pos = position{Commit: sl.confirmed, Event: sl.confirmed, Micros: pos.Micros}
		return nil
	}
	return gone(op, afresh(t.name, ""), "the stored offset is at LSN %s, but the slot %s has been confirmed up to %s: the changes between are gone; "+
		"another reader has used the slot, or an older offset was restored", at, t.s.slot, sl.confirmed)
}

// checkEnd finds that the server is not the one the offset is of: its log ends before the offset, or it
// has not come to the transaction yet.
func (t *task) checkEnd(ctx context.Context, op string, at pglogrepl.LSN, pos *position) error {
	var end string
	var next int64
	err := t.control.QueryRow(ctx, `SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_insert_lsn() END)::text,
  txid_snapshot_xmax(txid_current_snapshot())`).Scan(&end, &next)
	if err != nil {
		return trouble("read the server's position", err)
	}
	lsn, err := pglogrepl.ParseLSN(end)
	if err != nil {
		return trouble("read the server's position", err)
	}
	remedy := formerServer(t.name)
	if at > lsn {
		return gone(op, remedy, "the stored offset is at LSN %s, but the server's log ends at %s: it is another server, or was restored from a backup", at, lsn)
	}
	// Offsets have the 32 bits of the log, or the whole number of a snapshot.
	if pos.TxID > next && pos.TxID < 1<<32 && next < 1<<32 {
		return gone(op, remedy, "the stored offset is of transaction %d, but the server's next one is %d: it is another server, or was restored from a backup", pos.TxID, next)
	}
	return nil
}

// lacks reports whether the slot needs a file of the log that was removed. If it cannot be known now, the next start will
// meet it again.
func (t *task) lacks(segment string) bool {
	if segment == "" {
		return false
	}
	ctx, cancel := t.s.queryContext(context.Background())
	defer cancel()
	sl, err := findSlot(ctx, t.control, t.s.slot)
	return err == nil && (sl == nil || sl.needs(segment))
}

// explain gives an error that says that the slot is lost its remedy.
func (t *task) explain(err error) error {
	var pg *pgconn.PgError
	var e *connectors.Error
	if errors.As(err, &pg) && errors.As(err, &e) && (lostSlot(pg) || t.lacks(removedSegment(pg))) {
		c := *e
		c.Class, c.Retriable, c.Remedy = connectors.ClassGone, false, afresh(t.name, dropSQL(t.s.slot))
		c.Err = fmt.Errorf("slot %s: %w", t.s.slot, e.Err)
		return &c
	}
	return err
}
