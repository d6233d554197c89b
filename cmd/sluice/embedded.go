package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/hub"
	"github.com/sluicehub/sluice/log"
	"github.com/sluicehub/sluice/log/broker"
	"github.com/twmb/franz-go/pkg/kgo"
)

// brokers is the log as the hub and the registry see it: how a Kafka client reaches it.
type brokers struct {
	// client says where it is, secured also how it is talked to, and as whom. The hub knows the latter by itself.
	client  []kgo.Opt
	secured []kgo.Opt
	log     *log.Log       // nil: an external cluster
	broker  *broker.Broker // nil: an external cluster
	served  chan error
}

// externalBrokers is a Kafka cluster somewhere else. It must answer, to this user.
func externalBrokers(ctx context.Context, worker map[string]string, bootstrap []string) (*brokers, error) {
	client := []kgo.Opt{kgo.SeedBrokers(bootstrap...)}
	secured, err := hub.Reach(ctx, worker, client)
	if err != nil {
		return nil, err
	}
	return &brokers{client: client, secured: secured}, nil
}

// embeddedBrokers opens the data directory and serves it, to this process and on ln.
func embeddedBrokers(v configs.Values, ln net.Listener, logger *slog.Logger) (*brokers, error) {
	durability, err := log.ParseDurability(v.String("sluice.log.durability"))
	if err != nil {
		return nil, err
	}
	adv, err := advertised(v.String("sluice.kafka.advertised.listener"), ln.Addr())
	if err != nil {
		return nil, err
	}
	settings := brokerSettings(v)
	options := log.Options{Dir: v.String("sluice.data.dir"), Logger: logger.With("room", "log"), Durability: durability}
	if err := broker.ApplyToLog(settings, &options); err != nil {
		return nil, err
	}
	l, err := log.Open(options)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	b, err := broker.New(broker.Options{Log: l, Logger: logger.With("room", "broker"), Settings: settings,
		OneReplicaOnly: !v.Bool("sluice.kafka.replication.factor.lenient")})
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	e := &brokers{log: l, broker: b, served: make(chan error, 1), client: []kgo.Opt{
		kgo.SeedBrokers(net.JoinHostPort(broker.InProcess.Host, strconv.Itoa(int(broker.InProcess.Port)))), kgo.Dialer(b.Dial)}}
	e.secured = e.client
	go func() { e.served <- b.Serve(ln, adv) }() // ends with close
	return e, nil
}

// advertised is what clients of the listener are told to connect to. A listener on all interfaces cannot know by
// which name it is reached: then it is the name that was configured, or the loopback.
func advertised(configured string, addr net.Addr) (broker.Advertised, error) {
	if configured == "" {
		configured = addr.String()
	}
	host, portText, err := net.SplitHostPort(configured)
	if err != nil {
		return broker.Advertised{}, fmt.Errorf("sluice.kafka.advertised.listener: %w", err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return broker.Advertised{}, fmt.Errorf("sluice.kafka.advertised.listener: port %q is not a number", portText)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return broker.Advertised{Host: host, Port: int32(port)}, nil
}

// close ends the broker and closes the log. It does nothing for an external cluster.
func (b *brokers) close() error {
	if b.broker == nil {
		return nil
	}
	err := b.broker.Close()
	return errors.Join(err, <-b.served, b.log.Close())
}
