package broker

import (
	"slices"

	"github.com/sluicehub/sluice/log"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeLogDirs answers DescribeLogDirs: the data directory, and how many bytes of segments the partitions asked for
// have in it.
func (b *Broker) describeLogDirs(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.DescribeLogDirsRequest)
	resp := req.ResponseKind().(*kmsg.DescribeLogDirsResponse)
	if resp.ErrorCode = errorCode(r.cluster(mayDescribe)); resp.ErrorCode != 0 {
		return now(resp), nil
	}
	dir := kmsg.NewDescribeLogDirsResponseDir()
	dir.Dir = b.log.Dir()
	if space, err := b.log.Space(); err == nil {
		dir.TotalBytes, dir.UsableBytes = space.Total, space.Usable
	} else {
		dir.TotalBytes, dir.UsableBytes = -1, -1 // unknown, as in Kafka
	}
	for _, t := range b.log.Topics() {
		rt := kmsg.NewDescribeLogDirsResponseDirTopic()
		rt.Topic = t.Name()
		for _, p := range t.Partitions() {
			if !asksForLogDir(req, t.Name(), p.Number()) {
				continue
			}
			rt.Partitions = append(rt.Partitions, logDirOf(p))
		}
		if len(rt.Partitions) > 0 {
			dir.Topics = append(dir.Topics, rt)
		}
	}
	resp.Dirs = append(resp.Dirs, dir)
	return now(resp), nil
}

func logDirOf(p *log.Partition) kmsg.DescribeLogDirsResponseDirTopicPartition {
	rp := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
	rp.Partition, rp.Size = p.Number(), p.Stats().Bytes
	return rp
}

// asksForLogDir reports whether a request, which may mean all partitions, means this one.
func asksForLogDir(req *kmsg.DescribeLogDirsRequest, topic string, partition int32) bool {
	if req.Topics == nil {
		return true
	}
	for i := range req.Topics {
		if t := &req.Topics[i]; t.Topic == topic && slices.Contains(t.Partitions, partition) {
			return true
		}
	}
	return false
}
