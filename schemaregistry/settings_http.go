package schemaregistry

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// target is the subject or context in the path of a setting, "" for the default context.
func (c *call) target() (string, error) {
	if len(c.path) < 2 {
		return "", nil
	}
	return shortest(c.path[1]), checkScope(c.path[1])
}

// configAnswer returns what GET and DELETE answer.
func configAnswer(value configValue) configValue {
	value.Subject = ""
	return value
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
	return configAnswer(value), nil
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
	return configAnswer(was), nil
}

// setConfig answers with what is configured from then on. The level has another name in it than in other answers.
func (c *call) setConfig() (any, error) {
	name, err := c.target()
	if err != nil {
		return nil, err
	}
	var body map[string]json.RawMessage
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	changes, echo, err := parseSetting(body)
	if err != nil {
		return nil, err
	}
	for _, rules := range []*ruleSet{echo.DefaultRuleSet, echo.OverrideRuleSet} {
		if err := rules.check(); err != nil {
			return nil, invalidRules(err)
		}
	}
	var is configValue
	err = c.registry.setConfig(c.Context(), name, func(value *configValue) {
		for _, change := range changes {
			change(value)
		}
		is = *value
	})
	if err != nil {
		return nil, err
	}
	return struct {
		Level string `json:"compatibility,omitempty"`
		configValue
	}{is.Level, withoutLevel(is)}, nil
}

func withoutLevel(value configValue) configValue {
	value.Level, value.Subject = "", ""
	return value
}

// parseSetting reads the body of a PUT of /config: an absent member keeps what is set, null removes it. What is not
// known is ignored, as there. It returns the changes, and what they make of nothing.
func parseSetting(body map[string]json.RawMessage) (changes []func(*configValue), echo configValue, err error) {
	for name, raw := range body {
		change, err := parseMember(name, raw)
		if err != nil {
			return nil, echo, err
		}
		if change != nil {
			change(&echo)
			changes = append(changes, change)
		}
	}
	return changes, echo, nil
}

func parseMember(name string, raw json.RawMessage) (func(*configValue), error) {
	switch name {
	case "compatibility":
		return parseNamed(raw, func(v *configValue) *string { return &v.Level }, func(text string) (string, error) {
			level, err := ParseLevel(text)
			if err != nil {
				return "", invalidLevel()
			}
			return string(level), nil
		}, invalidLevel())
	case "compatibilityPolicy":
		wrong := &Error{Status: http.StatusUnprocessableEntity, Code: http.StatusUnprocessableEntity, Message: "Invalid compatibility policy. Valid values are STRICT and LENIENT"}
		return parseNamed(raw, func(v *configValue) *string { return &v.Policy }, func(text string) (string, error) {
			if text = strings.ToUpper(text); text != "STRICT" && text != policyLenient {
				return "", wrong
			}
			return text, nil
		}, wrong)
	case "alias":
		return parseValue(name, raw, func(v *configValue) *string { return &v.Alias })
	case "aliasForDeks":
		return parseValue(name, raw, func(v *configValue) *string { return &v.AliasForDeks })
	case "compatibilityGroup":
		return parseValue(name, raw, func(v *configValue) *string { return &v.Group })
	case "normalize":
		return parseValue(name, raw, func(v *configValue) **bool { return &v.Normalize })
	case "validateFields":
		return parseValue(name, raw, func(v *configValue) **bool { return &v.ValidateFields })
	case "validateNewSchemas":
		return parseValue(name, raw, func(v *configValue) **bool { return &v.ValidateNew })
	case "validateRules":
		return parseValue(name, raw, func(v *configValue) **bool { return &v.ValidateRules })
	case "defaultMetadata":
		return parseValue(name, raw, func(v *configValue) **metadata { return &v.DefaultMetadata })
	case "overrideMetadata":
		return parseValue(name, raw, func(v *configValue) **metadata { return &v.OverrideMetadata })
	case "defaultRuleSet":
		return parseValue(name, raw, func(v *configValue) **ruleSet { return &v.DefaultRuleSet })
	case "overrideRuleSet":
		return parseValue(name, raw, func(v *configValue) **ruleSet { return &v.OverrideRuleSet })
	}
	return nil, nil
}

// parseValue reads one member into the place that it has; null is the zero value.
func parseValue[V any](name string, raw json.RawMessage, place func(*configValue) *V) (func(*configValue), error) {
	var value V
	if err := json.Unmarshal(raw, &value); err != nil {
		return nil, &Error{Status: http.StatusBadRequest, Code: http.StatusBadRequest, Message: fmt.Sprintf("%s: %s is not what is wanted", name, raw), Err: err}
	}
	return func(v *configValue) { *place(v) = value }, nil
}

// parseNamed is parseValue for one of some names.
func parseNamed(raw json.RawMessage, place func(*configValue) *string, valid func(string) (string, error), wrong error) (func(*configValue), error) {
	var text *string
	if err := json.Unmarshal(raw, &text); err != nil {
		return nil, wrong
	}
	value := ""
	if text != nil {
		var err error
		if value, err = valid(*text); err != nil {
			return nil, err
		}
	}
	return func(v *configValue) { *place(v) = value }, nil
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
	return modeAnswer{strings.ToUpper(mode)}, nil
}

func (c *call) deleteMode() (any, error) {
	name, err := c.target()
	if err != nil {
		return nil, err
	}
	mode, err := c.registry.deleteMode(c.Context(), name, c.flag("recursive"))
	return modeAnswer{mode}, err
}
