package broker

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// listPartitionReassignments answers ListPartitionReassignments: no partition ever moves.
func (b *Broker) listPartitionReassignments(r *request, kreq kmsg.Request) (reply, error) {
	resp := kreq.ResponseKind().(*kmsg.ListPartitionReassignmentsResponse)
	err := r.cluster(mayDescribe)
	resp.ErrorCode, resp.ErrorMessage = errorCode(err), errorText(err)
	return now(resp), nil
}
