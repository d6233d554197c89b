package main

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sluicehub/sluice/log"
	"github.com/sluicehub/sluice/log/broker"
	"github.com/sluicehub/sluice/schemaregistry"
)

// collectors are the metrics of the log and the registry, beside the hub's own.
func collectors(b *brokers, registry *schemaregistry.Registry) []prometheus.Collector {
	all := []prometheus.Collector{registryCollector(registry)}
	if b.log != nil {
		all = append(all, logCollector(b.log), brokerCollector{b.broker}, transactionCollector(b.broker), prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "sluice_broker_connections", Help: "Kafka clients connected, those of this process included."},
			func() float64 { return float64(b.broker.Connections()) }))
	}
	return all
}

// figure is one metric of a snapshot S of figures.
type figure[S any] struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(S) float64
}

// snapshotCollector takes a snapshot when metrics are asked for, and shows its figures. It keeps nothing.
type snapshotCollector[S any] struct {
	take    func() S
	figures []figure[S]
	more    func(S, chan<- prometheus.Metric)
}

// Describe implements prometheus.Collector.
func (c *snapshotCollector[S]) Describe(out chan<- *prometheus.Desc) {
	for _, f := range c.figures {
		out <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (c *snapshotCollector[S]) Collect(out chan<- prometheus.Metric) {
	s := c.take()
	for _, f := range c.figures {
		out <- prometheus.MustNewConstMetric(f.desc, f.kind, f.of(s))
	}
	if c.more != nil {
		c.more(s, out)
	}
}

func desc(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, nil, nil) }

func registryCollector(r *schemaregistry.Registry) prometheus.Collector {
	type s = schemaregistry.Figures
	return &snapshotCollector[s]{take: r.Figures, figures: []figure[s]{
		{desc("sluice_registry_subjects", "Subjects of the schema registry."), prometheus.GaugeValue, func(f s) float64 { return float64(f.Subjects) }},
		{desc("sluice_registry_versions", "Versions of all subjects."), prometheus.GaugeValue, func(f s) float64 { return float64(f.Versions) }},
		{desc("sluice_registry_deleted_versions", "Versions that are deleted and could be restored."), prometheus.GaugeValue, func(f s) float64 { return float64(f.DeletedVersions) }},
		{desc("sluice_registry_writes", "1 if this registry is the one of its group that writes."), prometheus.GaugeValue, func(f s) float64 {
			if f.Writes {
				return 1
			}
			return 0
		}},
		{desc("sluice_registry_schemas", "Schemas with an id."), prometheus.GaugeValue, func(f s) float64 { return float64(f.Schemas) }},
	}}
}

func transactionCollector(b *broker.Broker) prometheus.Collector {
	type s = broker.TransactionFigures
	return &snapshotCollector[s]{take: b.Transactions, figures: []figure[s]{
		{desc("sluice_broker_transactional_ids", "Transactional ids of Kafka clients."), prometheus.GaugeValue, func(f s) float64 { return float64(f.IDs) }},
		{desc("sluice_broker_open_transactions", "Transactions that are open: readers of committed records stop before them."), prometheus.GaugeValue, func(f s) float64 { return float64(f.Open) }},
		{desc("sluice_broker_oldest_transaction_seconds", "How long the oldest open transaction has been open."), prometheus.GaugeValue, func(f s) float64 { return f.OldestOpen.Seconds() }},
		{desc("sluice_broker_incomplete_transactions", "Transactions that are decided and lack markers; more than a moment means that a partition cannot be written."), prometheus.GaugeValue, func(f s) float64 { return float64(f.Incomplete) }},
	}}
}

func logCollector(l *log.Log) prometheus.Collector {
	type s = log.Stats
	fsync := desc("sluice_log_fsync_seconds", "Time of the fsyncs of segments.")
	return &snapshotCollector[s]{take: l.Stats,
		figures: []figure[s]{
			{desc("sluice_log_topics", "Topics of the embedded log."), prometheus.GaugeValue, func(f s) float64 { return float64(f.Topics) }},
			{desc("sluice_log_partitions", "Partitions of the embedded log."), prometheus.GaugeValue, func(f s) float64 { return float64(f.Partitions) }},
			{desc("sluice_log_failed_partitions", "Partitions that refuse writes."), prometheus.GaugeValue, func(f s) float64 { return float64(f.FailedPartitions) }},
			{desc("sluice_log_segments", "Segment files."), prometheus.GaugeValue, func(f s) float64 { return float64(f.Segments) }},
			{desc("sluice_log_size_bytes", "Bytes of all segment files."), prometheus.GaugeValue, func(f s) float64 { return float64(f.Bytes) }},
			{desc("sluice_log_appended_records_total", "Records appended."), prometheus.CounterValue, func(f s) float64 { return float64(f.AppendedRecords) }},
			{desc("sluice_log_appended_bytes_total", "Bytes appended."), prometheus.CounterValue, func(f s) float64 { return float64(f.AppendedBytes) }},
			{desc("sluice_log_read_bytes_total", "Bytes read."), prometheus.CounterValue, func(f s) float64 { return float64(f.ReadBytes) }},
			{desc("sluice_log_duplicate_batches_total", "Batches that a producer sent again."), prometheus.CounterValue, func(f s) float64 { return float64(f.Duplicates) }},
			{desc("sluice_log_no_space_total", "Appends refused because the disk was full."), prometheus.CounterValue, func(f s) float64 { return float64(f.NoSpace) }},
			{desc("sluice_log_disk_state", "How full the disk is: 0 below the marks, 1 above that of the warning, 2 above that from which producers are refused."), prometheus.GaugeValue, func(f s) float64 { return float64(f.Disk) }},
			{desc("sluice_log_disk_bytes", "Size of the disk that the embedded log is on."), prometheus.GaugeValue, func(f s) float64 { return float64(f.Space.Total) }},
			{desc("sluice_log_disk_usable_bytes", "Space that is left for the embedded log."), prometheus.GaugeValue, func(f s) float64 { return float64(f.Space.Usable) }},
			{desc("sluice_log_ballast_bytes", "The file that is given up when the disk is full; 0 while it is."), prometheus.GaugeValue, func(f s) float64 { return float64(f.Ballast) }},
			{desc("sluice_log_cut_bytes", "Bytes of torn ends that were cut off at the start."), prometheus.GaugeValue, func(f s) float64 { return float64(f.CutBytes) }},
			{desc("sluice_log_retention_deleted_bytes_total", "Bytes deleted by retention."), prometheus.CounterValue, func(f s) float64 { return float64(f.RetentionDeletedBytes) }},
			{desc("sluice_log_compacted_bytes_total", "Bytes removed by compaction."), prometheus.CounterValue, func(f s) float64 { return float64(f.CompactedBytes) }},
		},
		more: func(f s, out chan<- prometheus.Metric) {
			buckets, below := make(map[float64]uint64), uint64(0)
			for i, bound := range log.SyncBuckets() {
				below += uint64(f.SyncCounts[i])
				buckets[bound.Seconds()] = below
			}
			out <- prometheus.MustNewConstHistogram(fsync, uint64(f.Syncs), f.SyncTime.Seconds(), buckets)
		}}
}
