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
	twice := repeated(req.Resources, func(r *kmsg.AlterConfigsRequestResource) configsOwner {
		return configsOwner{r.ResourceType, r.ResourceName}
	})
	for i := range req.Resources {
		want := &req.Resources[i]
		rr := kmsg.NewAlterConfigsResponseResource()
		rr.ResourceType, rr.ResourceName = want.ResourceType, want.ResourceName
		err := r.configs(mayAlterConfigs, want.ResourceType, want.ResourceName)
		if err == nil && twice.has(configsOwner{want.ResourceType, want.ResourceName}) {
			err = errConfigsTwice
		}
		if err == nil {
			err = b.replaceConfigs(want, req.ValidateOnly)
		}
		rr.ErrorCode, rr.ErrorMessage = errorCode(err), errorText(err)
		resp.Resources = append(resp.Resources, rr)
	}
	return now(resp), nil
}

// configsOwner is whose configs are altered: a request may name each once.
type configsOwner struct {
	kind kmsg.ConfigResourceType
	name string
}

var errConfigsTwice = fmt.Errorf("%w: the resource, or one of its configs, is named more than once", kerr.InvalidRequest)

func (b *Broker) replaceConfigs(want *kmsg.AlterConfigsRequestResource, validateOnly bool) error {
	if len(repeated(want.Configs, func(c *kmsg.AlterConfigsRequestResourceConfig) string { return c.Name })) > 0 {
		return errConfigsTwice
	}
	values := make(map[string]string, len(want.Configs))
	for _, c := range want.Configs {
		if c.Value == nil {
			return fmt.Errorf("%w: null value for %s", kerr.InvalidRequest, c.Name)
		}
		values[c.Name] = *c.Value
	}
	if want.ResourceType == kmsg.ConfigResourceTypeTopic {
		return b.log.ReplaceTopicConfig(want.ResourceName, values, validateOnly)
	}
	return b.alterDynamic(want.ResourceType, want.ResourceName, validateOnly, func(map[string]string) (map[string]string, error) { return values, nil })
}
