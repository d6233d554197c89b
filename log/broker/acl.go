package broker

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/sluicehub/sluice/log"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Kinds of resources, operations and patterns, by the short names that the rest of the package reads well with.
const (
	topicResource         = kmsg.ACLResourceTypeTopic
	groupResource         = kmsg.ACLResourceTypeGroup
	clusterResource       = kmsg.ACLResourceTypeCluster
	transactionalResource = kmsg.ACLResourceTypeTransactionalId

	mayRead            = kmsg.ACLOperationRead
	mayWrite           = kmsg.ACLOperationWrite
	mayCreate          = kmsg.ACLOperationCreate
	mayDelete          = kmsg.ACLOperationDelete
	mayAlter           = kmsg.ACLOperationAlter
	mayDescribe        = kmsg.ACLOperationDescribe
	mayDescribeConfigs = kmsg.ACLOperationDescribeConfigs
	mayAlterConfigs    = kmsg.ACLOperationAlterConfigs
	mayWriteIdempotent = kmsg.ACLOperationIdempotentWrite
)

// clusterName is the only resource of its kind, and anything the name of any resource or host.
const (
	clusterName = "kafka-cluster"
	anything    = "*"
	anyUser     = "User:*"
)

// acl is one rule: it allows or denies an operation on a resource, or on all whose names have the prefix, to a principal
// at a host.
type acl struct {
	Type       kmsg.ACLResourceType        `json:"type"`
	Pattern    kmsg.ACLResourcePatternType `json:"pattern"`
	Name       string                      `json:"name"`
	Principal  string                      `json:"principal"`
	Host       string                      `json:"host"`
	Operation  kmsg.ACLOperation           `json:"operation"`
	Permission kmsg.ACLPermissionType      `json:"permission"`
}

// covers reports whether the rule is about the resource.
func (a *acl) covers(kind kmsg.ACLResourceType, name string) bool {
	if a.Type != kind {
		return false
	}
	if a.Pattern == kmsg.ACLResourcePatternTypePrefixed {
		return strings.HasPrefix(name, a.Name)
	}
	return a.Name == name || a.Name == anything
}

// concerns reports whether the rule is about the client.
func (a *acl) concerns(who, host string) bool {
	return (a.Principal == who || a.Principal == anyUser) && (a.Host == host || a.Host == anything)
}

// names reports whether the rule is about the operation. Who may read, write, delete or alter may describe, and who may
// alter configs may describe them; who may not, may.
func (a *acl) names(op kmsg.ACLOperation) bool {
	if a.Operation == op || a.Operation == kmsg.ACLOperationAll {
		return true
	}
	if a.Permission != kmsg.ACLPermissionTypeAllow {
		return false
	}
	switch op {
	case mayDescribe:
		return a.Operation == mayRead || a.Operation == mayWrite || a.Operation == mayDelete || a.Operation == mayAlter
	case mayDescribeConfigs:
		return a.Operation == mayAlterConfigs
	}
	return false
}

// ACLOptions configures the rules of who may do what.
type ACLOptions struct {
	// Enabled says that rules are enforced; otherwise everybody may do everything.
	Enabled bool
	// SuperUsers are principals, User:NAME, to whom no rule applies (super.users).
	SuperUsers []string
	// AllowWithoutRule lets everybody use resources that no rule is about (allow.everyone.if.no.acl.found).
	AllowWithoutRule bool
}

// aclState is the name under which the log keeps the rules, as JSON.
const aclState = "acls"

// acls are the rules, applied as Kafka's StandardAuthorizer does: what is denied is denied, whatever is allowed beside
// it, and what is not allowed is denied. Its methods may be called from several goroutines.
type acls struct {
	log  *log.Log
	opts ACLOptions

	mu    sync.RWMutex
	rules []acl // in the order in which they were made
}

// openACLs reads the rules that the log keeps.
func openACLs(l *log.Log, o ACLOptions) (*acls, error) {
	a := &acls{log: l, opts: o}
	content, err := l.LoadState(aclState)
	if err != nil || content == nil {
		return a, err
	}
	if err := json.Unmarshal(content, &a.rules); err != nil {
		return nil, fmt.Errorf("the stored ACLs are no JSON: %w", err)
	}
	return a, nil
}

