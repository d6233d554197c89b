package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// startTimeout is how long the log may take to answer when the hub starts.
const startTimeout = 60 * time.Second

// Run starts the hub, runs until ctx ends or Close is called, and drains: what sources have in flight becomes durable
// and their offsets too, sinks flush and commit. It takes at most 30 s for that. Run is called once.
func (h *Hub) Run(ctx context.Context) error {
	defer close(h.done)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-h.stopped:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := h.open(ctx); err != nil {
		h.setHealth(false, err)
		return err
	}
	defer h.closeStores()
	for _, name := range h.configs.names() {
		h.startRunner(name)
	}
	h.setHealth(true, nil)
	close(h.up)
	h.log.Info("the hub is ready", "connectors", len(h.configs.names()), "took", time.Since(h.started).Round(time.Millisecond))
	held, letGo := context.WithCancel(context.Background())
	lost := make(chan error, 1)
	go func() { lost <- h.leases.keep(held) }()
	select {
	case <-ctx.Done():
		err := h.drain()
		letGo()
		<-lost
		h.giveUp()
		return err
	case err := <-lost:
		letGo()
		return h.abandon(err)
	case err := <-h.fenced:
		letGo()
		return h.abandon(err)
	}
}

// drainTimeout bounds the end of a hub.
const drainTimeout = 30 * time.Second

// drain ends all connectors in order.
func (h *Hub) drain() error {
	h.setHealth(false, errors.New("the worker is stopping"))
	limit, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if err := h.endRunners(limit); err != nil {
		return err
	}
	if err := h.client.Flush(limit); err != nil {
		return fmt.Errorf("write the last statuses: %w", err)
	}
	return nil
}

// giveUp lets the next worker begin at once.
func (h *Hub) giveUp() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	h.leases.release(ctx)
}

// abandon ends all connectors because another worker runs them now. Nothing more is written to the internal topics:
// they are the other one's.
func (h *Hub) abandon(cause error) error {
	h.setHealth(false, cause)
	h.log.Error("this worker stops all of its connectors", "cause", cause)
	h.closeStores()
	limit, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	return errors.Join(cause, h.endRunners(limit))
}

// endRunners ends all connectors and waits for them.
func (h *Hub) endRunners(limit context.Context) error {
	h.runEnd()
	ended := make(chan struct{})
	go func() {
		h.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-limit.Done():
		return fmt.Errorf("not all connectors ended within %s; what they had in hand is done again at the next start", drainTimeout)
	}
}

