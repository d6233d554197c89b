package transforms

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

func regexRouterDefinition() *configs.Definition {
	return &configs.Definition{Keys: []configs.Key{
		{Name: "regex", Type: configs.String, Required: true, Importance: configs.High, Check: CheckRegexp,
			Doc: "Regular expression for the topics to change; it matches the whole name."},
		{Name: "replacement", Type: configs.String, Required: true, Importance: configs.High, Doc: "The new topic, with $1 for the first group."}}}
}

// regexRouter changes topics that match an expression.
type regexRouter struct {
	regex       *javaRegexp
	replacement javaReplacement
	last, to    string
}

func newRegexRouter(v configs.Values, _ side, _ *arena) (transform, error) {
	regex, err := compileJava(v.String("regex"))
	if err != nil {
		return nil, fmt.Errorf("regex: %w", err)
	}
	replacement, err := regex.replacement(v.String("replacement"))
	if err != nil {
		return nil, fmt.Errorf("replacement: %w", err)
	}
	return &regexRouter{regex: regex, replacement: replacement}, nil
}

func (t *regexRouter) apply(r *connectors.Record) (bool, error) {
	if r.Topic != t.last {
		t.last, t.to = r.Topic, r.Topic
		if t.regex.matches(r.Topic) {
			t.to = t.regex.replaceFirst(r.Topic, t.replacement)
		}
	}
	if t.to == "" {
		return false, fmt.Errorf("the replacement leaves no name for topic %s", r.Topic)
	}
	r.Topic = t.to
	return true, nil
}

func timestampRouterDefinition() *configs.Definition {
	return &configs.Definition{Keys: []configs.Key{
		{Name: "topic.format", Type: configs.String, Default: "${topic}-${timestamp}", Importance: configs.High, Doc: "The new topic; ${topic} is the old one, ${timestamp} the record's time."},
		{Name: "timestamp.format", Type: configs.String, Default: "yyyyMMdd", Importance: configs.High, Check: checkDateFormat,
			Doc: "How the time is written, as Java's SimpleDateFormat; in UTC."}}}
}

// timestampRouter puts the record's time into the topic.
type timestampRouter struct {
	topic string
	time  *javaDateFormat
}

func newTimestampRouter(v configs.Values, _ side, _ *arena) (transform, error) {
	format, err := compileDateFormat(v.String("timestamp.format"))
	return &timestampRouter{v.String("topic.format"), format}, err
}

func (t *timestampRouter) apply(r *connectors.Record) (bool, error) {
	if r.Timestamp == connectors.NoTimestamp {
		return false, errors.New("the record has no timestamp")
	}
	at := t.time.format(time.UnixMilli(r.Timestamp).UTC())
	r.Topic = strings.NewReplacer("${topic}", r.Topic, "${timestamp}", at).Replace(t.topic)
	return true, nil
}

// filter drops every record; a predicate says which ones it gets.
type filter struct{}

func newFilter(configs.Values, side, *arena) (transform, error) { return filter{}, nil }

func (filter) apply(*connectors.Record) (bool, error) { return false, nil }
