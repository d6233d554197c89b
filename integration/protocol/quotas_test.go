package protocol

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// alterQuota sets a quota of a client, or removes it at 0.
func alterQuota(kind, name, key string, value float64) func(*node) kmsg.Request {
	req := kmsg.NewPtrAlterClientQuotasRequest()
	e := kmsg.NewAlterClientQuotasRequestEntry()
	part := kmsg.NewAlterClientQuotasRequestEntryEntity()
	part.Type, part.Name = kind, kmsg.StringPtr(name)
	e.Entity = append(e.Entity, part)
	op := kmsg.NewAlterClientQuotasRequestEntryOp()
	op.Key, op.Value, op.Remove = key, value, value == 0
	e.Ops = append(e.Ops, op)
	req.Entries = append(req.Entries, e)
	return always(req)
}

func describeQuota(kind, name string, match kmsg.QuotasMatchType) func(*node) kmsg.Request {
	req := kmsg.NewPtrDescribeClientQuotasRequest()
	c := kmsg.NewDescribeClientQuotasRequestComponent()
	c.EntityType, c.MatchType = kind, match
	if match == kmsg.QuotasMatchTypeExact {
		c.Match = kmsg.StringPtr(name)
	}
	req.Components = append(req.Components, c)
	return always(req)
}

func quotaExchanges(prefix string) []exchange {
	const exact = kmsg.QuotasMatchTypeExact
	return []exchange{
		{name: "no quota", version: 1, request: describeQuota("client-id", prefix, exact)},
		{name: "set a quota", version: 1, request: alterQuota("client-id", prefix, "producer_byte_rate", 1000)},
		{name: "the quota", version: 1, request: describeQuota("client-id", prefix, exact)},
		{name: "quotas of users", version: 1, request: describeQuota("user", prefix, exact)},
		{name: "quotas of a kind that is not known", version: 1, request: describeQuota("shoe", prefix, exact)},
		{name: "quotas by a match that is not known", version: 1, request: describeQuota("user", prefix, 9)},
		{name: "set a quota that is not known", version: 1, request: alterQuota("client-id", prefix, "no_such_rate", 1000)},
		{name: "set a quota of no whole number", version: 1, request: alterQuota("client-id", prefix, "producer_byte_rate", 0.5)},
		{name: "set a negative quota", version: 1, request: alterQuota("client-id", prefix, "producer_byte_rate", -1)},
		{name: "set a quota of a kind that is not known", version: 1, request: alterQuota("shoe", prefix, "producer_byte_rate", 1)},
		{name: "set a user's rate for an address", version: 1, request: alterQuota("ip", "127.0.0.1", "producer_byte_rate", 1)},
		{name: "set a quota without a name", version: 1, request: alterQuota("client-id", "", "producer_byte_rate", 1)},
		{name: "remove a quota", version: 1, request: alterQuota("client-id", prefix, "producer_byte_rate", 0)},
		{name: "the quota is gone", version: 1, request: describeQuota("client-id", prefix, exact)},
	}
}
