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
	all := r.cluster(mayDescribe) == nil
	for _, g := range b.groups.list() {
		if !all && r.group(mayDescribe, g.id) != nil {
			continue
		}
		g.mu.Lock()
		rg := kmsg.NewListGroupsResponseGroup()
		rg.Group, rg.ProtocolType, rg.GroupState, rg.GroupType = g.id, g.protocolType, string(g.state), "classic"
		g.mu.Unlock()
		if matches(req.StatesFilter, rg.GroupState) && matches(req.TypesFilter, rg.GroupType) {
			resp.Groups = append(resp.Groups, rg)
		}
	}
	return now(resp), nil
}

// matches reports whether a filter, which may be empty, lets s through.
func matches(filter []string, s string) bool {
	return len(filter) == 0 || slices.ContainsFunc(filter, func(f string) bool { return strings.EqualFold(f, s) })
}
