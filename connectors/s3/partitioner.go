package s3

import (
	"fmt"
	"strconv"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// partitioner says which directory a record belongs to (Confluent's "encoded partition"). It is for one goroutine.
type partitioner interface {
	// appendPath appends the path of the record, consumed from that partition of its topic. The time of the record, in
	// milliseconds since the epoch, is 0 if the partitioner goes by none. now is the time of the put.
	appendPath(dst []byte, partition int32, r *connectors.Record, now int64) (path []byte, at int64, err error)
}

func newPartitioner(v configs.Values, s *settings) (partitioner, error) {
	switch pick(partitioners(), v.String("partitioner.class")) {
	case "default":
		return byPartition{}, nil
	}
	return nil, fmt.Errorf("partitioner.class=%s is not a partitioner", v.String("partitioner.class"))
}

// byPartition is the DefaultPartitioner: partition=3.
type byPartition struct{}

func (byPartition) appendPath(dst []byte, partition int32, _ *connectors.Record, _ int64) ([]byte, int64, error) {
	return strconv.AppendInt(append(dst, "partition="...), int64(partition), 10), 0, nil
}
