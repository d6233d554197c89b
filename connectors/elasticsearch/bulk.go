package elasticsearch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/sluicehub/sluice/connectors"
)

// operation is one operation of a bulk request.
type operation struct {
	start, end int // its lines in the request's body
	doc        uint64
	at         connectors.RecordRef
}

// bulk is a request in the making or under way. It belongs to one lane.
type bulk struct {
	body []byte
	ops  []operation
	// first is, of each topic partition, the first offset that is in this bulk: as long as it is not settled, the
	// partition's position is not beyond it.
	first map[connectors.TopicPartition]int64
}

func newBulk() *bulk { return &bulk{first: make(map[connectors.TopicPartition]int64)} }

// add appends an operation whose lines have been appended to body already, from start on.
func (b *bulk) add(start int, doc uint64, at connectors.TopicPartition, offset int64) {
	b.ops = append(b.ops, operation{start, len(b.body), doc, connectors.RecordRef{TopicPartition: at, Offset: offset}})
	if _, ok := b.first[at]; !ok {
		b.first[at] = offset
	}
}

func (b *bulk) reset() {
	b.body, b.ops = b.body[:0], b.ops[:0]
	clear(b.first)
}

// keep leaves only those of the operations in the request that are named, by index in ascending order.
func (b *bulk) keep(indices []int) {
	body, ops := b.body[:0], b.ops[:0]
	for _, i := range indices {
		op := b.ops[i]
		start := len(body)
		body = append(body, b.body[op.start:op.end]...) // moves towards the front only
		op.start, op.end = start, len(body)
		ops = append(ops, op)
	}
	b.body, b.ops = body, ops
}

// verdict is what the answer says of one operation.
type verdict int

const (
	settled verdict = iota
	again           // the cluster could not do it now
	refused         // it will never take this document
)

// outcome is a verdict with the reason.
type outcome struct {
	verdict verdict
	reason  error
}

// itemResult is one member of the answer's items, under the operation's name.
type itemResult struct {
	Status int
	Error  *struct {
		Type   string
		Reason string
		Cause  *struct{ Type, Reason string } `json:"caused_by"`
	}
}

// outcomes reads the answer to a request of n operations; nil says that all are settled.
func outcomes(answer []byte, n int) ([]outcome, error) {
	// The common answer is recognised by its first bytes; what it says of each operation is not looked at.
	if bytes.HasPrefix(answer, []byte(`{"errors":false`)) {
		return nil, nil
	}
	var parsed struct {
		Items []map[string]itemResult
	}
	if err := json.Unmarshal(answer, &parsed); err != nil {
		return nil, fmt.Errorf("the answer to a bulk request is not what it should be: %w", err)
	}
	if len(parsed.Items) != n {
		return nil, fmt.Errorf("the answer to a bulk request of %d operations has %d", n, len(parsed.Items))
	}
	all := make([]outcome, n)
	for i, item := range parsed.Items {
		for op, r := range item {
			all[i] = judge(op, r)
		}
	}
	return all, nil
}

// judge decides about one operation.
func judge(op string, r itemResult) outcome {
	switch {
	case r.Status < 300:
		return outcome{}
	case r.Status == http.StatusNotFound && op == "delete":
		return outcome{} // it is not there: that is what was wanted
	case r.Status == http.StatusConflict && op != "update":
		return outcome{} // the index has this version or a later one
	}
	reason := fmt.Errorf("Elasticsearch answered %d to %s", r.Status, op)
	typ := ""
	if r.Error != nil {
		typ = r.Error.Type
		text := r.Error.Reason
		if c := r.Error.Cause; c != nil {
			text += ": " + c.Reason
		}
		reason = fmt.Errorf("Elasticsearch answered %d to %s: %s: %s", r.Status, op, typ, text)
	}
	switch {
	case r.Status == http.StatusTooManyRequests, r.Status == http.StatusConflict, r.Status >= 500,
		strings.Contains(typ, "cluster_block"), strings.Contains(typ, "rejected_execution"), strings.Contains(typ, "circuit_breaking"),
		strings.Contains(typ, "unavailable_shards"), strings.Contains(typ, "no_shard_available"), strings.Contains(typ, "retry_on_primary"),
		typ == "index_not_found_exception", r.Status == http.StatusUnauthorized, r.Status == http.StatusForbidden:
		return outcome{again, reason}
	}
	return outcome{refused, reason}
}

// retries returns which operations must be sent again: those the cluster could not do now, and behind each of them
// the later ones on the same document, which would otherwise come first.
func retries(ops []operation, all []outcome) []int {
	var indices []int
	var docs map[uint64]bool
	for i, o := range all {
		if o.verdict != again && !docs[ops[i].doc] {
			continue
		}
		if docs == nil {
			docs = make(map[uint64]bool)
		}
		docs[ops[i].doc] = true
		indices = append(indices, i)
	}
	return indices
}
