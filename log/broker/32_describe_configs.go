package broker

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicehub/sluice/log"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeConfigs answers DescribeConfigs: every known config, set or not, because clients that change one config
// write back all they were shown.
func (b *Broker) describeConfigs(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.DescribeConfigsRequest)
	resp := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
	for i := range req.Resources {
		want := &req.Resources[i]
		rr := kmsg.NewDescribeConfigsResponseResource()
		rr.ResourceType, rr.ResourceName = want.ResourceType, want.ResourceName
		var configs []kmsg.DescribeConfigsResponseResourceConfig
		err := r.configs(mayDescribeConfigs, want.ResourceType, want.ResourceName)
		if err == nil {
			configs, err = b.configsOf(want.ResourceType, want.ResourceName)
		}
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

// configs is nil if the client may do that with the configs of the resource.
func (r *request) configs(op kmsg.ACLOperation, kind kmsg.ConfigResourceType, name string) error {
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		return r.topic(op, name)
	case kmsg.ConfigResourceTypeGroupConfig:
		return r.group(op, name)
	}
	return r.cluster(op)
}

func (b *Broker) configsOf(kind kmsg.ConfigResourceType, name string) ([]kmsg.DescribeConfigsResponseResourceConfig, error) {
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		if err := log.CheckTopicName(name); err != nil {
			return nil, err
		}
		t, err := b.log.Topic(name)
		if err != nil {
			return nil, err
		}
		return describeEntries(t.ConfigEntries()), nil
	case kmsg.ConfigResourceTypeBroker:
		switch name {
		case "":
			return b.brokersConfigs(), nil
		case strconv.Itoa(int(nodeID)):
			return b.brokerConfigs(), nil
		}
		return nil, fmt.Errorf("%w: the only broker is %d", kerr.InvalidRequest, nodeID)
	case kmsg.ConfigResourceTypeGroupConfig:
		if name == "" {
			return nil, fmt.Errorf("%w: the group's name is empty", kerr.InvalidRequest)
		}
		return b.groupConfigs(name), nil
	case kmsg.ConfigResourceTypeClientMetrics:
		return nil, nil // nothing can be configured of them
	}
	return nil, fmt.Errorf("%w: configs of resource type %d are not kept", kerr.InvalidRequest, kind)
}

// describeEntries shows topic configs. A synonym is where else the value could come from: the broker's config of the
// like meaning, set or at its default.
func describeEntries(entries []log.ConfigEntry) []kmsg.DescribeConfigsResponseResourceConfig {
	all := make([]kmsg.DescribeConfigsResponseResourceConfig, 0, len(entries))
	for _, e := range entries {
		c := describeConfig(e.Def, e.Value, e.Source)
		if e.Source == log.SourceTopic {
			addSynonym(&c, e.Def.Name, e.Value, e.Source)
		}
		for _, v := range e.Inherited {
			if e.Def.Broker != "" {
				addSynonym(&c, e.Def.Broker, v.Value, v.Source)
			}
		}
		if e.Def.Broker != "" && !e.Def.BrokerUnset {
			addSynonym(&c, e.Def.Broker, e.Def.Default, log.SourceDefault)
		}
		all = append(all, c)
	}
	return all
}

func describeConfig(d log.ConfigDef, value string, source log.ConfigSource) kmsg.DescribeConfigsResponseResourceConfig {
	c := kmsg.NewDescribeConfigsResponseResourceConfig()
	c.Name, c.Value, c.Source = d.Name, kmsg.StringPtr(value), kmsg.ConfigSource(source)
	c.ConfigType, c.Documentation = kmsg.ConfigType(d.Type), kmsg.StringPtr(d.Doc)
	return c
}

func addSynonym(c *kmsg.DescribeConfigsResponseResourceConfig, name, value string, source log.ConfigSource) {
	s := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
	s.Name, s.Value, s.Source = name, kmsg.StringPtr(value), kmsg.ConfigSource(source)
	c.ConfigSynonyms = append(c.ConfigSynonyms, s)
}

// brokerConfigs are the settings of the broker.
func (b *Broker) brokerConfigs() []kmsg.DescribeConfigsResponseResourceConfig {
	var all []kmsg.DescribeConfigsResponseResourceConfig
	for _, d := range Settings() {
		all = append(all, brokerConfig(d, b.brokerValues(d.Name), !isDynamic(d.Name)))
	}
	for _, f := range b.facts() {
		var values []log.ConfigValue
		if f.value != f.Default {
			values = []log.ConfigValue{{Value: f.value, Source: log.SourceBroker}}
		}
		all = append(all, brokerConfig(f.ConfigDef, values, true))
	}
	return all
}

// brokersConfigs are those that are set for all brokers while they run.
func (b *Broker) brokersConfigs() []kmsg.DescribeConfigsResponseResourceConfig {
	var all []kmsg.DescribeConfigsResponseResourceConfig
	for _, d := range Settings() {
		if v, ok := b.dynamic.Load().Brokers[d.Name]; ok {
			c := describeConfig(d, v, log.SourceDynamicDefault)
			addSynonym(&c, d.Name, v, log.SourceDynamicDefault)
			all = append(all, c)
		}
	}
	return all
}

// brokerConfig shows a broker config with the values that are set, the one that counts first. No default is shown as null.
func brokerConfig(d log.ConfigDef, values []log.ConfigValue, readOnly bool) kmsg.DescribeConfigsResponseResourceConfig {
	c := describeConfig(d, d.Default, log.SourceDefault)
	if len(values) > 0 {
		c = describeConfig(d, values[0].Value, values[0].Source)
	} else if d.Default == "" {
		c.Value = nil
	}
	for _, v := range values {
		addSynonym(&c, d.Name, v.Value, v.Source)
	}
	if d.Default != "" {
		addSynonym(&c, d.Name, d.Default, log.SourceDefault)
	}
	c.ReadOnly = readOnly
	return c
}

// fact is a broker config that cannot be set here, but that tools look at.
type fact struct {
	log.ConfigDef
	value string
}

func (b *Broker) facts() []fact {
	one := func(name string, t log.ConfigType, def, value string) fact {
		return fact{log.ConfigDef{Name: name, Type: t, Default: def, Doc: "Fixed: this log is one broker."}, value}
	}
	id := strconv.Itoa(int(nodeID))
	listeners, advertised := b.addresses()
	return []fact{
		one("advertised.listeners", log.TypeList, "", advertised),
		one("broker.id", log.TypeInt, "-1", id),
		one("default.replication.factor", log.TypeInt, "1", "1"),
		one("delete.topic.enable", log.TypeBoolean, "true", "true"),
		one("listeners", log.TypeList, "PLAINTEXT://:9092", listeners),
		one("log.cleaner.enable", log.TypeBoolean, "true", "true"),
		one("log.dirs", log.TypeList, "", b.log.Dir()),
		one("node.id", log.TypeInt, "", id),
		one("offsets.topic.num.partitions", log.TypeInt, "50", "1"),
		one("offsets.topic.replication.factor", log.TypeInt, "3", "1"),
	}
}

// addresses are the listeners, by where they listen and by what clients are told, in Kafka's form.
func (b *Broker) addresses() (listeners, advertised string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var at, told []string
	for ln, l := range b.listeners {
		at = append(at, l.protocol()+"://"+ln.Addr().String())
		told = append(told, l.protocol()+"://"+net.JoinHostPort(l.Advertised.Host, strconv.Itoa(int(l.Advertised.Port))))
	}
	slices.Sort(at)
	slices.Sort(told)
	return strings.Join(at, ","), strings.Join(told, ",")
}
