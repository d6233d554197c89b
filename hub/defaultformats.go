package hub

import (
	"slices"
	"strings"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/hub/converters"
	"github.com/sluicehub/sluice/hub/transforms"
)

// DefaultFormats returns the converters and transforms that the hub has. registry is the hub's own schema registry,
// nil if there is none; urls are addresses under which it is also reached.
func DefaultFormats(registry converters.Registry, urls []string) Formats {
	deps := converters.Deps{Registry: registry, RegistryURLs: urls}
	return Formats{
		Converter: func(role, class string, config map[string]string) (Converter, error) {
			return converters.New(class, config, converters.Role(role), deps)
		},
		Transforms: func(config map[string]string) (Transforms, error) { return transforms.New(config) },
		Definition: defineFormats,
		Of:         formatKeys,
		List:       listFormats,
	}
}

// defineFormats declares the keys of converters and transforms under the names they have in a configuration. Settings of
// a converter that is not known, or not named, are left uncommented.
func defineFormats(config map[string]string) (*configs.Definition, []configs.Problem) {
	out, problems := transforms.Define(config)
	for _, role := range []string{"key", "value", "header"} {
		key := role + ".converter"
		unclear := &configs.Definition{Keys: []configs.Key{{Name: key + ".*", Type: configs.String, Doc: "Of a converter that is not known."}}}
		class := strings.TrimSpace(config[key])
		if class == "" {
			for k := range config {
				if strings.HasPrefix(k, key+".") && k != key+".plugin.version" {
					problems = append(problems, configs.KeyWarning(k, k+" has no effect: it needs "+key+" beside it, as in Kafka Connect."))
				}
			}
			out = configs.Concat(out, unclear)
			continue
		}
		c, err := converters.Find(class)
		if err != nil {
			problems = append(problems, configs.KeyError(key, err.Error()))
			out = configs.Concat(out, unclear)
			continue
		}
		out = configs.Concat(out, c.Config.WithPrefix(key+".", ""))
	}
	return out, problems
}

// formatKeys returns the keys of a converter, transform or predicate.
func formatKeys(class string) (*configs.Definition, bool) {
	if c, err := converters.Find(class); err == nil {
		return c.Config, true
	}
	for _, c := range append(transforms.Classes(), transforms.Predicates()...) {
		if slices.Contains(c.Names(), class) || slices.Contains(c.Names(), class+"$Value") {
			return c.Config, true
		}
	}
	return nil, false
}

// listFormats lists converters, header converters, transforms and predicates, in Connect's order of kinds.
func listFormats() []PluginInfo {
	var out []PluginInfo
	for _, kind := range []string{"converter", "header_converter"} {
		for _, c := range converters.Classes() {
			for _, name := range c.Aliases {
				// SimpleHeaderConverter is for headers only; the converters of Confluent are not for headers.
				simple, avro := strings.HasSuffix(name, ".SimpleHeaderConverter"), strings.HasPrefix(name, "io.confluent.")
				if simple && kind == "converter" || avro && kind == "header_converter" {
					continue
				}
				out = append(out, PluginInfo{Class: name, Type: kind})
			}
		}
	}
	for _, c := range transforms.Classes() {
		for _, name := range c.Names() {
			out = append(out, PluginInfo{Class: name, Type: "transformation"})
		}
	}
	for _, c := range transforms.Predicates() {
		for _, name := range c.Names() {
			out = append(out, PluginInfo{Class: name, Type: "predicate"})
		}
	}
	return out
}
