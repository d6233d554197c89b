package broker

import (
	"fmt"
	"slices"

	"github.com/sluicehub/sluice/log"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// deleteTopics answers DeleteTopics: by name up to version 5, by name or id from version 6. The broker's own topics stay:
// Kafka deletes them on request and with them all groups or transactions, by accident as a rule.
func (b *Broker) deleteTopics(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.DeleteTopicsRequest)
	resp := req.ResponseKind().(*kmsg.DeleteTopicsResponse)
	if r.version < 6 {
		req.Topics = nil
		for _, name := range req.TopicNames {
			t := kmsg.NewDeleteTopicsRequestTopic()
			t.Topic = kmsg.StringPtr(name)
			req.Topics = append(req.Topics, t)
		}
	}
	twice := repeated(req.Topics, b.toDelete)
	for i := range req.Topics {
		t := &req.Topics[i]
		rt := kmsg.NewDeleteTopicsResponseTopic()
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		switch key := b.toDelete(t); {
		case key == "" || twice.has(key) && twice.first(key):
			rt.ErrorCode = kerr.InvalidRequest.Code
			rt.ErrorMessage = kmsg.StringPtr("a topic is to be named once, by its name or by its id")
		case twice.has(key):
			continue
		default:
			b.deleteNamed(r, t, &rt)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	resp.ThrottleMillis = r.throttled
	return now(resp), nil
}

// toDelete is the same for the same topic, however it is named; "" when it is named by name and id or by neither.
func (b *Broker) toDelete(t *kmsg.DeleteTopicsRequestTopic) string {
	switch {
	case (t.Topic == nil) == (t.TopicID == [16]byte{}):
		return ""
	case t.Topic != nil:
		return *t.Topic
	}
	name, err := b.nameOf(t.TopicID)
	if err != nil {
		return string(t.TopicID[:])
	}
	return name
}

func (b *Broker) deleteNamed(r *request, t *kmsg.DeleteTopicsRequestTopic, rt *kmsg.DeleteTopicsResponseTopic) {
	if t.Topic == nil {
		name, err := b.nameOf(t.TopicID)
		if err != nil {
			rt.ErrorCode = errorCode(err)
			return
		}
		rt.Topic = &name
	}
	err := r.topic(mayDelete, *rt.Topic)
	if err == nil && isInternal(*rt.Topic) {
		err = fmt.Errorf("%w: %s is the broker's own and in use; groups go with kafka-consumer-groups --delete, transactions end by themselves", log.ErrInvalidTopic, *rt.Topic)
	}
	if err == nil {
		err = b.deleteTopic(r, *rt.Topic)
	} else if t.Topic == nil && r.topic(mayDescribe, *rt.Topic) != nil {
		rt.Topic = nil // who knows the id alone does not learn the name
	}
	if err != nil {
		rt.ErrorCode, rt.ErrorMessage = errorCode(err), errorText(err)
	}
}

func (b *Broker) deleteTopic(r *request, name string) error {
	t, err := b.log.Topic(name)
	if err == nil {
		err = r.mutates(len(t.Partitions()), 5)
	}
	if err != nil {
		return err
	}
	if err := b.log.DeleteTopic(name); err != nil {
		return err
	}
	b.forgetOffsets(name)
	return nil
}

// forgetOffsets deletes the offsets that groups have of a topic that is gone, as Kafka does: for the next topic of that name
// they would be beyond records that nobody has read.
func (b *Broker) forgetOffsets(topic string) {
	for _, group := range b.groups.store.groups() {
		gone := b.groups.store.places(group)
		gone = slices.DeleteFunc(gone, func(p place) bool { return p.topic != topic })
		if err := b.deleteOffsets(group, gone); err != nil {
			b.logger.Error("the offsets of a deleted topic stay; delete them before it is made again", "group", group, "topic", topic, "error", err)
		}
	}
}
