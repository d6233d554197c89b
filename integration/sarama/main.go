// Command sarama does with a broker what there is to do with the client Sarama, and prints ok: sarama BOOTSTRAP. It is
// run by the integration tests.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/IBM/sarama"
)

const (
	in, out  = "sarama", "sarama-out"
	perCodec = 300
)

func codecs() []sarama.CompressionCodec {
	return []sarama.CompressionCodec{sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy, sarama.CompressionLZ4, sarama.CompressionZSTD}
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c := check{brokers: os.Args[1:2]}
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"topics", c.topics}, {"produce", c.produce}, {"group", c.group}, {"transactions", c.transactions}, {"fencing", c.fencing}, {"groups", c.groups},
	} {
		if err := step.do(ctx); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", step.name, err)
			os.Exit(1)
		}
	}
	fmt.Println("ok")
}

// check is the state between the steps.
type check struct {
	brokers []string
	sent    []string
	aborted int
}

func config() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.MaxVersion
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Return.Successes = true
	c.Producer.Idempotent = true
	c.Net.MaxOpenRequests = 1
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Offsets.AutoCommit.Enable = false
	return c
}

func (c *check) admin(do func(sarama.ClusterAdmin) error) error {
	a, err := sarama.NewClusterAdmin(c.brokers, config())
	if err != nil {
		return err
	}
	return errors.Join(do(a), a.Close())
}

// topics makes, changes, describes and deletes them.
func (c *check) topics(context.Context) error {
	return c.admin(func(a sarama.ClusterAdmin) error {
		retention, policy := "1234567", "compact"
		err := errors.Join(
			a.CreateTopic(in, &sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 1, ConfigEntries: map[string]*string{"retention.ms": &retention}}, false),
			a.CreateTopic(out, &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false),
			a.CreateTopic("sarama-gone", &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false),
			a.DeleteTopic("sarama-gone"),
			a.CreatePartitions(in, 3, nil, false),
			a.IncrementalAlterConfig(sarama.TopicResource, in, map[string]sarama.IncrementalAlterConfigsEntry{
				"cleanup.policy": {Operation: sarama.IncrementalAlterConfigsOperationAppend, Value: &policy}}, false),
		)
		if err != nil {
			return err
		}
		if err := a.CreateTopic(in, &sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 1}, false); !errors.Is(err, sarama.ErrTopicAlreadyExists) {
			return fmt.Errorf("made twice: %v", err)
		}
		topics, err := a.ListTopics()
		if err != nil {
			return err
		}
		if _, there := topics["sarama-gone"]; there || topics[in].NumPartitions != 3 {
			return fmt.Errorf("the topics are %v", topics)
		}
		entries, err := a.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: in})
		if err != nil {
			return err
		}
		got := map[string]string{}
		for _, e := range entries {
			got[e.Name] = e.Value
		}
		if got["retention.ms"] != retention || got["cleanup.policy"] != "delete,compact" || got["max.message.bytes"] == "" {
			return fmt.Errorf("the settings are %v", got)
		}
		return nil
	})
}

// produce sends with every codec, with headers.
func (c *check) produce(context.Context) error {
	for _, codec := range codecs() {
		cfg := config()
		cfg.Producer.Compression = codec
		p, err := sarama.NewSyncProducer(c.brokers, cfg)
		if err != nil {
			return err
		}
		var messages []*sarama.ProducerMessage
		for i := range perCodec {
			v := fmt.Sprintf("%s %d", codec, i)
			c.sent = append(c.sent, v)
			messages = append(messages, &sarama.ProducerMessage{Topic: in, Key: sarama.StringEncoder(v), Value: sarama.StringEncoder(v),
				Headers: []sarama.RecordHeader{{Key: []byte("h"), Value: []byte("1")}, {Key: []byte("h"), Value: []byte{}}}})
		}
		if err := errors.Join(p.SendMessages(messages), p.Close()); err != nil {
			return fmt.Errorf("%s: %w", codec, err)
		}
	}
	return nil
}

// reader takes messages in a group until it has enough, handing each to take.
type reader struct {
	take   func(sarama.ConsumerGroupSession, *sarama.ConsumerMessage) error
	enough func() bool
	stop   context.CancelFunc
	turn   chan struct{} // one claim at a time
	err    error
}

func (r *reader) Setup(sarama.ConsumerGroupSession) error { return nil }

// Cleanup commits what was marked, once: a commit waits for the fetch that is under way on the one connection.
func (r *reader) Cleanup(s sarama.ConsumerGroupSession) error {
	s.Commit()
	return nil
}

func (r *reader) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case m, open := <-claim.Messages():
			if !open {
				return nil
			}
			r.turn <- struct{}{}
			err := r.take(s, m)
			if err != nil && r.err == nil {
				r.err = err
			}
			if err != nil || r.enough() {
				r.stop()
			}
			<-r.turn
		case <-s.Context().Done():
			return nil
		}
	}
}

// consume reads a topic in a group until it has read enough messages.
func (c *check) consume(ctx context.Context, topic, group string, level sarama.IsolationLevel, enough func(n int) bool, take func(sarama.ConsumerGroupSession, *sarama.ConsumerMessage) error) error {
	cfg := config()
	cfg.Consumer.IsolationLevel = level
	g, err := sarama.NewConsumerGroup(c.brokers, group, cfg)
	if err != nil {
		return err
	}
	session, stop := context.WithCancel(ctx)
	defer stop()
	got := 0
	r := &reader{stop: stop, turn: make(chan struct{}, 1), enough: func() bool { return enough(got) }}
	r.take = func(s sarama.ConsumerGroupSession, m *sarama.ConsumerMessage) error {
		got++
		return take(s, m)
	}
	for session.Err() == nil {
		if err := g.Consume(session, []string{topic}, r); err != nil && session.Err() == nil {
			return errors.Join(err, g.Close())
		}
	}
	if ctx.Err() != nil {
		r.err = errors.Join(r.err, fmt.Errorf("only %d messages of %s arrived", got, topic))
	}
	return errors.Join(r.err, g.Close())
}

