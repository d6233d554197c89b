package cdc

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"log/slog"
	"slices"
	"strconv"
)

// Reached is how far a snapshot has come: the tables before Table are delivered, in the order of reading, and of Table
// what lies before From. Every batch of a snapshot stores it in its source offset, in a member that Debezium passes
// over, as a text of JSON:
//
//	snapshot_reached  {"schema":"shop","table":"orders","from":"2048","form":"16403/9c2f1b","since":"731","before":"2/af63dc4c","chunks":17}
type Reached struct {
	Schema string `json:"schema"`
	Table  string `json:"table"`
	// From is where the first chunk begins that is not delivered; "" is the table's begin.
	From string `json:"from,omitempty"`
	// Form says what the table is like. Of a table of another form nothing is delivered.
	Form string `json:"form,omitempty"`
	// Since tells rows before From that were written since they were read from those that were not, where a row can come
	// to lie before From without being read; "" where it cannot.
	Since string `json:"since,omitempty"`
	// Before is a digest of the names of the tables before.
	Before string `json:"before,omitempty"`
	// Chunks is how many were delivered.
	Chunks int `json:"chunks,omitempty"`
}

const reachedMember = "snapshot_reached"

// AppendOffset appends the member to an offset whose last one ends with a comma. A nil *Reached has none.
func (r *Reached) AppendOffset(dst []byte) []byte {
	if r == nil {
		return dst
	}
	inner, _ := json.Marshal(r) // of texts and a number: cannot fail
	outer, _ := json.Marshal(string(inner))
	return append(append(append(dst, `"`+reachedMember+`":`...), outer...), ',')
}

// ReadReached finds the member in a stored offset; nil if it has none.
func ReadReached(m map[string]json.RawMessage) (*Reached, error) {
	raw, ok := m[reachedMember]
	if !ok || string(raw) == "null" {
		return nil, nil
	}
	var text string
	r := &Reached{}
	err := json.Unmarshal(raw, &text)
	if err == nil {
		err = json.Unmarshal([]byte(text), r)
	}
	if err != nil {
		return nil, fmt.Errorf("%s of the offset cannot be read: %w", reachedMember, err)
	}
	return r, nil
}

// Find returns how many of the tables, which are in the order of reading, are delivered, and where to go on with the
// others. Nothing is, and the place is nil, if there is none, or if no tables before it are those that were, because then
// nobody knows that the rows of each were delivered.
func (r *Reached) Find(tables []Table, log *slog.Logger) (delivered int, resumed *Reached) {
	if r == nil {
		return 0, nil
	}
	delivered = slices.Index(Digests(tables), r.Before)
	if delivered < 0 {
		log.Warn("the interrupted snapshot begins anew: the tables that it has read are not those that are captured now")
		return 0, nil
	}
	return delivered, r
}

// In reports whether the snapshot has come to the middle of the table.
func (r *Reached) In(t Table) bool { return r != nil && r.From != "" && t == Table{r.Schema, r.Table} }

// Digests returns the digests of the names of the first 0, 1, 2 … of the tables; "" of none.
func Digests(tables []Table) []string {
	out := make([]string, 1, len(tables)+1)
	h := fnv.New64a()
	for i, t := range tables {
		fmt.Fprintf(h, "%s\x00%s\x00", t.Schema, t.Name)
		out = append(out, strconv.Itoa(i+1)+"/"+strconv.FormatUint(h.Sum64(), 16))
	}
	return out
}
