package hub

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/connectors"
)

// badRecord is a record that could not be handled, with all that is known about it.
type badRecord struct {
	// original holds the bytes as they are in the log (sinks), or as close to the row as they could be brought
	// (sources). Topic, Partition and Offset are those of the log; of a source only Topic means something.
	original kgo.Record
	source   bool
	place    string // of a source's record, in the source's own words
	stage    stage
	class    string // what failed: the class name of a converter, a transform or the connector
	err      error
}

// deadLetters writes records that could not be handled into a topic, as Connect's DeadLetterQueueReporter does:
// original key, value, headers and timestamp, any partition, and what went wrong in headers if that is wanted. The
// headers are appended, so a record that comes a second time carries both stories.
type deadLetters struct {
	write     func(ctx context.Context, letter *kgo.Record) error // while the task runs; it returns when the letter is durable
	joined    bool                                                // write joins it to a transaction instead
	topic     string
	limits    *topicLimits // of the topic
	headers   bool
	connector string
	task      int
	redact    func(string) string
}

// openDeadLetters makes sure that the dead-letter topic exists, with one partition as Connect makes it, and gives
// the task its producer, until close is called.
func (r *taskRun) openDeadLetters(ctx context.Context) (close func(), err error) {
	s := r.settings.errors
	replication := s.deadLettersReplication
	if _, explicit := r.config["errors.deadletterqueue.topic.replication.factor"]; !explicit {
		brokers, err := r.admin.ListBrokers(ctx)
		if err == nil {
			replication = int16(min(int(replication), max(1, len(brokers))))
		}
	}
	if err := createTopic(ctx, r.admin, s.deadLetters, 1, replication, nil); err != nil {
		return nil, &connectors.Error{Op: "create the dead-letter topic " + s.deadLetters, Class: connectors.ClassEnvironment, Err: err,
			Remedy: "set errors.deadletterqueue.topic.replication.factor to at most the number of brokers, or create the topic by hand"}
	}
	limits := newTopicLimits(r.hub.producer, r.settings.producer)
	r.errors.letters.limits = limits
	if _, err := limits.learn(ctx, r.admin, s.deadLetters); err != nil {
		r.log.Info("what the dead-letter topic takes could not be read", "topic", s.deadLetters, "error", err)
	}
	if r.errors.letters.joined {
		return func() {}, nil
	}
	client, close, err := r.hub.deadLetterClient(ctx, r.settings, r.index, limits)
	r.errors.letters.write = func(ctx context.Context, letter *kgo.Record) error { return produceAll(ctx, client, letter) }
	return close, err
}

// put appends a record and returns when it is durable (I5), or as durable as the records around it will be.
func (d *deadLetters) put(ctx context.Context, bad badRecord) error {
	r := &kgo.Record{Topic: d.topic, Key: bad.original.Key, Value: bad.original.Value, Timestamp: bad.original.Timestamp,
		Headers: append([]kgo.RecordHeader(nil), bad.original.Headers...)}
	if d.headers {
		r.Headers = d.context(r.Headers, bad)
	}
	e := &connectors.Error{Op: "write to the dead-letter topic " + d.topic, Class: connectors.ClassEnvironment}
	limit, _ := d.limits.of(d.topic)
	if e.Err = limit.refuses(r); e.Err != nil { // and so it would be however often the task starts
		e.Class = connectors.ClassConfig
		e.Remedy = "raise max.message.bytes of the dead-letter topic and producer.override.max.request.size of the connector above the size of the record with its headers, or set errors.deadletterqueue.context.headers.enable=false; a topic for records without a key must not be compacted; then restart the task"
		return e
	}
	if e.Err = d.write(ctx, r); e.Err != nil {
		return e
	}
	return nil
}

// context appends the headers of Connect's DeadLetterQueueReporter. Their values are texts in UTF-8.
func (d *deadLetters) context(headers []kgo.RecordHeader, bad badRecord) []kgo.RecordHeader {
	add := func(name, value string) {
		headers = append(headers, kgo.RecordHeader{Key: "__connect.errors." + name, Value: []byte(value)})
	}
	add("topic", bad.original.Topic)
	if !bad.source { // a row has no place in the log yet
		add("partition", strconv.Itoa(int(bad.original.Partition)))
		add("offset", strconv.FormatInt(bad.original.Offset, 10))
	}
	add("connector.name", d.connector)
	add("task.id", strconv.Itoa(d.task))
	add("stage", string(bad.stage))
	add("class.name", bad.class)
	add("exception.class.name", exceptionName(bad.err))
	add("exception.message", d.redact(bad.err.Error()))
	add("exception.stacktrace", d.redact(stackTrace(bad.err)))
	return headers
}

// exceptionName returns the Java exception that Connect would have reported, because consumers of dead-letter topics
// tell errors apart by it.
func exceptionName(err error) string {
	var e *connectors.Error
	switch {
	case errors.As(err, &e) && e.Retriable:
		return "org.apache.kafka.connect.errors.RetriableException"
	case connectors.ClassOf(err) == connectors.ClassData:
		return "org.apache.kafka.connect.errors.DataException"
	}
	return "org.apache.kafka.connect.errors.ConnectException"
}

// stackTrace prints an error and its causes, a line each, in the shape that people know from Java.
func stackTrace(err error) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", exceptionName(err), err)
	for cause := errors.Unwrap(err); cause != nil; cause = errors.Unwrap(cause) {
		fmt.Fprintf(&b, "\nCaused by: %s", cause)
	}
	return b.String()
}
