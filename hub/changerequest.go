package hub

import (
	"context"
	"errors"
	"maps"
	"strings"

	"github.com/sluicehub/sluice/configs"
)

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
	end, err := h.begin(ctx, name)
	if err != nil {
		return Info{}, err
	}
	defer end()
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
	return h.verdict(config, infos)
}

// verdict returns the errors of an answer as one, and logs its warnings: a misspelt key must not pass in silence.
func (h *Hub) verdict(config map[string]string, infos configs.Infos) error {
	err := infosError(infos)
	if err == nil {
		for _, w := range infos.Warnings {
			h.log.Warn("configuration: "+w.Message, "connector", config["name"], "key", w.Key)
		}
	}
	return err
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
	return h.put(ctx, name, config, nil, h.check)
}

// Apply is PutConfig for configurations from files at start: the world is not asked whether it is right, so that a
// database that starts beside the hub does not make it refuse. What is wrong shows in the status.
func (h *Hub) Apply(ctx context.Context, name string, config map[string]string) (Info, bool, error) {
	return h.put(ctx, name, config, nil, func(ctx context.Context, config map[string]string) error {
		infos, _, err := h.validateDeclared(ctx, config)
		if err != nil {
			return err
		}
		return h.verdict(config, infos)
	})
}

// put stores a configuration that passes the check. With from it is a new version of that one, and nothing else.
func (h *Hub) put(ctx context.Context, name string, config map[string]string, from *spec, check func(context.Context, map[string]string) error) (Info, bool, error) {
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
	end, err := h.begin(ctx, name)
	if err != nil {
		return Info{}, false, err
	}
	defer end()
	sp, exists := h.configs.get(name)
	if from != nil && (!exists || sp.revision != from.revision) {
		return Info{}, false, errChanged
	}
	if exists && maps.Equal(sp.config, config) {
		h.retryFailed(name)
		return h.info(ctx, name, sp), false, nil
	}
	info, err := h.store(ctx, name, config, "")
	return info, !exists, err
}

// retryFailed starts anew what has failed of a connector: who puts the same configuration again wants to see it work,
// because what it refers to (a placeholder, a server) has changed.
func (h *Hub) retryFailed(name string) {
	if r := h.runner(name); r != nil {
		st, _ := h.status.get(name, connectorTask)
		var tasks []int
		sp, _ := h.configs.get(name)
		for i := range sp.tasks {
			if t, ok := h.status.get(name, i); ok && t.State == Failed {
				tasks = append(tasks, i)
			}
		}
		r.restartSome(st.State == Failed, tasks)
	}
}

// PatchConfig changes some keys of a configuration; nil removes one.
func (h *Hub) PatchConfig(ctx context.Context, name string, patch map[string]*string) (Info, error) {
	for {
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
		info, _, err := h.put(ctx, name, config, &sp, h.check)
		if !errors.Is(err, errChanged) {
			return info, err
		}
	}
}

// errChanged says that a configuration was changed while a new one was made of it and checked.
var errChanged = errors.New("the configuration was changed meanwhile")

// Delete removes a connector. Its source offsets and its consumer group stay, as in Connect: a connector of that name
// goes on where this one was.
func (h *Hub) Delete(ctx context.Context, name string) error {
	end, err := h.begin(ctx, name)
	if err != nil {
		return err
	}
	defer end()
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
	end, err := h.begin(ctx, name)
	if err != nil {
		return err
	}
	defer end()
	sp, err := h.lookup(name)
	if err != nil {
		return err
	}
	switch {
	case target == Stopped && (sp.target != Stopped || len(sp.tasks) > 0):
		err = h.configs.stop(ctx, name)
	case target != sp.target:
		err = h.configs.putTarget(ctx, name, target)
	}
	if err != nil {
		return err
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
