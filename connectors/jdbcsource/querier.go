package jdbcsource

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// batchBytes ends a batch.
const batchBytes = 1 << 20

// querier reads one table, or the query, poll by poll.
type querier struct {
	s         *settings
	d         dialect
	log       *slog.Logger
	report    func(ctx context.Context, bad connectors.Record, err error) error
	table     *table // nil: the query
	topic     string
	partition json.RawMessage

	taken position  // behind the last batch: the next task would begin here
	fixed bool      // a source offset says where to begin, or none is needed; else it is fixed at the first poll
	due   time.Time // when to poll next

	plan   *plan
	cursor cursor   // the answer that is being read; nil: none
	row    []cell   // read and not handed on; nil: none
	ahead  position // of row
	last   position // of the row before
	sure   position // every row up to here was handed on
}

// String names the table or query in errors.
func (q *querier) String() string {
	if q.table == nil {
		return "the query"
	}
	return q.table.String()
}

// abandon forgets an answer that broke off: the next poll begins behind what was handed on.
func (q *querier) abandon() {
	q.cursor, q.row = nil, nil
	q.last, q.sure = q.taken, q.taken
}

// read appends rows to the batch, and asks first if there is no answer yet. The batch stays empty if there is nothing
// new. An error that comes back leaves the connection in pieces.
func (q *querier) read(ctx, asking context.Context, c conn, b *connectors.Batch) error {
	if q.cursor == nil {
		now, err := q.open(ctx, asking, c)
		if err != nil || !now {
			return err
		}
		if !q.fixed {
			q.fixed = true
			q.offer(b)
			return nil
		}
	}
	for {
		err := q.peek()
		if err == io.EOF {
			q.sure = q.last
			if err := q.cursor.close(); err != nil {
				return trouble("read "+q.String(), err)
			}
			q.cursor, q.due = nil, time.Now().Add(q.s.poll)
			break
		}
		if err != nil {
			return err
		}
		// Rows of the same position belong together: until the last of them, the offset is that before the first.
		if q.last.before(q.ahead) {
			q.sure = q.last
		}
		if len(b.Records) >= q.s.batchRows || len(b.Buf) >= batchBytes {
			break
		}
		if err := q.take(ctx, b); err != nil {
			return err
		}
		q.last, q.row = q.ahead, nil
	}
	if len(b.Records) > 0 || q.sure != q.taken {
		q.offer(b)
	}
	return nil
}

// offer ends the batch with the source offset.
func (q *querier) offer(b *connectors.Batch) {
	q.taken = q.sure
	b.Offsets = append(b.Offsets, connectors.SourceOffset{Partition: q.partition, Offset: q.taken.encode(q.s.mode)})
	if q.s.mode.stamped() && len(b.Records) > 0 {
		b.EventTime = q.last.at.milliseconds()
	}
}

// open asks for what is behind the position. It reports false if the answer is that there can be nothing.
func (q *querier) open(ctx, asking context.Context, c conn) (bool, error) {
	ask := q.s.ask(q.d, q.table)
	described, err := c.describe(ctx, ask)
	if err != nil {
		return false, trouble("describe "+q.String(), err)
	}
	var by criteria
	if q.s.mode != bulk {
		var problems []configs.Problem
		if by, problems = q.s.criteria(q, described); len(problems) > 0 {
			return false, wrong("read "+q.String(), "", "%w", configs.Err(problems))
		}
	}
	var end instant
	if q.s.mode.stamped() {
		if end, err = c.now(ctx); err != nil {
			return false, trouble("ask for the time of the database", err)
		}
		if !q.fixed {
			q.taken.at = end
		}
		end = end.minus(q.s.delay)
	}
	q.abandon()
	sql := q.s.statement(q.d, ask, by, q.taken, end)
	q.log.Debug("asking", "sql", sql)
	if q.cursor, err = c.query(asking, sql, described); err != nil {
		q.cursor = nil
		return false, trouble("read "+q.String(), err)
	}
	return true, q.compile(by)
}

// peek reads the next row, unless there is one, and its position.
func (q *querier) peek() error {
	if q.row != nil {
		return nil
	}
	row, err := q.cursor.next()
	if err == io.EOF {
		return err
	}
	if err != nil {
		return trouble("read "+q.String(), err)
	}
	ahead := q.last
	for _, i := range q.plan.growing {
		if ahead.id, err = row[i].integer(); err != nil {
			return q.astray(keyIncrementing, i, err)
		}
	}
	for _, i := range q.plan.stamps {
		if row[i].kind == cellNull {
			continue
		}
		at, err := q.s.instant(&q.plan.columns[i], &row[i])
		if err != nil {
			return q.astray(keyTimestamp, i, err)
		}
		ahead.at = q.d.exact(at)
		break
	}
	q.row, q.ahead = row, ahead
	return nil
}

// astray is the error of a row that does not say where it is. There is no way around it.
func (q *querier) astray(key string, column int, err error) error {
	return &connectors.Error{Op: "read " + q.String(), Class: connectors.ClassConfig, Err: fmt.Errorf("column %s: %w", q.plan.columns[column].name, err),
		Record: &connectors.RecordRef{Place: fmt.Sprintf("%s, behind %s", q, q.last.encode(q.s.mode))}, Remedy: "correct the row, or choose another column in " + key}
}

// take appends the row to the batch, or reports it.
func (q *querier) take(ctx context.Context, b *connectors.Batch) error {
	start := len(b.Buf)
	buf, err := q.plan.encode(b.Buf, q.row)
	if err != nil {
		b.Buf = buf[:start]
		return q.refuse(ctx, err)
	}
	b.Buf = buf
	b.Records = append(b.Records, connectors.Record{Topic: q.topic, Partition: connectors.AnyPartition, Timestamp: connectors.NoTimestamp,
		Value: connectors.Data{Schema: q.plan.schema, Bytes: buf[start:len(buf):len(buf)]}})
	return nil
}

// refuse hands a row that cannot be written to the hub, as an object of its columns, and goes on if the hub has it.
func (q *querier) refuse(ctx context.Context, cause error) error {
	err := &connectors.Error{Op: "make a record", Class: connectors.ClassData, Err: cause,
		Record: &connectors.RecordRef{Place: fmt.Sprintf("%s, %s", q, q.ahead.encode(q.s.mode))},
		Remedy: "correct the row, choose or cast its columns in a query, or set errors.tolerance=all"}
	text := []byte{'{'}
	for i := range q.row {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(connectors.AppendJSONString(text, []byte(q.plan.columns[i].name)), ':')
		if q.row[i].kind == cellNull {
			text = append(text, "null"...)
		} else {
			text = connectors.AppendJSONString(text, []byte(strings.ToValidUTF8(string(q.row[i].appendTo(nil)), "\uFFFD")))
		}
	}
	return q.report(ctx, connectors.Record{Topic: q.topic, Partition: connectors.AnyPartition, Timestamp: connectors.NoTimestamp,
		Value: connectors.Data{Bytes: append(text, '}')}}, err)
}
