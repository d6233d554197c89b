package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// prepared is a configuration that is ready to run.
type prepared struct {
	info     connectors.Info
	resolved configs.Resolved
	settings settings
}

// secrets returns what must not be shown of the configuration.
func (p prepared) secrets() []string {
	return Secrets(configs.Concat(ConnectorDefinition(p.info.Kind), p.info.Config), p.resolved)
}

// prepare resolves and checks a stored configuration. From here on its secrets are masked (I8).
func (h *Hub) prepare(ctx context.Context, name string, config map[string]string) (prepared, error) {
	var p prepared
	var problems []configs.Problem
	p.resolved, problems = h.resolver.Resolve(config)
	if err := configs.Err(problems); err != nil {
		return p, &connectors.Error{Op: "resolve the configuration", Class: connectors.ClassConfig, Err: err}
	}
	class, version := p.resolved.Config["connector.class"], p.resolved.Config["connector.plugin.version"]
	var err error
	if p.info, err = h.launcher.Find(ctx, class, version); err != nil {
		// Without the plugin's declarations, what looks like a secret counts as one.
		h.redactor.Set("connector "+name, Secrets(&configs.Definition{}, p.resolved))
		why := connectors.ClassConfig
		var classed *connectors.Error
		if errors.As(err, &classed) { // a plugin that could not be asked may answer later
			why = classed.Class
		}
		return p, &connectors.Error{Op: "find the plugin of connector.class " + class, Class: why, Err: err}
	}
	h.noteVersion(name, p.info)
	h.redactor.Set("connector "+name, p.secrets())
	p.settings, problems = h.checkedSettings(p.info.Kind, p.resolved.Config)
	if err := configs.Err(problems); err != nil {
		return p, &connectors.Error{Op: "read the configuration", Class: connectors.ClassConfig, Err: err}
	}
	return p, nil
}

// incarnate runs the connector until its child dies or fails to start (an error), or until what is stored asks for
// something else (nil).
func (r *runner) incarnate(ctx context.Context, sp spec) error {
	p, err := r.hub.prepare(ctx, r.name, sp.config)
	if err != nil {
		return err
	}
	child, err := r.hub.launcher.Launch(ctx, Launch{Connector: r.name, Class: p.settings.class, Version: p.settings.version, Log: r.log})
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(ctx)
	r.begin(child, sp)
	defer r.end(child)
	defer end() // first the tasks, then the child
	configs, err := r.plan(ctx, child, p, sp)
	if errors.Is(err, errOutdated) {
		r.failures.reset()
		return nil
	}
	if err != nil {
		return r.orDeath(child, err)
	}
	r.startTasks(ctx, child, p, configs)
	if sp.target == Paused {
		r.show(PausedState, "")
	} else {
		r.show(Running, "")
	}
	return r.watch(ctx, child, p, sp)
}

// begin notes that something of the connector runs.
func (r *runner) begin(child Child, sp spec) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.child, r.restart = child, false
	r.gate = &gate{}
	r.gate.set(sp.target == Paused)
}