// Close ends Run and waits until it has drained, or until ctx ends.
func (h *Hub) Close(ctx context.Context) error {
	h.stopOnce.Do(func() { close(h.stopped) })
	select {
	case <-h.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// open reaches the log, makes sure of the internal topics and reads them to their end.
func (h *Hub) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	security, err := securityOptions(h.worker)
	if err != nil {
		return fmt.Errorf("worker configuration: %w", err)
	}
	h.base = slices.Concat(h.seeds, security)
	if h.client, err = kgo.NewClient(h.storeOptions()...); err != nil {
		return fmt.Errorf("make the client of the log: %w", err)
	}
	h.admin = kadm.NewClient(h.client)
	if err := h.openStores(ctx); err != nil {
		h.giveUp()
		h.closeStores()
		return err
	}
	return nil
}

// closeStores ends the clients that write the internal topics.
func (h *Hub) closeStores() {
	if h.leader != nil {
		h.leader.Close()
	}
	h.client.Close()
}

// lead makes this worker the one that may write the configuration topic, where that is done in transactions: what
// another one has not ended is aborted, and it cannot begin another.
func (h *Hub) lead(ctx context.Context) error {
	if h.values.String(onceKey) == onceDisabled {
		return nil
	}
	var err error
	opts := append(h.storeOptions(), kgo.TransactionalID("connect-cluster-"+h.values.String("group.id")), kgo.TransactionTimeout(transactionTimeout))
	if h.leader, err = kgo.NewClient(opts...); err != nil {
		return fmt.Errorf("make the client of the configuration topic: %w", err)
	}
	if _, _, err := h.leader.ProducerID(ctx); err != nil {
		return fmt.Errorf("become the producer of the transactional id connect-cluster-%s: %w", h.values.String("group.id"), err)
	}
	return nil
}

func (h *Hub) openStores(ctx context.Context) error {
	if err := patiently(ctx, func() error { return h.client.Ping(ctx) }); err != nil {
		return fmt.Errorf("reach the log at %s: %w", h.values.String("bootstrap.servers"), err)
	}
	h.leases = h.newLeases()
	if err := h.leases.acquire(ctx); err != nil {
		return err
	}
	if err := h.lead(ctx); err != nil {
		return err
	}
	topics := h.internalTopics()
	for _, t := range topics {
		if err := patiently(ctx, func() error { return t.ensure(ctx, h.admin) }); err != nil {
			return err
		}
	}
	if err := patiently(ctx, func() error { return readToEnd(ctx, h.admin, h.base, h.log, topics...) }); err != nil {
		return err
	}
	h.status.begin()
	if meta, err := h.admin.BrokerMetadata(ctx); err == nil {
		h.mu.Lock()
		h.clusterID = meta.Cluster
		h.mu.Unlock()
	}
	return nil
}

// patiently calls do until it succeeds or ctx ends: a cluster that starts beside the hub is not there at once, and
// topics that were just made are not known to all brokers.
func patiently(ctx context.Context, do func() error) error {
	for delay := 20 * time.Millisecond; ; delay = min(2*delay, time.Second) {
		err := do()
		if err == nil || ctx.Err() != nil {
			return err
		}
		if sleep(ctx, delay) != nil {
			return err
		}
	}
}

// internalTopics makes the stores and the topics behind them.
func (h *Hub) internalTopics() []*internalTopic {
	v := h.values
	config, offset, status := v.String("config.storage.topic"), v.String("offset.storage.topic"), v.String("status.storage.topic")
	h.configs = newConfigStore(config, h.client, h.log)
	h.configs.leader, h.configs.fenced = h.leader, h.fenced
	h.status = newStatusStore(status, h.client, h.log, time.Now)
	h.offsets = h.newOffsetTopic(offset)
	return []*internalTopic{
		h.internalTopic("config.storage.", config, 1, h.configs.read),
		h.offsets.topic,
		h.internalTopic("status.storage.", status, v.Int("status.storage.partitions"), h.status.read),
	}
}

// internalTopic returns a topic with the settings that the worker's keys with a prefix give it.
func (h *Hub) internalTopic(prefix, name string, partitions int, read func(*kgo.Record)) *internalTopic {
	t := &internalTopic{name: name, partitions: int32(partitions), configs: map[string]string{}, read: read}
	for key, value := range h.values.Prefixed(prefix) {
		switch key {
		case "topic", "partitions", "cleanup.policy":
		case "replication.factor":
			t.replication = int16(h.values.Int(prefix + key))
		default:
			t.configs[key] = value
		}
	}
	return t
}

// newLeases returns what this worker must have for itself: its group.id, and the topic of its configurations, which
// a worker with another group.id would run as well.
func (h *Hub) newLeases() leases {
	group, topic := h.values.String("group.id"), h.values.String("config.storage.topic")
	session, beat := h.values.Duration("session.timeout.ms"), h.values.Duration("heartbeat.interval.ms")
	l := lease{instance: instanceID(h.instance, ""), session: session, beat: min(beat, session/3), client: h.client, log: h.log}
	ofGroup, ofTopic := l, l
	ofGroup.group, ofGroup.what = group, "group.id="+group
	ofTopic.group, ofTopic.what = "connect-lease-"+topic, "config.storage.topic="+topic
	return leases{&ofGroup, &ofTopic}
}

// startRunner starts what keeps a connector running, or wakes it if it is there.
func (h *Hub) startRunner(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.runners[name]; r != nil {
		r.poke()
		return
	}
	r := newRunner(h, name)
	h.runners[name] = r
	h.running.Add(1)
	go func() {
		defer h.running.Done()
		for r.run(h.runCtx); !h.dropRunner(r); r.run(h.runCtx) {
			// The connector was deleted and made again while it was ending.
		}
		close(r.done)
	}()
}

// dropRunner lets go of a runner that has ended, unless there is work for it again.
func (h *Hub) dropRunner(r *runner) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, again := h.configs.get(r.name); again && h.runCtx.Err() == nil {
		return false
	}
	delete(h.runners, r.name)
	return true
}

func (h *Hub) runner(name string) *runner {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.runners[name]
}
