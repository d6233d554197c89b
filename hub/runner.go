package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// runner brings one connector from what it is to what is stored that it should be, and keeps it there. It has one
// goroutine, which is woken when something changed and then looks at everything anew.
//
// A connector that runs is an incarnation: one child, one set of tasks, made from one revision of the configuration.
// When the child dies, the configuration changes or the connector is stopped, the incarnation ends as a whole.
type runner struct {
	hub  *Hub
	name string
	log  *slog.Logger
	wake chan struct{} // capacity 1
	done chan struct{} // closed when the connector was deleted or the hub stopped

	mu       sync.Mutex
	restart  bool // a person asked to start the connector anew
	quiet    chan struct{}
	child    Child // of the incarnation; nil: none
	tasks    []*task
	gate     *gate
	failures backoff
}

func newRunner(h *Hub, name string) *runner {
	quiet := make(chan struct{})
	close(quiet)
	return &runner{hub: h, name: name, log: h.log.With("connector", name), wake: make(chan struct{}, 1),
		done: make(chan struct{}), quiet: quiet, gate: &gate{}}
}

// poke makes the runner look at what is stored.
func (r *runner) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// isQuiet returns a channel that is closed while nothing of the connector runs.
func (r *runner) isQuiet() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.quiet
}

func (r *runner) run(ctx context.Context) {
	for ctx.Err() == nil {
		sp, ok := r.hub.configs.get(r.name)
		if !ok {
			r.forget()
			return
		}
		if r.holds(sp) {
			select {
			case <-r.wake:
			case <-ctx.Done():
			}
			continue
		}
		started := time.Now()
		if err := r.incarnate(ctx, sp); err != nil && ctx.Err() == nil {
			r.failed(ctx, err, time.Since(started))
		}
	}
	r.retire()
}

// holds reports whether the connector is to do nothing, and shows it.
func (r *runner) holds(sp spec) bool {
	switch {
	case sp.target == Stopped:
		r.hub.status.keepTasks(r.name, 0)
		r.show(StoppedState, "")
	case sp.target == Paused && len(sp.tasks) == 0: // one that is paused from the start is not started
		r.show(PausedState, "")
	default:
		return false
	}
	r.failures.reset()
	return true
}

// show changes the status of the connector itself.
func (r *runner) show(state State, trace string) {
	st := Status{State: state, Trace: trace, Worker: r.hub.workerID, Version: r.hub.versionOf(r.name)}
	if now, ok := r.hub.status.get(r.name, connectorTask); ok && now == st {
		return
	}
	r.hub.status.set(r.name, connectorTask, st)
}

// forget removes what is left of a deleted connector.
func (r *runner) forget() {
	r.hub.status.remove(r.name)
	r.hub.redactor.Forget("connector " + r.name)
}

// retire says that this worker runs the connector no more, because the hub stops.
func (r *runner) retire() {
	r.show(Unassigned, "")
	sp, _ := r.hub.configs.get(r.name)
	for i := range sp.tasks {
		if st, ok := r.hub.status.get(r.name, i); ok && st.State != Unassigned {
			st.State, st.Trace = Unassigned, ""
			r.hub.status.set(r.name, i, st)
		}
	}
}

// failed reports that the connector itself failed (it could not be launched, or its child died) and waits until it is
// to be tried again.
func (r *runner) failed(ctx context.Context, err error, ran time.Duration) {
	class, text := connectors.ClassOf(err), r.hub.redactor.Redact(err.Error())
	delay, again := r.failures.next(err, ran)
	next := "not restarted by itself: correct the configuration, or restart it when the cause is mended"
	if again {
		next = fmt.Sprintf("next restart in %s (failure %d)", delay, r.failures.failures)
	}
	r.log.Error("the connector failed", "class", class.String(), "error", text, "next", next)
	r.show(Failed, trace(class, text, next))
	sp, _ := r.hub.configs.get(r.name)
	for i := range sp.tasks {
		r.hub.setTask(r.name, i, Failed, trace(class, text, next))
	}
	var timer <-chan time.Time
	if again {
		clock := time.NewTimer(delay)
		defer clock.Stop()
		timer = clock.C
	}
	for {
		select {
		case <-timer:
		case <-r.wake:
			if now, ok := r.hub.configs.get(r.name); ok && !r.takeRestart() && now.revision == sp.revision && now.target == sp.target {
				continue // nothing that concerns us
			}
			r.failures.reset()
		case <-ctx.Done():
			return
		}
		break
	}
	if _, ok := r.hub.configs.get(r.name); ok {
		r.show(Restarting, "")
		r.hub.connectorRestarted(r.name)
	}
}

