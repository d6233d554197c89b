package broker

import (
	"fmt"

	"github.com/sluicehub/sluice/log"
	"github.com/sluicehub/sluice/log/broker/consumergroup"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// offsetCommit answers OffsetCommit when the offsets are durable.
func (b *Broker) offsetCommit(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.OffsetCommitRequest)
	resp := req.ResponseKind().(*kmsg.OffsetCommitResponse)
	code := errorCode(r.group(mayRead, req.Group))
	var may func(consumergroup.Partition) error
	if code == 0 {
		var err error
		may, err = b.mayCommit(r, req.Group, req.MemberID, req.InstanceID, req.Generation, false)
		code = errorCode(err)
	}
	offsets := make(map[place]*committed)
	for i := range req.Topics {
		t := &req.Topics[i]
		rt := kmsg.NewOffsetCommitResponseTopic()
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		name, refused := t.Topic, error(nil)
		if r.version >= offsetCommitByID {
			name, refused = b.nameOf(t.TopicID)
		}
		if refused == nil {
			refused = r.topic(mayRead, name)
		}
		for _, p := range t.Partitions {
			rp := kmsg.NewOffsetCommitResponseTopicPartition()
			rp.Partition, rp.ErrorCode = p.Partition, code
			c := &committed{offset: p.Offset, leaderEpoch: p.LeaderEpoch, expires: expiresAt(req.RetentionTimeMillis)}
			if p.Metadata != nil {
				c.metadata = *p.Metadata
			}
			if code == 0 && refused != nil {
				rp.ErrorCode = errorCode(refused)
			} else if part, err := b.log.Partition(name, p.Partition); code == 0 && err != nil {
				rp.ErrorCode = errorCode(err)
			} else if code == 0 && may(groupPartition(part)) != nil {
				rp.ErrorCode = errorCode(may(groupPartition(part)))
			} else if code == 0 && len(c.metadata) > b.set.Load().maxOffsetMetadata {
				rp.ErrorCode = kerr.OffsetMetadataTooLarge.Code
			}
			if rp.ErrorCode == 0 {
				offsets[place{name, p.Partition}] = c
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	if err := b.groups.store.commit(req.Group, offsets); err != nil {
		failCommit(resp, errorCode(storeError(err)))
	}
	return now(resp), nil
}

func failCommit(resp *kmsg.OffsetCommitResponse, code int16) {
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			if p := &resp.Topics[i].Partitions[j]; p.ErrorCode == 0 {
				p.ErrorCode = code
			}
		}
	}
}

// mayCommit checks that the sender is a member of the present generation or, in the consumer protocol, epoch. Who
// assigns partitions by hand (generation -1, no member id) may commit while the group has no members. In a transaction,
// old clients do not say who they are, and a rebalance does not stop a commit. The function returned says for which
// partitions the sender may commit.
func (b *Broker) mayCommit(r *request, group, member string, instance *string, generation int32, transactional bool) (func(consumergroup.Partition) error, error) {
	if group == "" {
		return nil, kerr.InvalidGroupID
	}
	byHand := generation < 0 && member == "" && instance == nil
	if g := b.groups.consumer(group); g != nil {
		return g.checkCommit(member, generation, byHand, transactional, r.version)
	}
	g := b.groups.group(group, byHand)
	if g == nil && r.version >= 9 && !transactional {
		return nil, fmt.Errorf("%w: there is no group %s", kerr.GroupIDNotFound, group)
	} else if g == nil {
		return nil, kerr.IllegalGeneration
	}
	return allPartitions, kerr.ErrorForCode(g.mayCommit(member, instance, generation, byHand, transactional))
}

func allPartitions(consumergroup.Partition) error { return nil }

// groupPartition is a partition as groups know it.
func groupPartition(p *log.Partition) consumergroup.Partition {
	return consumergroup.Partition{Topic: p.Topic().ID(), Number: p.Number()}
}

func (g *group) mayCommit(member string, instance *string, generation int32, byHand, transactional bool) int16 {
	g.mu.Lock()
	defer g.mu.Unlock()
	if byHand {
		switch {
		case g.state == stateDead:
			return kerr.CoordinatorNotAvailable.Code
		case len(g.members) > 0 && !transactional:
			return kerr.UnknownMemberID.Code
		}
		return 0
	}
	if code := g.check(member, instance, generation); code != 0 {
		return code
	}
	g.heard(g.members[member])
	if g.state == stateCompleting && !transactional {
		return kerr.RebalanceInProgress.Code
	}
	return 0
}
