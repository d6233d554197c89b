package hub

import (
	"strings"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/hub/converters"
)

// DefaultFormats returns the converters and transforms that the hub has. registry is the hub's own schema registry,
// nil if there is none; urls are addresses under which it is also reached.
func DefaultFormats(registry converters.Registry, urls []string) Formats {
	deps := converters.Deps{Registry: registry, RegistryURLs: urls}
	return Formats{
		Converter: func(role, class string, config map[string]string) (Converter, error) {
			return converters.New(class, config, converters.Role(role), deps)
		},
		Transforms: func(_ connectors.Kind, config map[string]string) (Transforms, error) { return noTransforms{}, nil },
		Definition: defineFormats,
	}
}

// defineFormats declares the keys of converters and transforms under the names they have in a configuration.
func defineFormats(config map[string]string) (*configs.Definition, []configs.Problem) {
	var problems []configs.Problem
	out := &configs.Definition{}
	for _, role := range []string{"key", "value", "header"} {
		key := role + ".converter"
		class := strings.TrimSpace(config[key])
		if class == "" {
			for k := range config {
				if strings.HasPrefix(k, key+".") && k != key+".plugin.version" {
					problems = append(problems, configs.KeyWarning(k, k+" has no effect: it needs "+key+" beside it, as in Kafka Connect."))
				}
			}
			continue
		}
		c, err := converters.Find(class)
		if err != nil {
			problems = append(problems, configs.KeyError(key, err.Error()))
			continue
		}
		out = configs.Concat(out, c.Config.WithPrefix(key+".", ""))
	}
	return out, problems
}

// noTransforms is the empty chain.
type noTransforms struct{}

func (noTransforms) Apply(*connectors.Record) (bool, error) { return true, nil }
func (noTransforms) Empty() bool                            { return true }
