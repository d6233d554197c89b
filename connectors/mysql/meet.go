package mysql

import (
	"context"
	"time"
)

// meet makes all sessions see one moment and reads its place in the log and the definitions of the tables then.
func (sn *snapshot) meet(ctx context.Context) ([]*entry, error) {
	t := sn.t
	var before position
	var err error
	if t.s.locking == "none" {
		if before, err = sn.before(ctx); err != nil {
			return nil, trouble("read the position of the binary log", err)
		}
	} else if err := t.lock(ctx); err != nil {
		return nil, err
	}
	for _, c := range sn.idle {
		for _, sql := range []string{"SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"} {
			if _, err := c.query(ctx, sql); err != nil {
				return nil, trouble("begin the snapshot", err)
			}
		}
	}
	if sn.pos, err = t.server.here(ctx, t.control); err != nil {
		return nil, trouble("read the position of the binary log", err)
	}
	if t.s.locking == "none" {
		if sn.pos, err = sn.unlocked(ctx, before); err != nil {
			return nil, trouble("read the position of the binary log", err)
		}
	}
	now := time.Now()
	sn.pos.TS, sn.pos.Snapshot = now.Unix(), true
	sn.origin = origin{ns: now.Truncate(time.Second).UnixNano(), file: sn.pos.File, pos: sn.pos.Pos}
	entries, err := t.history.readAll(ctx, mark{File: sn.pos.File, Pos: sn.pos.Pos}, nil)
	return entries, err
}

// pin keeps the tables from being altered and replaced until the snapshot ends. A view is one of rows, not of tables: behind
// a RENAME, with which online schema changes end, it shows what the other table had when the sessions met. Each session has
// the locks itself: else it would wait behind a statement that waits for another session of the snapshot.
func (sn *snapshot) pin(ctx context.Context, entries []*entry) error {
	for _, c := range sn.idle {
		if _, err := c.query(ctx, "SET SESSION lock_wait_timeout = 1"); err != nil {
			return trouble("begin the snapshot", err)
		}
		for _, e := range entries {
			if _, err := c.query(ctx, "SELECT 1 FROM "+quoteTable(e.name)+" LIMIT 0"); isLockWait(err) {
				return sn.t.lockTrouble("keep "+e.name.String()+" from being altered", err)
			} else if err != nil {
				return trouble("read "+e.name.String(), err)
			}
		}
	}
	return nil
}

// before returns a place in the log that views that are opened later have, where no lock keeps others from writing. The end
// of the log is none: a transaction is written there, and synced, before others see its rows. But MySQL counts a GTID among
// the executed ones only afterwards.
func (sn *snapshot) before(ctx context.Context) (position, error) {
	t := sn.t
	if len(sn.idle) > 0 && !t.only && !t.server.gtids {
		return position{}, wrong("join the rows of the snapshot to the binary log", "SET GLOBAL gtid_mode = ON (in its four steps), or snapshot.locking.mode=minimal and GRANT RELOAD ON *.*, or LOCK TABLES on the captured databases, to database.user",
			"with snapshot.locking.mode=none and without GTIDs (gtid_mode) nobody can tell which of the last transactions in the log the rows have: some would be lost")
	}
	return t.server.here(ctx, t.control)
}

// unlocked returns the place from which changes are read. What was committed between it and the last view comes twice.
// MariaDB, whose GTIDs are those of the log's end, tells the place of a view; that of the first is the least.
func (sn *snapshot) unlocked(ctx context.Context, before position) (position, error) {
	if !sn.t.server.mariadb || len(sn.idle) == 0 || sn.t.only {
		return before, nil
	}
	at, err := viewPlace(ctx, sn.idle[0])
	if err != nil {
		return position{}, err
	}
	gtids, err := placeGTIDs(ctx, sn.idle[0], at)
	return position{File: at.File, Pos: at.Pos, GTIDs: gtids}, err
}
