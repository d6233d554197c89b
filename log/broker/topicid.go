package broker

import (
	"github.com/sluicehub/sluice/log"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Versions from which requests name topics by their ids.
const (
	produceByID      = 13
	fetchByID        = 13
	offsetCommitByID = 10
	offsetFetchByID  = 10
)

// topicByID finds a topic by its id. A client whose topic was deleted, and perhaps made anew under the same name, is
// told so by UNKNOWN_TOPIC_ID; it then asks for metadata.
func (b *Broker) topicByID(id [16]byte) (*log.Topic, error) {
	t, err := b.log.TopicByID(log.TopicID(id))
	if err != nil {
		return nil, kerr.UnknownTopicID
	}
	return t, nil
}

// partition finds what a request names, by id or by name, if the client may do that with it.
func (r *request) partition(op kmsg.ACLOperation, byID bool, id [16]byte, name string, n int32) (*log.Partition, error) {
	if !byID {
		if err := r.topic(op, name); err != nil {
			return nil, err
		}
		return r.c.b.log.Partition(name, n)
	}
	t, err := r.c.b.topicByID(id)
	if err == nil {
		err = r.topic(op, t.Name())
	}
	if err != nil {
		return nil, err
	}
	return t.Partition(n)
}

// nameOf is the name of the topic with an id.
func (b *Broker) nameOf(id [16]byte) (string, error) {
	t, err := b.topicByID(id)
	if err != nil {
		return "", err
	}
	return t.Name(), nil
}
