// Package elasticsearch is the sink to Elasticsearch, with the keys and the behaviour of Confluent's
// (io.confluent.connect.elasticsearch.ElasticsearchSinkConnector).
//
// # The way of a record
//
// Put turns a record into one operation of the bulk API: index, update or delete, printed straight into a buffer. The
// operation goes into one of a few lanes, chosen by a hash of index and document id. A lane sends one bulk request at
// a time and the next one only when every operation of it is settled, so operations on one document happen in the
// order of the topic although several requests are under way. What a response says of each operation decides about
// that operation alone: settled, to be sent again, or refused, and then reported to the hub.
package elasticsearch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/tlsstore"
)

const version = "1.0.0"

// validateTimeout bounds a question to the cluster while a configuration is checked.
const validateTimeout = 20 * time.Second

// Sink is the connector.
type Sink struct{}

// New returns the connector.
func New() Sink { return Sink{} }

var (
	_ connectors.SinkConnector = Sink{}
	_ connectors.Validator     = Sink{}
)

// Info implements connectors.Connector.
func (Sink) Info() connectors.Info {
	return connectors.Info{
		Name:    "elasticsearch",
		Classes: []string{"io.confluent.connect.elasticsearch.ElasticsearchSinkConnector"},
		Version: version, Kind: connectors.Sink, Config: definition,
	}
}

// NewSinkTask implements connectors.SinkConnector.
func (Sink) NewSinkTask() connectors.SinkTask { return &task{} }

// Validate implements connectors.Validator: it asks the cluster whether it is there and lets us in.
func (Sink) Validate(ctx context.Context, config map[string]string) []configs.Problem {
	s, err := parseSettings(config)
	if err != nil {
		return nil // the definition has said so
	}
	c, err := newClient(s)
	if err != nil {
		return []configs.Problem{configs.KeyError(keyOf(err), err.Error())}
	}
	defer c.close()
	ctx, cancel := context.WithTimeout(ctx, validateTimeout)
	defer cancel()
	if err := c.health(ctx); err != nil {
		return []configs.Problem{configs.KeyError(keyOf(err), err.Error())}
	}
	var problems []configs.Problem
	for topic, resource := range s.resources {
		exists, err := c.indexExists(ctx, resource)
		switch {
		case err != nil:
			problems = append(problems, configs.KeyError(keyOf(err), err.Error()))
		case !exists:
			problems = append(problems, configs.KeyError("topic.to.external.resource.mapping",
				fmt.Sprintf("%s, which topic %s is mapped to, does not exist; create it first", resource, topic)))
		}
	}
	return problems
}

// keyOf is the key that an error is shown at.
func keyOf(err error) string {
	var te *tlsstore.Error
	if errors.As(err, &te) {
		return te.Key
	}
	var he *httpError
	if errors.As(err, &he) {
		switch he.status {
		case http.StatusUnauthorized, http.StatusForbidden:
			return "connection.username"
		case http.StatusProxyAuthRequired:
			return "proxy.username"
		}
	}
	return "connection.url"
}
