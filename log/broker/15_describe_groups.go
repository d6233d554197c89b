package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeGroups answers DescribeGroups, for groups of the classic protocol. Any other is Dead; from version 6 it is an
// error too (KIP-1043).
func (b *Broker) describeGroups(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.DescribeGroupsRequest)
	resp := req.ResponseKind().(*kmsg.DescribeGroupsResponse)
	for _, id := range req.Groups {
		rg := kmsg.NewDescribeGroupsResponseGroup()
		rg.Group, rg.State, rg.AuthorizedOperations = id, string(stateDead), unknownOperations
		if err := r.group(mayDescribe, id); err != nil {
			rg.State, rg.ErrorCode, rg.ErrorMessage = "", errorCode(err), errorText(err)
		} else if g := b.groups.group(id, false); g != nil {
			g.describe(&rg)
			rg.AuthorizedOperations = r.operations(groupResource, id, req.IncludeAuthorizedOperations)
		} else if r.version >= 6 && b.groups.consumer(id) != nil {
			rg.ErrorCode, rg.ErrorMessage = kerr.GroupIDNotFound.Code, kmsg.StringPtr("Group "+id+" is of the consumer protocol.")
		} else if r.version >= 6 {
			rg.ErrorCode, rg.ErrorMessage = kerr.GroupIDNotFound.Code, kmsg.StringPtr("Group "+id+" not found.")
		}
		resp.Groups = append(resp.Groups, rg)
	}
	return now(resp), nil
}

func (g *group) describe(rg *kmsg.DescribeGroupsResponseGroup) {
	g.mu.Lock()
	defer g.mu.Unlock()
	rg.State, rg.ProtocolType = string(g.state), g.protocolType
	if g.state == stateStable {
		rg.Protocol = g.protocol
	}
	for _, id := range g.memberIDs() {
		m := g.members[id]
		rm := kmsg.NewDescribeGroupsResponseGroupMember()
		rm.MemberID, rm.InstanceID, rm.ClientID, rm.ClientHost = m.id, m.instanceID, m.clientID, m.clientHost
		rm.ProtocolMetadata, rm.MemberAssignment = []byte{}, []byte{}
		if g.state == stateStable {
			rm.ProtocolMetadata, rm.MemberAssignment = m.metadata(g.protocol), m.assignment
		}
		rg.Members = append(rg.Members, rm)
	}
}
