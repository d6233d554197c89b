package broker

import (
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// How a component of DescribeClientQuotas names what it looks for.
const (
	matchName    = kmsg.QuotasMatchTypeExact
	matchDefault = kmsg.QuotasMatchTypeDefault
	matchAny     = kmsg.QuotasMatchTypeAny
)

// describeClientQuotas answers DescribeClientQuotas.
func (b *Broker) describeClientQuotas(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.DescribeClientQuotasRequest)
	resp := req.ResponseKind().(*kmsg.DescribeClientQuotasResponse)
	resp.Entries = []kmsg.DescribeClientQuotasResponseEntry{} // null is for errors
	err := r.cluster(mayDescribeConfigs)
	if err == nil {
		err = checkComponents(req.Components)
	}
	if err != nil {
		resp.ErrorCode, resp.ErrorMessage, resp.Entries = errorCode(err), errorText(err), nil
		return now(resp), nil
	}
	for _, q := range b.quotas.list(func(e quotaEntity) bool { return matchesQuota(req, e) }) {
		entry := kmsg.NewDescribeClientQuotasResponseEntry()
		for _, p := range q.Entity {
			entity := kmsg.NewDescribeClientQuotasResponseEntryEntity()
			entity.Type, entity.Name = p.Type, p.Name
			entry.Entity = append(entry.Entity, entity)
		}
		for _, key := range slices.Sorted(maps.Keys(q.Values)) {
			value := kmsg.NewDescribeClientQuotasResponseEntryValue()
			value.Key, value.Value = key, q.Values[key]
			entry.Values = append(entry.Values, value)
		}
		resp.Entries = append(resp.Entries, entry)
	}
	return now(resp), nil
}

func checkComponents(components []kmsg.DescribeClientQuotasRequestComponent) error {
	for i, c := range components {
		switch {
		case c.EntityType != "user" && c.EntityType != "client-id" && c.EntityType != "ip":
			return fmt.Errorf("%w: custom entity type %q is not supported", kerr.UnsupportedVersion, c.EntityType)
		case c.MatchType != matchName && c.MatchType != matchDefault && c.MatchType != matchAny:
			return fmt.Errorf("%w: unknown match type %d", kerr.InvalidRequest, c.MatchType)
		case slices.ContainsFunc(components[:i], func(o kmsg.DescribeClientQuotasRequestComponent) bool { return o.EntityType == c.EntityType }):
			return fmt.Errorf("%w: entity type %s appears twice", kerr.InvalidRequest, c.EntityType)
		}
	}
	return nil
}

// matchesQuota reports whether a request is for an entity: each component finds its part, and, if the request is
// strict, there is no other part.
func matchesQuota(req *kmsg.DescribeClientQuotasRequest, e quotaEntity) bool {
	for _, c := range req.Components {
		p, ok := e.part(c.EntityType)
		switch {
		case !ok:
			return false
		case c.MatchType == matchDefault && p.Name != nil:
			return false
		case c.MatchType == matchName && (p.Name == nil || c.Match == nil || *p.Name != *c.Match):
			return false
		}
	}
	return !req.Strict || len(req.Components) == len(e)
}
