package hub

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/hub/durable"
)

// appendRecord transforms, converts and appends one record, or sets it aside.
func (s *sourceRun) appendRecord(ctx context.Context, b *durable.Batch, rec *connectors.Record) error {
	if !s.pipeline.transforms.Empty() {
		keep, err := s.transform(ctx, rec)
		if err != nil {
			return s.setAside(ctx, *rec, stageTransform, transformClass(err), err)
		}
		if !keep {
			return nil
		}
	}
	if rec.Topic != s.lastTopic {
		limit, err := s.ensureTopic(ctx, rec.Topic)
		if err != nil {
			return err
		}
		s.lastTopic, s.lastLimit = rec.Topic, limit
	}
	r, scratch, err := b.Next(ctx)
	if err != nil {
		return err
	}
	before := len(scratch.Buf)
	r.Topic, r.Partition = rec.Topic, rec.Partition
	if rec.Timestamp != connectors.NoTimestamp {
		r.Timestamp = time.UnixMilli(rec.Timestamp)
	}
	at, err := s.convert(r, scratch, rec)
	if err != nil && retriable(err) {
		err = s.errors.retry(ctx, err, func() error { at, err = s.convert(r, scratch, rec); return err })
	}
	if err != nil {
		b.Drop(before)
		return s.setAside(ctx, *rec, at, s.pipeline.class(at), err)
	}
	if err := s.lastLimit.refuses(r); err != nil {
		original := durable.Clone(r)
		b.Drop(before)
		return s.errors.report(ctx, badRecord{original: original, source: true, stage: stageProduce, class: "org.apache.kafka.clients.producer.KafkaProducer",
			err: &connectors.Error{Op: "append to topic " + rec.Topic, Class: connectors.ClassData, Err: err,
				Remedy: "raise max.message.bytes of the topic and producer.override.max.request.size of the connector"}})
	}
	return nil
}

// transform applies the chain, from the start again for an error that may pass.
func (s *sourceRun) transform(ctx context.Context, rec *connectors.Record) (keep bool, err error) {
	original := *rec
	if keep, err = s.pipeline.transforms.Apply(rec); err == nil {
		return keep, nil
	}
	err = s.errors.retry(ctx, err, func() error { *rec = original; keep, err = s.pipeline.transforms.Apply(rec); return err })
	if err != nil {
		*rec = original
	}
	return keep, err
}

// convert fills r from rec, in Connect's order: headers, key, value.
func (s *sourceRun) convert(r *kgo.Record, scratch *durable.Scratch, rec *connectors.Record) (stage, error) {
	if len(rec.Headers) > 0 {
		r.Headers = scratch.Headers(len(rec.Headers))
		for i := range rec.Headers {
			h := &rec.Headers[i]
			out, err := s.pipeline.header.FromConnect(scratch.Buf, rec.Topic, h.Value)
			if err != nil {
				return stageHeaderConverter, err
			}
			r.Headers[i].Key = h.Key
			r.Headers[i].Value, scratch.Buf = appended(scratch.Buf, out)
		}
	}
	out, err := s.pipeline.key.FromConnect(scratch.Buf, rec.Topic, rec.Key)
	if err != nil {
		return stageKeyConverter, err
	}
	r.Key, scratch.Buf = appended(scratch.Buf, out)
	if out, err = s.pipeline.value.FromConnect(scratch.Buf, rec.Topic, rec.Value); err != nil {
		return stageValueConverter, err
	}
	r.Value, scratch.Buf = appended(scratch.Buf, out)
	return "", nil
}

// appended returns what a converter appended to buf, nil if it says null, and the longer buf.
func appended(buf, out []byte) (added, longer []byte) {
	if out == nil {
		return nil, buf
	}
	return out[len(buf):len(out):len(out)], out
}

// setAside reports a record that cannot be transformed or converted.
func (s *sourceRun) setAside(ctx context.Context, rec connectors.Record, at stage, class string, err error) error {
	return s.errors.report(ctx, badRecord{original: s.pipeline.readable(rec), source: true, stage: at, class: class, err: err})
}

// reportRow is connectors.SourceStart.Report.
func (s *sourceRun) reportRow(ctx context.Context, rec connectors.Record, err error) error {
	return s.setAside(ctx, rec, stagePoll, s.settings.class, err)
}

// ensureTopic creates a topic by topic.creation before the first record for it, and notes that the connector uses it. It
// returns what the topic takes.
func (s *sourceRun) ensureTopic(ctx context.Context, topic string) (topicLimit, error) {
	if limit, known := s.limits.of(topic); known {
		return limit, nil
	}
	if s.hub.exactlyOnce && s.offsets.has(topic) {
		return topicLimit{}, &connectors.Error{Op: "write to topic " + topic, Class: connectors.ClassConfig,
			Err: errors.New("source tasks may not produce to their own offsets topics when exactly-once support is enabled")}
	}
	switch {
	case !s.hub.createTopics: // the broker creates it, or refuses the record
	case s.settings.creation != nil:
		if err := s.settings.creation.create(ctx, s.admin, topic); err != nil {
			return topicLimit{}, err
		}
	default:
		// As the broker itself would, also where it does not create topics by itself. If it does not let us either,
		// the topic may still be there.
		if err := createTopic(ctx, s.admin, topic, -1, -1, nil); err != nil {
			s.log.Info("the topic could not be created; it is written to all the same", "topic", topic, "error", err)
		}
	}
	limit, err := s.limits.learn(ctx, s.admin, topic)
	if err != nil {
		s.log.Info("what the topic takes could not be read; a record that it refuses stops the task", "topic", topic, "error", err)
	}
	s.trackTopic(topic)
	return limit, nil
}
