package broker

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// handler handles one parsed request. An error ends the connection; errors that Kafka has a code for are in the
// response.
type handler func(r *request, req kmsg.Request) (reply, error)

// api is one served API with its range of versions. Only complete versions are in it.
type api struct {
	handle   handler
	min, max int16
	// advertised is the lowest version told to clients; see serves.
	advertised int16
}

// serves is the table of APIs. The maxima of Produce, Fetch, OffsetCommit and OffsetFetch are the last that address
// topics by name; those after carry topic ids.
func (b *Broker) serves() []api {
	table := make([]api, 100)
	set := func(key, min, max int16, h handler) { table[key] = api{h, min, max, min} }
	set(0, 3, 12, b.produce)
	// librdkafka before 2.11.1 decides by Produce v0 being there whether it may compress (KAFKA-18659). Nobody
	// sends v0 to v2.
	table[0].advertised = 0
	set(1, 4, 12, b.fetch)
	set(2, 1, 9, b.listOffsets)
	set(3, 0, 12, b.metadata)
	set(8, 2, 9, b.offsetCommit)
	set(9, 1, 9, b.offsetFetch)
	set(10, 0, 6, b.findCoordinator)
	set(11, 2, 9, b.joinGroup)
	set(12, 0, 4, b.heartbeat)
	set(13, 0, 5, b.leaveGroup)
	set(14, 0, 5, b.syncGroup)
	set(15, 0, 6, b.describeGroups)
	set(16, 0, 5, b.listGroups)
	set(18, 0, 4, b.apiVersionsRequest)
	set(19, 2, 7, b.createTopics)
	set(20, 1, 6, b.deleteTopics)
	set(21, 0, 2, b.deleteRecords)
	set(22, 0, 5, b.initProducerID)
	set(23, 2, 4, b.offsetForLeaderEpoch)
	set(24, 0, 5, b.addPartitionsToTxn)
	set(25, 0, 4, b.addOffsetsToTxn)
	set(26, 0, 5, b.endTxn)
	set(27, 1, 2, b.writeTxnMarkers)
	set(28, 0, 5, b.txnOffsetCommit)
	set(32, 1, 4, b.describeConfigs)
	set(37, 0, 3, b.createPartitions)
	set(42, 0, 2, b.deleteGroups)
	set(44, 0, 1, b.incrementalAlterConfigs)
	set(47, 0, 0, b.offsetDelete)
	set(60, 0, 1, b.describeCluster)
	set(61, 0, 0, b.describeProducers)
	set(65, 0, 0, b.describeTransactions)
	set(66, 0, 2, b.listTransactions)
	return table
}

func (b *Broker) supports(key, version int16) bool {
	if key < 0 || int(key) >= len(b.apis) {
		return false
	}
	a := b.apis[key]
	return a.handle != nil && version >= a.min && version <= a.max
}
