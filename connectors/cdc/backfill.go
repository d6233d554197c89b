package cdc

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/sluicehub/sluice/connectors"
)

// ErrNoKey says that a table has no key whose columns are never null, so that its rows cannot be read in an order.
var ErrNoKey = errors.New("the table has no primary key, and no unique index on columns that are NOT NULL")

// ErrNotYet says that the server has not made visible yet what the stream has shown already: rows read now would be
// older than changes that are delivered.
var ErrNotYet = errors.New("a transaction that was streamed is not visible yet")

// PartError is an error of one table of a snapshot, which the stream has nothing to do with: the condition is not SQL,
// the right to read is missing.
type PartError struct{ Err error }

func (e *PartError) Error() string { return e.Err.Error() }
func (e *PartError) Unwrap() error { return e.Err }

// ChunkReader is what a database does for an incremental snapshot. It is called by the goroutine that reads the stream,
// between two transactions.
type ChunkReader interface {
	// Tables lists the tables that are captured, in the order of their names.
	Tables(ctx context.Context) ([]Table, error)
	// Prepare readies a table as it is now, and keeps it so until Release, which is called after it in any case. It
	// fails with ErrNoKey, or with ErrNotYet.
	Prepare(ctx context.Context, part Part) error
	Release(ctx context.Context) error
	// Max returns the greatest key of the prepared table, nil if there are no rows.
	Max(ctx context.Context, part Part) ([]string, error)
	// Read adds the rows behind the key after (nil: from the first), up to and including the key max, to the window,
	// until there are no more or the window is full.
	Read(ctx context.Context, part Part, after, max []string, limit int, w *Window) error
	// Mark writes a watermark into the signal table, if there is one to write to. A PartError says that it is refused.
	Mark(ctx context.Context, id, kind, data string) error
}

// Backfill carries incremental snapshots out beside a stream, chunk by chunk:
//
//	stream ─── Signal ─── Open ──────────── changes ──────────── Close ─── rows ─── …
//	                       │ open mark         │ drop the rows       │ the stream is at the place where the
//	                       │ read the chunk    │ that they are of    │ chunk was read, or beyond
//	                       │ close mark
//
// The stream stands still while Open reads. So every change that is not in the rows comes after Open; a row that one of
// these is of is left to the stream, which has it as it is later. A change that is in the rows may come after Open too;
// the rows are held until those have passed, so that nothing goes back in time. What makes this right is only that no
// change came before Open that is not in the rows: the reader sees to that (ErrNotYet).
//
// It is used by the goroutine that reads the stream. A nil *Backfill does nothing.
type Backfill struct {
	reader ChunkReader
	log    *slog.Logger
	limit  int // rows of a chunk
	now    func() time.Time

	state    *Progress // nil: nothing to do
	window   Window
	open     bool // the window is open
	draining bool // its rows are being delivered
	stale    bool // its rows are not to be delivered, but read again
	again    int  // how often they were read for the same reason
	retry    time.Time
	problem  string // of the present table, for which the snapshot waits
	id       string // of the window
	opened   time.Time
	rows     int64
}

// rereads is how often a chunk is read again because rows of it were changed in a way that needs it; then the stream
// alone has these rows. retryPause lies between two readings.
const (
	rereads    = 16
	retryPause = 50 * time.Millisecond
)

// NewBackfill returns a backfill that goes on at the stored state, nil if there was none.
func NewBackfill(reader ChunkReader, limit int, state *Progress, log *slog.Logger) *Backfill {
	if state != nil {
		log.Info("incremental snapshot goes on", "tables", len(state.Parts), "table", state.Parts[0].Table.String(), "after", state.Last, "paused", state.Paused)
	}
	return &Backfill{reader: reader, log: log, limit: limit, now: time.Now, state: state}
}

// State is what belongs into the source offset; nil if there is nothing to do.
func (f *Backfill) State() *Progress {
	if f == nil {
		return nil
	}
	return f.state
}

// Due reports whether a window is to be opened.
func (f *Backfill) Due() bool {
	return f != nil && f.state != nil && !f.state.Paused && f.problem == "" && !f.open && !f.draining && !f.now().Before(f.retry)
}

// Wait is how long nothing may happen until a window is due, 0 if none waits for its time.
func (f *Backfill) Wait() time.Duration {
	if f == nil || f.state == nil || f.state.Paused || f.problem != "" || f.open || f.draining {
		return 0
	}
	return max(f.retry.Sub(f.now()), time.Millisecond)
}

