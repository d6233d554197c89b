package mock

import (
	"context"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

const (
	// batchBytes ends a batch.
	batchBytes = 1 << 20
	// catchUp is how far rows that nobody took in time are made up for, all at once.
	catchUp = time.Second
)

type task struct {
	rows      *rows
	tables    []*table
	turn      int // the table that is next
	limit     int64
	rate      float64
	batchSize int
}

// table is one source partition.
type table struct {
	number    int
	topic     string
	partition []byte
	next      int64     // row
	due       time.Time // of the next row, if there is a rate
	moved     bool      // in the batch being made
}

// Start implements connectors.SourceTask.
func (t *task) Start(_ context.Context, start connectors.SourceStart) error {
	values, problems := definition.Parse(start.Config)
	if err := configs.Err(problems); err != nil {
		return configError(err)
	}
	tables, err := assigned(values)
	if err != nil {
		return err
	}
	stored := map[int]int64{}
	for _, o := range start.Offsets {
		number, row, err := readOffset(o)
		if err != nil {
			return err
		}
		stored[number] = row
	}
	t.rows = newRows(values.Long("seed"), values.Long("keys"), values.Int("payload.bytes"))
	t.limit, t.rate, t.batchSize = values.Long("rows"), values.Float("rows.per.second"), values.Int("batch.size")
	if t.limit == 0 {
		t.limit = math.MaxInt64
	}
	now := time.Now()
	for _, number := range tables {
		topic := values.String("topic")
		if values.Int("tables") > 1 {
			topic = fmt.Sprintf("%s-%d", topic, number)
		}
		t.tables = append(t.tables, &table{number: number, topic: topic, partition: appendPartition(nil, number),
			next: stored[number], due: now})
	}
	return nil
}

// Read implements connectors.SourceTask.
func (t *task) Read(ctx context.Context, b *connectors.Batch) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		wait, ended := t.fill(b, time.Now())
		if len(b.Records) > 0 {
			return nil
		}
		if ended {
			return io.EOF
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// fill adds the rows that are due, table by table. If there are none, it returns how long to wait for the next, or
// that there will be none.
func (t *task) fill(b *connectors.Batch, now time.Time) (wait time.Duration, ended bool) {
	wait, ended = math.MaxInt64, true
	for range t.tables {
		table := t.tables[t.turn]
		t.turn = (t.turn + 1) % len(t.tables)
		n, next := t.dueRows(table, now)
		for ; n > 0 && len(b.Records) < t.batchSize && len(b.Buf) < batchBytes; n-- {
			t.add(b, table)
		}
		if table.next < t.limit {
			ended, wait = false, min(wait, next)
		}
	}
	for _, table := range t.tables {
		if table.moved {
			table.moved = false
			b.Offsets = append(b.Offsets, connectors.SourceOffset{Partition: table.partition, Offset: appendOffset(nil, table.next)})
		}
	}
	b.EventTime = now.UnixMilli()
	return wait, ended
}

// dueRows returns how many rows of a table may be made by now, or how long to wait for the next.
func (t *task) dueRows(table *table, now time.Time) (n int64, wait time.Duration) {
	n = t.limit - table.next
	if t.rate == 0 || n <= 0 {
		return n, 0
	}
	if now.Before(table.due) {
		return 0, table.due.Sub(now)
	}
	if oldest := now.Add(-catchUp); table.due.Before(oldest) {
		table.due = oldest
	}
	return min(n, 1+int64(now.Sub(table.due).Seconds()*t.rate)), 0
}

// add appends the next row of a table.
func (t *task) add(b *connectors.Batch, table *table) {
	start := len(b.Buf)
	b.Buf = t.rows.appendKey(b.Buf, table.next)
	middle := len(b.Buf)
	b.Buf = t.rows.appendRow(b.Buf, table.number, table.next)
	b.Records = append(b.Records, connectors.Record{
		Topic: table.topic, Partition: connectors.AnyPartition, Timestamp: connectors.NoTimestamp,
		Key:   connectors.Data{Schema: keySchema, Bytes: b.Buf[start:middle:middle]},
		Value: connectors.Data{Schema: rowSchema, Bytes: b.Buf[middle:len(b.Buf):len(b.Buf)]},
	})
	table.next++
	table.moved = true
	if t.rate > 0 {
		table.due = table.due.Add(time.Duration(float64(time.Second) / t.rate))
	}
}

// Commit implements connectors.SourceTask. Rows that are made up need not be forgotten.
func (t *task) Commit(context.Context, []connectors.SourceOffset) error { return nil }

// Stop implements connectors.SourceTask.
func (t *task) Stop(context.Context) error { return nil }
