package broker

import "github.com/twmb/franz-go/pkg/kmsg"

// What a client may do, as bits by the number of the operation in Kafka's AclOperation. This is everything
// there is to do with the resource.
const (
	topicOperations   = 1<<3 | 1<<4 | 1<<5 | 1<<6 | 1<<7 | 1<<8 | 1<<10 | 1<<11 // read, write, create, delete, alter, describe, describe and alter configs
	groupOperations   = 1<<3 | 1<<6 | 1<<8 | 1<<10 | 1<<11                      // read, delete, describe, describe and alter configs
	clusterOperations = 1<<5 | 1<<7 | 1<<8 | 1<<9 | 1<<10 | 1<<11 | 1<<12       // create, alter, describe, cluster action, describe and alter configs, idempotent write

	// unknownOperations stands for "not asked for".
	unknownOperations = -2147483648
)

// operations are what the client may do with the resource, if it asks.
func (r *request) operations(kind kmsg.ACLResourceType, name string, asked bool) int32 {
	if !asked {
		return unknownOperations
	}
	all := int32(topicOperations)
	switch kind {
	case groupResource:
		all = groupOperations
	case clusterResource:
		all = clusterOperations
	}
	for op := range kmsg.ACLOperation(32) {
		if all&(1<<op) != 0 && !r.may(op, kind, name) {
			all &^= 1 << op
		}
	}
	return all
}
