package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// deleteGroups answers DeleteGroups: only a group without members can go, and its offsets with it.
func (b *Broker) deleteGroups(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.DeleteGroupsRequest)
	resp := req.ResponseKind().(*kmsg.DeleteGroupsResponse)
	for _, id := range req.Groups {
		rg := kmsg.NewDeleteGroupsResponseGroup()
		err := r.group(mayDelete, id)
		if err == nil {
			err = storeError(b.deleteGroup(id))
		}
		rg.Group, rg.ErrorCode = id, errorCode(err)
		resp.Groups = append(resp.Groups, rg)
	}
	return now(resp), nil
}

func (b *Broker) deleteGroup(id string) error {
	if g := b.groups.consumer(id); g != nil {
		return b.deleteConsumerGroup(g)
	}
	g := b.groups.group(id, false)
	if g == nil {
		return kerr.GroupIDNotFound
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.members) > 0 {
		return kerr.NonEmptyGroup
	}
	if err := b.deleteOffsets(id, b.groups.store.places(id)); err != nil {
		return err
	}
	gone, err := g.tombstone()
	if err == nil {
		err = wait(gone)
	}
	if err != nil {
		return err
	}
	g.to(stateDead)
	b.groups.forget(id)
	return nil
}

func (b *Broker) deleteConsumerGroup(g *consumerGroup) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.gone:
		return kerr.GroupIDNotFound
	case g.g.Size() > 0:
		return kerr.NonEmptyGroup
	}
	if err := b.deleteOffsets(g.g.ID(), b.groups.store.places(g.g.ID())); err != nil {
		return err
	}
	gone, err := g.delete()
	if err != nil {
		return err
	}
	return wait(gone)
}

func (b *Broker) deleteOffsets(group string, places []place) error {
	gone := make(map[place]*committed, len(places))
	for _, p := range places {
		gone[p] = nil
	}
	return b.groups.store.commit(group, gone)
}
