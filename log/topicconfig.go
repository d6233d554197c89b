package log

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehub/sluice/log/segment"
)

// TopicConfig is the parsed configuration of a topic. It is immutable; Values
// holds what the topic sets itself, everything else comes from the defaults.
// Only the settings the log acts on have fields; the others are kept and
// reported.
type TopicConfig struct {
	Values map[string]string // set on the topic, by Kafka's names; do not change

	Delete            bool          // cleanup.policy has "delete"
	Compact           bool          // cleanup.policy has "compact"
	RetentionTime     time.Duration // retention.ms; negative: unlimited
	RetentionBytes    int64         // retention.bytes, per partition; negative: unlimited
	SegmentBytes      int64         // segment.bytes
	SegmentTime       time.Duration // segment.ms
	IndexInterval     int64         // index.interval.bytes
	MaxMessageBytes   int           // max.message.bytes, of a batch as stored
	LogAppendTime     bool          // message.timestamp.type
	TimestampBefore   time.Duration // message.timestamp.before.max.ms
	TimestampAfter    time.Duration // message.timestamp.after.max.ms
	MinCompactionLag  time.Duration // min.compaction.lag.ms
	MaxCompactionLag  time.Duration // max.compaction.lag.ms
	MinDirtyRatio     float64       // min.cleanable.dirty.ratio
	DeleteRetention   time.Duration // delete.retention.ms
	FlushMessages     int64         // flush.messages; 1 syncs before the answer
	FlushTime         time.Duration // flush.ms
	MinInsyncReplicas int           // min.insync.replicas; one machine has one
	// Compressor is compression.type; nil keeps batches as they were sent.
	Compressor *segment.Compressor
}

// Durability that the flush settings amount to.
func (c *TopicConfig) Durability() Durability {
	switch {
	case c.FlushMessages <= 1:
		return DurabilitySync
	case c.FlushMessages < math.MaxInt64 || c.FlushTime < forever:
		return DurabilityInterval
	}
	return DurabilityOS
}

const forever = time.Duration(math.MaxInt64)

// ConfigType is the type of a topic config, as Kafka's DescribeConfigs numbers
// them.
type ConfigType int8

// Types of topic configs.
const (
	TypeBoolean ConfigType = 1
	TypeString  ConfigType = 2
	TypeInt     ConfigType = 3
	TypeLong    ConfigType = 5
	TypeDouble  ConfigType = 6
	TypeList    ConfigType = 7
)

// ConfigSource is where a value comes from, as Kafka's DescribeConfigs numbers
// them.
type ConfigSource int8

// Sources of topic configs.
const (
	SourceTopic          ConfigSource = 1 // set on the topic
	SourceDynamicBroker  ConfigSource = 2 // OverrideTopicDefaults, of this broker
	SourceDynamicDefault ConfigSource = 3 // OverrideTopicDefaults, of all brokers
	SourceBroker         ConfigSource = 4 // Options.TopicDefaults, Options.Durability
	SourceDefault        ConfigSource = 5
)

// ConfigDef describes one topic config, or a config like it.
type ConfigDef struct {
	Name    string
	Type    ConfigType
	Default string // Kafka's, or ours where DESIGN.md says so
	Min     int64  // for int and long
	Max     int64
	Enum    []string // for string and list
	Doc     string
	// Broker is the broker config that sets the default, by Kafka's name; ""
	// for none. BrokerUnset: it has no value of its own in Kafka.
	Broker      string
	BrokerUnset bool
}

// ConfigEntry is one topic config with its present value.
type ConfigEntry struct {
	Def    ConfigDef
	Value  string
	Source ConfigSource
	// Inherited are the values that the broker has for it, the one that counts
	// first. Def.Default is not among them.
	Inherited []ConfigValue
}

// ConfigValue is a value of a config, and where it comes from.
type ConfigValue struct {
	Value  string
	Source ConfigSource
}

// ConfigLayer are defaults of topic configs, by topic config name, that come
// from one place.
type ConfigLayer struct {
	Source ConfigSource
	Values map[string]string
}

// ConfigOp is how ConfigChange changes a value.
type ConfigOp int8

// Operations, numbered as in Kafka's IncrementalAlterConfigs.
const (
	ConfigSet      ConfigOp = 0
	ConfigDelete   ConfigOp = 1
	ConfigAppend   ConfigOp = 2 // lists only
	ConfigSubtract ConfigOp = 3 // lists only
)

// ConfigChange is one change to a topic's configuration.
type ConfigChange struct {
	Name  string
	Op    ConfigOp
	Value string
}

