package rest

import (
	"context"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/hub"
)

// collector turns the hub's figures into metrics when they are asked for. It keeps nothing.
type collector struct{ hub *hub.Hub }

// Metrics of tasks, of sinks' partitions, of children and of the worker.
var (
	taskLabels      = []string{"connector", "task"}
	recordsIn       = prometheus.NewDesc("sluice_task_records_in_total", "Records read from the source (sources) or the log (sinks).", taskLabels, nil)
	recordsOut      = prometheus.NewDesc("sluice_task_records_out_total", "Records made durable in the log (sources) or taken by the sink.", taskLabels, nil)
	bytesIn         = prometheus.NewDesc("sluice_task_bytes_in_total", "Bytes of records read.", taskLabels, nil)
	bytesOut        = prometheus.NewDesc("sluice_task_bytes_out_total", "Bytes of keys and values made durable in the log by a source.", taskLabels, nil)
	batchSizes      = prometheus.NewDesc("sluice_task_batch_records", "Records per batch.", taskLabels, nil)
	transactions    = prometheus.NewDesc("sluice_source_transaction_records", "Records per transaction of a source that delivers exactly once.", taskLabels, nil)
	retries         = prometheus.NewDesc("sluice_task_retries_total", "Calls that were made again.", taskLabels, nil)
	restarts        = prometheus.NewDesc("sluice_task_restarts_total", "Starts after a failure.", taskLabels, nil)
	recordErrors    = prometheus.NewDesc("sluice_task_record_errors_total", "Records that could not be handled.", taskLabels, nil)
	skippedRecords  = prometheus.NewDesc("sluice_task_skipped_records_total", "Records that could not be handled and were tolerated.", taskLabels, nil)
	deadLetters     = prometheus.NewDesc("sluice_task_dead_letters_total", "Records written to a dead-letter topic.", taskLabels, nil)
	commits         = prometheus.NewDesc("sluice_task_commits_total", "Times that progress was made durable.", taskLabels, nil)
	inFlight        = prometheus.NewDesc("sluice_source_in_flight_bytes", "Bytes that the log has not acknowledged.", taskLabels, nil)
	sourceLag       = prometheus.NewDesc("sluice_source_lag_milliseconds", "How old the newest record was when it became durable.", taskLabels, nil)
	lastErrorTime   = prometheus.NewDesc("sluice_task_last_error_timestamp_seconds", "When a record last could not be handled.", taskLabels, nil)
	sinkLag         = prometheus.NewDesc("sluice_sink_lag_records", "Records in the log that were not given to the sink.", []string{"connector", "task", "topic", "partition"}, nil)
	stateMetric     = prometheus.NewDesc("sluice_task_state", "1 for the state that the task is in.", []string{"connector", "task", "type", "state"}, nil)
	childCPU        = prometheus.NewDesc("sluice_child_cpu_seconds_total", "CPU time of the connector's process.", []string{"connector"}, nil)
	childRSS        = prometheus.NewDesc("sluice_child_resident_memory_bytes", "Resident memory of the connector's process.", []string{"connector"}, nil)
	connectorStates = prometheus.NewDesc("sluice_connector_state", "1 for the state that the connector itself is in, also while it has no tasks.", []string{"connector", "type", "state"}, nil)
	connectorCount  = prometheus.NewDesc("sluice_connectors", "Connectors.", nil, nil)
	workerReady     = prometheus.NewDesc("sluice_ready", "1 if the worker takes requests.", nil, nil)
	connectorFigure = "sluice_connector_"
)

// Describe leaves the descriptions to Collect: a connector's own figures are not known before.
func (c collector) Describe(chan<- *prometheus.Desc) {}

// Collect asks the hub.
func (c collector) Collect(out chan<- prometheus.Metric) {
	ready, _ := c.hub.Ready()
	out <- gauge(workerReady, float64(flag(ready)))
	if !ready {
		return
	}
	names, err := c.hub.Connectors()
	if err == nil {
		out <- gauge(connectorCount, float64(len(names)))
	}
	for _, name := range names {
		if st, err := c.hub.Status(context.Background(), name); err == nil {
			out <- gauge(connectorStates, 1, name, string(st.Kind), strings.ToLower(string(st.Connector.State)))
		}
	}
	tasks, children := c.hub.Figures(context.Background())
	for _, t := range tasks {
		collectTask(out, t)
	}
	for _, ch := range children {
		out <- counter(childCPU, ch.CPU.Seconds(), ch.Connector)
		out <- gauge(childRSS, float64(ch.RSS), ch.Connector)
	}
	collectOwn(out, tasks)
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

func counter(d *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

func gauge(d *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func histogram(d *prometheus.Desc, h hub.Histogram, labels ...string) prometheus.Metric {
	buckets := map[float64]uint64{}
	for bound, n := range h.Bounds {
		buckets[bound] = uint64(n)
	}
	return prometheus.MustNewConstHistogram(d, uint64(h.Count), h.Sum, buckets, labels...)
}

func collectTask(out chan<- prometheus.Metric, t hub.TaskFigures) {
	at := []string{t.Connector, strconv.Itoa(t.Task)}
	for _, c := range []struct {
		desc  *prometheus.Desc
		value int64
	}{
		{recordsIn, t.RecordsIn}, {recordsOut, t.RecordsOut}, {bytesIn, t.BytesIn}, {bytesOut, t.BytesOut}, {retries, t.Retries},
		{restarts, t.Restarts}, {recordErrors, t.Errors}, {skippedRecords, t.Skipped}, {deadLetters, t.DeadLetters}, {commits, t.Commits},
	} {
		out <- counter(c.desc, float64(c.value), at...)
	}
	out <- histogram(batchSizes, t.Batches, at...)
	if t.Transactions.Count > 0 {
		out <- histogram(transactions, t.Transactions, at...)
	}
	out <- gauge(stateMetric, 1, t.Connector, at[1], string(t.Kind), strings.ToLower(string(t.State)))
	if !t.LastError.IsZero() {
		out <- gauge(lastErrorTime, float64(t.LastError.UnixMilli())/1000, at...)
	}
	if t.Kind == connectors.Source {
		out <- gauge(inFlight, float64(t.InFlight), at...)
		if t.SourceLag >= 0 {
			out <- gauge(sourceLag, float64(t.SourceLag.Milliseconds()), at...)
		}
	}
	for tp, lag := range t.SinkLag {
		out <- gauge(sinkLag, float64(lag), t.Connector, at[1], tp.Topic, strconv.Itoa(int(tp.Partition)))
	}
}

// collectOwn publishes the connectors' own figures. The first help text of a name holds for all of that name, and a
// name that a task gives twice counts once: two connectors must not be able to break the whole answer.
func collectOwn(out chan<- prometheus.Metric, tasks []hub.TaskFigures) {
	help := map[string]*prometheus.Desc{}
	for _, t := range tasks {
		seen := map[string]bool{"state": true} // the hub's: connectorStates
		for _, f := range t.Own {
			if seen[f.Name] || !validName(f.Name) {
				continue
			}
			seen[f.Name] = true
			if help[f.Name] == nil {
				help[f.Name] = prometheus.NewDesc(connectorFigure+f.Name, f.Help, taskLabels, nil)
			}
			out <- gauge(help[f.Name], f.Value, t.Connector, strconv.Itoa(t.Task))
		}
	}
}

func validName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
}
