package integration

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
)

// TestKilledGroupGoesOn kills the hub under a consumer of franz-go and one of Kafka's that share a topic by the classic
// protocol. After the start they read and commit on, and neither is told that it lost or was given partitions. Then a
// member of the consumer protocol takes the place of the one of franz-go, and Kafka's goes on beside it.
func TestKilledGroupGoesOn(t *testing.T) {
	t.Parallel()
	const topic, group = "shared", "goes-on"
	w := startWorker(t, worker.Options{})
	createTopics(t, w, 2, topic)
	java := verifiableConsumer(t, w.Kafka, topic, group)
	var rebalances atomic.Int32
	rebalanced := func(context.Context, *kgo.Client, map[string][]int32) { rebalances.Add(1) }
	cl := newClient(t, w, kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.Balancers(kgo.RangeBalancer()), kgo.HeartbeatInterval(100*time.Millisecond), kgo.Dialer(dialUntil),
		kgo.AutoCommitInterval(100*time.Millisecond), kgo.OnPartitionsAssigned(rebalanced), kgo.OnPartitionsRevoked(rebalanced), kgo.OnPartitionsLost(rebalanced))
	read := poll(t, cl)
	adm := kadm.NewClient(newClient(t, w))
	until := func(what string, try func() error) {
		t.Helper()
		must(t, w.Wait(t.Context(), what, try))
	}
	// both sends a record to each of the partitions, and waits until both members have committed theirs.
	both := func(n int64) {
		t.Helper()
		producer := newClient(t, w, kgo.RecordPartitioner(kgo.ManualPartitioner()))
		for p := range int32(2) {
			must(t, producer.ProduceSync(deadline(t), &kgo.Record{Topic: topic, Partition: p, Value: []byte("record")}).FirstErr())
		}
		until("both members to have committed", func() error {
			offsets, err := adm.FetchOffsets(deadline(t), group)
			if err == nil && (offsets[topic][0].At != n || offsets[topic][1].At != n) {
				err = fmt.Errorf("committed %d and %d of %d", offsets[topic][0].At, offsets[topic][1].At, n)
			}
			return err
		})
	}
	until("the group to be stable with two members", func() error {
		groups, err := adm.DescribeGroups(deadline(t), group)
		if err == nil && (groups[group].State != "Stable" || len(groups[group].Members) != 2) {
			err = fmt.Errorf("it is %s with %d members", groups[group].State, len(groups[group].Members))
		}
		return err
	})
	both(1)
	member, generation := cl.GroupMetadata()
	assigned, told := rebalances.Load(), java.rebalances()

	must(t, w.Kill())
	must(t, w.Start(deadline(t)))
	both(2)
	if m, g := cl.GroupMetadata(); m != member || g != generation {
		t.Errorf("after the kill %s is in generation %d, before %s in %d", m, g, member, generation)
	}
	if n := rebalances.Load(); n != assigned {
		t.Errorf("franz-go was told of %d more changes of its partitions", n-assigned)
	}
	if now := java.rebalances(); !slices.Equal(now, told) {
		t.Errorf("Kafka's consumer was told %q, before the kill %q", now, told)
	}
	if read.Load() == 0 {
		t.Error("franz-go read nothing")
	}

	cl.Close()
	next := poll(t, newClient(t, w, kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.ServerSideBalancer(), kgo.AutoCommitInterval(100*time.Millisecond)))
	until("the group to change its protocol", func() error {
		groups, err := adm.DescribeConsumerGroups(deadline(t), group)
		if err == nil && (groups[group].State != "Stable" || len(groups[group].Members) != 2) {
			err = fmt.Errorf("it is %+v", groups[group])
		}
		return err
	})
	both(3)
	if next.Load() == 0 {
		t.Error("the member of the consumer protocol read nothing")
	}
}

// dialUntil waits for a listener. Refused three times, franz-go gives a group up and joins it anew, and the time that a start
// takes is not what is tested.
func dialUntil(ctx context.Context, network, addr string) (net.Conn, error) {
	for {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err == nil || ctx.Err() != nil {
			return conn, err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// poll polls until the test ends, and counts the records.
func poll(t *testing.T, cl *kgo.Client) *atomic.Int32 {
	t.Helper()
	var read atomic.Int32
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			fetches := cl.PollFetches(ctx)
			read.Add(int32(fetches.NumRecords()))
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return &read
}

// verifiable is Kafka's VerifiableConsumer, which prints an event for whatever happens to it.
type verifiable struct {
	mu     sync.Mutex
	events []string
}

func verifiableConsumer(t *testing.T, kafka, topic, group string) *verifiable {
	t.Helper()
	cmd, err := services.KafkaTool(t.Context(), "org.apache.kafka.tools.VerifiableConsumer", "--bootstrap-server", kafka, "--topic", topic, "--group-id", group,
		"--assignment-strategy", "org.apache.kafka.clients.consumer.RangeAssignor", "--reset-policy", "earliest")
	must(t, err)
	v := &verifiable{}
	v.follow(t, cmd)
	return v
}

func (v *verifiable) follow(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	must(t, err)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	must(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for s := bufio.NewScanner(out); s.Scan(); {
			v.mu.Lock()
			v.events = append(v.events, s.Text())
			v.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("VerifiableConsumer: %s\n%s", strings.Join(v.events, "\n"), complaints.String())
		}
	})
}

// rebalances are the events that its rebalance listener was told.
func (v *verifiable) rebalances() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var all []string
	for _, e := range v.events {
		if strings.Contains(e, `"partitions_`) {
			all = append(all, e)
		}
	}
	return all
}
