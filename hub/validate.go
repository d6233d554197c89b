package hub

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// validateTimeout bounds what a plugin may ask the world.
const validateTimeout = 30 * time.Second

// Validate checks a configuration in full: declarations, converters, transforms, what the worker allows, and, if all
// that is right, the world, which the plugin asks. Errors are in the answer; an error is returned if there is nothing
// to check against. plugin is the name in the request's path, "" if there is none.
func (h *Hub) Validate(ctx context.Context, plugin string, config map[string]string) (configs.Infos, error) {
	if err := h.matches(ctx, plugin, config); err != nil {
		return configs.Infos{}, err
	}
	infos, p, err := h.validateDeclared(ctx, config)
	if err != nil || infos.ErrorCount > 0 {
		return infos, err
	}
	infos.Add(h.askWorld(ctx, p)...)
	h.mask(&infos, p)
	return infos, nil
}

// matches refuses a configuration that is for another plugin than the path says.
func (h *Hub) matches(ctx context.Context, plugin string, config map[string]string) error {
	class := strings.TrimSpace(config["connector.class"])
	if plugin == "" {
		return nil
	}
	if class == "" {
		return refuse(Invalid, "Connector config must contain 'connector.class'")
	}
	want, err := h.launcher.Find(ctx, plugin, "")
	if err != nil {
		return refuse(Invalid, "Failed to find any class that implements Connector and which name matches %s: %s", plugin, err)
	}
	have, err := h.launcher.Find(ctx, class, "")
	if err != nil {
		return refuse(Invalid, "Failed to find any class that implements Connector and which name matches %s: %s", class, err)
	}
	if want.Name != have.Name || want.Kind != have.Kind {
		return refuse(Invalid, "Included connector type %s does not match request type %s", class, plugin)
	}
	return nil
}

// validateDeclared checks what can be checked without the world.
func (h *Hub) validateDeclared(ctx context.Context, config map[string]string) (configs.Infos, prepared, error) {
	var p prepared
	var problems []configs.Problem
	p.resolved, problems = h.resolver.Resolve(config)
	class := strings.TrimSpace(p.resolved.Config["connector.class"])
	if class == "" {
		return configs.Infos{}, p, refuse(Invalid, "Connector config %v contains no connector type", names(config))
	}
	var err error
	if p.info, err = h.launcher.Find(ctx, class, p.resolved.Config["connector.plugin.version"]); err != nil {
		return configs.Infos{}, p, refuse(Invalid, "Failed to find any class that implements Connector and which name matches %s: %s",
			class, err)
	}
	definition, more := h.definition(p.info, p.resolved.Config)
	problems = append(problems, more...)
	infos := definition.Validate(p.resolved.Config)
	infos.Name = class
	p.settings, more = h.checkedSettings(p.info.Kind, p.resolved.Config)
	problems = append(problems, more...)
	if p.info.Kind == connectors.Sink && h.group(p.settings.name, p.settings) == h.values.String("group.id") {
		problems = append(problems, configs.KeyError("name", "Consumer group for sink connector named "+p.settings.name+
			" conflicts with Connect worker group "+h.values.String("group.id")))
	}
	infos.Add(problems...)
	if infos.ErrorCount == 0 {
		infos.Add(h.tryFormats(p)...)
	}
	h.mask(&infos, p)
	return infos, p, nil
}

// checkedSettings reads the hub's keys of a resolved configuration and holds them against what this worker allows.
func (h *Hub) checkedSettings(kind connectors.Kind, config map[string]string) (settings, []configs.Problem) {
	s, problems := parseSettings(kind, config)
	problems = append(problems, h.checkOverrides(s)...)
	problems = append(problems, overrideProblems(h.overridePolicy, h.overrideAllowed, config)...)
	return s, append(problems, h.onceProblems(s)...)
}

func names(config map[string]string) []string {
	var out []string
	for name := range config {
		out = append(out, name)
	}
	return out
}

// definition returns all keys that a connector with that configuration understands.
func (h *Hub) definition(info connectors.Info, config map[string]string) (*configs.Definition, []configs.Problem) {
	if h.formats.Definition == nil {
		return configs.Concat(ConnectorDefinition(info.Kind), info.Config), nil
	}
	formats, problems := h.formats.Definition(config)
	return configs.Concat(ConnectorDefinition(info.Kind), formats, info.Config), problems
}

// tryFormats makes converters and transforms, as a task would.
func (h *Hub) tryFormats(p prepared) []configs.Problem {
	var problems []configs.Problem
	for _, role := range []string{"key", "value", "header"} {
		if _, _, err := h.formats.converter(role, h.worker, p.resolved.Config); err != nil {
			problems = append(problems, configs.KeyError(role+".converter", err.Error()))
		}
	}
	if _, err := h.formats.Transforms(p.resolved.Config); err != nil {
		problems = append(problems, configs.KeyError("transforms", err.Error()))
	}
	return problems
}

// askWorld lets the plugin look whether it can connect, has the rights and so on. What it logs of the secrets meanwhile is
// masked (I8).
func (h *Hub) askWorld(ctx context.Context, p prepared) []configs.Problem {
	ctx, cancel := context.WithTimeout(ctx, validateTimeout)
	defer cancel()
	owner := "validation " + strconv.FormatInt(h.validations.Add(1), 10)
	h.redactor.Set(owner, p.secrets())
	defer h.redactor.Forget(owner)
	child, err := h.launcher.Launch(ctx, Launch{Connector: p.settings.name, Class: p.settings.class, Version: p.settings.version,
		Log: h.log.With("connector", p.settings.name, "validating", true)})
	if err != nil {
		return []configs.Problem{configs.KeyError("connector.class", "The connector could not be started: "+err.Error())}
	}
	defer func() {
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
		defer cancel()
		child.Stop(limit)
	}()
	validator, ok := child.(connectors.Validator)
	if !ok {
		return nil
	}
	problems := validator.Validate(ctx, maps.Clone(p.resolved.Config))
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		problems = append(problems, configs.KeyError("connector.class",
			fmt.Sprintf("The connector did not finish its checks within %s.", validateTimeout)))
	}
	return problems
}

// mask takes secrets out of an answer (I8): those that came from config providers, and all others that a message may
// repeat.
func (h *Hub) mask(infos *configs.Infos, p prepared) {
	infos.Redact(p.resolved)
	var redactor configs.Redactor
	redactor.Set("answer", p.secrets())
	for i := range infos.Configs {
		value := &infos.Configs[i].Value
		for j := range value.Errors {
			value.Errors[j] = redactor.Redact(value.Errors[j])
		}
	}
	for i := range infos.Warnings {
		infos.Warnings[i].Message = redactor.Redact(infos.Warnings[i].Message)
		infos.Warnings[i].Value = redactor.Redact(infos.Warnings[i].Value)
	}
}

// PluginKeys returns the keys that a plugin of that class understands: its own, then those common to all connectors.
func (h *Hub) PluginKeys(ctx context.Context, class, version string) ([]configs.KeyInfo, error) {
	info, err := h.launcher.Find(ctx, class, version)
	if err == nil {
		return configs.Concat(info.Config, ConnectorDefinition(info.Kind)).KeyInfos(), nil
	}
	if _, unknown := h.launcher.Find(ctx, class, ""); unknown == nil {
		return nil, refuse(Invalid, "%s", err)
	}
	if h.formats.Of != nil {
		if definition, ok := h.formats.Of(class); ok {
			return definition.KeyInfos(), nil
		}
	}
	return nil, refuse(NotFound, "Unknown plugin %s.", class)
}
