package mysql

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicehub/sluice/connectors"
)

// monitorInterval is how often the server's logs are looked at.
const monitorInterval = 10 * time.Second

// monitor looks after the position from a session of its own: how far behind the end of the log it is, and how long it
// is until the server may purge what has not been read. It runs the statement of each heartbeat.
type monitor struct {
	s      *settings
	server *server
	log    *slog.Logger
	cancel context.CancelFunc
	ended  sync.WaitGroup
	warned bool

	behind atomic.Int64 // bytes
	left   atomic.Int64 // seconds, -1 is for ever
	seen   atomic.Bool

	mu  sync.Mutex
	pos position
}

func newMonitor(s *settings, server *server, log *slog.Logger) *monitor {
	ctx, cancel := context.WithCancel(context.Background())
	m := &monitor{s: s, server: server, log: log, cancel: cancel}
	m.ended.Add(1)
	go m.run(ctx)
	return m
}

func (m *monitor) committed(p position) {
	m.mu.Lock()
	m.pos = p
	m.mu.Unlock()
}

func (m *monitor) close() {
	m.cancel()
	m.ended.Wait()
}

func (m *monitor) run(ctx context.Context) {
	defer m.ended.Done()
	var conn *session
	defer func() { conn.close() }()
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
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		case <-beat:
		}
		var err error
		if conn == nil {
			conn, err = m.s.connect(ctx)
		}
		if err == nil && beat != nil {
			if _, err = conn.query(ctx, action); err != nil && ctx.Err() == nil {
				m.log.Warn("heartbeat.action.query failed", "error", err)
			}
		}
		if err == nil {
			err = m.look(ctx, conn)
		}
		if err != nil && ctx.Err() == nil {
			m.log.Debug("cannot look at the binary logs", "error", err)
			conn.close()
			conn = nil
		}
	}
}

// look compares the committed position with the server's files.
func (m *monitor) look(ctx context.Context, conn *session) error {
	m.mu.Lock()
	p := m.pos
	m.mu.Unlock()
	if p.File == "" {
		return nil
	}
	files, err := logFiles(ctx, conn)
	if err != nil {
		return err
	}
	var behind int64
	last := ""
	for _, f := range files {
		last = f.name
		switch at := fileNumber(f.name); {
		case f.name == p.File:
			behind += max(int64(f.size)-int64(p.Pos), 0)
		case at > fileNumber(p.File):
			behind += int64(f.size)
		}
	}
	left := int64(-1)
	if m.server.expire > 0 && p.TS > 0 && behind > 0 && p.File != last { // the file in use is never purged
		left = max(p.TS+m.server.expire-time.Now().Unix(), 0)
	}
	m.behind.Store(behind)
	m.left.Store(left)
	m.seen.Store(true)
	limit := int64(m.s.v.Duration("binlog.retention.warning.ms") / time.Second)
	if soon := left >= 0 && left < limit; soon != m.warned {
		if m.warned = soon; soon {
			m.log.Warn("the server will soon purge a binary log that has not been read; raise binlog_expire_logs_seconds", "file", p.File, "seconds", left, "behind_bytes", behind)
		}
	}
	return nil
}

// Figures are the task's own metrics.
func (t *task) Figures() []connectors.Figure {
	out := []connectors.Figure{{Name: "snapshot_remaining_chunks", Help: "Pieces of tables that the snapshot has not delivered yet.", Value: float64(t.chunksLeft.Load())}}
	if t.monitor == nil || !t.monitor.seen.Load() {
		return out
	}
	out = append(out, connectors.Figure{Name: "binlog_behind_bytes", Help: "Bytes of the server's binary log behind the committed position.", Value: float64(t.monitor.behind.Load())})
	if left := t.monitor.left.Load(); left >= 0 {
		out = append(out, connectors.Figure{Name: "binlog_retention_left_seconds", Help: "Time until the server may purge what has not been read.", Value: float64(left)})
	}
	return out
}
