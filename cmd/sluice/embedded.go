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
	served  chan error     // of each door, how it ended
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

// embeddedBrokers opens the data directory and serves it, to this process and at the doors.
func embeddedBrokers(v configs.Values, doors []net.Listener, logger *slog.Logger) (*brokers, error) {
	durability, err := log.ParseDurability(v.String("sluice.log.durability"))
	if err != nil {
		return nil, err
	}
	served, err := kafkaListeners(v, doors)
	if err != nil {
		return nil, err
	}
	settings := brokerSettings(v)
	options := log.Options{Dir: v.String("sluice.data.dir"), Logger: logger.With("room", "log"), Durability: durability,
		DiskWarnPercent: v.Int(diskWarnKey), DiskRejectPercent: v.Int(diskRejectKey), Vital: vitalTopics(v),
		MaxOpenFiles: v.Int("sluice.log.max.open.files")}
	if err := broker.ApplyToLog(settings, &options); err != nil {
		return nil, err
	}
	l, err := log.Open(options)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	b, err := broker.New(broker.Options{Log: l, Logger: logger.With("room", "broker"), Settings: settings, ACLs: aclOptions(v),
		OneReplicaOnly: !v.Bool("sluice.kafka.replication.factor.lenient")})
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	e := &brokers{log: l, broker: b, served: make(chan error, len(doors)), client: []kgo.Opt{
		kgo.SeedBrokers(net.JoinHostPort(broker.InProcess.Host, strconv.Itoa(int(broker.InProcess.Port)))), kgo.Dialer(b.Dial),
		kgo.DisableFetchCRCValidation()}} // the log checks whatever it reads, and no network is between it and the client
	e.secured = e.client
	for i, ln := range doors {
		go func() { e.served <- b.Serve(ln, served[i]) }() // ends with close
	}
	return e, nil
}

// vitalTopics are what the hub and the registry keep in the log: on a full disk a connector can still be paused, changed
// and deleted, and a schema found.
func vitalTopics(v configs.Values) []string {
	return []string{v.String("config.storage.topic"), v.String("offset.storage.topic"), v.String("status.storage.topic"), v.String(registryPrefix + "topic")}
}

// close ends the broker and closes the log. It does nothing for an external cluster.
func (b *brokers) close() error {
	if b.broker == nil {
		return nil
	}
	err := b.broker.Close()
	for range cap(b.served) {
		err = errors.Join(err, <-b.served)
	}
	return errors.Join(err, b.log.Close())
}
