package hub

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/sluicehub/sluice/connectors"
)

// taskRun is what every run of a task has: its place, its configuration and what the hub lends it.
type taskRun struct {
	hub       *Hub
	connector string
	index     int
	config    map[string]string // placeholders resolved: it holds secrets
	settings  settings
	pipeline  *pipeline
	admin     *kadm.Client // creates the connector's topics
	errors    *errorHandler
	figures   *taskFigures
	gate      *gate
	log       *slog.Logger
	child     Child
	report    func(State, string) // changes the task's status

	mu       sync.Mutex
	observer connectors.Observer  // the running task, if it has figures of its own
	asked    connectors.Signaller // the running task, if it takes signals
}

// observe keeps a task for its figures and for signals until forget is called.
func (r *taskRun) observe(task any) (forget func()) {
	observer, _ := task.(connectors.Observer)
	asked, _ := task.(connectors.Signaller)
	set := func(o connectors.Observer, s connectors.Signaller) {
		r.mu.Lock()
		r.observer, r.asked = o, s
		r.mu.Unlock()
	}
	set(observer, asked)
	return func() { set(nil, nil) }
}

// signaller returns the task if it runs and takes signals.
func (r *taskRun) signaller() connectors.Signaller {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

// own returns the figures that the task itself has.
func (r *taskRun) own() []connectors.Figure {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.observer == nil {
		return nil
	}
	return r.observer.Figures()
}

func (r *taskRun) redact(text string) string { return r.hub.redactor.Redact(text) }

// running reports that the task works, or that it does nothing because its connector is paused: as it is when that has
// been reported, because a pause or its end may come in between.
func (r *taskRun) running() {
	for shut := r.gate.isShut(); ; shut = !shut {
		state := Running
		if shut {
			state = PausedState
		}
		r.report(state, "")
		if r.gate.isShut() == shut {
			return
		}
	}
}

// childDead reports whether an error may only say that the child has ended.
func (r *taskRun) childDead() bool {
	select {
	case <-r.child.Done():
		return true
	default:
		return false
	}
}

func (r *taskRun) trackTopic(topic string) {
	if r.hub.trackTopics {
		r.hub.status.trackTopic(r.connector, r.index, topic)
	}
}

// stopGrace is how long a task may take to release what it has.
const stopGrace = 10 * time.Second

// stopTask stops a task after its run, also if that failed.
func (r *taskRun) stopTask(ctx context.Context, stop func(context.Context) error, runErr *error) {
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	if err := stop(limit); err != nil && *runErr == nil {
		r.log.Warn("the task did not stop cleanly", "error", r.redact(err.Error()))
	}
}

// How long and how often a call that may succeed later is made again before the task is started anew.
const (
	inPlaceBudget = time.Minute
	inPlaceFirst  = time.Second
	inPlaceMost   = 10 * time.Second
)

// inPlace retries a call of a task that failed with an error that may pass (Retriable), with the cause in the status
// from the first failure on. The task keeps what it holds meanwhile.
type inPlace struct {
	run     *taskRun
	attempt int
	since   time.Time
}

// again waits and returns nil if the call is to be made once more, or the error the run ends with.
func (p *inPlace) again(ctx context.Context, err error) error {
	if !retriable(err) || connectors.ClassOf(err) == connectors.ClassGone || p.run.childDead() {
		return err
	}
	if p.attempt == 0 {
		p.since = time.Now()
	}
	if time.Since(p.since) > inPlaceBudget {
		return err
	}
	delay := min(inPlaceFirst<<min(p.attempt, 10), inPlaceMost)
	p.attempt++
	p.run.figures.retries.Add(1)
	text := p.run.redact(err.Error())
	p.run.log.Warn("a call of the connector failed and is made again", "attempt", p.attempt, "delay", delay, "error", text)
	p.run.report(Running, trace(connectors.ClassOf(err), text, "next try in "+delay.String()))
	return sleep(ctx, delay)
}

// over says that the call succeeded.
func (p *inPlace) over() {
	if p.attempt > 0 {
		p.attempt = 0
		p.run.running()
	}
}

// trace composes what a status says about trouble.
func trace(class connectors.Class, text, next string) string {
	out := class.String() + " error: " + text
	if next != "" {
		out += "\n" + next
	}
	return out
}

// newTaskRun puts together what a task runs with.
func (h *Hub) newTaskRun(r *runner, index int, config map[string]string, p prepared) *taskRun {
	run := &taskRun{hub: h, connector: r.name, index: index, config: config, settings: p.settings, figures: h.taskFigures(r.name, index),
		gate: r.gate, log: r.log.With("task", index), report: func(state State, trace string) { h.setStatus(r.name, index, state, trace) }}
	run.errors = &errorHandler{settings: p.settings.errors, connector: r.name, task: index, figures: run.figures, log: run.log, redact: h.redactor.Redact}
	if topic := p.settings.errors.deadLetters; topic != "" {
		run.errors.letters = &deadLetters{topic: topic, headers: p.settings.errors.deadLettersHeaders, joined: h.exactlyOnce && p.settings.kind == connectors.Source,
			connector: r.name, task: index, redact: h.redactor.Redact}
	}
	return run
}