// allow decides.
func (a *acls) allow(who, host string, op kmsg.ACLOperation, kind kmsg.ACLResourceType, name string) bool {
	if a.above(who) {
		return true
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	allowed, ruled := false, false
	for i := range a.rules {
		r := &a.rules[i]
		if !r.covers(kind, name) {
			continue
		}
		ruled = true
		if !r.concerns(who, host) || !r.names(op) {
			continue
		}
		if r.Permission == kmsg.ACLPermissionTypeDeny {
			return false
		}
		allowed = true
	}
	return allowed || !ruled && a.opts.AllowWithoutRule
}

// allowSome decides whether there can be any resource of the kind with which the client may do that: it is asked before
// the client says which.
func (a *acls) allowSome(who, host string, op kmsg.ACLOperation, kind kmsg.ACLResourceType) bool {
	if a.above(who) || a.opts.AllowWithoutRule {
		return true
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	var denied []*acl
	for i := range a.rules {
		if r := &a.rules[i]; r.Type == kind && r.Permission == kmsg.ACLPermissionTypeDeny && r.concerns(who, host) && r.names(op) {
			denied = append(denied, r)
		}
	}
	for i := range a.rules {
		r := &a.rules[i]
		if r.Type != kind || r.Permission != kmsg.ACLPermissionTypeAllow || !r.concerns(who, host) || !r.names(op) {
			continue
		}
		if !slices.ContainsFunc(denied, func(d *acl) bool { return d.outweighs(r) }) {
			return true
		}
	}
	return false
}

// outweighs reports whether the rule denies everything that the other one allows.
func (a *acl) outweighs(o *acl) bool {
	literal := kmsg.ACLResourcePatternTypeLiteral
	switch {
	case a.Pattern == literal && a.Name == anything:
		return true
	case o.Pattern == literal && o.Name == anything:
		return false
	case a.Pattern == literal:
		return o.Pattern == literal && a.Name == o.Name
	}
	return strings.HasPrefix(o.Name, a.Name)
}

// above reports whether no rule applies to the principal.
func (a *acls) above(who string) bool {
	return !a.opts.Enabled || slices.Contains(a.opts.SuperUsers, who)
}

// add makes rules, which are durable when it returns, or none is made. One that is there already stays.
func (a *acls) add(rules []acl) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	next := slices.Clone(a.rules)
	for _, r := range rules {
		if !slices.Contains(next, r) {
			next = append(next, r)
		}
	}
	return a.save(next)
}

// remove removes the rules of which gone is true, and returns them.
func (a *acls) remove(gone func(*acl) bool) ([]acl, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var next, removed []acl
	for _, r := range a.rules {
		if gone(&r) {
			removed = append(removed, r)
		} else {
			next = append(next, r)
		}
	}
	if len(removed) == 0 {
		return nil, nil
	}
	return removed, a.save(next)
}

// save makes the rules durable, and then those that hold. Call with mu.
func (a *acls) save(rules []acl) error {
	if len(rules) == len(a.rules) {
		return nil
	}
	content, err := json.Marshal(rules)
	if err != nil {
		return fmt.Errorf("write the ACLs as JSON: %w", err)
	}
	if err := a.log.SaveState(aclState, content); err != nil {
		return err
	}
	a.rules = rules
	return nil
}

// list returns the rules that match.
func (a *acls) list(match func(*acl) bool) (out []acl) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	for i := range a.rules {
		if match(&a.rules[i]) {
			out = append(out, a.rules[i])
		}
	}
	return out
}

// may reports whether the client may do that with the resource. This process may do everything.
func (r *request) may(op kmsg.ACLOperation, kind kmsg.ACLResourceType, name string) bool {
	return r.c.inProcess || r.c.b.acls.allow(r.c.who, r.c.host, op, kind, name)
}

// topic is nil if the client may do that with the topic, and Kafka's error otherwise: the same whether there is such a
// topic or not. group, transactional and cluster are its like.
func (r *request) topic(op kmsg.ACLOperation, name string) error {
	return refusal(r.may(op, topicResource, name), kerr.TopicAuthorizationFailed)
}

func (r *request) group(op kmsg.ACLOperation, name string) error {
	if tooLong(name) {
		return kerr.InvalidGroupID
	}
	return refusal(r.may(op, groupResource, name), kerr.GroupAuthorizationFailed)
}

func (r *request) transactional(op kmsg.ACLOperation, id string) error {
	if tooLong(id) {
		return fmt.Errorf("%w: the transactional id is longer than %d bytes", kerr.InvalidRequest, maxName)
	}
	return refusal(r.may(op, transactionalResource, id), kerr.TransactionalIDAuthorizationFailed)
}

func (r *request) cluster(op kmsg.ACLOperation) error {
	return refusal(r.may(op, clusterResource, clusterName), kerr.ClusterAuthorizationFailed)
}

// create is nil if the client may make the topic: who may make it, or any.
func (r *request) create(name string) error {
	if r.cluster(mayCreate) == nil {
		return nil
	}
	return r.topic(mayCreate, name)
}

// maxName is how many bytes a name may have: as many as the records of groups and transactions can hold. Newer versions of
// requests could carry more.
const maxName = math.MaxInt16

// tooLong tells whether there is a name that nothing can have.
func tooLong(names ...string) bool {
	return slices.ContainsFunc(names, func(s string) bool { return len(s) > maxName })
}

func refusal(allowed bool, e *kerr.Error) error {
	if allowed {
		return nil
	}
	return e
}
