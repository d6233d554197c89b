package broker

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// listPartitionReassignments answers ListPartitionReassignments: no partition ever moves.
func (b *Broker) listPartitionReassignments(_ *request, kreq kmsg.Request) (reply, error) {
	return now(kreq.ResponseKind()), nil
}
