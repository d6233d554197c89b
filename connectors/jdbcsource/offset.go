package jdbcsource

import (
	"encoding/json"
	"fmt"

	"github.com/sluicehub/sluice/connectors"
)

// sourcePartition has the member names of Confluent's connector, so that offsets which a Kafka Connect worker stored are
// taken over. A query has the one member "query". Before protocol 1 a table was named without schema and without
// protocol.
type sourcePartition struct {
	Protocol string `json:"protocol,omitempty"`
	Table    string `json:"table,omitempty"`
	Query    string `json:"query,omitempty"`
}

const (
	protocol       = "1"
	queryPartition = "query"
)

// sourceOffset is how far a table or query was read. A mode has those members that it goes by.
type sourceOffset struct {
	Incrementing *int64 `json:"incrementing,omitempty"`
	// Timestamp is in milliseconds since 1970; Nanos is the fraction of its second, in which the milliseconds are again.
	Timestamp *int64 `json:"timestamp,omitempty"`
	Nanos     *int64 `json:"timestamp_nanos,omitempty"`
}

// position is a source offset in use: every row up to it was read.
type position struct {
	id int64
	at instant
}

// before reports whether rows at p are read before those at o. What a mode does not go by is the same in both.
func (p position) before(o position) bool { return p.at.before(o.at) || p.at == o.at && p.id < o.id }

// encode returns the source offset of a mode.
func (p position) encode(m mode) json.RawMessage {
	var o sourceOffset
	if m.increments() {
		o.Incrementing = &p.id
	}
	if m.stamped() {
		ms, nanos := p.at.milliseconds(), int64(p.at.nanos)
		o.Timestamp, o.Nanos = &ms, &nanos
	}
	return connectors.MarshalOffset(o)
}

// withOffset returns the position with what the source offset says. stamped reports whether it says a time.
func (p position) withOffset(o sourceOffset) (_ position, stamped bool) {
	if o.Incrementing != nil {
		p.id = *o.Incrementing
	}
	if o.Timestamp == nil {
		return p, false
	}
	p.at = ofMilliseconds(*o.Timestamp)
	if o.Nanos != nil {
		p.at.nanos = int32(*o.Nanos)
	}
	return p, true
}

func readPartition(text json.RawMessage) (sourcePartition, error) {
	var p sourcePartition
	if err := connectors.UnmarshalOffset(text, &p); err != nil {
		return p, offsetError(fmt.Errorf("source partition %s: %w", text, err))
	}
	table := p.Table != "" && p.Query == "" && (p.Protocol == protocol || p.Protocol == "")
	if !table && p != (sourcePartition{Query: queryPartition}) {
		return p, offsetError(fmt.Errorf("source partition %s is neither a table's nor a query's", text))
	}
	return p, nil
}

func readOffset(text json.RawMessage) (sourceOffset, error) {
	var o sourceOffset
	if err := connectors.UnmarshalOffset(text, &o); err != nil {
		return o, offsetError(fmt.Errorf("source offset %s: %w", text, err))
	}
	if o.Nanos != nil && (o.Timestamp == nil || *o.Nanos < 0 || *o.Nanos > 999999999) {
		return o, offsetError(fmt.Errorf(`source offset %s: "timestamp_nanos" must be from 0 to 999999999, beside "timestamp"`, text))
	}
	return o, nil
}

func offsetError(err error) error {
	return &connectors.Error{Op: "read the source offset", Class: connectors.ClassConfig, Err: err,
		Remedy: `source offsets of this connector look like {"partition":{"protocol":"1","table":"public.orders"},"offset":{"incrementing":7,"timestamp":1700000000123,"timestamp_nanos":123456000}}, ` +
			`of a query with the partition {"query":"query"}`}
}

// stored finds the offset of a table (or of the query, if t is nil) among the stored ones: by its present name, by the
// names that other versions of Confluent's connector and drivers gave it, and before protocol 1. The partition that it
// returns is the one to go on under, so that there are never two.
func stored(offsets []connectors.SourceOffset, t *table, database string) (json.RawMessage, *sourceOffset, error) {
	wanted := []sourcePartition{{Query: queryPartition}}
	if t != nil {
		wanted = []sourcePartition{{Protocol: protocol, Table: t.String()}, {Protocol: protocol, Table: dotted(database, t.schema, t.name)},
			{Protocol: protocol, Table: t.name}, {Table: t.name}}
	}
	for _, w := range wanted {
		for _, o := range offsets {
			p, err := readPartition(o.Partition)
			if err != nil {
				return nil, nil, err
			}
			if p != w || o.Offset == nil {
				continue
			}
			offset, err := readOffset(o.Offset)
			return o.Partition, &offset, err
		}
	}
	return connectors.MarshalOffset(wanted[0]), nil, nil
}
