package elasticsearch

import (
	"errors"
	"net/http"
	"strings"

	"github.com/sluicehub/sluice/connectors"
)

// Remedies that a person can act on.
const (
	remedyLogin = "check connection.username and connection.password, or connection.api.key"
	remedyProxy = "check proxy.username and proxy.password"
	remedyRight = "give the user the privileges create_index, view_index_metadata, index and delete on the indices it writes to"
	remedyBlock = "the index is blocked for writes (by hand, or by Elasticsearch when a disk is nearly full): free space, then " +
		`PUT INDEX/_settings {"index.blocks.write":null,"index.blocks.read_only":null,"index.blocks.read_only_allow_delete":null}`
	remedyIndex = "create the index, or set action.auto_create_index so that it may be created"
	remedyFull  = "delete or close indices that are not needed, add a node, or raise cluster.max_shards_per_node"
	remedySlow  = "if the cluster is slow and nothing else is wrong, raise read.timeout.ms, or lower batch.size"
	remedyMoved = "put the address that it leads to into connection.url"
	remedyAlias = "set external.resource.usage and topic.to.external.resource.mapping to an index, or to an alias with is_write_index"
)

// classed says what an error of the cluster means to the hub.
func classed(op string, err error) error {
	var ce *connectors.Error
	if err == nil || errors.As(err, &ce) {
		return err
	}
	e := &connectors.Error{Op: op, Class: connectors.ClassEnvironment, Retriable: true, Err: err}
	status, text := 0, ""
	var he *httpError
	var ie *itemError
	switch {
	case errors.As(err, &he):
		status, text = he.status, he.body
		if status == http.StatusBadRequest && !noShards(err) {
			e.Class, e.Retriable = connectors.ClassConfig, false
		}
	case errors.As(err, &ie):
		status, text = ie.status, ie.kind
	}
	switch {
	case errors.Is(err, errSilence):
		e.Remedy = remedySlow
	case noShards(err):
		e.Remedy = remedyFull
	case he != nil && status < 400:
		e.Remedy = remedyMoved
	case strings.Contains(text, "cluster_block"):
		e.Remedy = remedyBlock
	case status == http.StatusUnauthorized:
		e.Remedy = remedyLogin
	case status == http.StatusProxyAuthRequired:
		e.Remedy = remedyProxy
	case status == http.StatusForbidden:
		e.Remedy = remedyRight
	case strings.Contains(text, "index_not_found"):
		e.Remedy = remedyIndex
	case ie != nil && ie.status == http.StatusBadRequest:
		e.Remedy = remedyAlias
	}
	return e
}

// noShards reports whether an index cannot be made because the cluster has all the shards it is to have.
func noShards(err error) bool { return strings.Contains(err.Error(), "shards open") }
