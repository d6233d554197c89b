package elasticsearch

import (
	"context"
	"fmt"
	"hash/maphash"
	"strings"

	"github.com/sluicehub/sluice/connectors"
)

// maxRoutes bounds how many topics are remembered. A transform can make any number of them.
const maxRoutes = 10000

// route is where the records of a topic go.
type route struct {
	index                   string
	quoted                  []byte // the index as JSON
	hash                    uint64 // of the index
	ignoreKey, ignoreSchema bool
	// exists and mapped say that nothing more is to be done before the first document, and before the first document
	// with a schema. They are so from the start for indices and aliases that are the user's own.
	exists, mapped bool
}

// routes finds the routes of topics. It is used by Put alone.
type routes struct {
	*settings
	client  *client
	seed    maphash.Seed
	byTopic map[string]*route
	topic   string // of the last one, because records come in runs of a topic
	last    *route
}

func newRoutes(s *settings, c *client) routes {
	return routes{settings: s, client: c, seed: maphash.MakeSeed(), byTopic: make(map[string]*route)}
}

func (x *routes) of(topic string) *route {
	if x.last != nil && x.topic == topic {
		return x.last
	}
	r := x.byTopic[topic]
	if r == nil {
		if len(x.byTopic) >= maxRoutes {
			clear(x.byTopic)
		}
		r = x.newRoute(topic)
		x.byTopic[topic] = r
	}
	x.topic, x.last = topic, r
	return r
}

func (x *routes) newRoute(topic string) *route {
	r := &route{index: indexName(topic), ignoreKey: x.ignoresKey(topic), ignoreSchema: x.ignoresSchema(topic)}
	if index, ok := x.indexes[topic]; ok {
		r.index = index
	}
	if resource, ok := x.resources[topic]; ok {
		r.index, r.exists, r.mapped = resource, true, true
	}
	r.hash = maphash.String(x.seed, r.index)
	r.quoted = connectors.AppendJSONString(nil, []byte(r.index))
	return r
}

// indexName makes a topic's name one that Elasticsearch takes, as Confluent's sink does it: in lower case, at most 255
// characters, without a leading - or _.
func indexName(topic string) string {
	index := strings.ToLower(topic)
	if len(index) > 255 {
		index = index[:255]
	}
	if strings.HasPrefix(index, "-") || strings.HasPrefix(index, "_") {
		index = index[1:]
	}
	switch index {
	case ".":
		return "dot"
	case "..":
		return "dotdot"
	}
	return index
}

// ensure makes an index that is not there. With a schema, an index without a mapping gets one made from it; later
// fields of a schema are left to dynamic mapping. Without a schema Elasticsearch finds the mapping by itself.
func (x *routes) ensure(ctx context.Context, r *route, schema *connectors.Schema) error {
	if r.ignoreSchema || schema != nil && schema.Type != connectors.Struct {
		schema = nil
	}
	if r.exists && (r.mapped || schema == nil) {
		return nil
	}
	if r.index == "" {
		return &connectors.Error{Op: "name an index", Class: connectors.ClassConfig,
			Err:    fmt.Errorf("of the topic %q no name for an index is left", x.topic),
			Remedy: "name one with external.resource.usage=INDEX and topic.to.external.resource.mapping, or rename the topic with a transform"}
	}
	if err := x.make(ctx, r, schema); err != nil {
		return classed("make sure of index "+r.index, err)
	}
	r.exists, r.mapped = true, schema != nil
	return nil
}

func (x *routes) make(ctx context.Context, r *route, schema *connectors.Schema) error {
	var mapping []byte
	if schema != nil {
		mapping = appendMapping(nil, schema, x.json)
	}
	if !r.exists {
		exists, err := x.client.indexExists(ctx, r.index)
		if err != nil {
			return err
		}
		if !exists {
			created, err := x.client.createIndex(ctx, r.index, mapping)
			if err != nil || created || mapping == nil {
				return err
			}
		}
	}
	if mapping == nil {
		return nil
	}
	has, err := x.client.hasMapping(ctx, r.index)
	if err != nil || has {
		return err
	}
	return x.client.putMapping(ctx, r.index, mapping)
}