// TopicConfigDefs lists every topic config the log knows, sorted by name.
func TopicConfigDefs() []ConfigDef {
	const maxLong, maxInt = math.MaxInt64, math.MaxInt32
	num := func(name string, t ConfigType, def string, lo, hi int64, doc string) ConfigDef {
		return ConfigDef{Name: name, Type: t, Default: def, Min: lo, Max: hi, Doc: doc}
	}
	str := func(name string, t ConfigType, def, doc string, enum ...string) ConfigDef {
		return ConfigDef{Name: name, Type: t, Default: def, Enum: enum, Doc: doc}
	}
	const noLimit = "9223372036854775807"
	defs := []ConfigDef{
		str("cleanup.policy", TypeList, "delete", "What becomes of old records: deleted by age and size, compacted to the last of each key, or both.", "delete", "compact"),
		num("compression.gzip.level", TypeInt, "-1", -1, 9, "Level of gzip, when compression.type is that; -1 is gzip's own."),
		num("compression.lz4.level", TypeInt, "9", 1, 17, "Level of lz4, when compression.type is that; 9 is the fast mode."),
		str("compression.type", TypeString, "producer", "How batches are stored: as the producer compressed them, or compressed anew.", "uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"),
		num("compression.zstd.level", TypeInt, "3", -131072, 22, "Level of zstd, when compression.type is that."),
		num("delete.retention.ms", TypeLong, "86400000", 0, maxLong, "How long compaction keeps a tombstone after it first met it."),
		num("file.delete.delay.ms", TypeLong, "60000", 0, maxLong, "Kept and reported; open readers keep a deleted file readable."),
		num("flush.messages", TypeLong, noLimit, 1, maxLong, "Records between fsyncs; 1 syncs before every answer."),
		num("flush.ms", TypeLong, noLimit, 0, maxLong, "Time between fsyncs when flush.messages is not 1."),
		str("follower.replication.throttled.replicas", TypeList, "", "Kept and reported; there is one replica."),
		num("index.interval.bytes", TypeInt, "4096", 0, maxInt, "Bytes of log between two index entries."),
		str("leader.replication.throttled.replicas", TypeList, "", "Kept and reported; there is one replica."),
		num("local.retention.bytes", TypeLong, "-2", -2, maxLong, "Kept and reported; there is no remote storage."),
		num("local.retention.ms", TypeLong, "-2", -2, maxLong, "Kept and reported; there is no remote storage."),
		num("max.compaction.lag.ms", TypeLong, noLimit, 1, maxLong, "A record is compacted at the latest after this time, whatever the dirty ratio."),
		num("max.message.bytes", TypeInt, "1048588", 0, maxInt, "Largest record batch, as stored."),
		num("message.timestamp.after.max.ms", TypeLong, "3600000", 0, maxLong, "How far a record's timestamp may lie ahead of the clock."),
		num("message.timestamp.before.max.ms", TypeLong, noLimit, 0, maxLong, "How far a record's timestamp may lie behind the clock."),
		str("message.timestamp.type", TypeString, "CreateTime", "Whether a record keeps the producer's timestamp or gets the time of the append.", "CreateTime", "LogAppendTime"),
		{Name: "min.cleanable.dirty.ratio", Type: TypeDouble, Default: "0.5", Min: 0, Max: 1, Doc: "Share of not yet compacted bytes at which compaction starts."},
		num("min.compaction.lag.ms", TypeLong, "0", 0, maxLong, "A record is not compacted before this time has passed."),
		num("min.insync.replicas", TypeInt, "1", 1, maxInt, "Kept and reported; there is one replica, and it is in sync."),
		str("preallocate", TypeBoolean, "false", "Kept and reported; segments grow as they are written."),
		str("remote.log.copy.disable", TypeBoolean, "false", "Kept and reported; there is no remote storage."),
		str("remote.log.delete.on.disable", TypeBoolean, "false", "Kept and reported; there is no remote storage."),
		str("remote.storage.enable", TypeBoolean, "false", "Kept and reported; there is no remote storage."),
		num("retention.bytes", TypeLong, "-1", -1, maxLong, "Bytes a partition keeps; -1 is no limit. Whole segments go, so it may be exceeded by one."),
		num("retention.ms", TypeLong, "604800000", -1, maxLong, "Age by the newest timestamp in a segment at which the segment goes; -1 is no limit."),
		num("segment.bytes", TypeInt, "134217728", 1<<10, maxInt, "Size of a segment file."),
		num("segment.index.bytes", TypeInt, "10485760", 4, maxInt, "Kept and reported; an index grows with its segment."),
		num("segment.jitter.ms", TypeLong, "0", 0, maxLong, "Kept and reported."),
		num("segment.ms", TypeLong, "604800000", 1, maxLong, "Age at which a segment is closed even if it is not full."),
		str("unclean.leader.election.enable", TypeBoolean, "false", "Kept and reported; there is one replica."),
	}
	for i := range defs {
		defs[i].Broker, defs[i].BrokerUnset = brokerName(defs[i].Name)
	}
	return defs
}

