package hub

import (
	"context"
	"errors"

	"github.com/sluicehub/sluice/connectors"
)

// Signal asks the running tasks of a source for something, in the words of Debezium's signals. It returns when the
// request was understood; what becomes of it is in the log and in the source offsets.
func (h *Hub) Signal(ctx context.Context, name string, s connectors.Signal) error {
	sp, err := h.lookup(name)
	if err != nil {
		return err
	}
	if h.kind(ctx, sp.config) == connectors.Sink {
		return refuse(Invalid, "Connector %s is a sink: only sources take signals", name)
	}
	var tasks []connectors.Signaller
	if r := h.runner(name); r != nil {
		tasks = r.signallers()
	}
	if len(tasks) == 0 {
		return refuse(Conflict, "Connector %s has no running task that takes signals", name)
	}
	for _, task := range tasks {
		err := task.Signal(ctx, s)
		var e *connectors.Error
		if errors.As(err, &e) && e.Class == connectors.ClassConfig {
			return refuse(Invalid, "%s", h.redactor.Redact(e.Error()))
		}
		if err != nil {
			return errors.New(h.redactor.Redact(err.Error())) // it may hold the connector's own words (I8)
		}
	}
	return nil
}
