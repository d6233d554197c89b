package elasticsearch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

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
	Error  *itemCause
}

type itemCause struct {
	Type, Reason string
	Cause        *struct{ Type, Reason string } `json:"caused_by"`
}

// itemError is what the cluster says of one operation.
type itemError struct {
	op           string
	status       int
	kind, reason string
}

func (e *itemError) Error() string {
	if e.kind == "" {
		return fmt.Sprintf("Elasticsearch answered %d to %s", e.status, e.op)
	}
	return fmt.Sprintf("Elasticsearch answered %d to %s: %s: %s", e.status, e.op, e.kind, e.reason)
}

// outcomes reads the answer to a request of n operations; nil says that all are settled. upsert says that documents
// have no versions of ours.
//
//	{"errors":true,"items":[{"index":{"status":201}},{"delete":{"status":429,"error":{"type":…,"reason":…}}},…]}
func outcomes(answer []byte, n int, upsert bool) ([]outcome, error) {
	// The common answer is recognised by its first bytes; what it says of each operation is not looked at.
	if bytes.HasPrefix(answer, []byte(`{"errors":false`)) {
		return nil, nil
	}
	var parsed struct {
		Items []map[string]itemResult
	}
	if err := json.Unmarshal(answer, &parsed); err != nil {
		return nil, fmt.Errorf("the answer to a bulk request cannot be read: %w; it begins: %.200q", err, answer)
	}
	if len(parsed.Items) != n {
		return nil, fmt.Errorf("the answer to a bulk request of %d operations speaks of %d", n, len(parsed.Items))
	}
	all := make([]outcome, n)
	for i, item := range parsed.Items {
		if len(item) != 1 {
			return nil, fmt.Errorf("the answer to a bulk request says %d things of operation %d", len(item), i)
		}
		for op, r := range item {
			if r.Status < 200 {
				return nil, fmt.Errorf("the answer to a bulk request gives operation %d the status %d", i, r.Status)
			}
			all[i] = judge(op, r, upsert)
		}
	}
	return all, nil
}

// passing are parts of the error types that say that the cluster cannot do it now, or not as it is set up: nothing is
// wrong with the document.
var passing = [...]string{"cluster_block", "rejected_execution", "circuit_breaking", "unavailable_shards", "no_shard_available",
	"retry_on_primary", "index_not_found", "index_closed", "process_cluster_event_timeout", "security_exception",
	"shard_not_found", "illegal_index_shard_state"}

// judge decides about one operation.
func judge(op string, r itemResult, upsert bool) outcome {
	switch {
	case r.Status < 300:
		return outcome{}
	case r.Status == http.StatusNotFound && op == "delete" && (r.Error == nil || r.Error.Type == "" || r.Error.Type == "index_not_found_exception"):
		return outcome{} // it is not there: that is what was wanted
	case r.Status == http.StatusConflict && op != "update" && !upsert:
		return outcome{} // the index has this version or a later one
	}
	e := &itemError{op: op, status: r.Status}
	if c := r.Error; c != nil {
		e.kind, e.reason = c.Type, c.Reason
		if c.Cause != nil && c.Cause.Reason != "" {
			e.reason += ": " + c.Cause.Reason
		}
	}
	switch r.Status {
	case http.StatusTooManyRequests, http.StatusConflict, http.StatusUnauthorized, http.StatusForbidden:
		return outcome{again, e}
	}
	if r.Status >= 500 {
		return outcome{again, e}
	}
	for _, p := range passing {
		if strings.Contains(e.kind, p) {
			return outcome{again, e}
		}
	}
	// An index that would have to be made again, and may not: the cluster has all the shards it is to have. (What is wrong
	// with an operation itself is an action_request_validation_exception.)
	if e.kind == "validation_exception" {
		return outcome{again, e}
	}
	// An alias over several indices, or a data stream where an index should be: the set-up is wrong, not the document.
	if strings.Contains(e.reason, "no write index is defined") || strings.Contains(e.reason, "op_type of create are allowed in data streams") {
		return outcome{again, e}
	}
	return outcome{refused, e}
}

// retries returns which operations must be sent again: those the cluster could not do now, and behind each of them
// the later ones on the same document, which would otherwise come first. What was refused is decided.
func retries(ops []operation, all []outcome) []int {
	var indices []int
	var docs map[uint64]bool
	for i, o := range all {
		if o.verdict == refused || o.verdict != again && !docs[ops[i].doc] {
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
