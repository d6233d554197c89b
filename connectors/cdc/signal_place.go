package cdc

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// SignalPlace is where a source stands in the topic of signals: behind the last one that it has carried out. 0 is nowhere
// yet. It is stored in the source offset, in a member that Debezium's read-only snapshots have, too:
//
//	incremental_snapshot_signal_offset  the offset of that signal's record
type SignalPlace int64

const signalMember = "incremental_snapshot_signal_offset"

// AppendOffset appends the member to an offset whose last one ends with a comma.
func (p SignalPlace) AppendOffset(dst []byte) []byte {
	if p == 0 {
		return dst
	}
	return append(strconv.AppendInt(append(dst, `"`+signalMember+`":`...), int64(p)-1, 10), ',')
}

// ReadSignalPlace finds the member in a stored offset; 0 if it has none.
func ReadSignalPlace(m map[string]json.RawMessage) (SignalPlace, error) {
	raw, ok := m[signalMember]
	if !ok || string(raw) == "null" {
		return 0, nil
	}
	n, err := strconv.ParseInt(strings.Trim(string(raw), `"`), 10, 63)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s of the offset must be a number, not %s", signalMember, raw)
	}
	return SignalPlace(n + 1), nil
}
