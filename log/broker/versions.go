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

// serves is the table of APIs. The ranges are those of Apache Kafka 4.3 unless a line says otherwise.
func (b *Broker) serves() []api {
	table := make([]api, 100)
	set := func(key, min, max int16, h handler) { table[key] = api{h, min, max, min} }
	set(0, 3, 13, b.produce)
	// librdkafka before 2.11.1 decides by Produce v0 being there whether it may compress (KAFKA-18659). Nobody
	// sends v0 to v2.
	table[0].advertised = 0
	set(1, 4, 18, b.fetch)
	set(2, 1, 11, b.listOffsets)
	set(3, 0, 13, b.metadata)
	set(8, 2, 10, b.offsetCommit)
	set(9, 1, 10, b.offsetFetch)
	set(10, 0, 6, b.findCoordinator)
	set(11, 2, 9, b.joinGroup)
	set(12, 0, 4, b.heartbeat)
	set(13, 0, 5, b.leaveGroup)
	set(14, 0, 5, b.syncGroup)
	set(15, 0, 6, b.describeGroups)
	set(16, 0, 5, b.listGroups)
	set(17, 1, 1, b.saslHandshake)
	set(18, 0, 5, b.apiVersions)
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
	set(29, 1, 3, b.describeACLs)
	set(30, 1, 3, b.createACLs)
	set(31, 1, 3, b.deleteACLs)
	set(32, 1, 4, b.describeConfigs)
	set(33, 0, 2, b.alterConfigs)
	set(34, 1, 2, b.alterReplicaLogDirs)
	set(35, 1, 5, b.describeLogDirs)
	set(36, 0, 2, b.saslAuthenticate)
	set(37, 0, 3, b.createPartitions)
	set(42, 0, 2, b.deleteGroups)
	set(43, 0, 2, b.electLeaders)
	set(44, 0, 1, b.incrementalAlterConfigs)
	set(45, 0, 1, b.alterPartitionAssignments)
	set(46, 0, 0, b.listPartitionReassignments)
	set(47, 0, 0, b.offsetDelete)
	set(48, 0, 1, b.describeClientQuotas)
	set(49, 0, 1, b.alterClientQuotas)
	set(50, 0, 0, b.describeUserSCRAMCredentials)
	set(51, 0, 0, b.alterUserSCRAMCredentials)
	set(55, 0, 2, b.describeQuorum)
	set(60, 0, 2, b.describeCluster)
	set(61, 0, 0, b.describeProducers)
	set(65, 0, 0, b.describeTransactions)
	set(66, 0, 2, b.listTransactions)
	set(68, 0, 1, b.consumerGroupHeartbeat)
	set(69, 0, 1, b.consumerGroupDescribe)
	set(74, 0, 1, b.listConfigResources)
	set(75, 0, 0, b.describeTopicPartitions)
	return table
}

func (b *Broker) supports(key, version int16) bool {
	if key < 0 || int(key) >= len(b.apis) {
		return false
	}
	a := b.apis[key]
	return a.handle != nil && version >= a.min && version <= a.max
}
