package broker

import (
	"context"

	"github.com/sluicehub/sluice/log"
	"github.com/sluicehub/sluice/log/segment"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// writeTxnMarkers answers WriteTxnMarkers, which ends the open transaction of a producer in the partitions named,
// whatever the coordinator thinks: kafka-transactions aborts with it what hangs.
func (b *Broker) writeTxnMarkers(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.WriteTxnMarkersRequest)
	resp := req.ResponseKind().(*kmsg.WriteTxnMarkersResponse)
	for i := range req.Markers {
		m := &req.Markers[i]
		rm := kmsg.NewWriteTxnMarkersResponseMarker()
		rm.ProducerID = m.ProducerID
		marker := segment.Marker{ProducerID: m.ProducerID, ProducerEpoch: m.ProducerEpoch, Commit: m.Committed, CoordinatorEpoch: m.CoordinatorEpoch}
		for _, t := range m.Topics {
			rt := kmsg.NewWriteTxnMarkersResponseMarkerTopic()
			rt.Topic = t.Topic
			for _, p := range t.Partitions {
				rp := kmsg.NewWriteTxnMarkersResponseMarkerTopicPartition()
				err := r.cluster(mayAlter)
				if err == nil {
					err = b.writeMarker(place{t.Topic, p}, marker)
				}
				rp.Partition, rp.ErrorCode = p, errorCode(err)
				rt.Partitions = append(rt.Partitions, rp)
			}
			rm.Topics = append(rm.Topics, rt)
		}
		resp.Markers = append(resp.Markers, rm)
	}
	return now(resp), nil
}

func (b *Broker) writeMarker(at place, m segment.Marker) error {
	if m.ProducerID < 0 || m.ProducerEpoch < 0 {
		return log.ErrInvalidRecord
	}
	part, err := b.log.Partition(at.topic, at.partition)
	if err != nil {
		return err
	}
	a, err := part.EndTransaction(m)
	if err == nil {
		err = a.Wait(context.Background())
	}
	if err == nil && at.topic == offsetsTopic {
		b.groups.store.decide(m.ProducerID, m.Commit)
	}
	return err
}
