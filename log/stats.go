package log

import (
	"sync/atomic"
	"time"

	"github.com/sluicehub/sluice/log/vfs"
)

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
	NoSpace         int64 // calls refused because the disk was full, or above the mark

	Disk    DiskState
	Space   vfs.Space // zero where the file system cannot tell
	Ballast int64     // bytes of the ballast file, 0 when it is given up

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

// counters are the Log's share of Stats.
type counters struct {
	appends, duplicates, appendedBatches     atomic.Int64
	noSpace, saidFull                        atomic.Int64 // saidFull: ms since 1970
	cutBytes, retentionDeleted, compacted    atomic.Int64
	goneRecords, goneAppended, goneReadBytes atomic.Int64 // of deleted partitions
	syncs, syncNanos                         atomic.Int64
	syncBuckets                              []time.Duration
	syncCounts                               []atomic.Int64
}

func newCounters() counters {
	b := SyncBuckets()
	return counters{syncBuckets: b, syncCounts: make([]atomic.Int64, len(b)+1)}
}

func (c *counters) noteSync(d time.Duration) {
	c.syncs.Add(1)
	c.syncNanos.Add(int64(d))
	i := 0
	for i < len(c.syncBuckets) && d > c.syncBuckets[i] {
		i++
	}
	c.syncCounts[i].Add(1)
}

// Stats sums up all partitions.
func (l *Log) Stats() Stats {
	s := Stats{
		Appends: l.appends.Load(), Duplicates: l.duplicates.Load(), NoSpace: l.noSpace.Load(), AppendedBatches: l.appendedBatches.Load(),
		Syncs: l.syncs.Load(), SyncTime: time.Duration(l.syncNanos.Load()), CutBytes: l.cutBytes.Load(),
		RetentionDeletedBytes: l.retentionDeleted.Load(), CompactedBytes: l.compacted.Load(),
		AppendedRecords: l.goneRecords.Load(), AppendedBytes: l.goneAppended.Load(), ReadBytes: l.goneReadBytes.Load(),
	}
	s.Disk = l.disk.State()
	l.disk.mu.Lock()
	s.Space, s.Ballast = l.disk.space, l.disk.ballast
	l.disk.mu.Unlock()
	for i := range l.syncCounts {
		s.SyncCounts = append(s.SyncCounts, l.syncCounts[i].Load())
	}
	for _, t := range l.Topics() {
		s.Topics++
		for _, p := range t.Partitions() {
			ps := p.Stats()
			s.Partitions++
			s.Segments += ps.Segments
			s.Bytes += ps.Bytes
			s.AppendedRecords += ps.AppendedRecords
			s.AppendedBytes += ps.AppendedBytes
			s.ReadBytes += ps.ReadBytes
			if ps.Err != nil {
				s.FailedPartitions++
			}
		}
	}
	return s
}

// Stats of the partition.
func (p *Partition) Stats() PartitionStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := PartitionStats{
		LogStart: p.start, HighWatermark: p.hw, LogEnd: p.end, Segments: len(p.segs), Err: p.err,
		AppendedRecords: p.appendedRecords.Load(), AppendedBytes: p.appendedBytes.Load(), ReadBytes: p.readBytes.Load(),
	}
	for _, h := range p.segs {
		s.Bytes += h.Size()
	}
	return s
}
