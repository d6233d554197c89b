package schemaregistry

import (
	"encoding/json"
	"fmt"
)

// target is the subject in the path of a setting, "" for the global one.
func (c *call) target() (string, error) {
	if len(c.path) < 2 {
		return "", nil
	}
	return c.path[1], checkSubject(c.path[1])
}

// configAnswer is what GET and DELETE answer; PUT calls the level by another name, as it does in its body.
type configAnswer struct {
	Normalize *bool  `json:"normalize,omitempty"`
	Level     string `json:"compatibilityLevel,omitempty"`
}

func (c *call) config() (any, error) {
	name, err := c.target()
	if err != nil {
		return nil, err
	}
	value, err := c.registry.config(name, c.flag("defaultToGlobal"))
	if err != nil {
		return nil, err
	}
	return configAnswer{value.Normalize, value.Level}, nil
}

func (c *call) deleteConfig() (any, error) {
	name, err := c.target()
	if err != nil {
		return nil, err
	}
	was, err := c.registry.deleteConfig(c.Context(), name)
	if err != nil {
		return nil, err
	}
	return configAnswer{was.Normalize, was.Level}, nil
}

func (c *call) setConfig() (any, error) {
	name, err := c.target()
	if err != nil {
		return nil, err
	}
	var body map[string]json.RawMessage
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	set, err := parseSetting(body)
	if err != nil {
		return nil, err
	}
	if err := c.registry.setConfig(c.Context(), name, set); err != nil {
		return nil, err
	}
	echo := struct {
		Normalize *bool   `json:"normalize,omitempty"`
		Level     *string `json:"compatibility,omitempty"`
	}{set.normalize, set.level}
	return echo, nil
}

// parseSetting reads the body of a PUT of /config: an absent member keeps what is set, null removes it. A member that
// would do something here but does nothing is refused rather than ignored.
func parseSetting(body map[string]json.RawMessage) (setting, error) {
	var set setting
	for name, value := range body {
		null := string(value) == "null"
		var err error
		switch name {
		case "compatibility":
			set.clearLevel = null
			err = json.Unmarshal(value, &set.level)
		case "normalize":
			set.clearNormalize = null
			err = json.Unmarshal(value, &set.normalize)
		case "alias", "compatibilityGroup", "compatibilityPolicy", "validateFields", "validateRules", "defaultMetadata",
			"overrideMetadata", "defaultRuleSet", "overrideRuleSet":
			if !null && string(value) != "false" {
				return set, &Error{Status: 422, Code: 422, Message: fmt.Sprintf("The configuration %q is not supported by this registry", name)}
			}
		}
		if err != nil {
			if name == "compatibility" {
				return set, invalidLevel()
			}
			return set, &Error{Status: 400, Code: 400, Message: fmt.Sprintf("%s: %s is not what is wanted", name, value), Err: err}
		}
	}
	return set, nil
}

type modeAnswer struct {
	Mode string `json:"mode,omitempty"`
}

func (c *call) mode() (any, error) {
	name, err := c.target()
	if err != nil {
		return nil, err
	}
	mode, err := c.registry.modeOf(name, c.flag("defaultToGlobal"))
	return modeAnswer{mode}, err
}

func (c *call) setMode() (any, error) {
	name, err := c.target()
	if err != nil {
		return nil, err
	}
	var body struct{ Mode *string }
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	mode := ""
	if body.Mode != nil {
		if mode = *body.Mode; mode == "" {
			return nil, invalidMode()
		}
	}
	if err := c.registry.setMode(c.Context(), name, mode, c.flag("force")); err != nil {
		return nil, err
	}
	return modeAnswer{mode}, nil
}

func (c *call) deleteMode() (any, error) {
	name, err := c.target()
	if err != nil {
		return nil, err
	}
	mode, err := c.registry.deleteMode(c.Context(), name)
	return modeAnswer{mode}, err
}
