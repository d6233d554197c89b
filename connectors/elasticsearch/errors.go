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
		if status == http.StatusBadRequest {
			e.Class, e.Retriable = connectors.ClassConfig, false
		}
	case errors.As(err, &ie):
		status, text = ie.status, ie.kind
	}
	switch {
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