// configSet is the definitions with the broker's defaults over Kafka's. It is
// never changed in place.
type configSet struct {
	defs   []ConfigDef
	byName map[string]int
	layers []ConfigLayer // the first that has a value decides
}

// newConfigSet has the layers over what the options say.
func newConfigSet(o Options, layers ...ConfigLayer) (*configSet, error) {
	s := &configSet{defs: TopicConfigDefs(), byName: map[string]int{}}
	for i, d := range s.defs {
		s.byName[d.Name] = i
	}
	static := map[string]string{}
	switch o.Durability {
	case DurabilitySync:
		static["flush.messages"] = "1"
	case DurabilityInterval:
		static["flush.ms"] = strconv.FormatInt(o.FlushInterval.Milliseconds(), 10)
	}
	maps.Copy(static, o.TopicDefaults)
	s.layers = append(slices.Clone(layers), ConfigLayer{SourceBroker, static})
	for _, l := range s.layers {
		for name, v := range l.Values {
			if err := s.check(name, v); err != nil {
				return nil, fmt.Errorf("topic defaults: %w", err)
			}
		}
	}
	return s, nil
}

// OverrideTopicDefaults puts defaults of topic configs over those of the
// options, in place of what it put there before; of several layers the first
// that has a value decides. It is not kept over a restart.
func (l *Log) OverrideTopicDefaults(layers ...ConfigLayer) error {
	l.ddl.Lock()
	defer l.ddl.Unlock()
	set, err := newConfigSet(l.opts, layers...)
	if err != nil {
		return err
	}
	parsed := make(map[*Topic]*TopicConfig)
	for _, t := range l.Topics() {
		if parsed[t], err = set.parse(t.Config().Values); err != nil {
			return fmt.Errorf("topic %q: %w", t.name, err)
		}
	}
	l.configs.Store(set)
	for t, cfg := range parsed {
		t.config.Store(cfg)
	}
	return nil
}

// check tells whether a value may be set.
func (s *configSet) check(name, value string) error {
	i, ok := s.byName[name]
	if !ok {
		return &ConfigError{Name: name, Value: value, Reason: "unknown topic config"}
	}
	return s.defs[i].Check(value)
}

// Check tells whether a value may be set: its error is a *ConfigError.
func (d *ConfigDef) Check(value string) error {
	fail := func(format string, args ...any) error {
		return &ConfigError{Name: d.Name, Value: value, Reason: fmt.Sprintf(format, args...)}
	}
	switch d.Type {
	case TypeBoolean:
		if value != "true" && value != "false" {
			return fail("must be true or false")
		}
	case TypeInt, TypeLong:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return fail("must be a whole number")
		}
		if n < d.Min || n > d.Max {
			return fail("must be %d to %d", d.Min, d.Max)
		}
	case TypeDouble:
		f, err := strconv.ParseFloat(value, 64)
		if err != nil || !(f >= float64(d.Min) && f <= float64(d.Max)) {
			return fail("must be a number from %d to %d", d.Min, d.Max)
		}
	case TypeString, TypeList:
		if len(d.Enum) == 0 {
			return nil
		}
		parts := []string{value}
		if d.Type == TypeList {
			parts = splitList(value)
		}
		for _, p := range parts {
			if !slices.Contains(d.Enum, p) {
				return fail("must be of %s", strings.Join(d.Enum, ", "))
			}
		}
	}
	return nil
}

func splitList(v string) []string {
	var out []string
	for p := range strings.SplitSeq(v, ",") {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, p)
		}
	}
	return out
}

