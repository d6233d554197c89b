package hub

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/sluicehub/sluice/connectors"
)

// Fault says why a request was refused.
type Fault uint8

// The faults. Anything else that goes wrong is the hub's or the log's own trouble.
const (
	NotFound Fault = iota + 1
	Conflict
	Invalid
	Forbidden
	Unavailable // the hub is starting or stopping
)

// RequestError refuses a request. Its text is meant for who made it, and worded as Kafka Connect's where clients
// look for words in it.
type RequestError struct {
	Fault   Fault
	Message string
}

func (e *RequestError) Error() string { return e.Message }

func refuse(fault Fault, format string, args ...any) error {
	return &RequestError{fault, fmt.Sprintf(format, args...)}
}

// Info is a connector as it was configured.
type Info struct {
	Name string
	// Config is as it was given, placeholders unresolved.
	Config map[string]string
	Tasks  int
	Kind   connectors.Kind // "unknown" if there is no such plugin
}

// UnknownKind is the kind of a connector whose plugin is not there.
const UnknownKind connectors.Kind = "unknown"

// StatusReport is the status of a connector and its tasks.
type StatusReport struct {
	Name      string
	Kind      connectors.Kind
	Connector Status
	Tasks     []TaskStatus
}

// TaskStatus is the status of one task.
type TaskStatus struct {
	Task int
	Status
}

// Ready reports whether the hub takes requests; if not, err says why, nil while it is starting.
func (h *Hub) Ready() (ready bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state.ready, h.state.err
}

// Up returns a channel that is closed once the hub takes requests. If Run fails before that, it stays open.
func (h *Hub) Up() <-chan struct{} { return h.up }

// About returns what GET / answers: the hub's version and the id of the log's cluster.
func (h *Hub) About() (version, cluster string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.version, h.clusterID
}

// ready refuses requests before the state was read and while the hub stops.
func (h *Hub) ready() error {
	switch ok, err := h.Ready(); {
	case ok:
		return nil
	case err != nil:
		return refuse(Unavailable, "%s", h.redactor.Redact(err.Error()))
	}
	return refuse(Unavailable, "The worker is starting: a rebalance is expected.")
}

// begin starts a request that changes a connector, and returns what ends it: one at a time. Such a request may ask the
// world, which must not keep others waiting.
func (h *Hub) begin(ctx context.Context, name string) (end func(), err error) {
	for {
		if err := h.ready(); err != nil {
			return nil, err
		}
		h.mu.Lock()
		before := h.changing[name]
		if before == nil {
			done := make(chan struct{})
			h.changing[name] = done
			h.mu.Unlock()
			return func() {
				h.mu.Lock()
				delete(h.changing, name)
				h.mu.Unlock()
				close(done)
			}, nil
		}
		h.mu.Unlock()
		select {
		case <-before:
		case <-ctx.Done():
			return nil, refuse(Conflict, "Another request is changing connector %s (a conflicting operation); try again", name)
		}
	}
}

func (h *Hub) lookup(name string) (spec, error) {
	if err := h.ready(); err != nil {
		return spec{}, err
	}
	sp, ok := h.configs.get(name)
	if !ok {
		return spec{}, refuse(NotFound, "Connector %s not found", name)
	}
	return sp, nil
}

// Connectors returns the names of all connectors.
func (h *Hub) Connectors() ([]string, error) {
	if err := h.ready(); err != nil {
		return nil, err
	}
	return h.configs.names(), nil
}

// Connector returns one connector.
func (h *Hub) Connector(ctx context.Context, name string) (Info, error) {
	sp, err := h.lookup(name)
	if err != nil {
		return Info{}, err
	}
	return h.info(ctx, name, sp), nil
}

func (h *Hub) info(ctx context.Context, name string, sp spec) Info {
	return Info{Name: name, Config: maps.Clone(sp.config), Tasks: len(sp.tasks), Kind: h.kind(ctx, sp.config)}
}

// kind returns the kind of the plugin that a configuration names.
func (h *Hub) kind(ctx context.Context, config map[string]string) connectors.Kind {
	resolved, _ := h.resolver.Resolve(map[string]string{"connector.class": config["connector.class"],
		"connector.plugin.version": config["connector.plugin.version"]})
	info, err := h.launcher.Find(ctx, resolved.Config["connector.class"], resolved.Config["connector.plugin.version"])
	if err != nil {
		return UnknownKind
	}
	return info.Kind
}

// TaskConfigs returns the configurations of a connector's tasks, placeholders unresolved.
func (h *Hub) TaskConfigs(name string) ([]map[string]string, error) {
	sp, err := h.lookup(name)
	if err != nil {
		return nil, err
	}
	out := make([]map[string]string, len(sp.tasks))
	for i, t := range sp.tasks {
		out[i] = maps.Clone(t)
	}
	return out, nil
}

// Status returns the status of a connector and its tasks.
func (h *Hub) Status(ctx context.Context, name string) (StatusReport, error) {
	sp, err := h.lookup(name)
	if err != nil {
		return StatusReport{}, err
	}
	st, ok := h.status.get(name, connectorTask)
	if !ok {
		return StatusReport{}, refuse(NotFound, "No status found for connector %s", name)
	}
	report := StatusReport{Name: name, Kind: h.kind(ctx, sp.config), Connector: st, Tasks: []TaskStatus{}}
	if sp.target == Stopped && st.State == StoppedState {
		return report, nil
	}
	for i := range sp.tasks {
		if st, ok := h.status.get(name, i); ok {
			report.Tasks = append(report.Tasks, TaskStatus{i, st})
		}
	}
	return report, nil
}

// TaskStatus returns the status of one task.
func (h *Hub) TaskStatus(name string, task int) (Status, error) {
	sp, err := h.lookup(name)
	if err != nil {
		return Status{}, err
	}
	st, ok := h.status.get(name, task)
	if !ok || task < 0 || task >= len(sp.tasks) {
		return Status{}, refuse(NotFound, "No status found for task %s-%d", name, task)
	}
	return st, nil
}

// Topics returns the topics that a connector uses. One that does not exist uses none.
func (h *Hub) Topics(name string) ([]string, error) {
	if err := h.ready(); err != nil {
		return nil, err
	}
	if !h.trackTopics {
		return nil, refuse(Forbidden, "Topic tracking is disabled.")
	}
	return h.status.usedTopics(name), nil
}

// ResetTopics forgets which topics a connector uses.
func (h *Hub) ResetTopics(name string) error {
	if err := h.ready(); err != nil {
		return err
	}
	switch {
	case !h.trackTopics:
		return refuse(Forbidden, "Topic tracking is disabled.")
	case !h.resetTopics:
		return refuse(Forbidden, "Topic tracking reset is disabled.")
	}
	h.status.resetTopics(name)
	return nil
}

// isRequestError reports whether an error refuses a request.
func isRequestError(err error) bool {
	var e *RequestError
	return errors.As(err, &e)
}
