package protocol

import (
	"bufio"
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/log/broker"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	groupCommand    = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
	consoleConsumer = "org.apache.kafka.tools.consumer.ConsoleConsumer"
)

// TestKafkasConsumerProtocol: Kafka's console consumer reads with the protocol of KIP-848 and shares the topic with a
// member of franz-go, kafka-consumer-groups shows the group, and DumpLogSegments reads what is kept of it; also of a member
// of the classic protocol in it, and of a classic group.
func TestKafkasConsumerProtocol(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	addr := startBrokerIn(t, dir, broker.Options{Settings: map[string]string{
		"group.consumer.heartbeat.interval.ms": "100", "group.consumer.min.heartbeat.interval.ms": "100"}})
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic("shared"))
	must(t, err)
	t.Cleanup(cl.Close)
	_, err = kadm.NewClient(cl).CreateTopic(deadline(t), 4, 1, nil, "shared")
	must(t, err)
	must(t, cl.ProduceSync(deadline(t), kgo.StringRecord("read me")).FirstErr())

	java, err := services.KafkaTool(deadline(t), consoleConsumer, "--bootstrap-server", addr, "--topic", "shared", "--from-beginning", "--group", "both",
		"--command-property", "group.protocol=consumer", "--command-property", "group.remote.assignor=range")
	must(t, err)
	readsOne(t, java, "read me")
	member, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumerGroup("both"), kgo.ServerSideBalancer(), kgo.ConsumeTopics("shared"), kgo.InstanceID("go"))
	must(t, err)
	t.Cleanup(member.Close)
	ended := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			member.PollFetches(ctx)
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
	untilShared(t, cl, "both", 2)
	tools := services.StartKafkaTools(deadline(t), t)
	for _, step := range []struct {
		args string
		want []string // regular expressions
	}{
		{"--describe --group both --members --verbose", []string{`both +\S+ +go +\S+ +kgo +2 +\d+ +shared:\d,\d`, `both +\S+ +\S+ +console-consumer +2 +\d+ +shared:\d,\d`, `shared:0,1`, `shared:2,3`}},
		{"--describe --group both --state", []string{`both +\S+ +\(1\) +range +Stable +2\s`}},
		{"--list --type consumer --state stable", []string{`(?m)^both +Consumer +Stable`}},
	} {
		out, err := tools.Run(groupCommand, "", append([]string{"--bootstrap-server", addr}, strings.Fields(step.args)...)...)
		must(t, err)
		for _, want := range step.want {
			if !regexp.MustCompile(want).MatchString(out) {
				t.Errorf("%s: no %q in\n%s", step.args, want, out)
			}
		}
	}
	old, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumerGroup("both"), kgo.ConsumeTopics("shared"), kgo.Balancers(kgo.RangeBalancer()))
	must(t, err)
	t.Cleanup(old.Close)
	untilShared(t, cl, "both", 3)
	classic, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumerGroup("classic"), kgo.ConsumeTopics("shared"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	must(t, err)
	must(t, classic.PollFetches(deadline(t)).Err())
	classic.Close()
	logs, err := filepath.Glob(filepath.Join(dir, "__consumer_offsets-0", "*.log"))
	must(t, err)
	out, err := tools.Run("org.apache.kafka.tools.DumpLogSegments", "", "--files", strings.Join(logs, ","), "--offsets-decoder")
	must(t, err)
	for _, complaint := range []string{"Found ", "isvalid: false", "Exception", "not a valid", "mismatch", "rror"} {
		if strings.Contains(out, complaint) {
			t.Errorf("DumpLogSegments complains: %s", out)
			break
		}
	}
	for _, kind := range []string{"3", "5", "6", "7", "8"} { // group, member, target's epoch, target, what a member has
		if !strings.Contains(out, `key: {"type":"`+kind+`","data":{"groupId":"both"`) {
			t.Errorf("DumpLogSegments shows no record of kind %s in\n%s", kind, out)
		}
	}
	for _, want := range []string{
		`key: \{"type":"5","data":\{"groupId":"both"[^\n]*"classicMemberMetadata":\{"sessionTimeoutMs":45000,"supportedProtocols":\[\{"name":"range","metadata":"`,
		`key: \{"type":"2","data":\{"group":"classic"\}\} payload: \{"version":"3","data":\{"protocolType":"consumer","generation":1,"protocol":"\S+","leader":"kgo-[^}]*"groupInstanceId":null,"clientId":"kgo","clientHost":"/127.0.0.1","rebalanceTimeout":60000,"sessionTimeout":45000`,
		`key: \{"type":"2","data":\{"group":"classic"\}\} payload: \{"version":"3","data":\{"protocolType":"consumer","generation":2,"protocol":null,"leader":null,"currentStateTimestamp":\d+,"members":\[\]`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("DumpLogSegments shows no %s in\n%s", want, out)
		}
	}
}

// TestLibrdkafkasConsumerProtocol: the client of most languages subscribes by a regular expression.
func TestLibrdkafkasConsumerProtocol(t *testing.T) {
	t.Parallel()
	addr := startBroker(t, broker.Options{})
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.AllowAutoTopicCreation())
	must(t, err)
	t.Cleanup(cl.Close)
	for _, topic := range []string{"rd-one", "rd-two", "other"} {
		must(t, cl.ProduceSync(deadline(t), &kgo.Record{Topic: topic, Value: []byte(topic)}).FirstErr())
	}
	python, err := services.FetchConfluentKafkaPython(deadline(t))
	must(t, err)
	out, err := exec.CommandContext(deadline(t), python, "-c", `
import sys
from confluent_kafka import Consumer
c = Consumer({'bootstrap.servers': sys.argv[1], 'group.id': 'librdkafka', 'group.protocol': 'consumer', 'auto.offset.reset': 'earliest'})
c.subscribe(['^rd-.*'])
got = set()
while len(got) < 2:
    m = c.poll(1)
    if m is not None and m.error() is None:
        got.add(m.value().decode())
c.commit(asynchronous=False)
print(sorted(got), len(c.assignment()))
c.close()
`, addr).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "['rd-one', 'rd-two'] 2" {
		t.Errorf("%s, %v", out, err)
	}
	offsets, err := kadm.NewClient(cl).FetchOffsets(deadline(t), "librdkafka")
	must(t, err)
	if offsets["rd-one"][0].At != 1 || offsets["rd-two"][0].At != 1 {
		t.Errorf("committed %v", offsets)
	}
}

// untilShared waits until a group has so many members and is stable.
func untilShared(t *testing.T, cl *kgo.Client, group string, members int) {
	t.Helper()
	req := kmsg.NewPtrConsumerGroupDescribeRequest()
	req.Groups = []string{group}
	for {
		resp, err := req.RequestWith(deadline(t), cl)
		must(t, err)
		if g := resp.Groups[0]; g.State == "Stable" && len(g.Members) == members {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// readsOne starts a consumer and returns when it has printed a line.
func readsOne(t *testing.T, cmd *exec.Cmd, line string) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	must(t, err)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	s := bufio.NewScanner(out)
	if !s.Scan() || s.Text() != line {
		t.Fatalf("the consumer printed %q: %s", s.Text(), complaints.String())
	}
}
