package broker

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehub/sluice/log"
	"github.com/sluicehub/sluice/log/broker/consumergroup"
)

// settings are the values that the broker acts on; see newSettings. They are never changed in place.
type settings struct {
	autoCreate            bool
	partitions            int32
	initialRebalanceDelay time.Duration
	minSession            time.Duration
	maxSession            time.Duration
	maxRequestBytes       int
	maxConnections        int
	maxOffsetMetadata     int
	offsetRetention       int64 // ms
	offsetRetentionCheck  time.Duration
	maxFetchBytes         int
	maxFetchSessions      int
	consumer              consumerSettings
}

// setting is one config of the broker. apply is nil for those of the log: they are in log.Options by the time there is
// a broker. What is not of those that isDynamic names stays as it was at the start.
type setting struct {
	log.ConfigDef
	apply func(s *settings, value string, number int)
}

// brokerSettings lists the configs that are the broker's own, or of the log but of no topic.
func brokerSettings() []setting {
	num := func(name, def string, lo, hi int64, doc string, apply func(*settings, string, int)) setting {
		return setting{log.ConfigDef{Name: name, Type: log.TypeInt, Default: def, Min: lo, Max: hi, Doc: doc}, apply}
	}
	long := func(name, def, doc string, apply func(*settings, string, int)) setting {
		return setting{log.ConfigDef{Name: name, Type: log.TypeLong, Default: def, Min: 1, Max: math.MaxInt64, Doc: doc}, apply}
	}
	const maxInt = math.MaxInt32
	millis := func(n int) time.Duration {
		return time.Duration(min(int64(n), math.MaxInt64/1_000_000)) * time.Millisecond
	}
	return []setting{
		{log.ConfigDef{Name: "auto.create.topics.enable", Type: log.TypeBoolean, Default: "true",
			Doc: "Whether a topic is made when a Kafka client names one that does not exist."},
			func(s *settings, v string, _ int) { s.autoCreate = v == "true" }},
		num("fetch.max.bytes", "57671680", 1024, maxInt, "Bytes of records in one answer to a fetch; the first batch may be larger.",
			func(s *settings, _ string, n int) { s.maxFetchBytes = n }),
		{log.ConfigDef{Name: "group.consumer.assignors", Type: log.TypeList, Default: "uniform,range", Enum: []string{consumergroup.Uniform, consumergroup.Range},
			Doc: "What assigns partitions in groups of the consumer protocol; the first unless most members ask for another."},
			func(s *settings, v string, _ int) {
				s.consumer.assignors = strings.Split(strings.ReplaceAll(v, " ", ""), ",")
			}},
		num("group.consumer.heartbeat.interval.ms", "5000", 1, maxInt, "How often members of the consumer protocol are to say that they live.",
			func(s *settings, _ string, n int) { s.consumer.heartbeat = millis(n) }),
		num("group.consumer.max.heartbeat.interval.ms", "15000", 1, maxInt, "The longest heartbeat interval that a group may have.",
			func(s *settings, _ string, n int) { s.consumer.maxHeartbeat = millis(n) }),
		num("group.consumer.max.session.timeout.ms", "60000", 1, maxInt, "The longest session timeout that a group may have.",
			func(s *settings, _ string, n int) { s.consumer.maxSession = millis(n) }),
		num("group.consumer.max.size", "2147483647", 1, maxInt, "How many members a group of the consumer protocol may have.",
			func(s *settings, _ string, n int) { s.consumer.maxSize = n }),
		{log.ConfigDef{Name: "group.consumer.migration.policy", Type: log.TypeString, Default: "bidirectional", Enum: []string{"bidirectional", "disabled", "downgrade", "upgrade"},
			Doc: "Whether a group with members may change from the classic to the consumer protocol when a member of that joins, and back when the last one leaves."},
			func(s *settings, v string, _ int) {
				s.consumer.migration = migration{up: v == "bidirectional" || v == "upgrade", down: v == "bidirectional" || v == "downgrade"}
			}},
		num("group.consumer.min.heartbeat.interval.ms", "5000", 1, maxInt, "The shortest heartbeat interval that a group may have.",
			func(s *settings, _ string, n int) { s.consumer.minHeartbeat = millis(n) }),
		num("group.consumer.min.session.timeout.ms", "45000", 1, maxInt, "The shortest session timeout that a group may have.",
			func(s *settings, _ string, n int) { s.consumer.minSession = millis(n) }),
		num("group.consumer.regex.refresh.interval.ms", "600000", 10_000, maxInt, "How often subscriptions by regular expression are resolved anew where no topic came or went.",
			func(s *settings, _ string, n int) { s.consumer.regexRefresh = millis(n) }),
		num("group.consumer.session.timeout.ms", "45000", 1, maxInt, "After how long a silent member of the consumer protocol is gone.",
			func(s *settings, _ string, n int) { s.consumer.session = millis(n) }),
		num("group.initial.rebalance.delay.ms", "0", 0, maxInt, "How long the first rebalance of an empty group waits for more members.",
			func(s *settings, _ string, n int) { s.initialRebalanceDelay = millis(n) }),
		num("group.max.session.timeout.ms", "1800000", 1, maxInt, "The longest session timeout that a group's member may ask for.",
			func(s *settings, _ string, n int) { s.maxSession = millis(n) }),
		num("group.min.session.timeout.ms", "6000", 1, maxInt, "The shortest session timeout that a group's member may ask for.",
			func(s *settings, _ string, n int) { s.minSession = millis(n) }),
		long("log.cleaner.backoff.ms", "15000", "How often compacted topics are looked at.", nil),
		long("log.retention.check.interval.ms", "300000", "How often retention is applied.", nil),
		num("max.connections", "1000", 1, maxInt, "How many connections are held at once.",
			func(s *settings, _ string, n int) { s.maxConnections = n }),
		num("max.incremental.fetch.session.cache.slots", "1000", 0, maxInt, "How many consumers may have a fetch session.",
			func(s *settings, _ string, n int) { s.maxFetchSessions = n }),
		num("num.partitions", "1", 1, maxPartitionsAtOnce, "Partitions of topics that are made without a number.",
			func(s *settings, _ string, n int) { s.partitions = int32(n) }),
		num("offset.metadata.max.bytes", "4096", 0, maxInt, "Bytes of text that may be committed with an offset.",
			func(s *settings, _ string, n int) { s.maxOffsetMetadata = n }),
		long("offsets.retention.check.interval.ms", "600000", "How often committed offsets that have expired are deleted.",
			func(s *settings, _ string, n int) { s.offsetRetentionCheck = millis(n) }),
		num("offsets.retention.minutes", "10080", 1, maxInt, "How long committed offsets are kept after the last member of their group has left or, where no member reads their topic, after the commit.",
			func(s *settings, _ string, n int) { s.offsetRetention = int64(n) * 60_000 }),
		long("producer.id.expiration.ms", "86400000", "After how long an idle producer's sequence numbers are forgotten.", nil),
		num("socket.request.max.bytes", "104857600", 1024, maxInt, "Bytes of one request.",
			func(s *settings, _ string, n int) { s.maxRequestBytes = n }),
	}
}

