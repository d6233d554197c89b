package postgres

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehub/sluice/connectors"
)

// monitorInterval is how often the slot is looked at.
const monitorInterval = 10 * time.Second

// monitor looks after the slot from a session of its own: how much WAL the server keeps for it, and the statement
// that is to be run at each heartbeat.
type monitor struct {
	s        *settings
	log      *slog.Logger
	retained atomic.Int64
	seen     atomic.Bool
	cancel   context.CancelFunc
	ended    sync.WaitGroup
	warned   bool
}

func newMonitor(s *settings, log *slog.Logger) *monitor {
	ctx, cancel := context.WithCancel(context.Background())
	m := &monitor{s: s, log: log, cancel: cancel}
	m.ended.Add(1)
	go m.run(ctx)
	return m
}

func (m *monitor) close() {
	m.cancel()
	m.ended.Wait()
}

func (m *monitor) run(ctx context.Context) {
	defer m.ended.Done()
	var conn *pgx.Conn
	defer func() {
		if conn != nil {
			conn.Close(context.WithoutCancel(ctx))
		}
	}()
	look := time.NewTicker(monitorInterval)
	defer look.Stop()
	var beat <-chan time.Time
	action := m.s.v.String("heartbeat.action.query")
	if action != "" && m.s.heartbeat > 0 {
		ticker := time.NewTicker(m.s.heartbeat)
		defer ticker.Stop()
		beat = ticker.C
	}
	for {
		var err error
		if conn == nil || conn.IsClosed() {
			conn, err = m.s.connect(ctx)
		}
		if err == nil {
			err = m.look(ctx, conn)
		}
		if err != nil && ctx.Err() == nil {
			m.log.Debug("cannot look at the replication slot", "error", err)
		}
		for again := false; !again; {
			select {
			case <-ctx.Done():
				return
			case <-look.C:
				again = true
			case <-beat:
				if conn == nil {
					again = true
				} else if _, err := conn.Exec(ctx, action); err != nil && ctx.Err() == nil {
					m.log.Warn("heartbeat.action.query failed", "error", err)
					again = conn.IsClosed()
				}
			}
		}
	}
}

func (m *monitor) look(ctx context.Context, conn *pgx.Conn) error {
	sl, err := findSlot(ctx, conn, m.s.slot)
	if err != nil || sl == nil {
		return err
	}
	m.retained.Store(sl.retained)
	m.seen.Store(true)
	most := m.s.v.Long("slot.max.retained.bytes")
	if over := most > 0 && sl.retained > most; over != m.warned {
		if m.warned = over; over {
			m.log.Warn("the server keeps much WAL for the replication slot, because what was read is not durable yet or the connector is behind",
				"slot", m.s.slot, "bytes", sl.retained, "limit", most, "wal_status", sl.status)
		}
	}
	return nil
}

// Figures are the task's own metrics.
func (t *task) Figures() []connectors.Figure {
	out := []connectors.Figure{{Name: "snapshot_remaining_chunks", Help: "Pieces of tables that the snapshot has not delivered yet.", Value: float64(t.chunksLeft.Load())}}
	if t.monitor != nil && t.monitor.seen.Load() {
		out = append(out, connectors.Figure{Name: "slot_retained_wal_bytes", Help: "WAL that the server keeps for the replication slot.",
			Value: float64(t.monitor.retained.Load())})
	}
	return out
}
