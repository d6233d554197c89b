package hub

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

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
	restart  bool          // a person asked to start the connector anew
	quiet    chan struct{} // closed while what is stored is that nothing is to run, and nothing does
	child    Child         // of the incarnation; nil: none
	tasks    []*task       // of the incarnation; nil: they are not planned yet
	gate     *gate
	failures backoff
}

func newRunner(h *Hub, name string) *runner {
	return &runner{hub: h, name: name, log: h.log.With("connector", name), wake: make(chan struct{}, 1),
		done: make(chan struct{}), quiet: make(chan struct{}), gate: &gate{}}
}

// poke makes the runner look at what is stored.
func (r *runner) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// isQuiet returns a channel that is closed once the runner has seen that the connector is to do nothing, and nothing of
// it runs.
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
			r.idle(ctx)
			continue
		}
		started := time.Now()
		if err := r.incarnate(ctx, sp); err != nil && ctx.Err() == nil {
			r.failed(ctx, sp, err, time.Since(started))
		}
	}
	r.retire()
}

// idle waits until there may be something to do. The connector stops being quiet before what is stored is looked at.
func (r *runner) idle(ctx context.Context) {
	close(r.quiet)
	select {
	case <-r.wake:
	case <-ctx.Done():
	}
	r.mu.Lock()
	r.quiet = make(chan struct{})
	r.mu.Unlock()
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
	r.hub.setStatus(r.name, connectorTask, state, trace)
}

// forget removes what is left of a deleted connector.
func (r *runner) forget() {
	r.hub.status.remove(r.name)
	r.hub.redactor.Forget("connector " + r.name)
	r.hub.forgetFigures(r.name)
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
// to be tried again: also because something else is stored than sp, which it was tried with.
func (r *runner) failed(ctx context.Context, sp spec, err error, ran time.Duration) {
	class, text := connectors.ClassOf(err), r.hub.redactor.Redact(err.Error())
	delay, again := r.failures.next(err, ran)
	next := "not restarted by itself: correct the configuration, or restart it when the cause is mended"
	if again {
		next = fmt.Sprintf("next restart in %s (failure %d)", delay, r.failures.failures)
	}
	r.log.Error("the connector failed", "class", class.String(), "error", text, "next", next)
	r.show(Failed, trace(class, text, next))
	now, _ := r.hub.configs.get(r.name)
	for i := range now.tasks {
		r.hub.setStatus(r.name, i, Failed, trace(class, text, next))
	}
	var timer <-chan time.Time
	if again {
		clock := time.NewTimer(delay)
		defer clock.Stop()
		timer = clock.C
	}
	for waiting := true; waiting; {
		select {
		case <-timer:
			waiting = false
		case <-r.wake:
			if now, _ := r.hub.configs.get(r.name); r.outdated(sp) || now.target != sp.target {
				r.failures.reset()
				waiting = false
			}
		case <-ctx.Done():
			return
		}
	}
	if _, ok := r.hub.configs.get(r.name); ok {
		r.show(Restarting, "")
		r.hub.connectorRestarted(r.name)
	}
}

// outdated reports whether something else is wanted than what runs, which sp says: it is to be stopped, or to begin anew.
func (r *runner) outdated(sp spec) bool {
	now, ok := r.hub.configs.get(r.name)
	return !ok || now.revision != sp.revision || now.target == Stopped || r.takeRestart()
}

func (r *runner) takeRestart() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.restart
	r.restart = false
	return was
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
	// The connector's own part is its child. While that lives there is nothing of it to start anew without its tasks,
	// unless it still plans them; when it does not, every task needs it first.
	all := len(tasks) > 0 && len(tasks) == len(r.tasks)
	if !alive && (whole || len(tasks) > 0) || alive && whole && (all || r.tasks == nil) {
		r.restart = true
		r.poke()
		return
	}
	if !alive {
		return
	}
	for _, i := range tasks {
		if i < len(r.tasks) {
			r.hub.setStatus(r.name, i, Restarting, "")
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

// signallers returns the running tasks that take signals.
func (r *runner) signallers() (out []connectors.Signaller) {
	r.mu.Lock()
	tasks := r.tasks
	r.mu.Unlock()
	for _, t := range tasks {
		if s := t.run.signaller(); s != nil {
			out = append(out, s)
		}
	}
	return out
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
