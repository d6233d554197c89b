package postgres

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/jackc/pglogrepl"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// position is the source offset: where the source stands in the stream of changes. It is stored in the form that
// Debezium uses, so that each can go on where the other stopped.
//
//	lsn_commit   everything that was committed before it has been delivered: the end of the last whole transaction,
//	             or a message outside of any
//	lsn_proc, lsn   the last event delivered; inside of the transaction that follows lsn_commit if txId is its id
//	lsn_events_processed   how many events with exactly that LSN were delivered, if there are more of the transaction
//	txId, ts_usec, messageType   of that event
//	snapshot, snapshot_completed   of the rows of a snapshot, whose consistent point lsn is. While it is not complete,
//	             everything that was committed before lsn has been delivered, or is older than everything delivered
//	snapshot_reached   how far a snapshot has come that is not complete (cdc.Reached)
//	transaction_id, transaction_data_collection_order_TABLE   with provide.transaction.metadata
//	incremental_snapshot_…   while an incremental snapshot is going on (cdc.Progress)
//	incremental_snapshot_signal_offset   of the last signal that came by a topic (cdc.SignalPlace)
type position struct {
	Commit pglogrepl.LSN // 0: none yet
	Event  pglogrepl.LSN
	Count  int64 // lsn_events_processed; 0 outside of a transaction
	TxID   int64 // 0: none
	Micros int64
	Kind   string

	Snapshot  bool         // of a row of a snapshot
	Completed bool         // that is done
	Reached   *cdc.Reached // nil: nowhere yet, or it is done

	TransactionID string
	Orders        []cdc.Order

	Incremental *cdc.Progress // nil: none
	Restarted   bool          // its first table begins again: another connector has stored it
	Signals     cdc.SignalPlace
}

// append appends the offset as JSON, its members in the order in which Debezium's are printed.
func (p *position) append(dst []byte, tx *cdc.Transactions) []byte {
	number := func(name string, n int64) {
		dst = append(append(append(dst, '"'), name...), `":`...)
		dst = append(strconv.AppendInt(dst, n, 10), ',')
	}
	dst = append(dst, '{')
	if p.Snapshot {
		dst = append(dst, `"snapshot":"INITIAL","snapshot_completed":`...)
		dst = append(strconv.AppendBool(dst, p.Completed), ',')
	} else {
		dst = tx.AppendOffsetID(dst)
		if p.Event != 0 {
			number("lsn_proc", int64(p.Event))
		}
		if p.Kind != "" {
			dst = append(append(append(dst, `"messageType":"`...), p.Kind...), `",`...)
		}
		dst = tx.AppendOffsetOrders(dst)
		if p.Commit != 0 {
			number("lsn_commit", int64(p.Commit))
		}
	}
	number("lsn", int64(p.Event))
	if p.TxID != 0 {
		number("txId", p.TxID)
	}
	if p.Count != 0 {
		number("lsn_events_processed", p.Count)
	}
	number("ts_usec", p.Micros)
	if !p.usable() {
		dst = p.Reached.AppendOffset(dst)
	}
	dst = p.Signals.AppendOffset(p.Incremental.AppendOffset(dst))
	dst[len(dst)-1] = '}'
	return dst
}

// readPosition reads a stored offset. It takes what any version of Debezium wrote.
func readPosition(raw json.RawMessage) (position, error) {
	var p position
	var m map[string]json.RawMessage
	d := json.NewDecoder(bytes.NewReader(raw))
	if err := d.Decode(&m); err != nil {
		return p, fmt.Errorf("the offset is not a JSON object: %w", err)
	}
	var bad error
	number := func(name string) int64 {
		v, ok := m[name]
		if !ok || string(v) == "null" {
			return 0
		}
		n, err := strconv.ParseInt(strings.Trim(string(v), `"`), 10, 64)
		if (err != nil || n < 0) && bad == nil {
			bad = fmt.Errorf("%s of the offset must be a number, not %s", name, v)
		}
		return n
	}
	truth := func(name string) bool { return strings.Trim(string(m[name]), `"`) == "true" }
	p = position{Commit: pglogrepl.LSN(number("lsn_commit")), Event: pglogrepl.LSN(max(number("lsn_proc"), 0)),
		Count: number("lsn_events_processed"), TxID: number("txId"), Micros: number("ts_usec")}
	if p.Event == 0 {
		p.Event = pglogrepl.LSN(number("lsn"))
	}
	if bad != nil {
		return p, bad
	}
	if p.Event == 0 && p.Commit == 0 {
		return p, fmt.Errorf("the offset has none of lsn, lsn_proc and lsn_commit")
	}
	json.Unmarshal(m["messageType"], &p.Kind)
	json.Unmarshal(m["transaction_id"], &p.TransactionID)
	if s := strings.Trim(string(m["snapshot"]), `"`); s != "" && s != "null" && s != "false" {
		p.Snapshot, p.Completed = true, truth("snapshot_completed") || truth("last_snapshot_record")
		if lsn := number("lsn"); lsn != 0 { // what else there is comes from before the snapshot
			p.Event = pglogrepl.LSN(lsn)
		}
		if !p.Completed && bad == nil {
			p.Reached, bad = cdc.ReadReached(m)
		}
	}
	for name := range m {
		if table, ok := strings.CutPrefix(name, cdc.OrderKey); ok {
			p.Orders = append(p.Orders, cdc.Order{Table: table, Count: number(name)})
		}
	}
	if bad == nil {
		p.Incremental, p.Restarted, bad = cdc.ReadProgress(m)
	}
	if bad == nil {
		p.Signals, bad = cdc.ReadSignalPlace(m)
	}
	sort.Slice(p.Orders, func(i, j int) bool { return p.Orders[i].Table < p.Orders[j].Table })
	return p, bad
}

// start is where the stream is to begin.
func (p *position) start() pglogrepl.LSN {
	if p.Commit != 0 {
		return p.Commit
	}
	return p.Event
}

// usable reports whether the offset is one to go on from: a snapshot that was not finished is not.
func (p *position) usable() bool { return !p.Snapshot || p.Completed }

// sourcePartition is a source partition as it is stored: Debezium's, or with Of one beside it.
type sourcePartition struct {
	Server string `json:"server"`
	Of     string `json:"of,omitempty"`
}

// partition is the source partition of the connector.
func (s *settings) partition() json.RawMessage {
	return connectors.MarshalOffset(sourcePartition{Server: s.prefix})
}

// stored finds the connector's own offset among those that are stored; ok is false if there is none.
func (s *settings) stored(offsets []connectors.SourceOffset) (p position, ok bool, err error) {
	for _, o := range offsets {
		var part sourcePartition
		if json.Unmarshal(o.Partition, &part) != nil || part != (sourcePartition{Server: s.prefix}) || len(o.Offset) == 0 || string(o.Offset) == "null" {
			continue
		}
		p, err = readPosition(o.Offset)
		return p, err == nil, err
	}
	return position{}, false, nil
}
