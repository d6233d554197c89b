package broker

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// apiVersionsRequest answers ApiVersions, the first request of every connection.
func (b *Broker) apiVersionsRequest(*request, kmsg.Request) (reply, error) {
	return now(b.apiVersions(0)), nil
}

// apiVersions lists what is served.
func (b *Broker) apiVersions(code int16) *kmsg.ApiVersionsResponse {
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.ErrorCode = code
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
	resp.FinalizedFeaturesEpoch = 0
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