// Opened reports whether a window is open.
func (f *Backfill) Opened() bool { return f != nil && f.open }

// Draining reports whether rows are to be taken with Next.
func (f *Backfill) Draining() bool { return f != nil && f.draining }

// Open writes the watermarks and reads a chunk between them. An error ends the task; what is only the matter of a table
// makes the snapshot wait.
func (f *Backfill) Open(ctx context.Context) error {
	f.id, f.opened, f.stale = newMarkID(), f.now(), false
	f.window.reset(f.limit)
	stamp := f.opened.UTC().Format("2006-01-02T15:04:05.000000000Z")
	if err := f.mark(ctx, "-open", WindowOpen, fmt.Sprintf(`{"openWindowTimestamp": "%s"}`, stamp)); err != nil || f.problem != "" {
		return err
	}
	if err := f.fill(ctx); err != nil {
		return err
	}
	data := fmt.Sprintf(`{"openWindowTimestamp": "%s", "closeWindowTimestamp": "%s"}`, stamp, f.now().UTC().Format("2006-01-02T15:04:05.000000000Z"))
	if err := f.mark(ctx, "-close", WindowClose, data); err != nil {
		return err
	}
	f.open = true
	return nil
}

// mark writes a watermark. If the database does not take it, the snapshot waits, and the stream goes on.
func (f *Backfill) mark(ctx context.Context, suffix, kind, data string) error {
	err := f.reader.Mark(ctx, f.id+suffix, kind, data)
	var refused *PartError
	if errors.As(err, &refused) {
		f.problem, f.stale = err.Error(), true
		f.log.Error("the incremental snapshot waits: no watermark can be written into the signal table", "error", err,
			"remedy", "grant INSERT on it, or set read.only=true, and send resume-snapshot")
		return nil
	}
	if err != nil {
		return fmt.Errorf("write a watermark of the incremental snapshot: %w", err)
	}
	return nil
}

// fill reads the next chunk that has rows.
func (f *Backfill) fill(ctx context.Context) error {
	for len(f.state.Parts) > 0 {
		part := f.state.Parts[0]
		err := f.chunk(ctx, part)
		var table *PartError
		switch {
		case errors.Is(err, ErrNotYet):
			f.stale = true
			return nil
		case errors.Is(err, ErrNoKey):
			f.log.Error("a table is left out of the incremental snapshot: it has no key to go by", "table", part.Table.String(), "error", err,
				"remedy", "give the table a primary key, name a column with surrogate-key, or read it with a snapshot of its own")
		case errors.As(err, &table):
			f.problem = err.Error()
			f.log.Error("the incremental snapshot waits: a table cannot be read", "table", part.Table.String(), "error", err,
				"remedy", "mend the cause and send resume-snapshot, or send stop-snapshot with data-collections")
			return nil
		case err != nil:
			return fmt.Errorf("read a chunk of %s: %w", part.Table, err)
		case len(f.window.rows) > 0:
			return nil
		default:
			f.log.Info("incremental snapshot: table ends", "table", part.Table.String(), "rows", f.rows)
		}
		f.rows = 0
		f.state.next()
	}
	return nil
}

func (f *Backfill) chunk(ctx context.Context, part Part) (err error) {
	defer func() {
		if released := f.reader.Release(ctx); err == nil {
			err = released
		}
	}()
	if err := f.reader.Prepare(ctx, part); err != nil {
		return err
	}
	if f.state.Max == nil {
		greatest, err := f.reader.Max(ctx, part)
		if err != nil || greatest == nil {
			return err
		}
		f.state.Max = greatest
		f.log.Info("incremental snapshot: table begins", "table", part.Table.String(), "to", greatest)
	}
	return f.reader.Read(ctx, part, f.state.Last, f.state.Max, f.limit, &f.window)
}

// Holds reports whether the window has rows of the table.
func (f *Backfill) Holds(t Table) bool {
	return f != nil && f.open && len(f.window.rows) > 0 && f.state.Parts[0].Table == t
}

// Changed says that a row of the table that the window holds was changed.
func (f *Backfill) Changed(identity []byte) (was bool) { return f.window.drop(identity) }

// Truncated says that the table that the window holds lost all its rows.
func (f *Backfill) Truncated() { f.window.dropAll() }

// Stale says that the rows of the window are to be read again: a change is of one of them, and of which is not known,
// or the table was altered, or the change does not have all of the row.
func (f *Backfill) Stale() { f.stale = true }

