// Package broker puts the Kafka protocol in front of a log.Log: any Kafka client can produce, consume, use groups and
// transactions, and administer topics. One node, one broker; requests and responses are franz-go's kmsg types, one file per API.
//
// A request of one connection is answered in the order it came. Produce is pipelined: the next request is taken
// while the fsync of the one before is under way.
package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/sluicehub/sluice/log"
)

// Options configures a Broker. Log is required.
type Options struct {
	Log    *log.Log
	Logger *slog.Logger
	// AutoCreateTopics lets Metadata and Produce make topics that do not exist (auto.create.topics.enable).
	AutoCreateTopics bool
	// NumPartitions is for topics made without a number (num.partitions); 0 means 1.
	NumPartitions int
	// MaxRequestBytes bounds one request (socket.request.max.bytes); 0 means 100 MiB.
	MaxRequestBytes int
	// MaxConnections bounds the connections held at once; 0 means 1,000.
	MaxConnections int
	// RequestTimeout is how long a started request may take to arrive whole; 0 means 30 s. It is what ends a
	// client that sends a byte at a time.
	RequestTimeout time.Duration
}

// nodeID is the id of the only broker.
const nodeID int32 = 1

// Broker serves the Kafka protocol. Its methods may be called from several goroutines.
type Broker struct {
	log    *log.Log
	logger *slog.Logger
	opts   Options
	apis   []api // by key; see versions.go
	groups *coordinator
	txns   *txnCoordinator

	ctx    context.Context // ends when Close begins
	cancel context.CancelFunc
	wg     sync.WaitGroup // connections and listeners

	mu        sync.Mutex
	closed    bool
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
}

// New makes a broker over an open log and loads the committed offsets. It serves nobody until Serve or Dial.
func New(o Options) (*Broker, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.NumPartitions <= 0 {
		o.NumPartitions = 1
	}
	if o.MaxRequestBytes <= 0 {
		o.MaxRequestBytes = 100 << 20
	}
	if o.MaxConnections <= 0 {
		o.MaxConnections = 1000
	}
	if o.RequestTimeout <= 0 {
		o.RequestTimeout = 30 * time.Second
	}
	b := &Broker{log: o.Log, logger: o.Logger, opts: o,
		listeners: make(map[net.Listener]struct{}), conns: make(map[*conn]struct{})}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.apis = b.serves()
	store, err := openOffsetStore(o.Log)
	if err != nil {
		return nil, fmt.Errorf("load committed offsets: %w", err)
	}
	b.groups = newCoordinator(store, o.Logger)
	if b.txns, err = openTxnCoordinator(o.Log, store, o.Logger); err != nil {
		return nil, fmt.Errorf("load transactions: %w", err)
	}
	b.wg.Go(func() { b.txns.run(b.ctx) })
	return b, nil
}

// Advertised is the address that clients of a listener are told to connect to.
type Advertised struct {
	Host string
	Port int32
}

// Serve accepts connections on ln until the listener fails or the broker is closed, and closes ln. It returns nil
// after Close.
func (b *Broker) Serve(ln net.Listener, adv Advertised) error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		ln.Close()
		return nil
	}
	b.listeners[ln] = struct{}{}
	b.wg.Add(1)
	b.mu.Unlock()
	defer b.wg.Done()
	defer ln.Close()
	for {
		nc, err := ln.Accept()
		if err != nil {
			if b.ctx.Err() != nil {
				return nil
			}
			var ne net.Error
			if errors.As(err, &ne) && ne.Timeout() {
				continue
			}
			return fmt.Errorf("accept on %s: %w", ln.Addr(), err)
		}
		if !b.start(nc, adv, false) {
			nc.Close()
		}
	}
}

// InProcess is the address that Dial's connections advertise. It is no host on any network.
var InProcess = Advertised{Host: "sluice.in-process", Port: 9092}

// Dial connects to the broker without a socket; it is made to be kgo.Dialer's argument. Network and address are
// ignored: there is one broker.
func (b *Broker) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := newPipe()
	if !b.start(server, InProcess, true) {
		return nil, errors.New("the broker is closed or has too many connections")
	}
	return client, nil
}

// start takes a connection into service, unless the broker is closed or full.
func (b *Broker) start(nc net.Conn, adv Advertised, inProcess bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.conns) >= b.opts.MaxConnections && !inProcess {
		return false
	}
	c := newConn(b, nc, adv, inProcess)
	b.conns[c] = struct{}{}
	b.wg.Add(1)
	go func() {
		defer b.wg.Done()
		c.serve()
		b.mu.Lock()
		delete(b.conns, c)
		b.mu.Unlock()
	}()
	return true
}

// Close stops serving: it ends all connections and listeners and waits for their goroutines. The log stays open.
func (b *Broker) Close() error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	b.cancel()
	for ln := range b.listeners {
		ln.Close()
	}
	for c := range b.conns {
		c.nc.Close()
	}
	b.mu.Unlock()
	b.groups.close()
	b.wg.Wait()
	return nil
}

// Connections returns how many clients are connected, for metrics.
func (b *Broker) Connections() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.conns)
}
