package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// deleteGroups answers DeleteGroups: only a group without members can go, and its offsets with it.
func (b *Broker) deleteGroups(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.DeleteGroupsRequest)
	resp := req.ResponseKind().(*kmsg.DeleteGroupsResponse)
	for _, id := range req.Groups {
		rg := kmsg.NewDeleteGroupsResponseGroup()
		rg.Group, rg.ErrorCode = id, errorCode(r.group(mayDelete, id))
		if rg.ErrorCode == 0 {
			rg.ErrorCode = b.deleteGroup(r.ctx, id)
		}
		resp.Groups = append(resp.Groups, rg)
	}
	return now(resp), nil
}

func (b *Broker) deleteGroup(ctx context.Context, id string) int16 {
	if g := b.groups.consumer(id); g != nil {
		return errorCode(b.deleteConsumerGroup(ctx, g))
	}
	g := b.groups.group(id, false)
	if g == nil {
		return kerr.GroupIDNotFound.Code
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.members) > 0 {
		return kerr.NonEmptyGroup.Code
	}
	if err := b.deleteOffsets(ctx, id, b.groups.store.places(id)); err != nil {
		return errorCode(err)
	}
	g.state = stateDead
	b.groups.forget(id)
	return 0
}

func (b *Broker) deleteConsumerGroup(ctx context.Context, g *consumerGroup) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.gone:
		return kerr.GroupIDNotFound
	case g.g.Size() > 0:
		return kerr.NonEmptyGroup
	}
	if err := b.deleteOffsets(ctx, g.g.ID(), b.groups.store.places(g.g.ID())); err != nil {
		return err
	}
	return g.delete()
}

func (b *Broker) deleteOffsets(ctx context.Context, group string, places []place) error {
	gone := make(map[place]*committed, len(places))
	for _, p := range places {
		gone[p] = nil
	}
	return b.groups.store.commit(ctx, group, gone)
}
