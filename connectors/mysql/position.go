package mysql

import (
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// position is the source offset: where the source stands in the binary log. It is stored in the form that Debezium
// uses, so that each can go on where the other stopped.
//
//	file, pos    where reading begins again: the start of the transaction that is being read, or the end of the last
//	gtids        the transactions that have been read whole; it counts, and not file and pos, where the server has GTIDs
//	event, row   how many events of the transaction (its BEGIN is the first), and then rows of the next event, were
//	             delivered; 0 outside of a transaction
//	snapshot     of a row of a snapshot that is not complete; with initial_only also of a complete one
//	snapshot_reached   how far such a snapshot has come (cdc.Reached)
//	ts_sec, server_id   of the last event
//	transaction_id, transaction_data_collection_order_TABLE   with provide.transaction.metadata
//	incremental_snapshot_…   while an incremental snapshot is going on (cdc.Progress)
//	incremental_snapshot_signal_offset   of the last signal that came by a topic (cdc.SignalPlace)
type position struct {
	File   string
	Pos    uint64
	GTIDs  string
	Events int64
	Rows   int64
	TS     int64
	Server int64

	Snapshot  bool
	Completed bool
	Reached   *cdc.Reached // nil: nowhere yet, or it is complete

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
	text := func(name, s string) {
		dst = append(append(append(dst, '"'), name...), `":`...)
		dst = append(strconv.AppendQuote(dst, s), ',')
	}
	dst = append(dst, '{')
	dst = tx.AppendOffsetID(dst)
	number("ts_sec", p.TS)
	text("file", p.File)
	number("pos", int64(p.Pos))
	if p.GTIDs != "" {
		text("gtids", p.GTIDs)
	}
	dst = tx.AppendOffsetOrders(dst)
	if p.Snapshot {
		dst = append(dst, `"snapshot":"INITIAL","snapshot_completed":`...)
		dst = append(strconv.AppendBool(dst, p.Completed), ',')
	}
	if p.Rows > 0 {
		number("row", p.Rows)
	}
	if p.Server != 0 {
		number("server_id", p.Server)
	}
	if p.Events > 0 {
		number("event", p.Events)
	}
	if p.Snapshot && !p.Completed {
		dst = p.Reached.AppendOffset(dst)
	}
	dst = p.Signals.AppendOffset(p.Incremental.AppendOffset(dst))
	dst[len(dst)-1] = '}'
	return dst
}

// usable reports whether the stream can go on at the position: no snapshot has to be taken first.
func (p *position) usable() bool { return p.File != "" && (!p.Snapshot || p.Completed) }

func readPosition(raw json.RawMessage) (position, error) {
	var p position
	var m map[string]json.RawMessage
	if err := json.Unmarshal(raw, &m); err != nil {
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
	text := func(name string) (s string) {
		if v, ok := m[name]; ok && json.Unmarshal(v, &s) != nil && bad == nil {
			bad = fmt.Errorf("%s of the offset must be a text, not %s", name, v)
		}
		return s
	}
	truth := func(name string) bool {
		s := strings.ToLower(strings.Trim(string(m[name]), `"`))
		return s != "" && s != "null" && s != "false"
	}
	p = position{File: text("file"), Pos: uint64(number("pos")), GTIDs: strings.ReplaceAll(text("gtids"), "\n", ""), Events: number("event"),
		Rows: number("row"), TS: number("ts_sec"), Server: number("server_id"), TransactionID: text("transaction_id"),
		Snapshot: truth("snapshot"), Completed: truth("snapshot_completed")}
	for name := range m {
		if table, ok := strings.CutPrefix(name, cdc.OrderKey); ok {
			p.Orders = append(p.Orders, cdc.Order{Table: table, Count: number(name)})
		}
	}
	sort.Slice(p.Orders, func(i, j int) bool { return p.Orders[i].Table < p.Orders[j].Table })
	if bad == nil {
		p.Incremental, p.Restarted, bad = cdc.ReadProgress(m)
	}
	if bad == nil {
		p.Signals, bad = cdc.ReadSignalPlace(m)
	}
	if bad == nil && p.Snapshot && !p.Completed {
		p.Reached, bad = cdc.ReadReached(m)
	}
	if bad == nil && p.File == "" {
		bad = errors.New("the offset has no file")
	}
	return p, bad
}

// partition is the source partition of the position.
func (s *settings) partition() json.RawMessage {
	return connectors.MarshalOffset(struct {
		Server string `json:"server"`
	}{s.prefix})
}

// sourcePartition is any of the connector's source partitions: of the position, or of the versions of a table.
type sourcePartition struct {
	Server string `json:"server"`
	Table  string `json:"table,omitempty"`
}

// stored returns the position among the stored offsets.
func (s *settings) stored(offsets []connectors.SourceOffset) (p position, ok bool, err error) {
	for _, o := range offsets {
		var part sourcePartition
		if json.Unmarshal(o.Partition, &part) != nil || part.Server != s.prefix || part.Table != "" || len(o.Offset) == 0 || string(o.Offset) == "null" {
			continue
		}
		p, err = readPosition(o.Offset)
		return p, err == nil, err
	}
	return position{}, false, nil
}

// errGTID says that a text is no set of GTIDs.
var errGTID = errors.New("not a set of GTIDs")

// parseGTIDs reads a set of GTIDs: uuid[:tag]:1-5:7,… of MySQL, domain-server-sequence,… of MariaDB.
func (f flavor) parseGTIDs(text string) (set mysql.GTIDSet, err error) {
	defer func() {
		if recover() != nil { // the library's parser trusts the shape of what it reads
			set, err = nil, fmt.Errorf("%q is %w", text, errGTID)
		}
	}()
	if set, err = mysql.ParseGTIDSet(f.name, strings.Join(strings.Fields(text), "")); err != nil {
		return nil, fmt.Errorf("%q is %w: %w", text, errGTID, err)
	}
	return set, nil
}
