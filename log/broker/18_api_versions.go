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
	supported := kmsg.NewApiVersionsResponseSupportedFeature()
	supported.Name, supported.MinVersion, supported.MaxVersion = "metadata.version", 7, 25
	resp.SupportedFeatures = append(resp.SupportedFeatures, supported)
	final := kmsg.NewApiVersionsResponseFinalizedFeature()
	final.Name, final.MinVersionLevel, final.MaxVersionLevel = "metadata.version", 25, 25
	resp.FinalizedFeatures, resp.FinalizedFeaturesEpoch = append(resp.FinalizedFeatures, final), 0
	return resp
}
