package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeCluster answers DescribeCluster.
func (b *Broker) describeCluster(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.DescribeClusterRequest)
	resp := req.ResponseKind().(*kmsg.DescribeClusterResponse)
	resp.EndpointType = req.EndpointType
	if r.version >= 1 && req.EndpointType != 1 {
		resp.ErrorCode = kerr.MismatchedEndpointType.Code
		return now(resp), nil
	}
	resp.ClusterID, resp.ControllerID, resp.ClusterAuthorizedOperations = b.log.ClusterID(), nodeID, r.operations(clusterResource, clusterName, req.IncludeClusterAuthorizedOperations)
	broker := kmsg.NewDescribeClusterResponseBroker()
	broker.NodeID, broker.Host, broker.Port = nodeID, r.c.adv.Host, r.c.adv.Port
	resp.Brokers = append(resp.Brokers, broker)
	return now(resp), nil
}
