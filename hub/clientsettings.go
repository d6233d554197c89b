package hub

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/configs"
)

type clientKind string

const (
	clientProducer clientKind = "producer"
	clientConsumer clientKind = "consumer"
	clientAdmin    clientKind = "admin"
)

// clientSettings are settings of Kafka's Java clients, by their names, that mean something to the client used here.
type clientSettings struct {
	options    []kgo.Opt
	group      string // consumer's group.id
	instance   string // consumer's group.instance.id
	maxRequest int    // producer's max.request.size; 0 is not set
	codec      string // producer's compression.type; "" is not set
	security   map[string]string
}

// empty reports whether nothing is set that makes the client another than the worker's own.
func (s clientSettings) empty() bool { return len(s.options)+len(s.security) == 0 }

// clientSetting turns one value into options. It returns what is needed instead, "" if the value is right.
type clientSetting func(s *clientSettings, value string) (needed string)

func number(set func(s *clientSettings, n int64)) clientSetting {
	return func(s *clientSettings, value string) string {
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 0 {
			return "a whole number, not negative"
		}
		set(s, n)
		return ""
	}
}

func text(set func(s *clientSettings, value string)) clientSetting {
	return func(s *clientSettings, value string) string {
		if value == "" {
			return "a text that is not empty"
		}
		set(s, value)
		return ""
	}
}

func oneOf[T any](values map[string]T, set func(s *clientSettings, name string, value T)) clientSetting {
	return func(s *clientSettings, name string) string {
		value, ok := values[name]
		if !ok {
			return "one of " + strings.Join(slices.Sorted(maps.Keys(values)), ", ")
		}
		set(s, name, value)
		return ""
	}
}

func millis(opt func(time.Duration) kgo.Opt) clientSetting {
	return number(func(s *clientSettings, n int64) {
		s.options = append(s.options, opt(time.Duration(n)*time.Millisecond))
	})
}

func bytes32(opt func(int32) kgo.Opt) clientSetting {
	return number(func(s *clientSettings, n int64) { s.options = append(s.options, opt(int32(min(n, 1<<30)))) })
}

// clientSettingsOf lists what is understood of each kind of client. What is promised to users does not depend on
// them: producers stay idempotent and wait for all replicas, consumers never commit by themselves.
func clientSettingsOf(kind clientKind) map[string]clientSetting {
	common := map[string]clientSetting{
		"client.id":           func(s *clientSettings, v string) string { s.options = append(s.options, kgo.ClientID(v)); return "" },
		"metadata.max.age.ms": millis(func(d time.Duration) kgo.Opt { return kgo.MetadataMaxAge(d) }),
		"request.timeout.ms":  millis(func(d time.Duration) kgo.Opt { return kgo.RequestTimeoutOverhead(d) }),
	}
	switch kind {
	case clientAdmin:
		return common
	case clientProducer:
		common["compression.type"] = compression()
		common["linger.ms"] = millis(func(d time.Duration) kgo.Opt { return kgo.ProducerLinger(d) })
		common["transaction.timeout.ms"] = millis(func(d time.Duration) kgo.Opt { return kgo.TransactionTimeout(d) })
		common["max.request.size"] = number(func(s *clientSettings, n int64) {
			s.maxRequest = int(min(max(n, leastBatch), mostBatch))
			s.options = append(s.options, kgo.ProducerBatchMaxBytes(int32(s.maxRequest)))
		})
		common["delivery.timeout.ms"] = millis(func(d time.Duration) kgo.Opt { return kgo.RecordDeliveryTimeout(d) })
		return common
	}
	common["group.id"] = text(func(s *clientSettings, v string) { s.group = v })
	common["group.instance.id"] = text(func(s *clientSettings, v string) { s.instance = v })
	common["auto.offset.reset"] = offsetReset()
	common["isolation.level"] = isolation()
	common["fetch.min.bytes"] = bytes32(func(n int32) kgo.Opt { return kgo.FetchMinBytes(n) })
	common["fetch.max.bytes"] = bytes32(func(n int32) kgo.Opt { return kgo.FetchMaxBytes(n) })
	common["max.partition.fetch.bytes"] = bytes32(func(n int32) kgo.Opt { return kgo.FetchMaxPartitionBytes(n) })
	common["fetch.max.wait.ms"] = millis(func(d time.Duration) kgo.Opt { return kgo.FetchMaxWait(d) })
	common["session.timeout.ms"] = millis(func(d time.Duration) kgo.Opt { return kgo.SessionTimeout(d) })
	common["heartbeat.interval.ms"] = millis(func(d time.Duration) kgo.Opt { return kgo.HeartbeatInterval(d) })
	common["max.poll.interval.ms"] = millis(func(d time.Duration) kgo.Opt { return kgo.RebalanceTimeout(d) })
	return common
}

