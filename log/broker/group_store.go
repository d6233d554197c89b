package broker

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/sluicehub/sluice/log/broker/consumergroup"
	"github.com/sluicehub/sluice/log/broker/layout"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// groupStore is where groups are kept: the offsets topic.
type groupStore interface {
	// put writes records in the order of the calls.
	put(records []consumergroup.Record) (durable, error)
	// then calls f, later, when d is durable or has failed.
	then(d durable, f func(error))
}

// durable is something that is written and perhaps not durable yet. Wait returns when it is, or has failed.
type durable interface{ Wait(context.Context) error }

// failed is something that could not be written.
type failed struct{ err error }

func (f *failed) Wait(context.Context) error { return f.err }

// A group of the classic protocol is one record, in Kafka's form. It is written when the leader brings the assignment and
// before anybody is told of it, when a static member comes back, and when the last member has gone; what lies between
// are rebalances, which a restart breaks off. So a group that is read was stable, or empty.
//
//	key    version i16 = 2 · group string
//	value  version i16 = 3 · protocol type string · generation i32 · protocol, leader *string · in this state since i64 ·
//	       [] member string · instance *string · client, host string · rebalance, session timeout i32 · subscription, assignment bytes
const (
	groupKeyVersion   = 2
	groupValueVersion = 3
	// maxGroupValueVersion is the newest that can be read; Kafka's brokers write 3.
	maxGroupValueVersion = 4
)

// record is the group as it is kept.
func (g *group) record() consumergroup.Record {
	v := kmsg.NewGroupMetadataValue()
	v.Version, v.ProtocolType, v.Generation, v.CurrentStateTimestamp = groupValueVersion, g.protocolType, g.generation, g.since.UnixMilli()
	if len(g.members) > 0 {
		v.Protocol = kmsg.StringPtr(g.protocol)
	}
	if g.leader != "" {
		v.Leader = kmsg.StringPtr(g.leader)
	}
	for _, id := range g.memberIDs() {
		m := g.members[id]
		vm := kmsg.NewGroupMetadataValueMember()
		vm.MemberID, vm.InstanceID, vm.ClientID, vm.ClientHost = m.id, m.instanceID, m.clientID, m.clientHost
		vm.RebalanceTimeoutMillis, vm.SessionTimeoutMillis = int32(m.rebalance.Milliseconds()), int32(m.session.Milliseconds())
		vm.Subscription, vm.Assignment = m.metadata(g.protocol), m.assignment
		v.Members = append(v.Members, vm)
	}
	return consumergroup.Record{Key: groupKey(g.id), Value: v.AppendTo(nil)}
}

func groupKey(id string) []byte {
	k := kmsg.NewGroupMetadataKey()
	k.Version, k.Group = groupKeyVersion, id
	return k.AppendTo(nil)
}

// save writes the group as it is.
func (g *group) save() durable {
	d, err := g.store.put([]consumergroup.Record{g.record()})
	if err != nil {
		d = &failed{err}
	} else {
		g.kept = true
	}
	g.saved = d
	return d
}

// tombstone writes that the group is gone, if there is a record of it. Nothing written: nothing to wait for.
func (g *group) tombstone() (durable, error) {
	if !g.kept {
		return nil, nil
	}
	return g.store.put([]consumergroup.Record{{Key: groupKey(g.id)}})
}

// then calls f, with the group locked, when d is durable or has failed.
func (g *group) then(d durable, f func(error)) {
	g.store.then(d, func(err error) {
		g.mu.Lock()
		defer g.mu.Unlock()
		f(err)
	})
}

var groupLayout = layout.NewMessage("string i32 string string i64:2+ [{string string:3+ string string i32:1+ i32 bytes bytes}]", maxGroupValueVersion, 4)

// loadGroup reads a record of a group of the classic protocol. It returns false for another one, which it leaves alone.
func loadGroup(groups map[string]*kmsg.GroupMetadataValue, key, value []byte) (bool, error) {
	if len(key) < 2 || binary.BigEndian.Uint16(key) != groupKeyVersion {
		return false, nil
	}
	k := kmsg.NewGroupMetadataKey()
	if err := k.ReadFrom(key); err != nil {
		return true, fmt.Errorf("key %x of a group: %w", key, err)
	}
	if value == nil {
		delete(groups, k.Group)
		return true, nil
	}
	if len(value) < 2 || binary.BigEndian.Uint16(value) > maxGroupValueVersion {
		return true, fmt.Errorf("group %s: version %.2x is not known", k.Group, value)
	}
	v := kmsg.NewGroupMetadataValue()
	if err := groupLayout.Decode(&v, bytes.Clone(value)); err != nil { // v keeps parts of it
		return true, fmt.Errorf("group %s: %w", k.Group, err)
	}
	if len(v.Members) > 0 && v.Protocol == nil {
		return true, fmt.Errorf("group %s has members and no protocol", k.Group)
	}
	groups[k.Group] = &v
	return true, nil
}

// resume makes the group what was read of it. Its members are watched once watch is called.
func (g *group) resume(v *kmsg.GroupMetadataValue) {
	g.kept, g.generation, g.protocolType = true, v.Generation, v.ProtocolType
	if v.Protocol != nil {
		g.protocol = *v.Protocol
	}
	if v.Leader != nil {
		g.leader = *v.Leader
	}
	if len(v.Members) > 0 {
		g.state = stateStable
	}
	g.since = time.UnixMilli(v.CurrentStateTimestamp) // -1: of an old version, which does not say it
	for i := range v.Members {
		vm := &v.Members[i]
		m := &member{id: vm.MemberID, instanceID: vm.InstanceID, clientID: vm.ClientID, clientHost: vm.ClientHost,
			session: time.Duration(vm.SessionTimeoutMillis) * time.Millisecond, rebalance: time.Duration(vm.RebalanceTimeoutMillis) * time.Millisecond,
			protocols:  []kmsg.JoinGroupRequestProtocol{{Name: g.protocol, Metadata: vm.Subscription}}, // of the others nothing is known until it joins again
			assignment: vm.Assignment, told: vm.Assignment}
		if vm.RebalanceTimeoutMillis < 0 { // of an old version
			m.rebalance = m.session
		}
		g.members[m.id] = m
		if m.instanceID != nil {
			g.static[*m.instanceID] = m.id
		}
	}
}

// watch begins the sessions of all members anew. A group without a leader was one of the consumer protocol: its members are
// to agree anew on what each of them has.
func (g *group) watch() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range g.members {
		g.watchMember(m)
	}
	if g.state == stateStable && g.leader == "" {
		g.rebalance()
	}
}

// resumeClassic takes over the groups of the classic protocol that were read, and those that have offsets and nothing else.
// An empty group without offsets is forgotten.
func (c *coordinator) resumeClassic(groups map[string]*kmsg.GroupMetadataValue) error {
	withOffsets := c.store.groups()
	for id, v := range groups {
		g := newGroup(id, c.logger, c.delay, c.store)
		g.resume(v)
		if c.consumers[id] == nil && (len(g.members) > 0 || slices.Contains(withOffsets, id)) {
			c.groups[id] = g
		} else if _, err := g.tombstone(); err != nil {
			return err
		}
	}
	c.adopt()
	return nil
}

// adopt makes groups of those that have offsets and nothing else.
func (c *coordinator) adopt() {
	for _, id := range c.store.groups() {
		if c.consumer(id) == nil {
			c.group(id, true)
		}
	}
}
