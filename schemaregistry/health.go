package schemaregistry

import (
	"net/http"

	"github.com/twmb/franz-go/pkg/kadm"
)

// health answers Karapace's and Redpanda's questions whether the registry is alive: 503 if it cannot read its topic.
func (c *call) health() (any, error) {
	if err := c.registry.Health(); err != nil {
		return nil, &Error{Status: http.StatusServiceUnavailable, Code: http.StatusServiceUnavailable, Message: "The registry cannot read its topic", Err: err}
	}
	return struct {
		Healthy bool   `json:"healthy"`
		Topic   string `json:"topic"`
	}{true, c.registry.opts.Topic}, nil
}

// writable answers whether somebody takes writes: this node or the one that it forwards to.
func (c *call) writable() (any, error) {
	return struct {
		Available bool `json:"master_available"`
	}{c.registry.Health() == nil}, nil
}

// clusters answers with the names that Confluent's role bindings know the registry by.
func (c *call) clusters() (any, error) {
	meta, err := kadm.NewClient(c.registry.store.client).BrokerMetadata(c.Context())
	if err != nil {
		return nil, storeError("asking for the cluster's id", err)
	}
	type scope struct {
		Path     []string          `json:"path"`
		Clusters map[string]string `json:"clusters"`
	}
	return struct {
		ID    string `json:"id"` // always empty
		Scope scope  `json:"scope"`
	}{"", scope{[]string{}, map[string]string{"kafka-cluster": meta.Cluster, "schema-registry-cluster": "schema-registry"}}}, nil
}

// release answers with the version of the program. Its commit is not told.
func (c *call) release() (any, error) {
	return struct {
		Version string `json:"version"`
		Commit  string `json:"commitId"`
	}{c.registry.opts.Version, ""}, nil
}

// deployment answers with what is said about where the registry runs: nothing.
func (c *call) deployment() (any, error) {
	return struct {
		Attributes []string `json:"attributes"`
	}{[]string{}}, nil
}
