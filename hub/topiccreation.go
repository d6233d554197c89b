package hub

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// topicCreation is what topic.creation.… says about topics that are missing when a source first writes to them. The
// first group of topic.creation.groups that includes a topic and does not exclude it decides, "default" last.
type topicCreation struct{ groups []topicGroup }

type topicGroup struct {
	name             string
	include, exclude []*regexp.Regexp // of the whole topic name
	partitions       int32
	replication      int16
	configs          map[string]*string
}

// parseTopicCreation returns nil if no key of it is given: then missing topics are the broker's business.
func parseTopicCreation(v configs.Values) (*topicCreation, []configs.Problem) {
	if len(v.Prefixed("topic.creation.")) == 0 {
		return nil, nil
	}
	var problems []configs.Problem
	fallback, more := parseTopicGroup(v, "default", &topicGroup{})
	problems = append(problems, more...)
	for _, key := range []string{"topic.creation.default.partitions", "topic.creation.default.replication.factor"} {
		if !v.Has(key) {
			problems = append(problems, configs.KeyError(key, "Missing required configuration \""+key+"\" which has no default value."))
		}
	}
	t := &topicCreation{}
	for _, name := range v.List("topic.creation.groups") {
		if name == "default" {
			continue
		}
		g, more := parseTopicGroup(v, name, fallback)
		problems = append(problems, more...)
		if len(g.include) == 0 && len(more) == 0 {
			key := "topic.creation." + name + ".include"
			problems = append(problems, configs.KeyError(key, "Missing required configuration \""+key+"\" which has no default value."))
		}
		t.groups = append(t.groups, *g)
	}
	fallback.include = []*regexp.Regexp{regexp.MustCompile("")}
	t.groups = append(t.groups, *fallback)
	return t, problems
}

func parseTopicGroup(v configs.Values, name string, fallback *topicGroup) (*topicGroup, []configs.Problem) {
	prefix := "topic.creation." + name + "."
	g := &topicGroup{name: name, partitions: fallback.partitions, replication: fallback.replication, configs: map[string]*string{}}
	var problems []configs.Problem
	for key, value := range v.Prefixed(prefix) {
		value = strings.TrimSpace(value)
		n, _ := strconv.Atoi(value) // Check has looked at it
		switch key {
		case "partitions":
			g.partitions = int32(n)
		case "replication.factor":
			g.replication = int16(n)
		case "include", "exclude":
			list, err := compileAll(value)
			if err != nil {
				problems = append(problems, configs.KeyError(prefix+key, "Invalid value "+value+" for configuration "+prefix+key+": "+err.Error()))
			}
			if key == "include" {
				g.include = list
			} else {
				g.exclude = list
			}
		default:
			g.configs[key] = &value
		}
	}
	return g, problems
}

func compileAll(list string) ([]*regexp.Regexp, error) {
	var out []*regexp.Regexp
	for pattern := range strings.SplitSeq(list, ",") {
		if pattern = strings.TrimSpace(pattern); pattern == "" {
			continue
		}
		re, err := wholeMatch(pattern)
		if err != nil {
			return nil, err
		}
		out = append(out, re)
	}
	return out, nil
}

// group returns the group that decides about a topic.
func (t *topicCreation) group(topic string) *topicGroup {
	matches := func(re *regexp.Regexp) bool { return re.MatchString(topic) }
	for i := range t.groups {
		g := &t.groups[i]
		if slices.ContainsFunc(g.include, matches) && !slices.ContainsFunc(g.exclude, matches) {
			return g
		}
	}
	return &t.groups[len(t.groups)-1]
}

// create makes a topic unless it is there.
func (t *topicCreation) create(ctx context.Context, admin *kadm.Client, topic string) error {
	g := t.group(topic)
	err := createTopic(ctx, admin, topic, g.partitions, g.replication, g.configs)
	if err != nil {
		return &connectors.Error{Op: fmt.Sprintf("create topic %s by the group %q of topic.creation", topic, g.name),
			Class: connectors.ClassEnvironment, Err: err,
			Remedy: "correct topic.creation." + g.name + ".*, or create the topic by hand"}
	}
	return nil
}

// createTopic makes a topic unless it is there.
func createTopic(ctx context.Context, admin *kadm.Client, topic string, partitions int32, replication int16, settings map[string]*string) error {
	known, err := admin.ListTopics(ctx, topic)
	if err != nil {
		return err
	}
	if d, ok := known[topic]; ok && d.Err == nil && len(d.Partitions) > 0 {
		return nil
	}
	_, err = admin.CreateTopic(ctx, partitions, replication, settings, topic)
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return err
	}
	return nil
}
