package broker

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// listGroups answers ListGroups, filtered by state (version 4) and type (version 5), as far as the client may see
// them.
func (b *Broker) listGroups(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.ListGroupsRequest)
	resp := req.ResponseKind().(*kmsg.ListGroupsResponse)
	for _, g := range b.groups.list() {
		resp.Groups = append(resp.Groups, g.listed())
	}
	for _, g := range b.groups.listConsumers() {
		resp.Groups = append(resp.Groups, g.listed())
	}
	all := r.cluster(mayDescribe) == nil
	resp.Groups = slices.DeleteFunc(resp.Groups, func(g kmsg.ListGroupsResponseGroup) bool {
		return !all && r.group(mayDescribe, g.Group) != nil || !matches(req.StatesFilter, g.GroupState) || !matches(req.TypesFilter, g.GroupType)
	})
	slices.SortFunc(resp.Groups, func(a, b kmsg.ListGroupsResponseGroup) int { return strings.Compare(a.Group, b.Group) })
	return now(resp), nil
}

func (g *group) listed() kmsg.ListGroupsResponseGroup {
	g.mu.Lock()
	defer g.mu.Unlock()
	rg := kmsg.NewListGroupsResponseGroup()
	rg.Group, rg.ProtocolType, rg.GroupState, rg.GroupType = g.id, g.protocolType, string(g.state), "classic"
	return rg
}

func (g *consumerGroup) listed() kmsg.ListGroupsResponseGroup {
	g.mu.Lock()
	defer g.mu.Unlock()
	rg := kmsg.NewListGroupsResponseGroup()
	rg.Group, rg.ProtocolType, rg.GroupState, rg.GroupType = g.g.ID(), "consumer", g.g.State(), "consumer"
	return rg
}

// matches reports whether a filter, which may be empty, lets s through.
func matches(filter []string, s string) bool {
	return len(filter) == 0 || slices.ContainsFunc(filter, func(f string) bool { return strings.EqualFold(f, s) })
}
