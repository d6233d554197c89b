package jdbc

import (
	"context"

	"github.com/sluicehub/sluice/connectors"
)

// care is how carefully a batch is written.
type care uint8

const (
	// bulk: any refused row fails the transaction.
	bulk care = iota
	// bisected: one transaction writes all rows in the topic's order, and sets aside those that are refused.
	bisected
	// immediate: so, and constraints that wait for the end of the transaction are checked at once.
	immediate
)

// lane is a connection with what it needs to write.
type lane struct {
	conn      conn // nil: to be made
	segmenter *segmenter
	rows      []*row // of its share
}

// write writes a lane's share of a batch in one transaction.
func (l *lane) write(ctx context.Context, t *task, b *batch, of slotSet, care care) (err error) {
	if l.conn == nil {
		if l.conn, err = t.dialect.connect(ctx); err != nil {
			return err
		}
	}
	l.share(b, of)
	if t.offsets == nil && len(l.rows) == 0 {
		return nil
	}
	if _, err = l.conn.exec(ctx, "BEGIN"); err == nil {
		err = l.transact(ctx, t, b, of, care)
	}
	if err != nil {
		return l.failed(ctx, t, err)
	}
	t.figures.rows.Add(int64(len(l.rows)))
	t.figures.transactions.Add(1)
	return nil
}

// share takes the rows of some slots.
func (l *lane) share(b *batch, of slotSet) {
	l.rows = l.rows[:0]
	for i := range b.rows {
		if r := &b.rows[i]; of.has(r.slot) && !r.gone {
			l.rows = append(l.rows, r)
		}
	}
}

func (l *lane) transact(ctx context.Context, t *task, b *batch, of slotSet, care care) (err error) {
	if b.retried && t.offsets != nil {
		there, err := t.offsets.committed(ctx, l.conn, b.parts, of)
		if err != nil {
			return err
		}
		of &^= there
		l.share(b, of)
	}
	if t.offsets != nil && of != 0 {
		if err := t.offsets.advance(ctx, l.conn, b.parts, of); err != nil {
			return err
		}
	}
	if now := t.dialect.checkNow(); care == immediate && now != "" {
		if _, err := l.conn.exec(ctx, now); err != nil {
			return err
		}
	}
	if care > bulk {
		err = l.bisect(ctx, t, b, l.rows)
	} else {
		err = l.apply(ctx, b, l.rows)
	}
	if err != nil {
		return err
	}
	_, err = l.conn.exec(ctx, "COMMIT")
	return err
}

// failed ends the transaction that failed, or the connection.
func (l *lane) failed(ctx context.Context, t *task, err error) error {
	if err == nil {
		return nil
	}
	if t.judge(err) == passing || ctx.Err() != nil {
		l.drop()
		return err
	}
	if _, rollback := l.conn.exec(ctx, "ROLLBACK"); rollback != nil {
		l.drop()
	}
	return err
}

func (l *lane) drop() {
	if l.conn != nil {
		l.conn.close()
		l.conn = nil
	}
}

// apply writes rows, segment by segment.
func (l *lane) apply(ctx context.Context, b *batch, rows []*row) error {
	for len(rows) > 0 {
		var groups []group
		groups, rows = l.segmenter.next(b, rows)
		for i := range groups {
			if err := l.conn.write(ctx, &groups[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// bisect writes rows; of those that cannot be written together it writes the halves, down to the single row, which is
// reported. A bad row among n costs 2·log2(n) writes.
func (l *lane) bisect(ctx context.Context, t *task, b *batch, rows []*row) error {
	if len(rows) == 0 {
		return nil
	}
	if _, err := l.conn.exec(ctx, "SAVEPOINT sluice"); err != nil {
		return err
	}
	err := l.apply(ctx, b, rows)
	if err == nil {
		_, err = l.conn.exec(ctx, "RELEASE SAVEPOINT sluice")
		return err
	}
	if t.judge(err) != refusedRow {
		return err
	}
	if _, err := l.conn.exec(ctx, "ROLLBACK TO SAVEPOINT sluice", "RELEASE SAVEPOINT sluice"); err != nil {
		return err
	}
	if len(rows) == 1 {
		return l.refused(ctx, t, b, rows[0], err)
	}
	half := len(rows) / 2
	if err := l.bisect(ctx, t, b, rows[:half]); err != nil {
		return err
	}
	return l.bisect(ctx, t, b, rows[half:])
}

// refused decides about a row that the database will never take.
func (l *lane) refused(ctx context.Context, t *task, b *batch, r *row, cause error) error {
	ref := b.ref(r)
	t.figures.refused.Add(1)
	err := &connectors.Error{Op: "write a row of " + r.shape.table.quoted, Class: connectors.ClassData, Record: &ref, Err: cause}
	if err := t.start.Report(ctx, ref, err); err != nil {
		return err
	}
	r.gone = true
	return nil
}
