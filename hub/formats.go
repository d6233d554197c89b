package hub

import (
	"errors"
	"maps"
	"strings"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// Formats makes converters and transforms.
type Formats struct {
	// Converter makes the converter of that class for a role ("key", "value" or "header"). The configuration holds
	// its keys without prefix.
	Converter func(role, class string, config map[string]string) (Converter, error)
	// Transforms makes the chain of a connector from its whole configuration.
	Transforms func(config map[string]string) (Transforms, error)
	// Definition declares the keys of the converters, transforms and predicates that a configuration names, under
	// the names they have in it. It may be nil.
	Definition func(config map[string]string) (*configs.Definition, []configs.Problem)
	// Of returns the keys of a converter, transform or predicate by its class; false if there is no such class.
	Of func(class string) (*configs.Definition, bool)
	// List lists all converters, transforms and predicates. It may be nil.
	List func() []PluginInfo
}

// pipeline makes what a task's records pass, from its resolved configuration and the worker's.
func (f Formats) pipeline(worker, config map[string]string) (*pipeline, error) {
	var p pipeline
	var err error
	if p.keyClass, p.key, err = f.converter("key", worker, config); err != nil {
		return nil, err
	}
	if p.valueClass, p.value, err = f.converter("value", worker, config); err != nil {
		return nil, err
	}
	if p.headerClass, p.header, err = f.converter("header", worker, config); err != nil {
		return nil, err
	}
	if p.plain, err = f.Converter("value", "org.apache.kafka.connect.json.JsonConverter", map[string]string{"schemas.enable": "true"}); err != nil {
		return nil, err
	}
	if p.transforms, err = f.Transforms(config); err != nil {
		return nil, configError("make the transforms", err)
	}
	return &p, nil
}

// converterConfig returns the class and the settings that count for a role. As in Connect, a connector that names a
// class gets nothing of the worker's settings, and one that names none gets the worker's class and settings only.
func converterConfig(role string, worker, config map[string]string) (class string, settings map[string]string) {
	key := role + ".converter"
	from := config
	if strings.TrimSpace(config[key]) == "" {
		from = worker
	}
	class = strings.TrimSpace(from[key])
	if class == "" {
		class = map[string]string{"header": "org.apache.kafka.connect.storage.SimpleHeaderConverter"}[role]
		if class == "" {
			class = "org.apache.kafka.connect.json.JsonConverter"
		}
	}
	settings = map[string]string{}
	for k, v := range from {
		if name, ok := strings.CutPrefix(k, key+"."); ok && name != "plugin.version" {
			settings[name] = v
		}
	}
	return class, settings
}

func (f Formats) converter(role string, worker, config map[string]string) (string, Converter, error) {
	class, settings := converterConfig(role, worker, config)
	c, err := f.Converter(role, class, maps.Clone(settings))
	if err != nil {
		return class, nil, configError("make the "+role+" converter "+class, err)
	}
	return class, c, nil
}

// configError classes an error as one of the configuration, unless it has a class.
func configError(op string, err error) error {
	var e *connectors.Error
	if errors.As(err, &e) {
		return err
	}
	return &connectors.Error{Op: op, Class: connectors.ClassConfig, Err: err}
}

// transformClass names the transform that an error is of, for dead-letter headers.
func transformClass(err error) string {
	var named interface{ TransformClass() string }
	if errors.As(err, &named) {
		return named.TransformClass()
	}
	return "org.apache.kafka.connect.runtime.TransformationChain"
}
