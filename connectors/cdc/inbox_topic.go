package cdc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// signalTopic is the channel kafka: the first partition of a topic whose records have the connector's topic.prefix as
// key, and as value what a line of signal.file has. Records with another key are for others.
//
// Where reading goes on after a restart is in the source offset, beside what the signals have done (SignalPlace), so that
// each is carried out once. The group's offset is committed behind a signal when such a source offset is durable, not
// before: it is where reading begins under a source offset that has no place. As in Debezium, nobody joins the group.
type signalTopic struct {
	brokers     []string
	name, group string
	key         string
	latest      bool // where the group has no offset, reading begins at the end

	read      int64       // the offset behind the last record that was read
	last      SignalPlace // of the last signal that was put into the inbox
	committed int64       // -1: nothing since the start
}

func newSignalTopic(v configs.Values, from SignalPlace) *signalTopic {
	t := &signalTopic{brokers: v.List("signal.kafka.bootstrap.servers"), name: v.String("signal.kafka.topic"), group: v.String("signal.kafka.groupId"),
		key: v.String("topic.prefix"), latest: v.String("signal.consumer.auto.offset.reset") == "latest", read: int64(from), committed: -1}
	if t.name == "" {
		t.name = t.key + "-signal"
	}
	return t
}

// watchTopic puts the signals of a topic into the inbox until ctx ends. What goes wrong is tried again every so often.
func (i *Inbox) watchTopic(ctx context.Context, t *signalTopic, every time.Duration, log *slog.Logger) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	told := ""
	for {
		err := i.readTopic(ctx, t, every, log)
		if ctx.Err() != nil {
			return
		}
		if err.Error() != told {
			told = err.Error()
			log.Error("the topic of signals cannot be read", "signal.kafka.topic", t.name, "error", err,
				"remedy", "check signal.kafka.bootstrap.servers, and make the topic with one partition")
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// readTopic reads until something goes wrong. Every so often it commits what has become durable.
func (i *Inbox) readTopic(ctx context.Context, t *signalTopic, every time.Duration, log *slog.Logger) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(t.brokers...), kgo.ClientID("sluice-signals"), kgo.RequestRetries(3))
	if err != nil {
		return fmt.Errorf("signal.kafka.bootstrap.servers: %w", err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	from, err := t.start(ctx, admin)
	if err != nil {
		return err
	}
	client.AddConsumePartitions(map[string]map[int32]kgo.Offset{t.name: {0: from}})
	for {
		poll, cancel := context.WithTimeout(ctx, every)
		fetches := client.PollFetches(poll)
		cancel()
		for _, e := range fetches.Errors() {
			if errors.Is(e.Err, context.DeadlineExceeded) && ctx.Err() == nil {
				continue
			}
			return fmt.Errorf("read partition 0: %w", e.Err)
		}
		for _, r := range fetches.Records() {
			if err := i.takeRecord(ctx, t, r, log); err != nil {
				return err
			}
		}
		if i.settled(t) {
			if err := t.commit(ctx, admin); err != nil {
				return err
			}
		}
	}
}

// takeRecord puts the signal of a record into the inbox, as soon as there is room.
func (i *Inbox) takeRecord(ctx context.Context, t *signalTopic, r *kgo.Record, log *slog.Logger) error {
	if string(r.Key) == t.key && len(r.Value) > 0 {
		place := SignalPlace(r.Offset + 1)
		s, err := parseSignal(r.Value)
		if err == nil {
			err = i.put(s, place)
		}
		if e := (*connectors.Error)(nil); errors.As(err, &e) && e.Retriable {
			if err := i.await(ctx, func() bool { return len(i.waiting) == 0 }); err != nil {
				return err
			}
			err = i.put(s, place)
		}
		if err != nil {
			log.Error("a signal cannot be carried out", "signal.kafka.topic", t.name, "offset", r.Offset, "error", err)
		} else {
			t.last = place
		}
	}
	t.read = r.Offset + 1
	return nil
}

// settled reports whether what the signals of the topic have done is durable.
func (i *Inbox) settled(t *signalTopic) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.stored >= t.last
}

// start is where reading begins.
func (t *signalTopic) start(ctx context.Context, admin *kadm.Client) (kgo.Offset, error) {
	topics, err := admin.ListTopics(ctx, t.name)
	if err == nil {
		err = topics[t.name].Err
	}
	if err != nil {
		return kgo.Offset{}, fmt.Errorf("look the topic up: %w", err)
	}
	stored, err := admin.FetchOffsets(ctx, t.group)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) { // nobody has committed yet
		return kgo.Offset{}, fmt.Errorf("read the offset of the group %s: %w", t.group, err)
	}
	o, ok := stored.Lookup(t.name, 0)
	switch {
	case ok && o.Err == nil && o.At >= t.read:
		t.read, t.committed = o.At, o.At
		return kgo.NewOffset().At(o.At), nil
	case t.read > 0: // what was taken is not taken again because its commit failed
		return kgo.NewOffset().At(t.read), nil
	case t.latest:
		return t.end(ctx, admin)
	}
	return kgo.NewOffset().AtStart(), nil
}

// end is the topic's end, which is committed at once: after a restart it would be another one.
func (t *signalTopic) end(ctx context.Context, admin *kadm.Client) (kgo.Offset, error) {
	ends, err := admin.ListEndOffsets(ctx, t.name)
	if err != nil {
		return kgo.Offset{}, fmt.Errorf("look the end of the topic up: %w", err)
	}
	o, _ := ends.Lookup(t.name, 0)
	if o.Err != nil {
		return kgo.Offset{}, fmt.Errorf("look the end of the topic up: %w", o.Err)
	}
	t.read = o.Offset
	return kgo.NewOffset().At(t.read), t.commit(ctx, admin)
}

func (t *signalTopic) commit(ctx context.Context, admin *kadm.Client) error {
	if t.read == t.committed {
		return nil
	}
	var o kadm.Offsets
	o.Add(kadm.Offset{Topic: t.name, Partition: 0, At: t.read, LeaderEpoch: -1})
	if err := admin.CommitAllOffsets(ctx, t.group, o); err != nil {
		return fmt.Errorf("commit the offset of the group %s: %w", t.group, err)
	}
	t.committed = t.read
	return nil
}
