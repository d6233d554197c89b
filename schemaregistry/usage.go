package schemaregistry

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
)

// User is a connector and the topics that it uses.
type User struct {
	Connector string   `json:"connector"`
	Kind      string   `json:"type"` // source or sink
	Topics    []string `json:"topics"`
}

// usageAnswer says who uses a schema: the versions that have it, the topics that these are about by Confluent's default
// strategy of names, those whose records carry it, and the connectors that use such a topic.
type usageAnswer struct {
	ID         int              `json:"id"`
	Versions   []subjectVersion `json:"versions"`
	Topics     []topicUse       `json:"topics"`
	Connectors []User           `json:"connectors"`
	// ReferencedBy are the ids of schemas that refer to it.
	ReferencedBy []int `json:"referencedBy"`
	// Records says how many records of all topics have been looked at, and how many are still to be: asking again goes on.
	Records struct {
		Read   int64 `json:"read"`
		Behind int64 `json:"behind"`
	} `json:"records"`
}

type topicUse struct {
	Topic   string    `json:"topic"`
	Role    string    `json:"role"`              // key or value
	Subject string    `json:"subject,omitempty"` // absent if only records tell
	Exists  bool      `json:"exists"`            // in the log
	Record  *sighting `json:"record,omitempty"`  // the newest one that carries the schema
}

func (c *call) usage() (any, error) {
	a := usageAnswer{Versions: []subjectVersion{}, Topics: []topicUse{}, Connectors: []User{}, ReferencedBy: []int{}}
	var wanted []mark
	err := c.byID(func(st *state, of *schema) error {
		a.ID, a.Versions = of.id, append(a.Versions, c.usesOf(st, of)...)
		for _, key := range []bool{true, false} {
			wanted = append(wanted, mark{key: key, guid: of.hash})
			if of.context == defaultContext { // an id does not say which context it is of
				wanted = append(wanted, mark{key: key, id: int32(of.id)})
			}
		}
		readable := c.readable()
		for _, v := range a.Versions {
			st.referrers(v.Subject, false, func(from string, by *version, to int) {
				if to == v.Version && readable(from) {
					a.ReferencedBy = append(a.ReferencedBy, by.schema.id)
				}
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(a.ReferencedBy)
	a.ReferencedBy = slices.Compact(a.ReferencedBy)
	a.nameTopics()
	if err := c.findTopics(c.Context(), &a, wanted); err != nil {
		return nil, err
	}
	return a, c.findConnectors(c.Context(), &a)
}

// nameTopics adds the topics that the subjects are called after.
func (a *usageAnswer) nameTopics() {
	for _, v := range a.Versions {
		_, own := splitSubject(v.Subject)
		for _, role := range []string{"key", "value"} {
			if topic, ok := strings.CutSuffix(own, "-"+role); ok && topic != "" {
				a.Topics = append(a.Topics, topicUse{Topic: topic, Role: role, Subject: v.Subject})
			}
		}
	}
	a.Topics = slices.CompactFunc(a.Topics, func(x, y topicUse) bool { return x.Subject == y.Subject && x.Role == y.Role })
}

// findTopics asks the log which of the topics there are, and which ones have records with the schema.
func (c *call) findTopics(ctx context.Context, a *usageAnswer, wanted []mark) error {
	found, err := c.registry.census.look(ctx, kadm.NewClient(c.registry.store.client), c.registry.opts.Kafka, c.registry.knows, wanted)
	if err != nil {
		return storeError("looking at the records of topics", err)
	}
	a.Records.Read, a.Records.Behind = found.read, found.behind
	readable := c.readable()
	for topic, marks := range found.topics {
		for m, at := range marks {
			role := "value"
			if m.key {
				role = "key"
			}
			a.sighted(topic, role, at, readable)
		}
	}
	for i := range a.Topics {
		_, a.Topics[i].Exists = found.topics[a.Topics[i].Topic]
	}
	slices.SortFunc(a.Topics, func(x, y topicUse) int {
		return cmp.Or(strings.Compare(x.Topic, y.Topic), strings.Compare(x.Role, y.Role), strings.Compare(x.Subject, y.Subject))
	})
	return nil
}

// sighted notes that a record of a topic carries the schema. A topic that no subject is called after is named to who may
// read the subject that would be.
func (a *usageAnswer) sighted(topic, role string, at sighting, readable func(string) bool) {
	named := false
	for i := range a.Topics {
		if t := &a.Topics[i]; t.Topic == topic && t.Role == role {
			named = true
			if t.Record == nil || at.newer(*t.Record) {
				t.Record = &at
			}
		}
	}
	if !named && readable(topic+"-"+role) {
		a.Topics = append(a.Topics, topicUse{Topic: topic, Role: role, Record: &at})
	}
}

// knows reports whether there is a schema with a mark.
func (r *Registry) knows(m mark) bool {
	r.store.mu.RLock()
	defer r.store.mu.RUnlock()
	if m.guid == (hash{}) {
		return r.store.state.in(defaultContext).byID[int(m.id)] != nil
	}
	for in := range maps.Values(r.store.state.contexts) {
		if in.byHash[m.guid] != nil {
			return true
		}
	}
	return false
}

// findConnectors asks the hub which connectors use the topics.
func (c *call) findConnectors(ctx context.Context, a *usageAnswer) error {
	if c.users == nil || len(a.Topics) == 0 {
		return nil
	}
	users, err := c.users(ctx)
	if err != nil {
		return &Error{Status: http.StatusServiceUnavailable, Code: http.StatusServiceUnavailable, Message: "The connectors are not known yet: " + err.Error(), Err: err}
	}
	for _, u := range users {
		u.Topics = slices.DeleteFunc(slices.Clone(u.Topics), func(t string) bool {
			return !slices.ContainsFunc(a.Topics, func(used topicUse) bool { return used.Topic == t })
		})
		if len(u.Topics) > 0 {
			a.Connectors = append(a.Connectors, u)
		}
	}
	return nil
}
