package broker

// What a client may do, as bits by the number of the operation in Kafka's AclOperation. Without an authorizer that is
// everything there is to do with the resource.
const (
	topicOperations   = 1<<3 | 1<<4 | 1<<5 | 1<<6 | 1<<7 | 1<<8 | 1<<10 | 1<<11 // read, write, create, delete, alter, describe, describe and alter configs
	groupOperations   = 1<<3 | 1<<6 | 1<<8 | 1<<10 | 1<<11                      // read, delete, describe, describe and alter configs
	clusterOperations = 1<<5 | 1<<7 | 1<<8 | 1<<9 | 1<<10 | 1<<11 | 1<<12       // create, alter, describe, cluster action, describe and alter configs, idempotent write

	// unknownOperations stands for "not asked for".
	unknownOperations = -2147483648
)

// operations are shown where they are asked for.
func operations(all int32, asked bool) int32 {
	if asked {
		return all
	}
	return unknownOperations
}
