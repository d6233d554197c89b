package broker

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// alterConfigs answers AlterConfigs, for topics, the broker and groups: what is not named goes back to its default.
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
	values := make(map[string]string, len(want.Configs))
	for _, c := range want.Configs {
		if c.Value == nil {
			return fmt.Errorf("%w: null value for %s", kerr.InvalidRequest, c.Name)
		}
		if _, twice := values[c.Name]; twice {
			return fmt.Errorf("%w: two values for %s", kerr.InvalidRequest, c.Name)
		}
		values[c.Name] = *c.Value
	}
	if want.ResourceType == kmsg.ConfigResourceTypeTopic {
		return b.log.ReplaceTopicConfig(want.ResourceName, values, validateOnly)
	}
	return b.alterDynamic(want.ResourceType, want.ResourceName, validateOnly, func(map[string]string) (map[string]string, error) { return values, nil })
}
