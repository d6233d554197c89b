package hub

import (
	"context"

	"github.com/sluicehub/sluice/configs"
)

// CheckDeclared checks a configuration as far as that needs neither the log nor the world: declarations, converters,
// transforms, and what the worker allows. It works on a hub that does not run. Placeholders are resolved, and shown
// as they were written.
func (h *Hub) CheckDeclared(ctx context.Context, config map[string]string) (configs.Infos, error) {
	infos, _, err := h.validateDeclared(ctx, config)
	return infos, err
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