// Settings lists the broker configs that can be set, under Kafka's names and sorted by them: the broker's own, and the
// defaults of topic configs. A default of "" means that there is none.
func Settings() []log.ConfigDef {
	var all []log.ConfigDef
	for _, s := range brokerSettings() {
		all = append(all, s.ConfigDef)
	}
	for _, d := range log.TopicConfigDefs() {
		if d.Broker == "" {
			continue
		}
		if d.Doc = "Default of the topic config " + d.Name + ". " + d.Doc; d.BrokerUnset {
			d.Doc, d.Default = strings.TrimSuffix(d.Doc, ".")+"; "+d.Default+" if neither is set.", ""
		}
		d.Name = d.Broker
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b log.ConfigDef) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// ApplyToLog puts those of the values, by the names of Settings, that are the log's into its options, and the broker's
// own topics among the vital ones.
func ApplyToLog(values map[string]string, o *log.Options) error {
	if err := checkSettings(values); err != nil {
		return err
	}
	o.Vital = append(o.Vital, offsetsTopic, transactionsTopic)
	for _, d := range log.TopicConfigDefs() {
		if v, ok := values[d.Broker]; ok && d.Broker != "" {
			if o.TopicDefaults == nil {
				o.TopicDefaults = make(map[string]string)
			}
			o.TopicDefaults[d.Name] = v
		}
	}
	for name, to := range map[string]*time.Duration{
		"log.cleaner.backoff.ms": &o.CompactionInterval, "log.retention.check.interval.ms": &o.RetentionInterval, "producer.id.expiration.ms": &o.ProducerExpiry,
	} {
		if v, ok := values[name]; ok {
			n, _ := strconv.ParseInt(v, 10, 64) // checked
			*to = time.Duration(min(n, int64(math.MaxInt64/time.Millisecond))) * time.Millisecond
		}
	}
	return nil
}

func checkSettings(values map[string]string) error {
	defs := Settings()
	for _, name := range slices.Sorted(maps.Keys(values)) {
		i := slices.IndexFunc(defs, func(d log.ConfigDef) bool { return d.Name == name })
		if i < 0 {
			return fmt.Errorf("broker config %s is not known", name)
		}
		if err := defs[i].Check(values[name]); err != nil {
			return fmt.Errorf("broker config %s: %w", name, err)
		}
	}
	return nil
}

// newSettings are the defaults with the values given over them.
func newSettings(values map[string]string) (*settings, error) {
	if err := checkSettings(values); err != nil {
		return nil, err
	}
	s := &settings{}
	for _, def := range brokerSettings() {
		value, ok := values[def.Name]
		if !ok {
			value = def.Default
		}
		if def.apply != nil {
			n, _ := strconv.Atoi(value) // 0 for what is no number
			def.apply(s, value, n)
		}
	}
	if s.minSession > s.maxSession {
		return nil, fmt.Errorf("broker config group.min.session.timeout.ms: %s is more than group.max.session.timeout.ms, %s", s.minSession, s.maxSession)
	}
	return s, s.consumer.check()
}
