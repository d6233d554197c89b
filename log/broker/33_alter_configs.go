package broker

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// errBrokerConfig says why the broker's own configs cannot be altered.
var errBrokerConfig = fmt.Errorf("%w: only topic configs can be changed while running; the broker's are set in the worker's properties (sluice.kafka.broker.*)", kerr.InvalidRequest)

// alterConfigs answers AlterConfigs, for topics: what is not named goes back to its default.
func (b *Broker) alterConfigs(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.AlterConfigsRequest)
	resp := req.ResponseKind().(*kmsg.AlterConfigsResponse)
	for i := range req.Resources {
		want := &req.Resources[i]
		rr := kmsg.NewAlterConfigsResponseResource()
		rr.ResourceType, rr.ResourceName = want.ResourceType, want.ResourceName
		err := r.configs(mayAlterConfigs, want.ResourceType, want.ResourceName)
		if err == nil {
			err = b.replaceConfigs(want, req.ValidateOnly)
		}
		rr.ErrorCode, rr.ErrorMessage = errorCode(err), errorText(err)
		resp.Resources = append(resp.Resources, rr)
	}
	return now(resp), nil
}

func (b *Broker) replaceConfigs(want *kmsg.AlterConfigsRequestResource, validateOnly bool) error {
	if want.ResourceType != kmsg.ConfigResourceTypeTopic {
		return errBrokerConfig
	}
	values := make(map[string]string, len(want.Configs))
	for _, c := range want.Configs {
		if c.Value == nil {
			return fmt.Errorf("%w: null value for %s", kerr.InvalidRequest, c.Name)
		}
		values[c.Name] = *c.Value
	}
	return b.log.ReplaceTopicConfig(want.ResourceName, values, validateOnly)
}
