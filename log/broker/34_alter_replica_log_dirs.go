package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// alterReplicaLogDirs answers AlterReplicaLogDirs: there is one directory, so a partition is in it already, and cannot be
// moved to any other.
func (b *Broker) alterReplicaLogDirs(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.AlterReplicaLogDirsRequest)
	resp := req.ResponseKind().(*kmsg.AlterReplicaLogDirsResponse)
	refused := r.cluster(mayAlter)
	for _, d := range req.Dirs {
		for _, t := range d.Topics {
			rt := kmsg.NewAlterReplicaLogDirsResponseTopic()
			rt.Topic = t.Topic
			for _, n := range t.Partitions {
				rp := kmsg.NewAlterReplicaLogDirsResponseTopicPartition()
				rp.Partition = n
				if refused != nil {
					rp.ErrorCode = errorCode(refused)
				} else if d.Dir != b.log.Dir() {
					rp.ErrorCode = kerr.LogDirNotFound.Code
				} else {
					_, err := b.log.Partition(t.Topic, n)
					rp.ErrorCode = errorCode(err)
				}
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
	}
	return now(resp), nil
}
