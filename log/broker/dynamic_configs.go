package broker

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicehub/sluice/log"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// configState is the name under which the log keeps the configs that were set while running, as JSON.
const configState = "configs"

// dynamicConfigs are the configs that were set while running, over those of the start: of this broker, of all brokers,
// and of groups. They are never changed in place.
type dynamicConfigs struct {
	Broker  map[string]string            `json:"broker,omitempty"`
	Brokers map[string]string            `json:"brokers,omitempty"`
	Groups  map[string]map[string]string `json:"groups,omitempty"`
}

func loadDynamicConfigs(l *log.Log) (*dynamicConfigs, error) {
	d := &dynamicConfigs{}
	b, err := l.LoadState(configState)
	if err != nil || b == nil {
		return d, err
	}
	if err := json.Unmarshal(b, d); err != nil {
		return nil, fmt.Errorf("%s: %w", configState, err)
	}
	return d, nil
}

// isDynamic tells whether a broker config can be set while running: those are the defaults of topic configs, and
// max.connections.
func isDynamic(name string) bool {
	return name == "max.connections" || slices.ContainsFunc(log.TopicConfigDefs(), func(d log.ConfigDef) bool { return d.Broker == name })
}

// settings are what the broker acts on, with the configs of the start.
func (d *dynamicConfigs) settings(static map[string]string) (*settings, error) {
	all := make(map[string]string)
	for _, layer := range []map[string]string{static, d.Brokers, d.Broker} {
		maps.Copy(all, layer)
	}
	return newSettings(all)
}

// values are the values of a broker config that are set, the one that counts first.
func (d *dynamicConfigs) values(name string, static map[string]string) []log.ConfigValue {
	var all []log.ConfigValue
	for _, layer := range []log.ConfigLayer{{Source: log.SourceDynamicBroker, Values: d.Broker}, {Source: log.SourceDynamicDefault, Values: d.Brokers}, {Source: log.SourceBroker, Values: static}} {
		if v, ok := layer.Values[name]; ok {
			all = append(all, log.ConfigValue{Value: v, Source: layer.Source})
		}
	}
	return all
}

// topicDefaults are those that are defaults of topic configs, by the topics' names.
func (d *dynamicConfigs) topicDefaults() []log.ConfigLayer {
	layers := []log.ConfigLayer{{Source: log.SourceDynamicBroker, Values: make(map[string]string)}, {Source: log.SourceDynamicDefault, Values: make(map[string]string)}}
	for _, def := range log.TopicConfigDefs() {
		for i, values := range []map[string]string{d.Broker, d.Brokers} {
			if v, ok := values[def.Broker]; ok && def.Broker != "" {
				layers[i].Values[def.Name] = v
			}
		}
	}
	return layers
}

// with is the configs where those of one resource are others.
func (d *dynamicConfigs) with(kind kmsg.ConfigResourceType, name string, values map[string]string) *dynamicConfigs {
	now := *d
	switch {
	case kind == kmsg.ConfigResourceTypeGroupConfig:
		now.Groups = make(map[string]map[string]string)
		maps.Copy(now.Groups, d.Groups)
		now.Groups[name] = values
		maps.DeleteFunc(now.Groups, func(_ string, of map[string]string) bool { return len(of) == 0 })
	case name == "":
		now.Brokers = values
	default:
		now.Broker = values
	}
	return &now
}

// of are the configs of one resource.
func (d *dynamicConfigs) of(kind kmsg.ConfigResourceType, name string) (map[string]string, error) {
	switch {
	case kind == kmsg.ConfigResourceTypeGroupConfig && name == "":
		return nil, fmt.Errorf("%w: the group's name is empty", kerr.InvalidRequest)
	case kind == kmsg.ConfigResourceTypeGroupConfig:
		return d.Groups[name], nil
	case kind != kmsg.ConfigResourceTypeBroker:
		return nil, fmt.Errorf("%w: configs of resource type %d cannot be changed", kerr.InvalidRequest, kind)
	case name == "":
		return d.Brokers, nil
	case name == strconv.Itoa(int(nodeID)):
		return d.Broker, nil
	}
	return nil, fmt.Errorf("%w: the only broker is %d, there is no %s", kerr.InvalidRequest, nodeID, name)
}

// alterDynamic changes the configs of the broker, of all brokers or of a group durably, and then acts on them; or it
// only checks.
func (b *Broker) alterDynamic(kind kmsg.ConfigResourceType, name string, validateOnly bool, change func(map[string]string) (map[string]string, error)) error {
	b.configMu.Lock()
	defer b.configMu.Unlock()
	before := b.dynamic.Load()
	now, err := before.of(kind, name)
	if err != nil {
		return err
	}
	values, err := change(now)
	if err != nil {
		return err
	}
	after := before.with(kind, name, values)
	set, err := b.checkDynamic(kind, values, after)
	if err != nil || validateOnly {
		return err
	}
	content, err := json.Marshal(after)
	if err != nil {
		return err
	}
	if err := b.log.OverrideTopicDefaults(after.topicDefaults()...); err != nil {
		return err
	}
	if err := b.log.SaveState(configState, content); err != nil {
		return errors.Join(err, b.log.OverrideTopicDefaults(before.topicDefaults()...))
	}
	b.set.Store(set)
	b.dynamic.Store(after)
	return nil
}

// checkDynamic checks the configs of one resource, and returns what the broker will act on.
func (b *Broker) checkDynamic(kind kmsg.ConfigResourceType, values map[string]string, after *dynamicConfigs) (*settings, error) {
	if kind == kmsg.ConfigResourceTypeGroupConfig {
		set := b.set.Load()
		return set, set.consumer.checkGroup(values)
	}
	var fixed []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !isDynamic(name) {
			fixed = append(fixed, name)
		}
	}
	if len(fixed) > 0 {
		return nil, fmt.Errorf("%w: not changed while running: %s; they are set in the worker's properties (sluice.kafka.broker.*)", kerr.InvalidRequest, strings.Join(fixed, ", "))
	}
	set, err := after.settings(b.opts.Settings)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", kerr.InvalidRequest, err)
	}
	return set, nil
}

// changed are configs of the broker or of a group after changes in order.
func (b *Broker) changed(kind kmsg.ConfigResourceType, now map[string]string, changes []log.ConfigChange) (map[string]string, error) {
	defs := Settings()
	if kind == kmsg.ConfigResourceTypeGroupConfig {
		defs = b.set.Load().consumer.groupConfigDefs()
	}
	values := make(map[string]string)
	maps.Copy(values, now)
	for _, c := range changes {
		def := log.ConfigDef{Name: c.Name} // one that is not known is refused where all are checked
		if i := slices.IndexFunc(defs, func(d log.ConfigDef) bool { return d.Name == c.Name }); i >= 0 {
			def = defs[i]
		}
		before := def.Default
		if all := b.brokerValues(c.Name); len(all) > 0 {
			before = all[0].Value
		}
		if v, ok := values[c.Name]; ok {
			before = v
		}
		if err := c.Apply(values, &def, before); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// brokerValues are the values of a broker config that are set, the one that counts first.
func (b *Broker) brokerValues(name string) []log.ConfigValue {
	for _, e := range b.log.DefaultConfigEntries() {
		if e.Def.Broker == name && name != "" {
			return e.Inherited
		}
	}
	return b.dynamic.Load().values(name, b.opts.Settings)
}
