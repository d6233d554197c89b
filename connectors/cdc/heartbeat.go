package cdc

import "github.com/sluicehub/sluice/connectors"

// Heartbeats makes the records that show that a source is alive and carry its source offset on.
type Heartbeats struct {
	topic      string
	server     string
	key, value *connectors.Schema
}

// NewHeartbeats returns the heartbeats of the source with that topic.prefix.
func NewHeartbeats(topic, prefix string) *Heartbeats {
	return &Heartbeats{
		topic: topic, server: prefix,
		key: &connectors.Schema{Type: connectors.Struct, Name: "io.debezium.connector.common.ServerNameKey", Version: 1,
			Fields: []connectors.Field{{Name: "serverName", Schema: connectors.StringSchema}}},
		value: &connectors.Schema{Type: connectors.Struct, Name: "io.debezium.connector.common.Heartbeat", Version: 1,
			Fields: []connectors.Field{{Name: "ts_ms", Schema: connectors.Int64Schema}}},
	}
}

// Append appends a heartbeat to the batch. ms is the time in milliseconds since the epoch.
func (h *Heartbeats) Append(b *connectors.Batch, ms int64) {
	at := len(b.Buf)
	b.Buf = connectors.AppendString(b.Buf, h.server)
	split := len(b.Buf)
	b.Buf = connectors.AppendInt(b.Buf, ms)
	b.Records = append(b.Records, connectors.Record{
		Topic: h.topic, Partition: 0, Timestamp: connectors.NoTimestamp,
		Key:   connectors.Data{Schema: h.key, Bytes: b.Buf[at:split:split]},
		Value: connectors.Data{Schema: h.value, Bytes: b.Buf[split:len(b.Buf):len(b.Buf)]},
	})
}
