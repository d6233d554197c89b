package mysql

import (
	"context"
	"log/slog"
	"sync"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/sluicehub/sluice/connectors"
)

// feedBytes is how much of the log is read ahead.
const feedBytes = 8 << 20

// feed receives the log: the library reads packets and events in its goroutine, Read takes them. What lies between is
// bounded in bytes; when it is full, the library waits, and with it the server. The library never connects again by
// itself: it would go on at a place of its own.
type feed struct {
	syncer *replication.BinlogSyncer
	cancel context.CancelFunc
	ended  chan struct{} // the goroutine that waits for the end

	mu     sync.Mutex
	events []*replication.BinlogEvent
	bytes  int
	err    error
	closed bool
	filled chan struct{} // there is an event or an error
	space  chan struct{} // there is space again
}

// newFeed begins to read after the GTIDs if there is such a set, else at the place.
func (s *settings) newFeed(p *position, gtids mysql.GTIDSet, annotate bool) (*feed, error) {
	encrypt, optional, err := s.tlsConfig()
	if err != nil {
		return nil, err
	}
	f, err := s.startFeed(p, gtids, annotate, func(c *replication.BinlogSyncerConfig) { c.TLSConfig = encrypt })
	if err != nil && optional && isNoTLS(err) {
		return s.startFeed(p, gtids, annotate, func(*replication.BinlogSyncerConfig) {})
	}
	return f, err
}

func (s *settings) startFeed(p *position, gtids mysql.GTIDSet, annotate bool, tune func(*replication.BinlogSyncerConfig)) (*feed, error) {
	f := &feed{filled: make(chan struct{}, 1), space: make(chan struct{}, 1), ended: make(chan struct{})}
	alive := s.v.Duration("connect.keep.alive.interval.ms")
	c := replication.BinlogSyncerConfig{
		ServerID: s.serverID, Flavor: s.flavor.name, Host: s.v.String("database.hostname"), Port: uint16(s.v.Int("database.port")),
		User: s.v.String("database.user"), Password: s.v.Password("database.password").Reveal(), Localhost: "sluice",
		HeartbeatPeriod: alive, ReadTimeout: 3 * alive, DisableRetrySync: true, EventCacheCount: 1, DiscardGTIDSet: true,
		PayloadDecoderConcurrency: 1, FillZeroLogPos: s.flavor.mariadb,
		Logger: slog.New(slog.DiscardHandler), RowsEventDecodeFunc: keepImages, SynchronousEventHandler: f,
		Option: func(c *client.Conn) error {
			_, err := c.Execute("SET SESSION net_write_timeout = 31536000") // while nobody reads, the server waits
			return err
		},
	}
	if annotate {
		c.DumpCommandFlag = replication.BINLOG_SEND_ANNOTATE_ROWS_EVENT
	}
	tune(&c)
	f.syncer = replication.NewBinlogSyncer(c)
	var streamer *replication.BinlogStreamer
	var err error
	if gtids != nil {
		streamer, err = f.syncer.StartSyncGTID(gtids)
	} else {
		streamer, err = f.syncer.StartSync(mysql.Position{Name: p.File, Pos: uint32(p.Pos)})
	}
	if err != nil {
		f.syncer.Close()
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	go func() {
		defer close(f.ended)
		if _, err := streamer.GetEvent(ctx); err != nil && ctx.Err() == nil {
			f.fail(err)
		}
	}()
	return f, nil
}

// keepImages decodes the head of a rows event and leaves its rows as they are, in NdbData, which nothing else needs:
// the stream knows which tables are wanted, and how to read them.
func keepImages(e *replication.RowsEvent, data []byte) error {
	at, err := e.DecodeHeader(data)
	if err == nil {
		e.NdbData = data[at:]
	}
	return err
}

// HandleEvent takes an event from the library, and waits for space.
func (f *feed) HandleEvent(e *replication.BinlogEvent) error {
	f.mu.Lock()
	for f.bytes >= feedBytes && !f.closed {
		f.mu.Unlock()
		<-f.space
		f.mu.Lock()
	}
	defer f.mu.Unlock()
	if f.closed {
		return context.Canceled
	}
	f.events = append(f.events, e)
	f.bytes += len(e.RawData) + 256
	if p, ok := e.Event.(*replication.TransactionPayloadEvent); ok {
		f.bytes += int(p.UncompressedSize)
	}
	notify(f.filled)
	return nil
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (f *feed) fail(err error) {
	f.mu.Lock()
	f.err = err
	f.mu.Unlock()
	notify(f.filled)
}

// take returns all events that are there, after those in the slice; err if there are none and will be none.
func (f *feed) take(into []*replication.BinlogEvent) ([]*replication.BinlogEvent, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.events) == 0 {
		return into, f.err
	}
	into = append(into, f.events...)
	clear(f.events)
	f.events, f.bytes = f.events[:0], 0
	notify(f.space)
	return into, nil
}

// close ends the connection.
func (f *feed) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	notify(f.space)
	f.syncer.Close()
	f.cancel()
	<-f.ended
}

// partialUpdates is the error for a log whose rows are differences.
func partialUpdates(place string) error {
	return &connectors.Error{Op: "read the log at " + place, Class: connectors.ClassConfig, Err: errPartial,
		Remedy: "SET GLOBAL binlog_row_value_options = ''; and let the sessions connect anew; then take a new snapshot of the table"}
}
