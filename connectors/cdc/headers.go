package cdc

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/sluicehub/sluice/connectors"
)

// Names of the headers that tell where the row of a changed key went, and where it was. Their values have the key's
// schema.
const (
	NewKeyHeader = "__debezium.newkey"
	OldKeyHeader = "__debezium.oldkey"
)

// ContextHeaders returns the headers that every change record of a task carries. The slice is to be shared by all
// records.
func ContextHeaders(prefix string, task int, connector, run string) []connectors.Header {
	header := func(name, value string) connectors.Header {
		return connectors.Header{Key: "__debezium.context." + name,
			Value: connectors.Data{Schema: connectors.StringSchema, Bytes: connectors.AppendString(nil, value)}}
	}
	return []connectors.Header{header("connectorLogicalName", prefix), header("taskId", strconv.Itoa(task)),
		header("connectorName", connector), header("runId", run)}
}

// KeyHeaders returns the headers of a record of a row whose key changed: the other key first, then the context.
func KeyHeaders(name string, key connectors.Data, context []connectors.Header) []connectors.Header {
	return append([]connectors.Header{{Key: name, Value: key}}, context...)
}

// NewRunID returns a UUID of version 7 (RFC 9562): the time in milliseconds, then random bits.
func NewRunID(now time.Time) string {
	var u [16]byte
	rand.Read(u[:]) // never fails, says its documentation
	ms := uint64(now.UnixMilli())
	binary.BigEndian.PutUint16(u[:], uint16(ms>>32))
	binary.BigEndian.PutUint32(u[2:], uint32(ms))
	u[6] = u[6]&0x0f | 0x70
	u[8] = u[8]&0x3f | 0x80
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