// Close says that the stream has come to where the window's rows were read.
func (f *Backfill) Close() {
	f.open = false
	if f.stale && f.again < rereads {
		f.again++
		f.retry = f.now().Add(retryPause)
		return
	}
	if f.stale && len(f.window.rows) > 0 {
		f.log.Warn("rows of a chunk change all the time; those that changed while it was read are left to the stream", "table", f.state.Parts[0].Table.String())
	}
	f.again, f.draining = 0, true
}

// Next returns the next row to deliver; ok is false when there are none, and the window has come to its end.
func (f *Backfill) Next() (row []byte, ok bool) {
	row, key, ok := f.window.next()
	if key != nil {
		f.state.Last = key
	}
	if ok {
		f.rows++
		return row, true
	}
	f.draining = false
	if len(f.state.Parts) == 0 {
		f.log.Info("incremental snapshot ends", "signal", f.state.Correlation)
		f.state = nil
	}
	return nil, false
}

// Part is the table whose rows the window holds.
func (f *Backfill) Part() Part { return f.state.Parts[0] }

// Signal carries out what is asked. A signal that cannot be understood is logged and left.
func (f *Backfill) Signal(ctx context.Context, s connectors.Signal) error {
	switch s.Type {
	case WindowOpen, WindowClose:
		return nil
	}
	if err := f.signal(ctx, s); err != nil {
		var bad *PartError
		if errors.As(err, &bad) {
			f.log.Error("a signal cannot be carried out", "id", s.ID, "type", s.Type, "error", err)
			return nil
		}
		return fmt.Errorf("carry the signal %q out: %w", s.ID, err)
	}
	return nil
}

func (f *Backfill) signal(ctx context.Context, s connectors.Signal) error {
	d, err := ParseSignalData(s.Data)
	if err != nil {
		return &PartError{err}
	}
	switch s.Type {
	case LogSignal:
		offset, _ := json.Marshal(f.state)
		f.log.Info(strings.ReplaceAll(d.Message, "{}", string(offset)), "signal", s.ID)
	case ExecuteSnapshot:
		return f.execute(ctx, s, &d)
	case StopSnapshot:
		if f.state == nil {
			f.log.Warn("there is no incremental snapshot to stop", "id", s.ID)
			return nil
		}
		patterns, _ := d.patterns() // ParseSignalData has tried
		f.stop(patterns)
	case PauseSnapshot, ResumeSnapshot:
		if f.state == nil {
			f.log.Warn("there is no incremental snapshot to "+strings.TrimSuffix(s.Type, "-snapshot"), "id", s.ID)
			return nil
		}
		f.state.Paused = s.Type == PauseSnapshot
		f.problem = ""
		f.log.Info("incremental snapshot: "+s.Type, "id", s.ID)
	default:
		return &PartError{fmt.Errorf("there is no signal of the type %q", s.Type)}
	}
	return nil
}

func (f *Backfill) execute(ctx context.Context, s connectors.Signal, d *SignalData) error {
	if len(d.Collections) == 0 {
		return &PartError{errors.New("data-collections names no table")}
	}
	if d.Blocking() {
		f.log.Warn("a blocking snapshot is carried out as an incremental one: the stream goes on beside it", "id", s.ID)
	}
	tables, err := f.reader.Tables(ctx)
	if err != nil {
		return err
	}
	parts, without, err := d.parts(tables)
	if err != nil {
		return &PartError{err}
	}
	if len(without) > 0 {
		f.log.Error("a signal asks for tables that are not there or not captured", "id", s.ID, "data-collections", without)
	}
	if len(parts) == 0 {
		return nil
	}
	if f.state == nil {
		f.state = &Progress{Correlation: s.ID}
	}
	f.state.Parts = append(f.state.Parts, parts...)
	f.log.Info("incremental snapshot is asked for", "id", s.ID, "tables", len(parts))
	return nil
}

// stop takes tables out of the snapshot; rows of one of them that are held are not delivered.
func (f *Backfill) stop(patterns []Patterns) {
	first := f.state.Parts
	f.state.remove(patterns)
	if len(first) > 0 && (len(f.state.Parts) == 0 || f.state.Parts[0] != first[0]) {
		f.window.reset(f.limit)
		f.problem = ""
	}
	f.log.Info("incremental snapshot: tables are taken out", "left", len(f.state.Parts))
	if len(f.state.Parts) == 0 && !f.open && !f.draining {
		f.state = nil
	}
}

// newMarkID returns a random UUID (RFC 9562, version 4).
func newMarkID() string {
	var u [16]byte
	rand.Read(u[:]) // never fails, says its documentation
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