func (r *runner) takeRestart() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.restart
	r.restart = false
	return was
}

// prepared is a configuration that is ready to run.
type prepared struct {
	info     connectors.Info
	resolved configs.Resolved
	settings settings
}

// prepare resolves and checks a stored configuration. From here on its secrets are masked (I8).
func (h *Hub) prepare(ctx context.Context, name string, config map[string]string) (prepared, error) {
	var p prepared
	var problems []configs.Problem
	p.resolved, problems = h.resolver.Resolve(config)
	if err := configs.Err(problems); err != nil {
		return p, &connectors.Error{Op: "resolve the configuration", Class: connectors.ClassConfig, Err: err}
	}
	// Until the plugin's own declarations are known, what looks like a secret counts as one.
	h.redactor.Set("connector "+name, (&configs.Definition{}).Secrets(p.resolved))
	class, version := p.resolved.Config["connector.class"], p.resolved.Config["connector.plugin.version"]
	var err error
	if p.info, err = h.launcher.Find(ctx, class, version); err != nil {
		return p, &connectors.Error{Op: "find the plugin of connector.class " + class, Class: connectors.ClassConfig, Err: err}
	}
	h.noteVersion(name, p.info)
	definition := configs.Concat(ConnectorDefinition(p.info.Kind), p.info.Config)
	h.redactor.Set("connector "+name, definition.Secrets(p.resolved))
	p.settings, problems = parseSettings(p.info.Kind, p.resolved.Config)
	problems = append(problems, overrideProblems(h.overridePolicy, h.overrideAllowed, p.resolved.Config)...)
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
	r.quiet = make(chan struct{})
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
	close(r.quiet)
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

// plan splits the work and stores how, with placeholders put back (I8), if it is not as stored already. It returns
// the tasks' configurations, resolved.
func (r *runner) plan(ctx context.Context, child Child, p prepared, sp spec) ([]map[string]string, error) {
	tasks, err := planTasks(ctx, child, p)
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
		if err := r.hub.configs.putTasks(ctx, r.name, stored); err != nil {
			return nil, logError("store the tasks", err)
		}
	}
	r.hub.status.keepTasks(r.name, len(tasks))
	return tasks, nil
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
		now, ok := r.hub.configs.get(r.name)
		if !ok || now.revision != sp.revision || now.target == Stopped || r.takeRestart() {
			r.failures.reset()
			return nil
		}
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

// restartSome starts tasks anew, or the whole connector: then all of its tasks go down with its child.
func (r *runner) restartSome(whole bool, tasks []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	alive := r.child != nil
	if alive {
		select {
		case <-r.child.Done():
			alive = false
		default:
		}
	}
	// The connector's own part is its child. While that lives there is nothing of it to start anew without its tasks;
	// when it does not, every task needs it first.
	if !alive && (whole || len(tasks) > 0) || alive && whole && len(tasks) > 0 && len(tasks) == len(r.tasks) {
		r.restart = true
		r.poke()
		return
	}
	if !alive {
		return
	}
	for _, i := range tasks {
		if i < len(r.tasks) {
			r.hub.setTask(r.name, i, Restarting, "")
			select {
			case r.tasks[i].restart <- struct{}{}:
			default:
			}
		}
	}
}

// ownFigures adds what the running tasks themselves tell.
func (r *runner) ownFigures(into []TaskFigures) {
	r.mu.Lock()
	tasks := r.tasks
	r.mu.Unlock()
	for i, t := range tasks {
		if i < len(into) {
			into[i].Own = t.run.own()
		}
	}
}

// usage returns what the child costs; false if there is none or nobody knows.
func (r *runner) usage() (cpu time.Duration, resident int64, ok bool) {
	r.mu.Lock()
	m, ok := r.child.(Meter)
	r.mu.Unlock()
	if ok {
		cpu, resident = m.Usage()
	}
	return cpu, resident, ok
}