// end stops what is left of the incarnation. The tasks were told before.
func (r *runner) end(child Child) {
	r.mu.Lock()
	tasks := r.tasks
	r.mu.Unlock()
	for _, t := range tasks {
		<-t.done
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	child.Stop(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.child, r.tasks = nil, nil
}

// orDeath returns why the child died, if it did, instead of an error that only followed from it.
func (r *runner) orDeath(child Child, err error) error {
	select {
	case <-child.Done():
	case <-time.After(50 * time.Millisecond):
		return err
	}
	if death := child.Err(); death != nil {
		return death
	}
	return errors.New("the connector's process ended")
}

// errOutdated says that something else is wanted of the connector than what was begun.
var errOutdated = errors.New("something else is wanted of the connector")

// plan splits the work and stores how, with placeholders put back (I8), if it is not as stored already. It returns
// the tasks' configurations, resolved, or errOutdated.
func (r *runner) plan(ctx context.Context, child Child, p prepared, sp spec) ([]map[string]string, error) {
	tasks, err := r.askPlan(ctx, child, p, sp)
	if err != nil {
		return nil, err
	}
	if len(tasks) > p.settings.tasksMax && p.settings.tasksEnforced {
		return nil, &connectors.Error{Op: "plan the tasks", Class: connectors.ClassConfig, Err: fmt.Errorf(
			"the connector made %d tasks, more than tasks.max, which is %d", len(tasks), p.settings.tasksMax)}
	}
	stored := make([]map[string]string, len(tasks))
	for i := range tasks {
		stored[i] = p.resolved.Restore(tasks[i])
	}
	same := len(stored) == len(sp.tasks) && sp.tasks != nil
	for i := 0; same && i < len(stored); i++ {
		same = maps.Equal(stored[i], sp.tasks[i])
	}
	if !same {
		if kept, err := r.hub.configs.putTasks(ctx, r.name, stored); err != nil {
			return nil, logError("store the tasks", err)
		} else if !kept {
			return nil, errOutdated
		}
	}
	if r.hub.exactlyOnce && p.info.Kind == connectors.Source {
		if err := r.hub.fence(ctx, r.name, p.settings, len(tasks), same); err != nil {
			return nil, err
		}
	}
	r.hub.status.keepTasks(r.name, len(tasks))
	return tasks, nil
}

// askPlan asks the connector how to split its work. It may ask the world, which may not answer: the question is given up
// when something else is wanted, and after a while the status says what is waited for.
func (r *runner) askPlan(ctx context.Context, child Child, p prepared, sp spec) (tasks []map[string]string, err error) {
	asked := time.Now()
	ctx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		tasks, err = planTasks(ctx, child, p)
	}()
	patience := time.NewTimer(silence)
	defer patience.Stop()
	for {
		select {
		case <-answered:
			r.poke() // a pause that came meanwhile is for watch
			return tasks, err
		case <-patience.C:
			r.silent(asked)
		case <-r.wake:
			if r.outdated(sp) {
				giveUp()
				<-answered
				return nil, errOutdated
			}
		}
	}
}

// silent says in the status that the connector has not answered yet how its work is to be split.
func (r *runner) silent(since time.Time) {
	at := since.UTC().Format(time.RFC3339)
	r.log.Warn("the connector has not answered how its work is to be split into tasks", "since", at)
	st, _ := r.hub.status.get(r.name, connectorTask)
	r.show(cmp.Or(st.State, Unassigned), trace(connectors.ClassEnvironment, "the connector has been asked since "+at+" how its work is to be split into tasks, and has not answered",
		"it is waited for; check that what it reads from or writes to answers, or stop the connector"))
}

// planTasks asks the connector how to split its work.
func planTasks(ctx context.Context, child Child, p prepared) ([]map[string]string, error) {
	if planner, ok := child.(connectors.Planner); ok {
		return planner.Plan(ctx, maps.Clone(p.resolved.Config), p.settings.tasksMax)
	}
	n := 1
	if p.info.Kind == connectors.Sink {
		n = p.settings.tasksMax
	}
	tasks := make([]map[string]string, n)
	for i := range tasks {
		tasks[i] = maps.Clone(p.resolved.Config)
	}
	return tasks, nil
}

// startTasks starts a goroutine for each task; they end with ctx.
func (r *runner) startTasks(ctx context.Context, child Child, p prepared, list []map[string]string) {
	tasks := make([]*task, len(list))
	for i, config := range list {
		run := r.hub.newTaskRun(r, i, config, p)
		run.child = child
		tasks[i] = &task{run: run, child: child, restart: make(chan struct{}, 1), done: make(chan struct{})}
	}
	r.mu.Lock()
	r.tasks = tasks
	r.mu.Unlock()
	for _, t := range tasks {
		go t.supervise(ctx)
	}
}

// watch waits for the end of the incarnation.
func (r *runner) watch(ctx context.Context, child Child, p prepared, sp spec) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-child.Done():
			return r.orDeath(child, nil)
		case <-r.wake:
		}
		if r.outdated(sp) {
			r.failures.reset()
			return nil
		}
		now, _ := r.hub.configs.get(r.name)
		r.setPaused(now.target == Paused)
	}
}

// setPaused pauses or resumes the tasks.
func (r *runner) setPaused(paused bool) {
	if !r.gate.set(paused) {
		return
	}
	state := Running
	if paused {
		state = PausedState
	}
	r.show(state, "")
	for _, t := range r.tasks {
		if st, ok := r.hub.status.get(r.name, t.run.index); ok && (st.State == Running || st.State == PausedState) {
			t.run.report(state, "")
		}
	}
}
