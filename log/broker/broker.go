// Package broker puts the Kafka protocol in front of a log.Log: any Kafka client can produce, consume, use groups and
// transactions, and administer topics. One node, one broker; requests and responses are franz-go's kmsg types, one file per API.
//
// A request of one connection is answered in the order it came. Produce is pipelined: the next request is taken
// while the fsync of the one before is under way.
package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sluicehub/sluice/log"
)

// Options configures a Broker. Log is required.
type Options struct {
	Log    *log.Log
	Logger *slog.Logger
	// Settings are broker configs by Kafka's names, those of Settings(). The ones that ApplyToLog takes are only shown.
	Settings map[string]string
	// OneReplicaOnly refuses topics that ask for more replicas than the one there can be, or for one on another broker.
	// Otherwise they get the one, since many clients ask for three by default.
	OneReplicaOnly bool
	// RequestTimeout is how long a started request may take to arrive whole; 0 means 30 s. It is what ends a
	// client that sends a byte at a time.
	RequestTimeout time.Duration
	// ACLs says who may do what.
	ACLs ACLOptions
}

// nodeID is the id of the only broker.
const nodeID int32 = 1

// Broker serves the Kafka protocol. Its methods may be called from several goroutines.
type Broker struct {
	log       *log.Log
	logger    *slog.Logger
	opts      Options
	set       atomic.Pointer[settings]
	apis      []api           // by key; see versions.go
	counters  []apiCounters   // by key
	latencies []time.Duration // LatencyBuckets
	groups    *coordinator
	txns      *txnCoordinator
	sessions  *fetchSessions
	users     *users
	acls      *acls
	quotas    *clientQuotas
	buffers   buffers

	configMu sync.Mutex // changes of dynamic
	dynamic  atomic.Pointer[dynamicConfigs]

	saidOneReplica, saidFull atomic.Bool

	ctx    context.Context // ends when Close begins
	cancel context.CancelFunc
	wg     sync.WaitGroup // connections and listeners

	mu        sync.Mutex
	closed    bool
	listeners map[net.Listener]Listener
	conns     map[*conn]struct{}
}

// New makes a broker over an open log and loads the committed offsets, the transactions, the users and the rules of who
// may do what. It serves nobody until Serve or Dial.
func New(o Options) (*Broker, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.RequestTimeout <= 0 {
		o.RequestTimeout = 30 * time.Second
	}
	dynamic, err := loadDynamicConfigs(o.Log)
	if err != nil {
		return nil, fmt.Errorf("load the configs that were set while running: %w", err)
	}
	set, err := dynamic.settings(o.Settings)
	if err != nil {
		return nil, err
	}
	if err := o.Log.OverrideTopicDefaults(dynamic.topicDefaults()...); err != nil {
		return nil, err
	}
	b := &Broker{log: o.Log, logger: o.Logger, opts: o, sessions: newFetchSessions(set.maxFetchSessions),
		listeners: make(map[net.Listener]Listener), conns: make(map[*conn]struct{})}
	b.set.Store(set)
	b.dynamic.Store(dynamic)
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.apis = b.serves()
	b.counters, b.latencies = newAPICounters(len(b.apis)), LatencyBuckets()
	if b.quotas, err = openClientQuotas(o.Log); err != nil {
		return nil, fmt.Errorf("load client quotas: %w", err)
	}
	store, err := openOffsetStore(o.Log)
	if err != nil {
		return nil, fmt.Errorf("load committed offsets: %w", err)
	}
	if b.groups, err = newCoordinator(store, o.Logger, set.initialRebalanceDelay, logTopics{o.Log}, b.consumerConfig, set.consumer.migration); err != nil {
		return nil, fmt.Errorf("load groups: %w", err)
	}
	if b.users, err = openUsers(o.Log); err != nil {
		return nil, fmt.Errorf("load the users: %w", err)
	}
	if b.acls, err = openACLs(o.Log, o.ACLs); err != nil {
		return nil, fmt.Errorf("load the ACLs: %w", err)
	}
	if b.txns, err = openTxnCoordinator(o.Log, store, o.Logger); err != nil {
		return nil, fmt.Errorf("load transactions: %w", err)
	}
	b.groups.start()
	b.wg.Go(func() { b.txns.run(b.ctx) })
	b.wg.Go(func() { b.groups.expireEvery(b.ctx, set.offsetRetentionCheck, set.offsetRetention) })
	return b, nil
}

// Listener is how the clients of one listener are served.
type Listener struct {
	Advertised Advertised
	// TLS is required of clients if it is set. A client with a certificate that TLS verifies is the certificate's
	// subject; everybody else is anonymous, unless they log in.
	TLS *tls.Config
	// SASL is by which mechanisms clients can log in, and must; none: they need not.
	SASL []string
}

// protocol is the kind of a listener, under Kafka's name.
func (l *Listener) protocol() string {
	name := "PLAINTEXT"
	if l.TLS != nil {
		name = "SSL"
	}
	if len(l.SASL) > 0 {
		name = "SASL_" + name
	}
	return name
}

// Advertised is the address that clients of a listener are told to connect to.
type Advertised struct {
	Host string
	Port int32
}

// Serve accepts connections on ln until the listener fails or the broker is closed, and closes ln. It returns nil
// after Close.
func (b *Broker) Serve(ln net.Listener, l Listener) error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		ln.Close()
		return nil
	}
	b.listeners[ln] = l
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
			if b.passes(err) {
				continue
			}
			return fmt.Errorf("accept on %s: %w", ln.Addr(), err)
		}
		if !b.start(nc, &l, false) {
			nc.Close()
		}
	}
}

// acceptPause is how long nobody is let in who finds the process without a descriptor.
const acceptPause = 100 * time.Millisecond

// passes tells an error of accept that is over when others have left, and waits for it.
func (b *Broker) passes(err error) bool {
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		return true
	}
	if !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) && !errors.Is(err, syscall.ENOBUFS) && !errors.Is(err, syscall.ENOMEM) {
		return false
	}
	if !b.saidFull.Swap(true) {
		b.logger.Error("no connection can be taken until others end; raise the limit of open files (ulimit -n)", "error", err)
	}
	select {
	case <-time.After(acceptPause):
	case <-b.ctx.Done():
	}
	return true
}

// InProcess is the address that Dial's connections advertise. It is no host on any network.
var InProcess = Advertised{Host: "sluice.in-process", Port: 9092}

// Dial connects to the broker without a socket; it is made to be kgo.Dialer's argument. Network and address are
// ignored: there is one broker.
func (b *Broker) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := newPipe()
	if !b.start(server, &Listener{Advertised: InProcess}, true) {
		return nil, errors.New("the broker is closed or has too many connections")
	}
	return client, nil
}

// start takes a connection into service, unless the broker is closed or full.
func (b *Broker) start(nc net.Conn, l *Listener, inProcess bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.conns) >= b.set.Load().maxConnections && !inProcess {
		return false
	}
	c := newConn(b, nc, l, inProcess)
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
