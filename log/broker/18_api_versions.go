package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// apiVersions answers ApiVersions, the first request of every connection: what is served. A client that says whom it
// believes to speak to is told if that is somebody else (version 5, KIP-1242).
func (b *Broker) apiVersions(_ *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.ApiVersionsRequest)
	resp := kmsg.NewPtrApiVersionsResponse()
	switch {
	case (req.ClusterID == nil) != (req.NodeID == -1):
		resp.ErrorCode = kerr.InvalidRequest.Code
		return now(resp), nil
	case req.ClusterID != nil && (*req.ClusterID != b.log.ClusterID() || req.NodeID != nodeID):
		resp.ErrorCode = kerr.RebootstrapRequired.Code
		return now(resp), nil
	}
	for key, a := range b.apis {
		if a.handle == nil {
			continue
		}
		rk := kmsg.NewApiVersionsResponseApiKey()
		rk.ApiKey, rk.MinVersion, rk.MaxVersion = int16(key), a.advertised, a.max
		resp.ApiKeys = append(resp.ApiKeys, rk)
	}
	// Tools read the broker's version from this feature; 25 is Kafka 4.0's 4.0-IV3.
	addFeature(resp, "metadata.version", 7, 25)
	// 2: a producer's epoch rises with each transaction, partitions are added by producing to them (KIP-890).
	addFeature(resp, "transaction.version", 0, 2)
	addFeature(resp, "group.version", 0, 1) // 1: groups of the consumer protocol (KIP-848)
	resp.FinalizedFeaturesEpoch = 0
	return now(resp), nil
}

// noSuchAPIVersions is the answer, in version 0, to who asks for a version of ApiVersions that is not served: which are,
// and nothing else (KIP-511). The client asks again.
func (b *Broker) noSuchAPIVersions() *kmsg.ApiVersionsResponse {
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.ErrorCode = kerr.UnsupportedVersion.Code
	rk := kmsg.NewApiVersionsResponseApiKey()
	rk.ApiKey, rk.MinVersion, rk.MaxVersion = 18, b.apis[18].min, b.apis[18].max
	resp.ApiKeys = append(resp.ApiKeys, rk)
	return resp
}

// addFeature says that versions of a feature are there, and that the highest is in use.
func addFeature(resp *kmsg.ApiVersionsResponse, name string, lowest, highest int16) {
	supported := kmsg.NewApiVersionsResponseSupportedFeature()
	supported.Name, supported.MinVersion, supported.MaxVersion = name, lowest, highest
	resp.SupportedFeatures = append(resp.SupportedFeatures, supported)
	final := kmsg.NewApiVersionsResponseFinalizedFeature()
	final.Name, final.MinVersionLevel, final.MaxVersionLevel = name, highest, highest
	resp.FinalizedFeatures = append(resp.FinalizedFeatures, final)
}