func compression() clientSetting {
	return oneOf(map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}, func(s *clientSettings, name string, codec kgo.CompressionCodec) {
		s.codec, s.options = name, append(s.options, kgo.ProducerBatchCompression(codec))
	})
}

func offsetReset() clientSetting {
	return oneOf(map[string]kgo.Offset{"earliest": kgo.NewOffset().AtStart(), "latest": kgo.NewOffset().AtEnd(), "none": kgo.NoResetOffset()},
		func(s *clientSettings, _ string, o kgo.Offset) {
			s.options = append(s.options, kgo.ConsumeResetOffset(o))
		})
}

func isolation() clientSetting {
	return oneOf(map[string]kgo.IsolationLevel{"read_committed": kgo.ReadCommitted(), "read_uncommitted": kgo.ReadUncommitted()},
		func(s *clientSettings, _ string, level kgo.IsolationLevel) {
			s.options = append(s.options, kgo.FetchIsolationLevel(level))
		})
}

// parseClient reads client settings, of which the prefix was taken off the keys.
func parseClient(kind clientKind, given map[string]string, prefix string) (clientSettings, []configs.Problem) {
	var s clientSettings
	var problems []configs.Problem
	s.security, given = splitSecurity(given)
	known := clientSettingsOf(kind)
	for _, key := range slices.Sorted(maps.Keys(given)) {
		set, ok := known[key]
		if !ok {
			problems = append(problems, configs.KeyWarning(prefix+key, prefix+key+" has no effect: the "+string(kind)+" here has no such setting."))
			continue
		}
		value := strings.TrimSpace(given[key])
		if needed := set(&s, value); needed != "" {
			problems = append(problems, configs.KeyError(prefix+key, "Invalid value "+value+" for configuration "+prefix+key+": it must be "+needed))
		}
	}
	return s, problems
}

// The policies of connector.client.config.override.policy, also as their Java class names.
const (
	policyAll       = "All"
	policyNone      = "None"
	policyPrincipal = "Principal"
	policyAllowlist = "Allowlist"
)

// policyName returns a policy's short name: Kafka Connect takes both that and its Java class.
func policyName(policy string) string {
	return strings.TrimSuffix(policy[strings.LastIndexByte(policy, '.')+1:], "ConnectorClientConfigOverridePolicy")
}

// isPolicy checks connector.client.config.override.policy. One that is not known must not allow everything.
func isPolicy(value string) error {
	switch policyName(value) {
	case policyAll, policyNone, policyPrincipal, policyAllowlist:
		return nil
	}
	return errors.New("must be one of All, None, Principal, Allowlist, or the Java class of one")
}

// overrideProblems returns an error for each client setting that the worker's policy does not let connectors change.
func overrideProblems(policy string, allowed []string, config map[string]string) []configs.Problem {
	var problems []configs.Problem
	for _, key := range slices.Sorted(maps.Keys(config)) {
		for _, prefix := range []string{"producer.override.", "consumer.override.", "admin.override."} {
			setting, ok := strings.CutPrefix(key, prefix)
			if !ok || overrideAllowed(policy, allowed, setting) {
				continue
			}
			problems = append(problems, configs.KeyError(key, "The '"+policyName(policy)+"' policy does not allow '"+setting+"' to be overridden in the connector configuration."))
		}
	}
	return problems
}

func overrideAllowed(policy string, allowed []string, setting string) bool {
	switch policyName(policy) {
	case policyAll:
		return true
	case policyPrincipal:
		return setting == "sasl.jaas.config" || setting == "sasl.mechanism" || setting == "security.protocol"
	case policyAllowlist:
		return slices.Contains(allowed, setting)
	}
	return false
}
