package hub

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sluicehub/sluice/configs"
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

// About returns what GET / answers: the hub's version and the id of the log's cluster.
func (h *Hub) About() (version, cluster string) { return h.version, h.clusterID }

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

// begin starts a request that changes something: one at a time.
func (h *Hub) begin() error {
	if err := h.ready(); err != nil {
		return err
	}
	h.change.Lock()
	return nil
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

// Create makes a connector. An empty target is Started.
func (h *Hub) Create(ctx context.Context, name string, config map[string]string, target TargetState) (Info, error) {
	if err := h.ready(); err != nil {
		return Info{}, err
	}
	name, config, err := named(name, config)
	if err != nil {
		return Info{}, err
	}
	if err := h.check(ctx, config); err != nil {
		return Info{}, err
	}
	if err := h.begin(); err != nil {
		return Info{}, err
	}
	defer h.change.Unlock()
	if _, exists := h.configs.get(name); exists {
		return Info{}, refuse(Conflict, "Connector %s already exists", name)
	}
	return h.store(ctx, name, config, target)
}

// named brings name and config together: the configuration always holds the name, and must not hold another one.
func named(name string, config map[string]string) (string, map[string]string, error) {
	name = strings.TrimSpace(name)
	config = maps.Clone(config)
	if config == nil {
		config = map[string]string{}
	}
	switch inside, ok := config["name"]; {
	case !ok:
		config["name"] = name
	case inside != name:
		return "", nil, refuse(Invalid, "Connector name configuration (%s) doesn't match connector name in the URL (%s)", inside, name)
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", nil, refuse(Invalid, "Connector name contains control characters")
	}
	return name, config, nil
}

// check validates a configuration that is to be stored.
func (h *Hub) check(ctx context.Context, config map[string]string) error {
	infos, err := h.Validate(ctx, "", config)
	if err != nil {
		return err
	}
	return infosError(infos)
}

// infosError puts all errors of an answer into Connect's sentence.
func infosError(infos configs.Infos) error {
	if infos.ErrorCount == 0 {
		return nil
	}
	var lines []string
	for _, c := range infos.Configs {
		lines = append(lines, c.Value.Errors...)
	}
	return refuse(Invalid, "Connector configuration is invalid and contains the following %d error(s):\n%s\nYou can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`",
		infos.ErrorCount, strings.Join(lines, "\n"))
}

// store writes a configuration and wakes or starts the connector's runner.
func (h *Hub) store(ctx context.Context, name string, config map[string]string, target TargetState) (Info, error) {
	if err := h.configs.putConnector(ctx, name, config, target); err != nil {
		return Info{}, err
	}
	if _, shown := h.status.get(name, connectorTask); !shown {
		h.status.set(name, connectorTask, Status{State: Unassigned, Worker: h.workerID})
	}
	h.startRunner(name)
	sp, _ := h.configs.get(name)
	return h.info(ctx, name, sp), nil
}

// PutConfig makes a connector or changes its configuration, and reports whether it made it.
func (h *Hub) PutConfig(ctx context.Context, name string, config map[string]string) (Info, bool, error) {
	return h.put(ctx, name, config, h.check)
}

// Apply is PutConfig for configurations from files at start: the world is not asked whether it is right, so that a
// database that starts beside the hub does not make it refuse. What is wrong shows in the status.
func (h *Hub) Apply(ctx context.Context, name string, config map[string]string) (Info, bool, error) {
	return h.put(ctx, name, config, func(ctx context.Context, config map[string]string) error {
		infos, _, err := h.validateDeclared(ctx, config)
		if err != nil {
			return err
		}
		return infosError(infos)
	})
}

func (h *Hub) put(ctx context.Context, name string, config map[string]string, check func(context.Context, map[string]string) error) (Info, bool, error) {
	if err := h.ready(); err != nil {
		return Info{}, false, err
	}
	name, config, err := named(name, config)
	if err != nil {
		return Info{}, false, err
	}
	if err := check(ctx, config); err != nil {
		return Info{}, false, err
	}
	if err := h.begin(); err != nil {
		return Info{}, false, err
	}
	defer h.change.Unlock()
	sp, exists := h.configs.get(name)
	if exists && maps.Equal(sp.config, config) {
		return h.info(ctx, name, sp), false, nil
	}
	info, err := h.store(ctx, name, config, "")
	return info, !exists, err
}

// PatchConfig changes some keys of a configuration; nil removes one.
func (h *Hub) PatchConfig(ctx context.Context, name string, patch map[string]*string) (Info, error) {
	sp, err := h.lookup(name)
	if err != nil {
		return Info{}, err
	}
	config := maps.Clone(sp.config)
	for key, value := range patch {
		if value == nil {
			delete(config, key)
		} else {
			config[key] = *value
		}
	}
	info, _, err := h.PutConfig(ctx, name, config)
	return info, err
}

// Delete removes a connector. Its source offsets and its consumer group stay, as in Connect: a connector of that name
// goes on where this one was.
func (h *Hub) Delete(ctx context.Context, name string) error {
	if err := h.begin(); err != nil {
		return err
	}
	defer h.change.Unlock()
	if _, err := h.lookup(name); err != nil {
		return err
	}
	if err := h.configs.remove(ctx, name); err != nil {
		return err
	}
	if r := h.runner(name); r != nil {
		r.poke()
	}
	return nil
}

// SetTarget pauses, resumes or stops a connector.
func (h *Hub) SetTarget(ctx context.Context, name string, target TargetState) error {
	if err := h.begin(); err != nil {
		return err
	}
	defer h.change.Unlock()
	sp, err := h.lookup(name)
	if err != nil {
		return err
	}
	if target == Stopped && len(sp.tasks) > 0 {
		if err := h.configs.putTasks(ctx, name, nil); err != nil {
			return err
		}
	}
	if sp.target != target {
		if err := h.configs.putTarget(ctx, name, target); err != nil {
			return err
		}
	}
	if r := h.runner(name); r != nil {
		r.poke()
	}
	return nil
}

// Restart starts a connector anew, and with includeTasks its tasks; with onlyFailed, only what has failed. It returns
// the status in which what it concerns shows as RESTARTING; the work is done afterwards.
func (h *Hub) Restart(ctx context.Context, name string, includeTasks, onlyFailed bool) (StatusReport, error) {
	report, err := h.Status(ctx, name)
	if err != nil {
		return report, err
	}
	concerns := func(st Status) bool {
		return st.State != StoppedState && st.State != Unassigned && (!onlyFailed || st.State == Failed)
	}
	whole := concerns(report.Connector)
	if whole {
		report.Connector.State, report.Connector.Trace = Restarting, ""
	}
	var tasks []int
	for i := range report.Tasks {
		if t := &report.Tasks[i]; includeTasks && concerns(t.Status) {
			tasks = append(tasks, t.Task)
			t.State, t.Trace = Restarting, ""
		}
	}
	if r := h.runner(name); r != nil {
		r.restartSome(whole, tasks)
	}
	return report, nil
}

// RestartTask starts one task anew.
func (h *Hub) RestartTask(name string, task int) error {
	sp, err := h.lookup(name)
	if err != nil {
		return err
	}
	if task < 0 || task >= len(sp.tasks) {
		return refuse(NotFound, "Unknown task: %s-%d", name, task)
	}
	if r := h.runner(name); r != nil {
		r.restartSome(false, []int{task})
	}
	return nil
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

// Figures returns what all tasks have done, and what the children cost.
func (h *Hub) Figures() ([]TaskFigures, []ChildFigures) {
	h.mu.Lock()
	runners := slices.Collect(maps.Values(h.runners))
	h.mu.Unlock()
	var tasks []TaskFigures
	var children []ChildFigures
	for _, r := range runners {
		t, c := r.figures()
		tasks = append(tasks, t...)
		if c != nil {
			children = append(children, *c)
		}
	}
	return tasks, children
}

// isRequestError reports whether an error refuses a request.
func isRequestError(err error) bool {
	var e *RequestError
	return errors.As(err, &e)
}