// parse checks the values a topic sets and computes the typed form.
func (s *configSet) parse(values map[string]string) (*TopicConfig, error) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if err := s.check(name, values[name]); err != nil {
			return nil, err
		}
	}
	get := func(name string) string { v, _ := s.effective(values, name); return v }
	long := func(name string) int64 {
		n, _ := strconv.ParseInt(get(name), 10, 64) // checked above
		return n
	}
	ms := func(name string) time.Duration {
		n := long(name)
		if n > int64(forever/time.Millisecond) {
			return forever
		}
		return time.Duration(n) * time.Millisecond
	}
	ratio, _ := strconv.ParseFloat(get("min.cleanable.dirty.ratio"), 64)
	policy := splitList(get("cleanup.policy"))
	compressor, err := compressorOf(get)
	if err != nil {
		return nil, err
	}
	return &TopicConfig{
		Values:            maps.Clone(values),
		Delete:            slices.Contains(policy, "delete"),
		Compact:           slices.Contains(policy, "compact"),
		RetentionTime:     ms("retention.ms"),
		RetentionBytes:    long("retention.bytes"),
		SegmentBytes:      long("segment.bytes"),
		SegmentTime:       ms("segment.ms"),
		IndexInterval:     long("index.interval.bytes"),
		MaxMessageBytes:   int(long("max.message.bytes")),
		LogAppendTime:     get("message.timestamp.type") == "LogAppendTime",
		TimestampBefore:   ms("message.timestamp.before.max.ms"),
		TimestampAfter:    ms("message.timestamp.after.max.ms"),
		MinCompactionLag:  ms("min.compaction.lag.ms"),
		MaxCompactionLag:  ms("max.compaction.lag.ms"),
		MinDirtyRatio:     ratio,
		DeleteRetention:   ms("delete.retention.ms"),
		FlushMessages:     long("flush.messages"),
		FlushTime:         ms("flush.ms"),
		MinInsyncReplicas: int(long("min.insync.replicas")),
		Compressor:        compressor,
	}, nil
}

// effective is the value of a config and where it comes from.
func (s *configSet) effective(values map[string]string, name string) (string, ConfigSource) {
	if v, ok := values[name]; ok {
		return v, SourceTopic
	}
	if all := s.inherited(name); len(all) > 0 {
		return all[0].Value, all[0].Source
	}
	return s.defs[s.byName[name]].Default, SourceDefault
}

// inherited are the values of a config that the layers have.
func (s *configSet) inherited(name string) []ConfigValue {
	var all []ConfigValue
	for _, l := range s.layers {
		if v, ok := l.Values[name]; ok {
			all = append(all, ConfigValue{v, l.Source})
		}
	}
	return all
}

func (s *configSet) entries(values map[string]string) []ConfigEntry {
	out := make([]ConfigEntry, len(s.defs))
	for i, d := range s.defs {
		e := ConfigEntry{Def: d}
		e.Value, e.Source = s.effective(values, d.Name)
		e.Inherited = s.inherited(d.Name)
		out[i] = e
	}
	return out
}

// apply returns values with the changes made, checked.
func (s *configSet) apply(values map[string]string, changes []ConfigChange) (map[string]string, error) {
	out := maps.Clone(values)
	if out == nil {
		out = map[string]string{}
	}
	for _, c := range changes {
		i, ok := s.byName[c.Name]
		if !ok {
			return nil, &ConfigError{Name: c.Name, Value: c.Value, Reason: "unknown topic config"}
		}
		now, _ := s.effective(out, c.Name)
		if err := c.Apply(out, &s.defs[i], now); err != nil {
			return nil, err
		}
	}
	_, err := s.parse(out)
	return out, err
}

// Apply makes the change to values. now is the value that counts before it, set
// or not. It does not check the value.
func (c ConfigChange) Apply(values map[string]string, d *ConfigDef, now string) error {
	switch c.Op {
	case ConfigSet:
		values[c.Name] = c.Value
	case ConfigDelete:
		delete(values, c.Name)
	case ConfigAppend, ConfigSubtract:
		if d.Type != TypeList {
			return &ConfigError{Name: c.Name, Value: c.Value, Reason: "append and subtract are for lists"}
		}
		values[c.Name] = changeList(now, c)
	default:
		return &ConfigError{Name: c.Name, Value: c.Value, Reason: fmt.Sprintf("unknown operation %d", c.Op)}
	}
	return nil
}

func changeList(now string, c ConfigChange) string {
	list := splitList(now)
	for _, v := range splitList(c.Value) {
		at := slices.Index(list, v)
		switch {
		case c.Op == ConfigAppend && at < 0:
			list = append(list, v)
		case c.Op == ConfigSubtract && at >= 0:
			list = slices.Delete(list, at, at+1)
		}
	}
	return strings.Join(list, ",")
}
