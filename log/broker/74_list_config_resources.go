package broker

import (
	"maps"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// listConfigResources answers ListConfigResources: what DescribeConfigs can be asked about. Version 0 asks for the
// clients' metrics subscriptions, of which there are none.
func (b *Broker) listConfigResources(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.ListConfigResourcesRequest)
	resp := req.ResponseKind().(*kmsg.ListConfigResourcesResponse)
	if resp.ErrorCode = errorCode(r.cluster(mayDescribeConfigs)); resp.ErrorCode != 0 {
		return now(resp), nil
	}
	if r.version == 0 {
		return now(resp), nil
	}
	served := []kmsg.ConfigResourceType{kmsg.ConfigResourceTypeTopic, kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeBrokerLogger,
		kmsg.ConfigResourceTypeClientMetrics, kmsg.ConfigResourceTypeGroupConfig}
	for _, kind := range req.ResourceTypes {
		if !slices.Contains(served, kmsg.ConfigResourceType(kind)) {
			resp.ErrorCode = kerr.UnsupportedVersion.Code
			return now(resp), nil
		}
	}
	wants := func(kind kmsg.ConfigResourceType) bool {
		return len(req.ResourceTypes) == 0 || slices.Contains(req.ResourceTypes, int8(kind))
	}
	add := func(kind kmsg.ConfigResourceType, name string) {
		rr := kmsg.NewListConfigResourcesResponseConfigResource()
		rr.Name, rr.Type = name, int8(kind)
		resp.ConfigResources = append(resp.ConfigResources, rr)
	}
	if wants(kmsg.ConfigResourceTypeTopic) {
		for _, t := range b.log.Topics() {
			add(kmsg.ConfigResourceTypeTopic, t.Name())
		}
	}
	if wants(kmsg.ConfigResourceTypeGroupConfig) {
		for _, name := range slices.Sorted(maps.Keys(b.dynamic.Load().Groups)) {
			add(kmsg.ConfigResourceTypeGroupConfig, name)
		}
	}
	if wants(kmsg.ConfigResourceTypeBroker) {
		add(kmsg.ConfigResourceTypeBroker, strconv.Itoa(int(nodeID)))
	}
	return now(resp), nil
}
