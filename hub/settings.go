package hub

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/hub/transforms"
)

func partitionsOrDefault(value string) error {
	if n, err := strconv.Atoi(value); err != nil || n < 1 && n != -1 {
		return errors.New("must be at least 1, or -1 for the broker's default")
	}
	return nil
}

func notEmpty(value string) error {
	if strings.TrimSpace(value) == "" {
		return errors.New("must be non-empty")
	}
	return nil
}

func deadLettersNotConsumed(v configs.Values) []configs.Problem {
	dlq := v.String("errors.deadletterqueue.topic.name")
	if dlq == "" {
		return nil
	}
	if slices.Contains(v.List("topics"), dlq) {
		return []configs.Problem{configs.KeyError("topics", "The DLQ topic '"+dlq+"' may not be included in the list of topics ('topics="+
			v.String("topics")+"') consumed by the connector")}
	}
	pattern := v.String("topics.regex")
	if pattern == "" {
		return nil
	}
	if re, err := wholeMatch(pattern); err == nil && re.MatchString(dlq) {
		return []configs.Problem{configs.KeyError("topics.regex", "The DLQ topic '"+dlq+"' may not be included in the regex matching the topics ('topics.regex="+
			pattern+"') consumed by the connector")}
	}
	return nil
}

// wholeMatch compiles a regular expression that matches whole names, as Java's Matcher.matches.
func wholeMatch(pattern string) (*regexp.Regexp, error) {
	if err := transforms.CheckRegexp(pattern); err != nil {
		return nil, err
	}
	return regexp.Compile("^(?:" + pattern + ")$")
}

// settings are what a connector's configuration says to the hub, typed.
type settings struct {
	name, class, version string
	kind                 connectors.Kind
	tasksMax             int
	tasksEnforced        bool
	errors               errorSettings
	topics               []string // of a sink
	topicsRegex          string
	creation             *topicCreation // of a source; nil: none is configured
	offsetsTopic         string         // of a source; "": the worker's only
	onceRequired         bool           // a source insists on exactly-once delivery
	boundary             string         // of a source's transactions; "": none was given
	boundaryEvery        time.Duration  // of transactions of the boundary interval; negative: the worker's flush interval
	producer             clientSettings // of a source's records, and of dead letters
	consumer             clientSettings // of a sink
	admin                clientSettings // of what creates topics
}

// errorSettings are the keys errors.….
type errorSettings struct {
	tolerateAll            bool
	retryTimeout           time.Duration // negative: for ever
	retryDelayMax          time.Duration
	log, logMessages       bool
	deadLetters            string // topic; "": none
	deadLettersReplication int16
	deadLettersHeaders     bool
}

// parseSettings reads the hub's keys of a resolved configuration.
func parseSettings(kind connectors.Kind, config map[string]string) (settings, []configs.Problem) {
	v, problems := ConnectorDefinition(kind).Parse(config)
	problems = slices.DeleteFunc(problems, func(p configs.Problem) bool { return !p.IsError() })
	s := settings{
		name: v.String("name"), class: v.String("connector.class"), version: v.String("connector.plugin.version"), kind: kind,
		tasksMax: v.Int("tasks.max"), tasksEnforced: v.Bool("tasks.max.enforce"),
		errors: errorSettings{
			tolerateAll:   v.String("errors.tolerance") == "all",
			retryTimeout:  v.Duration("errors.retry.timeout"),
			retryDelayMax: v.Duration("errors.retry.delay.max.ms"),
			log:           v.Bool("errors.log.enable"), logMessages: v.Bool("errors.log.include.messages"),
		},
	}
	var more []configs.Problem
	s.producer, more = parseClient(clientProducer, v.Prefixed("producer.override."), "producer.override.")
	problems = append(problems, more...)
	s.admin, more = parseClient(clientAdmin, v.Prefixed("admin.override."), "admin.override.")
	problems = append(problems, more...)
	if kind == connectors.Source {
		s.errors.deadLetters = strings.TrimSpace(config["errors.deadletterqueue.topic.name"])
		s.errors.deadLettersReplication, s.errors.deadLettersHeaders, more = sourceDeadLetters(config)
		problems = append(problems, more...)
		s.offsetsTopic = v.String(offsetsTopicKey)
		s.onceRequired, s.boundaryEvery = v.String(onceSupportKey) == onceRequired, -1
		if v.Has(boundaryKey) {
			s.boundary = v.String(boundaryKey)
		}
		if v.Has(boundaryIntervalKey) {
			s.boundaryEvery = v.Duration(boundaryIntervalKey)
		}
		s.creation, more = parseTopicCreation(v)
		return s, append(problems, more...)
	}
	s.errors.deadLetters = v.String("errors.deadletterqueue.topic.name")
	s.errors.deadLettersReplication = int16(v.Int("errors.deadletterqueue.topic.replication.factor"))
	s.errors.deadLettersHeaders = v.Bool("errors.deadletterqueue.context.headers.enable")
	s.topics, s.topicsRegex = v.List("topics"), v.String("topics.regex")
	s.consumer, more = parseClient(clientConsumer, v.Prefixed("consumer.override."), "consumer.override.")
	return s, append(problems, more...)
}

// sourceDeadLetters reads the keys of the dead-letter topic with the declarations that sinks have.
func sourceDeadLetters(config map[string]string) (replication int16, headers bool, problems []configs.Problem) {
	def := &configs.Definition{}
	for _, k := range sinkDefinition().Keys {
		if strings.HasPrefix(k.Name, "errors.deadletterqueue.") {
			def.Keys = append(def.Keys, k)
		}
	}
	given := map[string]string{}
	for k, v := range config {
		if strings.HasPrefix(k, "errors.deadletterqueue.") {
			given[k] = v
		}
	}
	v, problems := def.Parse(given)
	return int16(v.Int("errors.deadletterqueue.topic.replication.factor")), v.Bool("errors.deadletterqueue.context.headers.enable"), problems
}
