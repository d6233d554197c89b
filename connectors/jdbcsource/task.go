package jdbcsource

import (
	"context"
	"slices"
	"time"

	"github.com/sluicehub/sluice/connectors"
)

// task reads the tables that are its share, or the query, one after the other on one connection.
type task struct {
	settings
	start   connectors.SourceStart
	dialect dialect
	shares  shares

	conn     conn // nil: to be made
	queriers []*querier
	dropped  []*querier // of tables that are not there any more: they go on where they were if they come back
	tables   time.Time  // when to look for tables next

	// asking ends the answer that is being read. It outlives the Read that asked, and ends with the Read that is
	// cancelled.
	asking context.Context
	stop   context.CancelFunc
}

var _ connectors.SourceTask = (*task)(nil)

// Start implements connectors.SourceTask.
func (t *task) Start(ctx context.Context, start connectors.SourceStart) error {
	var err error
	if t.settings, err = parseSettings(start.Config); err != nil {
		return err
	}
	t.start = start
	if t.dialect, err = newDialect(&t.settings); err == nil {
		t.shares, err = parseShares(start.Config[keyTables])
	}
	if err != nil {
		return &connectors.Error{Op: "read the configuration", Class: connectors.ClassConfig, Err: err}
	}
	t.renew()
	if t.conn, err = connect(ctx, &t.settings, t.dialect); err != nil {
		return err
	}
	if t.query != "" {
		q, err := t.newQuerier(nil)
		t.queriers = []*querier{q}
		return err
	}
	return t.look(ctx)
}

// connect connects, with the attempts of the configuration.
func connect(ctx context.Context, s *settings, d dialect) (conn, error) {
	for attempt := 1; ; attempt++ {
		c, err := d.connect(ctx)
		if err == nil {
			return c, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if v := judge(err); attempt >= s.attempts || v.fault == faultLogin {
			return nil, trouble("connect to "+s.address.String(), err)
		}
		if err := connectors.Sleep(ctx, s.attemptsPause); err != nil {
			return nil, err
		}
	}
}

// renew makes a new end of the next answer.
func (t *task) renew() { t.asking, t.stop = context.WithCancel(context.Background()) }

// look finds the tables that are to be read.
func (t *task) look(ctx context.Context) error {
	all, err := t.conn.tables(ctx)
	if err != nil {
		return trouble("list the tables", err)
	}
	list, err := t.filter.chosen(all, t.home())
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(tab table) bool { return len(t.shares) > 0 && t.shares.owner(tab) != t.start.Task })
	before := slices.Concat(t.queriers, t.dropped)
	var now []*querier
	for i := range list {
		known := slices.IndexFunc(before, func(q *querier) bool { return q.table.String() == list[i].String() })
		if known >= 0 {
			now = append(now, before[known])
			before = slices.Delete(before, known, known+1)
			continue
		}
		q, err := t.newQuerier(&list[i])
		if err != nil {
			return err
		}
		now = append(now, q)
	}
	for _, q := range before {
		if slices.Contains(t.queriers, q) {
			t.start.Log.Warn("table is not read any more: it is not there", "table", q.String())
		}
	}
	if len(now) == 0 {
		t.start.Log.Warn("there is no table to read", "next look in", t.tablePoll.String())
	}
	t.queriers, t.dropped, t.tables = now, before, time.Now().Add(t.tablePoll)
	return nil
}

// home returns the catalog that the connection is in.
func (s *settings) home() string {
	if s.filter.database != "" || len(s.address.Hosts) == 0 {
		return "" // PostgreSQL's and SQLite's tables have none
	}
	return s.address.Database
}

func (t *task) newQuerier(tab *table) (*querier, error) {
	partition, offset, err := stored(t.start.Offsets, tab, t.filter.database)
	if err != nil {
		return nil, err
	}
	q := &querier{s: &t.settings, d: t.dialect, log: t.start.Log, report: t.start.Report, table: tab, topic: t.prefix, partition: partition, fixed: true}
	if tab != nil {
		q.topic += tab.name
	}
	q.taken.id = t.initialID
	stamped := false
	if offset != nil {
		q.taken, stamped = q.taken.withOffset(*offset)
	}
	if t.initialTime != nil && !stamped && t.mode.stamped() {
		if q.fixed = *t.initialTime != -1; q.fixed {
			q.taken.at = ofMilliseconds(*t.initialTime)
		}
	}
	q.abandon()
	return q, nil
}

// Read implements connectors.SourceTask.
func (t *task) Read(ctx context.Context, b *connectors.Batch) error {
	release := context.AfterFunc(ctx, t.stop)
	defer func() {
		if !release() {
			t.interrupted()
		}
	}()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		q, wait, err := t.next(ctx)
		if err == nil && wait > 0 {
			if err := connectors.Sleep(ctx, wait); err != nil {
				return err
			}
			continue
		}
		if err == nil {
			err = q.read(ctx, t.asking, t.conn, b)
			if gone := t.gone(ctx, q, err); gone {
				continue
			}
		}
		if err != nil {
			t.disconnect()
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return trouble("read", err)
		}
		if len(b.Offsets) > 0 {
			return nil
		}
	}
}

// next returns the querier whose turn it is: the one with an answer, else the one that is due first. wait is how long
// there is nothing to do.
func (t *task) next(ctx context.Context) (q *querier, wait time.Duration, err error) {
	if t.conn == nil {
		if t.conn, err = t.dialect.connect(ctx); err != nil {
			t.conn = nil
			return nil, 0, trouble("connect to "+t.address.String(), err)
		}
	}
	for _, q := range t.queriers {
		if q.cursor != nil {
			return q, 0, nil
		}
	}
	now := time.Now()
	if t.query == "" && !now.Before(t.tables) {
		if err := t.look(ctx); err != nil {
			return nil, 0, err
		}
	}
	if len(t.queriers) == 0 {
		return nil, t.tables.Sub(now), nil
	}
	q = slices.MinFunc(t.queriers, func(a, b *querier) int { return a.due.Compare(b.due) })
	wait = q.due.Sub(now)
	if t.query == "" {
		wait = min(wait, t.tables.Sub(now))
	}
	return q, wait, nil
}

// gone reports whether an error is that a table was dropped since the tables were last looked for.
func (t *task) gone(ctx context.Context, q *querier, err error) bool {
	if err == nil || q.table == nil || q.cursor != nil || judge(err).fault != faultNoTable || t.look(ctx) != nil {
		return false
	}
	return !slices.Contains(t.queriers, q)
}

// interrupted gives up the answer that a cancelled Read has ended.
func (t *task) interrupted() {
	if slices.ContainsFunc(t.queriers, func(q *querier) bool { return q.cursor != nil }) {
		t.disconnect()
	}
	t.renew()
}

// disconnect gives up the connection: whatever was being read is asked for again, from behind the last batch.
func (t *task) disconnect() {
	t.stop()
	for _, q := range t.queriers {
		if q.cursor != nil {
			_ = q.cursor.close() // it was ended in the middle, and says so
		}
		q.abandon()
	}
	if t.conn != nil {
		t.conn.close()
		t.conn = nil
	}
	t.renew()
}

// Commit implements connectors.SourceTask. A database forgets nothing for it.
func (t *task) Commit(context.Context, []connectors.SourceOffset) error { return nil }

// Stop implements connectors.SourceTask.
func (t *task) Stop(context.Context) error {
	if t.stop != nil { // else it was never started
		t.disconnect()
		t.stop()
	}
	return nil
}
