package broker

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// alter changes one config of a resource; a nil value deletes it.
func (s *started) alter(kind kmsg.ConfigResourceType, resource, name string, value *string) error {
	s.t.Helper()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kind, resource
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	if c.Name, c.Value = name, value; value == nil {
		c.Op = kmsg.IncrementalAlterConfigOpDelete
	}
	r.Configs = append(r.Configs, c)
	req.Resources = append(req.Resources, r)
	resp, err := req.RequestWith(context60(s.t), s.client(true))
	if err != nil {
		s.t.Fatal(err)
	}
	return kerr.ErrorForCode(resp.Resources[0].ErrorCode)
}

func text(s string) *string { return &s }

// TestBrokerConfigsChangeWhileRunning: the log acts on the new value, it is there after a restart, and what was set at
// the start comes back when it is deleted.
func TestBrokerConfigsChangeWhileRunning(t *testing.T) {
	const brokers = kmsg.ConfigResourceTypeBroker
	dir := t.TempDir()
	s := start(t, dir)
	cl := s.client(true, kgo.DefaultProduceTopic("t"), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if _, err := kadm.NewClient(cl).CreateTopic(context60(t), 1, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	big := func(cl *kgo.Client) error {
		return cl.ProduceSync(context60(t), kgo.StringRecord(strings.Repeat("x", 10_000))).FirstErr()
	}
	if err := big(cl); err != nil {
		t.Fatal(err)
	}
	if err := s.alter(brokers, "1", "message.max.bytes", text("5000")); err != nil {
		t.Fatal(err)
	}
	if err := big(cl); !errors.Is(err, kerr.MessageTooLarge) {
		t.Errorf("above the new limit: %v", err)
	}
	if err := s.alter(brokers, "", "message.max.bytes", text("6000")); err != nil {
		t.Fatal(err)
	}
	s.stop()
	s = start(t, dir)
	cl = s.client(true, kgo.DefaultProduceTopic("t"), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err := big(cl); !errors.Is(err, kerr.MessageTooLarge) {
		t.Errorf("after a restart: %v", err)
	}
	configs, err := kadm.NewClient(cl).DescribeTopicConfigs(context60(t), "t")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range configs[0].Configs {
		if c.Key == "max.message.bytes" && (*c.Value != "5000" || c.Source != kmsg.ConfigSourceDynamicBrokerConfig || len(c.Synonyms) != 3) {
			t.Errorf("described as %+v", c)
		}
	}
	for _, resource := range []string{"1", ""} {
		if err := s.alter(brokers, resource, "message.max.bytes", nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := big(cl); err != nil {
		t.Errorf("without a limit of its own: %v", err)
	}
	for name, value := range map[string]string{"num.partitions": "3", "no.such": "1", "message.max.bytes": "much", "max.connections": "0"} {
		if err := s.alter(brokers, "1", name, &value); !errors.Is(err, kerr.InvalidRequest) {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
	if err := s.alter(brokers, "1", "max.connections", text("7")); err != nil || s.b.set.Load().maxConnections != 7 {
		t.Errorf("max.connections: %v, %d", err, s.b.set.Load().maxConnections)
	}
}

// TestGroupsHaveConfigs: a group's own timeouts are what its members are told, within the broker's bounds.
func TestGroupsHaveConfigs(t *testing.T) {
	const groups = kmsg.ConfigResourceTypeGroupConfig
	dir := t.TempDir()
	s := start(t, dir)
	if err := s.alter(groups, "g", groupHeartbeat, text("7000")); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{groupHeartbeat: "1", groupSession: "soon", "share.session.timeout.ms": "50000"} {
		if err := s.alter(groups, "g", name, &value); !errors.Is(err, kerr.InvalidConfig) {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
	if got := s.beat("g", "m", 0, "t").HeartbeatIntervalMillis; got != 7000 {
		t.Errorf("heartbeat interval %d", got)
	}
	if got := s.beat("other", "m", 0, "t").HeartbeatIntervalMillis; got != 5000 {
		t.Errorf("heartbeat interval of another group %d", got)
	}
	s.stop()
	s = start(t, dir, func(o *Options) {
		o.Settings = map[string]string{"group.consumer.max.heartbeat.interval.ms": "6000"}
	})
	if got := s.b.consumerConfig("g").Heartbeat; got != 6*time.Second {
		t.Errorf("within new bounds: %s", got)
	}
}

// TestInternalTopicsStay: what the broker lives on is not deleted under it.
func TestInternalTopicsStay(t *testing.T) {
	s := start(t, t.TempDir())
	adm := kadm.NewClient(s.client(true))
	for _, name := range []string{offsetsTopic, transactionsTopic} {
		deleted, err := adm.DeleteTopics(context60(t), name)
		if err != nil || !errors.Is(deleted[name].Err, kerr.InvalidTopicException) {
			t.Errorf("delete %s: %v, %v", name, deleted, err)
		}
		cut := kadm.Offsets{}
		cut.AddOffset(name, 0, 0, -1)
		gone, err := adm.DeleteRecords(context60(t), cut)
		if err != nil || !errors.Is(gone[name][0].Err, kerr.InvalidTopicException) {
			t.Errorf("delete records of %s: %v, %v", name, gone, err)
		}
	}
	s.wantCode("groups go on", s.beat("g", "m", 0, "t").ErrorCode, nil)
}
