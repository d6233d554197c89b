package broker

import (
	"github.com/sluicehub/sluice/log/broker/layout"
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
	layouts    []layout.Layout // of requests, by version from min on
}

// serves is the table of APIs. The ranges are those of Apache Kafka 4.3 unless a line says otherwise. What requests
// consist of is in the notation of layout.Compile; TestLayouts holds it against kmsg.
func (b *Broker) serves() []api {
	table := make([]api, 100)
	set := func(key, min, max int16, h handler, text string) {
		table[key] = api{h, min, max, min, layouts(key, min, max, text)}
	}
	set(0, 3, 13, b.produce, "string:3+ i16 i32 [{string:0-12 uuid:13+ [{i32 bytes}]}]")
	// librdkafka before 2.11.1 decides by Produce v0 being there whether it may compress (KAFKA-18659). Nobody
	// sends v0 to v2.
	table[0].advertised = 0
	set(1, 4, 18, b.fetch, "i32:0-14 i32 i32 i32:3+ i8:4+ i32:7+ i32:7+ [{string:0-12 uuid:13+ [{i32 i32:9+ i64 i32:12+ i64:5+ i32}]}] "+
		"[{string:7-12 uuid:13+ [i32]}]:7+ string:11+ <1={i32 i64}>")
	set(2, 1, 11, b.listOffsets, "i32 i8:2+ [{string [{i32 i32:4+ i64 i32:0}]}] i32:10+")
	set(3, 0, 13, b.metadata, "[{uuid:10+ string}] i8:4+ i8:8-10 i8:8+")
	set(8, 2, 10, b.offsetCommit, "string i32:1+ string:1+ string:7+ i64:2-4 [{string:0-9 uuid:10+ [{i32 i64 i64:1 i32:6+ string}]}]")
	set(9, 1, 10, b.offsetFetch, "string:0-7 [{string [i32]}]:0-7 [{string string:9+ i32:9+ [{string:8-9 uuid:10+ [i32]}]}]:8+ i8:7+")
	set(10, 0, 6, b.findCoordinator, "string:0-3 i8:1+ [string]:4+")
	set(11, 2, 9, b.joinGroup, "string i32 i32:1+ string string:5+ string [{string bytes}] string:8+")
	set(12, 0, 4, b.heartbeat, "string i32 string string:3+")
	set(13, 0, 5, b.leaveGroup, "string string:0-2 [{string string string:5+}]:3+")
	set(14, 0, 5, b.syncGroup, "string i32 string string:3+ string:5+ string:5+ [{string bytes}]")
	set(15, 0, 6, b.describeGroups, "[string] i8:3+")
	set(16, 0, 5, b.listGroups, "[string]:4+ [string]:5+")
	set(17, 1, 1, b.saslHandshake, "string")
	set(18, 0, 5, b.apiVersions, "string:3+ string:3+ string:5+ i32:5+")
	set(19, 2, 7, b.createTopics, "[{string i32 i16 [{i32 [i32]}] [{string string}]}] i32 i8:1+")
	set(20, 1, 6, b.deleteTopics, "[string]:0-5 [{string uuid}]:6+ i32")
	set(21, 0, 2, b.deleteRecords, "[{string [{i32 i64}]}] i32")
	set(22, 0, 5, b.initProducerID, "string i32 i64:3+ i16:3+")
	set(23, 2, 4, b.offsetForLeaderEpoch, "i32:3+ [{string [{i32 i32:2+ i32}]}]")
	set(24, 0, 5, b.addPartitionsToTxn, "string:0-3 i64:0-3 i16:0-3 [{string [i32]}]:0-3 [{string i64 i16 i8 [{string [i32]}]}]:4+")
	set(25, 0, 4, b.addOffsetsToTxn, "string i64 i16 string")
	set(26, 0, 5, b.endTxn, "string i64 i16 i8")
	set(27, 1, 2, b.writeTxnMarkers, "[{i64 i16 i8 [{string [i32]}] i32 i8:2+}]")
	set(28, 0, 5, b.txnOffsetCommit, "string string i64 i16 i32:3+ string:3+ string:3+ [{string:0-5 uuid:6+ [{i32 i64 i32:2+ string}]}]")
	set(29, 1, 3, b.describeACLs, "i8 string i8:1+ string string i8 i8")
	set(30, 1, 3, b.createACLs, "[{i8 string i8:1+ string string i8 i8}]")
	set(31, 1, 3, b.deleteACLs, "[{i8 string i8:1+ string string i8 i8}]")
	set(32, 1, 4, b.describeConfigs, "[{i8 string [string]}] i8:1+ i8:3+")
	set(33, 0, 2, b.alterConfigs, "[{i8 string [{string string}]}] i8")
	set(34, 1, 2, b.alterReplicaLogDirs, "[{string [{string [i32]}]}]")
	set(35, 1, 5, b.describeLogDirs, "[{string [i32]}]")
	set(36, 0, 2, b.saslAuthenticate, "bytes")
	set(37, 0, 3, b.createPartitions, "[{string i32 [{[i32]}]}] i32 i8")
	set(42, 0, 2, b.deleteGroups, "[string]")
	set(43, 0, 2, b.electLeaders, "i8:1+ [{string [i32]}] i32")
	set(44, 0, 1, b.incrementalAlterConfigs, "[{i8 string [{string i8 string}]}] i8")
	set(45, 0, 1, b.alterPartitionAssignments, "i32 i8:1+ [{string [{i32 [i32]}]}]")
	set(46, 0, 0, b.listPartitionReassignments, "i32 [{string [i32]}]")
	set(47, 0, 0, b.offsetDelete, "string [{string [{i32}]}]")
	set(48, 0, 1, b.describeClientQuotas, "[{string i8 string}] i8")
	set(49, 0, 1, b.alterClientQuotas, "[{[{string string}] [{string i64 i8}]}] i8")
	set(50, 0, 0, b.describeUserSCRAMCredentials, "[{string}]")
	set(51, 0, 0, b.alterUserSCRAMCredentials, "[{string i8}] [{string i8 i32 bytes bytes}]")
	set(55, 0, 2, b.describeQuorum, "[{string [{i32}]}]")
	set(60, 0, 2, b.describeCluster, "i8 i8:1+ i8:2+")
	set(61, 0, 0, b.describeProducers, "[{string [i32]}]")
	set(65, 0, 0, b.describeTransactions, "[string]")
	set(66, 0, 2, b.listTransactions, "[string] [i64] i64:1+ string:2+")
	set(68, 0, 1, b.consumerGroupHeartbeat, "string string i32 string string i32 [string] string:1+ string [{uuid [i32]}]")
	set(69, 0, 1, b.consumerGroupDescribe, "[string] i8")
	set(74, 0, 1, b.listConfigResources, "[i8]:1+")
	set(75, 0, 0, b.describeTopicPartitions, "[{string}] i32 ?{string i32}")
	return table
}

// layouts are those of an API's requests, by version.
func layouts(key, min, max int16, text string) []layout.Layout {
	all := make([]layout.Layout, 0, max-min+1)
	req := kmsg.RequestForKey(key)
	for v := min; v <= max; v++ {
		req.SetVersion(v)
		all = append(all, layout.Compile(text, v, req.IsFlexible()))
	}
	return all
}

func (b *Broker) supports(key, version int16) bool {
	if key < 0 || int(key) >= len(b.apis) {
		return false
	}
	a := b.apis[key]
	return a.handle != nil && version >= a.min && version <= a.max
}
