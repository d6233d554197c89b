package broker

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// lastOperation is the last that Kafka knows (TWO_PHASE_COMMIT).
const lastOperation = kmsg.ACLOperationDescribeTokens + 1

// aclFilter says which rules are meant; a nil text is any.
type aclFilter struct {
	kind            kmsg.ACLResourceType
	pattern         kmsg.ACLResourcePatternType
	name            *string
	principal, host *string
	operation       kmsg.ACLOperation
	permission      kmsg.ACLPermissionType
}

// wrong says why the filter can match nothing that there is, "" if it can.
func (f *aclFilter) wrong() string {
	switch {
	case f.kind < kmsg.ACLResourceTypeAny || f.kind > kmsg.ACLResourceTypeUser:
		return "The filter contains UNKNOWN elements: the resource type"
	case f.pattern < kmsg.ACLResourcePatternTypeAny || f.pattern > kmsg.ACLResourcePatternTypePrefixed:
		return "The filter contains UNKNOWN elements: the pattern type"
	case f.operation < kmsg.ACLOperationAny || f.operation > lastOperation:
		return "The filter contains UNKNOWN elements: the operation"
	case f.permission < kmsg.ACLPermissionTypeAny || f.permission > kmsg.ACLPermissionTypeAllow:
		return "The filter contains UNKNOWN elements: the permission type"
	}
	return ""
}

// match reports whether a rule is meant. The pattern type MATCH means all rules that are about the resource.
func (f *aclFilter) match(a *acl) bool {
	return (f.kind == kmsg.ACLResourceTypeAny || f.kind == a.Type) &&
		f.matchName(a) &&
		is(f.principal, a.Principal) && is(f.host, a.Host) &&
		(f.operation == kmsg.ACLOperationAny || f.operation == a.Operation) &&
		(f.permission == kmsg.ACLPermissionTypeAny || f.permission == a.Permission)
}

func (f *aclFilter) matchName(a *acl) bool {
	switch f.pattern {
	case kmsg.ACLResourcePatternTypeAny:
		return is(f.name, a.Name)
	case kmsg.ACLResourcePatternTypeMatch:
		return f.name == nil || a.covers(a.Type, *f.name)
	}
	return f.pattern == a.Pattern && is(f.name, a.Name)
}

func is(want *string, s string) bool { return want == nil || *want == s }

// check says why a rule cannot be made, "" if it can.
func (a *acl) check() string {
	switch {
	case a.Type <= kmsg.ACLResourceTypeAny || a.Type > kmsg.ACLResourceTypeUser:
		return "Invalid resource type"
	case a.Pattern != kmsg.ACLResourcePatternTypeLiteral && a.Pattern != kmsg.ACLResourcePatternTypePrefixed:
		return "Invalid pattern type: it must be LITERAL or PREFIXED"
	case a.Type == clusterResource && a.Name != clusterName:
		return "The only valid name for the CLUSTER resource is " + clusterName
	case a.Name == "":
		return "Invalid empty resource name"
	case a.Operation <= kmsg.ACLOperationAny || a.Operation > lastOperation:
		return "Invalid operation type"
	case a.Permission != kmsg.ACLPermissionTypeAllow && a.Permission != kmsg.ACLPermissionTypeDeny:
		return "Invalid permission type"
	case a.Host == "":
		return "Invalid empty host"
	}
	if kind, name, ok := strings.Cut(a.Principal, ":"); !ok || kind == "" || name == "" {
		return "Could not parse principal from `" + a.Principal + "` (no colon is present separating the principal type from the principal name)"
	}
	return ""
}
