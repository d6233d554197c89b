package mysql

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/sluicehub/sluice/connectors"
)

// lock keeps everybody from writing: all, or where that right is missing, those who write to the captured tables.
func (t *task) lock(ctx context.Context) error {
	c, err := t.s.connect(ctx)
	if err != nil {
		return trouble("open a session for the lock", err)
	}
	t.locker = c
	err = t.acquire(ctx, "FLUSH TABLES WITH READ LOCK")
	if err == nil || !isDenied(err) {
		return t.lockTrouble("take the global read lock", err)
	}
	t.log.Info("without the right RELOAD, the captured tables are locked one by one for a moment", "cause", err)
	entries, err := t.catalog.tables(ctx, t.s.captures)
	if err != nil {
		return trouble("list tables", err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, quoteTable(e.name)+" READ")
	}
	if len(list) == 0 {
		return nil
	}
	err = t.acquire(ctx, "LOCK TABLES "+strings.Join(list, ", "))
	if isDenied(err) {
		user := t.s.v.String("database.user")
		return &connectors.Error{Op: "lock the captured tables", Class: connectors.ClassEnvironment, Retriable: true, Err: err,
			Remedy: fmt.Sprintf("GRANT RELOAD ON *.* TO %s, or GRANT LOCK TABLES ON the captured databases, or snapshot.locking.mode=none, with which rows may come twice", user)}
	}
	return t.lockTrouble("lock the captured tables", err)
}

func (t *task) lockTrouble(op string, err error) error {
	if err == nil {
		return nil
	}
	return &connectors.Error{Op: op, Class: connectors.ClassEnvironment, Retriable: true, Err: err,
		Remedy: "a long transaction holds a table; wait for it or end it, or raise snapshot.lock.timeout.ms"}
}

// met ends the lock when the sessions have met. If somebody has ended it before, they met in the midst of writes.
func (t *task) met(ctx context.Context) error {
	if t.locker == nil {
		return nil
	}
	if _, err := t.locker.query(ctx, "SELECT 1"); err != nil {
		return &connectors.Error{Op: "keep the lock until all sessions of the snapshot have begun", Class: connectors.ClassEnvironment, Retriable: true, Err: err,
			Remedy: "do not KILL the session that holds the lock, it ends it in a moment; the snapshot begins anew by itself"}
	}
	if t.s.locking != "extended" {
		t.unlock()
	}
	return nil
}

// unlock ends the lock.
func (t *task) unlock() {
	t.locker.close()
	t.locker = nil
}

// acquire runs a statement that waits for a lock.
func (t *task) acquire(ctx context.Context, sql string) error {
	return patiently(ctx, t.s.v.Duration("snapshot.lock.timeout.ms"), func(wait, pause time.Duration) error {
		if _, err := t.locker.query(ctx, fmt.Sprintf("SET SESSION lock_wait_timeout = %d", wait/time.Second)); err != nil {
			return err
		}
		_, err := t.locker.query(ctx, sql)
		if isLockWait(err) && pause > 0 {
			t.log.Info("the lock is not to be had; it is asked for again after a pause in which others write", "waited", wait, "pause", pause)
		}
		return err
	})
}

// patiently asks for a lock for no longer than most in all, in whole seconds. Whoever writes waits behind the session that
// waits, so it lets them pass between two attempts, for four times as long as they had to wait. Each attempt is twice as
// long as the one before: a server on which long statements overlap is to be had by the last ones.
//
//	wait 1 s · pause 4 s · wait 2 s · pause 8 s · wait 4 s · pause 16 s · wait 3 s      of snapshot.lock.timeout.ms=10000
func patiently(ctx context.Context, most time.Duration, ask func(wait, pause time.Duration) error) error {
	for next := time.Second; ; next *= 2 {
		now := min(next, most.Truncate(time.Second))
		pause := 4 * now
		if most -= now; most < time.Second {
			pause = 0
		}
		if err := ask(now, pause); pause == 0 || !isLockWait(err) {
			return err
		}
		if err := connectors.Sleep(ctx, pause); err != nil {
			return err
		}
	}
}

func isLockWait(err error) bool {
	var my *mysql.MyError
	return errors.As(err, &my) && my.Code == erLockWaitTimeout
}