func atLeast(want int) func(int) bool { return func(n int) bool { return n >= want } }

// group reads everything and commits, and a second session goes on there.
func (c *check) group(ctx context.Context) error {
	var got []string
	collect := func(s sarama.ConsumerGroupSession, m *sarama.ConsumerMessage) error {
		if len(m.Headers) != 2 || string(m.Headers[0].Key) != "h" || string(m.Headers[0].Value) != "1" || len(m.Headers[1].Value) != 0 {
			return fmt.Errorf("offset %d has the headers %v", m.Offset, m.Headers)
		}
		got = append(got, string(m.Value))
		s.MarkMessage(m, "")
		return nil
	}
	for _, n := range []int{perCodec, len(c.sent)} {
		if err := c.consume(ctx, in, "sarama", sarama.ReadUncommitted, func(int) bool { return len(got) >= n }, collect); err != nil {
			return err
		}
	}
	return same(got, c.sent)
}

func same(got, want []string) error {
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		return fmt.Errorf("read %d messages, not the %d that were sent", len(got), len(want))
	}
	return nil
}

func transactional() *sarama.Config {
	cfg := config()
	cfg.Producer.Transaction.ID = "sarama"
	return cfg
}

// transactions copies a topic with the offsets of what was read, after a transaction that was aborted with its offsets.
func (c *check) transactions(ctx context.Context) error {
	p, err := sarama.NewSyncProducer(c.brokers, transactional())
	if err != nil {
		return err
	}
	for _, commit := range []bool{false, true} {
		var batch []*sarama.ProducerMessage
		offsets := map[int32]int64{}
		err := c.consume(ctx, in, "copiers", sarama.ReadCommitted, atLeast(len(c.sent)), func(_ sarama.ConsumerGroupSession, m *sarama.ConsumerMessage) error {
			batch = append(batch, &sarama.ProducerMessage{Topic: out, Value: sarama.ByteEncoder(m.Value)})
			offsets[m.Partition] = m.Offset + 1
			return nil
		})
		if err != nil {
			return err
		}
		var positions []*sarama.PartitionOffsetMetadata
		for partition, offset := range offsets {
			positions = append(positions, &sarama.PartitionOffsetMetadata{Partition: partition, Offset: offset})
		}
		err = errors.Join(p.BeginTxn(), p.SendMessages(batch), p.AddOffsetsToTxn(map[string][]*sarama.PartitionOffsetMetadata{in: positions}, "copiers"))
		if err != nil {
			return err
		}
		end := p.AbortTxn
		if commit {
			end = p.CommitTxn
		} else {
			c.aborted += len(batch)
		}
		if err := end(); err != nil {
			return fmt.Errorf("end, commit %v: %w", commit, err)
		}
	}
	if err := p.Close(); err != nil {
		return err
	}
	for _, level := range []sarama.IsolationLevel{sarama.ReadCommitted, sarama.ReadUncommitted} {
		want := slices.Clone(c.sent)
		if level == sarama.ReadUncommitted {
			want = append(want, want...)
		}
		var got []string
		err := c.consume(ctx, out, fmt.Sprint("level", level), level, atLeast(len(want)), func(_ sarama.ConsumerGroupSession, m *sarama.ConsumerMessage) error {
			got = append(got, string(m.Value))
			return nil
		})
		if err := errors.Join(err, same(got, want)); err != nil {
			return fmt.Errorf("isolation level %d: %w", level, err)
		}
	}
	return nil
}

// fencing: a producer with the same id shuts out the one before it.
func (c *check) fencing(context.Context) error {
	zombie, err := sarama.NewSyncProducer(c.brokers, transactional())
	if err != nil {
		return err
	}
	if err := zombie.BeginTxn(); err != nil {
		return err
	}
	if _, _, err := zombie.SendMessage(&sarama.ProducerMessage{Topic: out, Value: sarama.StringEncoder("zombie")}); err != nil {
		return err
	}
	next, err := sarama.NewSyncProducer(c.brokers, transactional())
	if err != nil {
		return err
	}
	if err := zombie.CommitTxn(); err == nil {
		return errors.New("the zombie commits")
	}
	return next.Close()
}

// groups describes them, and deletes one, and records.
func (c *check) groups(context.Context) error {
	return c.admin(func(a sarama.ClusterAdmin) error {
		committed, err := a.ListConsumerGroupOffsets("copiers", map[string][]int32{in: {0, 1, 2}})
		if err != nil {
			return err
		}
		var sum int64
		for _, b := range committed.Blocks[in] {
			sum += b.Offset
		}
		if sum != int64(len(c.sent)) {
			return fmt.Errorf("the copiers' offsets sum up to %d, not %d", sum, len(c.sent))
		}
		described, err := a.DescribeConsumerGroups([]string{"sarama"})
		if err != nil {
			return err
		}
		if described[0].State != "Empty" {
			return fmt.Errorf("the group is %s", described[0].State)
		}
		if err := errors.Join(a.DeleteConsumerGroup("sarama"), a.DeleteRecords(out, map[int32]int64{0: 10})); err != nil {
			return err
		}
		listed, err := a.ListConsumerGroups()
		if _, there := listed["sarama"]; there {
			return fmt.Errorf("the group is still there: %v", listed)
		}
		return err
	})
}
