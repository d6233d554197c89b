package broker

import (
	"fmt"

	"github.com/sluicehub/sluice/log"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// incrementalAlterConfigs answers IncrementalAlterConfigs, for topics, the broker and groups.
func (b *Broker) incrementalAlterConfigs(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.IncrementalAlterConfigsRequest)
	resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
	twice := repeated(req.Resources, func(r *kmsg.IncrementalAlterConfigsRequestResource) configsOwner {
		return configsOwner{r.ResourceType, r.ResourceName}
	})
	for i := range req.Resources {
		want := &req.Resources[i]
		rr := kmsg.NewIncrementalAlterConfigsResponseResource()
		rr.ResourceType, rr.ResourceName = want.ResourceType, want.ResourceName
		err := r.configs(mayAlterConfigs, want.ResourceType, want.ResourceName)
		if err == nil && twice.has(configsOwner{want.ResourceType, want.ResourceName}) {
			err = errConfigsTwice
		}
		if err == nil {
			err = checkChanges(want)
		}
		switch {
		case err != nil:
		case want.ResourceType == kmsg.ConfigResourceTypeTopic:
			err = b.log.AlterTopicConfig(want.ResourceName, configChanges(want), req.ValidateOnly)
		default:
			err = b.alterDynamic(want.ResourceType, want.ResourceName, req.ValidateOnly, func(now map[string]string) (map[string]string, error) {
				return b.changed(want.ResourceType, now, configChanges(want))
			})
		}
		rr.ErrorCode, rr.ErrorMessage = errorCode(err), errorText(err)
		resp.Resources = append(resp.Resources, rr)
	}
	return now(resp), nil
}

// checkChanges refuses two changes of one config, and a value that is missing.
func checkChanges(r *kmsg.IncrementalAlterConfigsRequestResource) error {
	if len(repeated(r.Configs, func(c *kmsg.IncrementalAlterConfigsRequestResourceConfig) string { return c.Name })) > 0 {
		return errConfigsTwice
	}
	for _, c := range r.Configs {
		if c.Value == nil && c.Op != kmsg.IncrementalAlterConfigOpDelete {
			return fmt.Errorf("%w: null value for %s", kerr.InvalidRequest, c.Name)
		}
	}
	return nil
}

func configChanges(r *kmsg.IncrementalAlterConfigsRequestResource) []log.ConfigChange {
	changes := make([]log.ConfigChange, 0, len(r.Configs))
	for _, c := range r.Configs {
		change := log.ConfigChange{Name: c.Name, Op: log.ConfigOp(c.Op)}
		if c.Value != nil {
			change.Value = *c.Value
		}
		changes = append(changes, change)
	}
	return changes
}
