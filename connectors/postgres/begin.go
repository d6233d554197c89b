package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// checkServer reads what the server is like and refuses one that cannot stream.
func (t *task) checkServer(ctx context.Context) error {
	var level, timeout string
	// Of a setting with a unit, pg_settings has the number alone.
	err := t.control.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('wal_level'),
  coalesce((SELECT setting FROM pg_settings WHERE name = 'wal_sender_timeout'), '')`).Scan(&t.version, &level, &timeout)
	if err != nil {
		return trouble("read the server's settings", err)
	}
	if err := t.readIdentity(ctx); err != nil {
		return trouble("read the server's identifier", err)
	}
	if level != "logical" && t.s.snapshotMode != "initial_only" {
		return wrong("check the server", "ALTER SYSTEM SET wal_level = logical, and restart the server", "wal_level is %s; changes can be read with logical only", level)
	}
	t.reportInterval = t.s.status
	if ms, err := strconv.Atoi(timeout); err == nil && ms > 0 {
		t.reportInterval = min(t.reportInterval, time.Duration(ms)*time.Millisecond/3)
	}
	return nil
}

// begin decides, by snapshot.mode, the stored offset and the slot, what is to be read, and opens it.
func (t *task) begin(ctx context.Context, pos position, stored bool) error {
	mode := t.s.snapshotMode
	if mode == "initial_only" {
		t.only = true
		if stored && pos.usable() {
			return nil
		}
		if stored {
			t.log.Warn("the interrupted snapshot begins anew, because without a slot the changes meanwhile are not kept; rows that were deleted meanwhile stay where they were delivered")
		}
		return t.beginSnapshotOnly(ctx)
	}
	if err := t.ensurePublication(ctx); err != nil {
		return err
	}
	sl, err := findSlot(ctx, t.control, t.s.slot)
	if err != nil {
		return trouble("read slot "+t.s.slot, err)
	}
	if sl != nil {
		if err := t.checkSlot(sl); err != nil {
			return err
		}
	}
	if sl != nil && sl.active { // also while it is being made, by a session that is left of a former task: it may come to nothing
		if sl, err = t.waitUnused(ctx); err != nil {
			return trouble("wait for slot "+t.s.slot, err)
		}
	}
	again := mode == "always" || mode != "no_data" && !pos.usable()
	if stored {
		err := t.checkOffset(ctx, sl, &pos)
		switch {
		case err == nil:
		case (mode == "when_needed" || mode == "always") && connectors.ClassOf(err) == connectors.ClassGone:
			t.log.Warn("the changes since the stored offset are not to be had; the tables are read anew, and rows that were deleted meanwhile stay where they were delivered", "cause", err)
			stored = false
		default:
			return err
		}
	}
	if sl != nil && sl.status == "lost" { // when_needed, always, or no offset: nothing can be read from it
		if err := dropSlot(ctx, t.control, t.s.slot); err != nil {
			return trouble("drop the lost slot "+t.s.slot, err)
		}
		sl = nil
	}
	switch {
	case stored && again:
		return t.beginAgain(ctx, sl, pos)
	case stored:
		t.acknowledged = sl.confirmed
		return t.startStream(ctx, pos, 0)
	}
	return t.beginAnew(ctx, sl, mode != "no_data")
}

// beginAnew makes the slot if there is none, and starts with a snapshot, or with the changes from now on.
//
// Where the slot exists, its own snapshot is gone. A temporary slot then gives another one: what was committed
// before its point is in the snapshot, and the stream from the lasting slot begins at that point.
func (t *task) beginAnew(ctx context.Context, sl *slot, data bool) error {
	var made madeSlot
	var err error
	switch {
	case sl == nil:
		made, err = t.lastingSlot(ctx, data)
		t.acknowledged = made.point
	case data:
		t.acknowledged = sl.confirmed
		made, err = t.temporarySlot(ctx)
	default:
		t.acknowledged, made.point = sl.confirmed, sl.confirmed
	}
	if err != nil {
		return err
	}
	if !data {
		return t.startStream(ctx, position{Event: made.point, Micros: time.Now().UnixMicro()}, 0)
	}
	t.unannounced, t.announced = true, make(chan struct{})
	return t.openSnapshot(ctx, made, nil)
}

// openSnapshot opens the sessions of the snapshot at the slot's point, where the stream is to go on behind it. reached is
// where an interrupted one goes on, nil for none.
func (t *task) openSnapshot(ctx context.Context, made madeSlot, reached *cdc.Reached) error {
	t.from = position{Event: made.point, Micros: time.Now().UnixMicro(), Snapshot: true, Completed: true}
	entries, err := t.snapshotEntries(ctx)
	if err != nil {
		return err
	}
	_, err = t.newSnapshot(ctx, made, entries, reached)
	t.endExport(ctx)
	return err
}

// lastingSlot makes the connector's slot. Its snapshot, if it is to be exported, lives in t.replication.
func (t *task) lastingSlot(ctx context.Context, export bool) (madeSlot, error) {
	var err error
	if t.replication, err = t.s.connectReplication(ctx); err != nil {
		return madeSlot{}, trouble("connect for replication", err)
	}
	t.log.Info("creating the replication slot; this waits for the transactions that are running now", "slot", t.s.slot)
	made, err := createSlot(ctx, t.replication, t.s.slot, false, export, t.s.v.Bool("slot.failover"), t.version)
	return made, trouble("create slot "+t.s.slot, err)
}

// temporarySlot makes a slot that ends with its session, for the sake of its snapshot.
func (t *task) temporarySlot(ctx context.Context) (madeSlot, error) {
	var err error
	if t.exporter, err = t.s.connectReplication(ctx); err != nil {
		return madeSlot{}, trouble("connect for replication", err)
	}
	name := fmt.Sprintf("%.40s_tmp_%d", t.s.slot, t.exporter.PID())
	made, err := createSlot(ctx, t.exporter, name, true, true, false, t.version)
	return made, trouble("create a temporary slot for the snapshot", err)
}

func (t *task) endExport(ctx context.Context) {
	if t.exporter != nil {
		t.exporter.Close(ctx)
		t.exporter = nil
	}
}

// beginSnapshotOnly opens a snapshot that no changes follow, and that needs no slot.
func (t *task) beginSnapshotOnly(ctx context.Context) error {
	c, err := t.s.config()
	if err == nil {
		t.exporter, err = pgconn.ConnectConfig(ctx, &c.Config)
	}
	if err != nil {
		return trouble("connect for the snapshot", err)
	}
	made, err := exported(ctx, t.exporter)
	if err != nil {
		return trouble("export a snapshot", err)
	}
	return t.openSnapshot(ctx, made, nil)
}

// snapshotEntries lists the tables to read.
func (t *task) snapshotEntries(ctx context.Context) ([]*entry, error) {
	entries, err := t.catalog.tables(ctx, func(name cdc.Table) bool {
		return t.s.listed(name) && (len(t.s.snapshotTables) == 0 || t.s.snapshotTables.Match(name.String()))
	}, partitionCondition(t.viaRoot))
	if err != nil {
		return nil, trouble("list tables", err)
	}
	user := quote(t.control.Config().User)
	for _, e := range entries {
		switch {
		case !e.readable:
			return nil, forbidden(e, "permission denied", fmt.Sprintf("GRANT SELECT ON %s TO %s", quoteTable(e.Table), user))
		case e.secured:
			return nil, forbidden(e, "row-level security hides rows from the role, but not their changes", bypassSQL(user))
		}
	}
	return entries, nil
}

// forbidden is the error of a table that cannot be read, or not all of it.
func forbidden(e *entry, why, remedy string) error {
	return &connectors.Error{Op: "read table " + e.Table.String(), Class: connectors.ClassEnvironment, Retriable: true, Err: errors.New(why), Remedy: remedy}
}

// bypassSQL lets a role, whose name is quoted, see all rows.
func bypassSQL(user string) string { return "ALTER ROLE " + user + " BYPASSRLS" }
