package log

import "time"

// SyncBuckets are the upper bounds of Stats.SyncCounts; one more count follows
// for everything above.
func SyncBuckets() []time.Duration {
	return []time.Duration{
		100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
		time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
		10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
		100 * time.Millisecond, 250 * time.Millisecond, time.Second,
	}
}

// Stats are figures of the whole Log. Counters count from Open.
type Stats struct {
	Topics           int
	Partitions       int
	FailedPartitions int // that refuse writes
	Segments         int
	Bytes            int64 // of segments on disk

	AppendedBatches int64
	AppendedRecords int64
	AppendedBytes   int64
	ReadBytes       int64
	Appends         int64 // calls
	Duplicates      int64 // batches answered from memory

	Syncs      int64         // fsyncs of segments
	SyncTime   time.Duration // total
	SyncCounts []int64       // by SyncBuckets
	CutBytes   int64         // torn tails cut at Open

	RetentionDeletedBytes int64
	CompactedBytes        int64 // bytes that compaction removed
}

// PartitionStats are figures of one partition.
type PartitionStats struct {
	LogStart        int64
	HighWatermark   int64
	LogEnd          int64
	Segments        int
	Bytes           int64
	AppendedRecords int64
	AppendedBytes   int64
	ReadBytes       int64
	Err             error
}

// Stats of the partition.
func (p *Partition) Stats() PartitionStats { return PartitionStats{} }
