package hub

import (
	"context"
	"strings"

	"github.com/sluicehub/sluice/configs"
)

// CheckDeclared checks a configuration as far as that needs neither the log nor the world: declarations, converters,
// transforms, and what the worker allows. It works on a hub that does not run. Placeholders are resolved, and shown
// as they were written.
func (h *Hub) CheckDeclared(ctx context.Context, config map[string]string) (configs.Infos, error) {
	infos, _, err := h.validateDeclared(ctx, config)
	return infos, err
}

// Warnings returns what is wrong with the worker's configuration beyond WorkerDefinition, but does not keep the hub
// from working: settings of clients and converters that have no effect.
func (h *Hub) Warnings() []configs.Problem { return h.warnings }

// converterWarnings looks at the settings of the worker's converters.
func (h *Hub) converterWarnings() []configs.Problem {
	given := map[string]string{}
	for key, value := range h.worker {
		for _, role := range []string{"key", "value", "header"} {
			prefix := role + ".converter."
			if strings.HasPrefix(key, prefix) && key != prefix+"plugin.version" {
				given[key] = value
			}
		}
	}
	if h.formats.Definition == nil || len(given) == 0 {
		return nil
	}
	classes := map[string]string{} // with the defaults: settings without a class are of the default class here
	for _, role := range []string{"key", "value", "header"} {
		classes[role+".converter"] = h.values.String(role + ".converter")
	}
	definition, problems := h.formats.Definition(classes)
	_, more := definition.Parse(given)
	return append(problems, more...)
}

// CheckWorker makes the worker's own converters, so that a worker whose connectors could not work does not start.
func (h *Hub) CheckWorker() error {
	for _, role := range []string{"key", "value", "header"} {
		if _, _, err := h.formats.converter(role, h.worker, nil); err != nil {
			return err
		}
	}
	return nil
}
