package broker

import (
	"slices"
	"strconv"

	"github.com/sluicehub/sluice/log"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeConfigs answers DescribeConfigs: every known config, set or not, because clients that change one config
// write back all they were shown.
func (b *Broker) describeConfigs(_ *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.DescribeConfigsRequest)
	resp := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
	for i := range req.Resources {
		want := &req.Resources[i]
		rr := kmsg.NewDescribeConfigsResponseResource()
		rr.ResourceType, rr.ResourceName = want.ResourceType, want.ResourceName
		configs, err := b.configsOf(want.ResourceType, want.ResourceName)
		if err != nil {
			rr.ErrorCode, rr.ErrorMessage = errorCode(err), errorText(err)
		}
		for _, c := range configs {
			if want.ConfigNames != nil && !slices.Contains(want.ConfigNames, c.Name) {
				continue
			}
			if !req.IncludeSynonyms {
				c.ConfigSynonyms = nil
			}
			if !req.IncludeDocumentation {
				c.Documentation = nil
			}
			rr.Configs = append(rr.Configs, c)
		}
		resp.Resources = append(resp.Resources, rr)
	}
	return now(resp), nil
}

func (b *Broker) configsOf(kind kmsg.ConfigResourceType, name string) ([]kmsg.DescribeConfigsResponseResourceConfig, error) {
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		t, err := b.log.Topic(name)
		if err != nil {
			return nil, err
		}
		return topicConfigs(t), nil
	case kmsg.ConfigResourceTypeBroker:
		if name != "" && name != strconv.Itoa(int(nodeID)) {
			return nil, kerr.InvalidRequest
		}
		return b.brokerConfigs(), nil
	}
	return nil, kerr.InvalidRequest
}

func topicConfigs(t *log.Topic) []kmsg.DescribeConfigsResponseResourceConfig {
	var all []kmsg.DescribeConfigsResponseResourceConfig
	for _, e := range t.ConfigEntries() {
		c := kmsg.NewDescribeConfigsResponseResourceConfig()
		c.Name, c.Value, c.Source = e.Def.Name, kmsg.StringPtr(e.Value), kmsg.ConfigSource(e.Source)
		c.IsDefault = e.Source == log.SourceDefault
		c.ConfigType, c.Documentation = kmsg.ConfigType(e.Def.Type), kmsg.StringPtr(e.Def.Doc)
		synonym := func(value string, source log.ConfigSource) {
			s := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
			s.Name, s.Value, s.Source = e.Def.Name, kmsg.StringPtr(value), kmsg.ConfigSource(source)
			c.ConfigSynonyms = append(c.ConfigSynonyms, s)
		}
		synonym(e.Value, e.Source)
		if e.Source == log.SourceTopic {
			synonym(e.Inherited, e.InheritedSource)
		}
		all = append(all, c)
	}
	return all
}

// brokerConfigs are the settings of the broker that clients ask for.
func (b *Broker) brokerConfigs() []kmsg.DescribeConfigsResponseResourceConfig {
	var all []kmsg.DescribeConfigsResponseResourceConfig
	for _, kv := range [][2]string{
		{"auto.create.topics.enable", strconv.FormatBool(b.opts.AutoCreateTopics)},
		{"broker.id", strconv.Itoa(int(nodeID))},
		{"default.replication.factor", "1"},
		{"delete.topic.enable", "true"},
		{"group.initial.rebalance.delay.ms", "0"},
		{"node.id", strconv.Itoa(int(nodeID))},
		{"num.partitions", strconv.Itoa(b.opts.NumPartitions)},
		{"socket.request.max.bytes", strconv.Itoa(b.opts.MaxRequestBytes)},
	} {
		c := kmsg.NewDescribeConfigsResponseResourceConfig()
		c.Name, c.Value, c.ReadOnly = kv[0], kmsg.StringPtr(kv[1]), true
		c.Source, c.ConfigType = kmsg.ConfigSourceStaticBrokerConfig, kmsg.ConfigTypeString
		all = append(all, c)
	}
	return all
}
