package main

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sluicehub/sluice/log/broker"
)

// brokerCollector shows the figures of the embedded log's broker.
type brokerCollector struct{ broker *broker.Broker }

// brokerDescs are the metrics with labels.
type brokerDescs struct{ latency, in, out, lag, age *prometheus.Desc }

func (brokerCollector) descs() brokerDescs {
	labelled := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	group := []string{"group", "topic", "partition"}
	return brokerDescs{
		latency: labelled("sluice_broker_request_seconds", "From the arrival of a Kafka request to the last byte of its answer; a fetch waits for records.", "api"),
		in:      labelled("sluice_broker_request_bytes_total", "Bytes of Kafka requests.", "api"),
		out:     labelled("sluice_broker_response_bytes_total", "Bytes of answers to Kafka requests.", "api"),
		lag:     labelled("sluice_group_lag_records", "Records between a group's committed offset and the end.", group...),
		age:     labelled("sluice_group_lag_seconds", "Age of the first record that a group has not committed; 0 if there is none.", group...),
	}
}

// Describe implements prometheus.Collector.
func (c brokerCollector) Describe(out chan<- *prometheus.Desc) {
	d := c.descs()
	for _, one := range []*prometheus.Desc{d.latency, d.in, d.out, d.lag, d.age} {
		out <- one
	}
}

// Collect implements prometheus.Collector.
func (c brokerCollector) Collect(out chan<- prometheus.Metric) {
	d, bounds := c.descs(), broker.LatencyBuckets()
	for _, s := range c.broker.APIStats() {
		buckets, below := make(map[float64]uint64), uint64(0)
		for i, bound := range bounds {
			below += uint64(s.Counts[i])
			buckets[bound.Seconds()] = below
		}
		out <- prometheus.MustNewConstHistogram(d.latency, uint64(s.Requests), s.Time.Seconds(), buckets, s.Name)
		out <- prometheus.MustNewConstMetric(d.in, prometheus.CounterValue, float64(s.In), s.Name)
		out <- prometheus.MustNewConstMetric(d.out, prometheus.CounterValue, float64(s.Out), s.Name)
	}
	for _, l := range c.broker.GroupLags() {
		labels := []string{l.Group, l.Topic, strconv.Itoa(int(l.Partition))}
		out <- prometheus.MustNewConstMetric(d.lag, prometheus.GaugeValue, float64(l.Records), labels...)
		out <- prometheus.MustNewConstMetric(d.age, prometheus.GaugeValue, l.Age.Seconds(), labels...)
	}
}
