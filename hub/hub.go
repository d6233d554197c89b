package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// Options are what a hub is made from.
type Options struct {
	// Worker is the worker's configuration, placeholders resolved. Keys that are not the hub's are left alone.
	Worker map[string]string
	// Client says how the log is reached: seeds and dialer, security. Nothing else belongs in it.
	Client   []kgo.Opt
	Launcher Launcher
	Formats  Formats
	// Resolver resolves placeholders in connectors' configurations.
	Resolver *configs.Resolver
	// Redactor masks secrets in statuses and errors. The hub tells it the secrets of its connectors; give it the
	// worker's, and use it for the log's handler too.
	Redactor *configs.Redactor
	Log      *slog.Logger
	// WorkerID is how this worker is named in statuses: the host and port under which its REST API is reached.
	WorkerID string
	// Instance is how this worker is known to the log: the same after a restart, and no other worker's. A worker of
	// the same instance takes the place of its former self; two that are alive fence each other. "": the WorkerID.
	Instance string
	Version  string
}

// Hub runs connectors. Its methods may be called from several goroutines.
type Hub struct {
	options
	client    *kgo.Client
	admin     *kadm.Client
	leases    leases
	configs   *configStore
	offsets   *offsetStore
	status    *statusStore
	started   time.Time
	up        chan struct{} // closed when the hub takes requests
	stopped   chan struct{}
	stopOnce  sync.Once
	done      chan struct{}
	runCtx    context.Context
	runEnd    context.CancelFunc
	running   sync.WaitGroup
	change    sync.Mutex // held while what is stored is changed by a request
	mu        sync.Mutex
	state     health
	runners   map[string]*runner
	figures   map[string]map[int]*taskFigures
	versions  map[string]connectors.Info
	clusterID string
}

// options are Options in the form the hub uses.
type options struct {
	worker          map[string]string
	values          configs.Values
	base            []kgo.Opt
	launcher        Launcher
	formats         Formats
	resolver        *configs.Resolver
	redactor        *configs.Redactor
	log             *slog.Logger
	workerID        string
	instance        string
	version         string
	flushInterval   time.Duration
	graceful        time.Duration
	sinkDrain       time.Duration
	createTopics    bool
	trackTopics     bool
	resetTopics     bool
	overridePolicy  string
	overrideAllowed []string
	producer        clientSettings
	consumer        clientSettings
	adminSettings   clientSettings
	warnings        []configs.Problem // about the worker's configuration, beyond its declarations
}

// health is what Health answers.
type health struct {
	ready bool
	err   error
}

// New checks the options and returns a hub that does nothing yet.
func New(o Options) (*Hub, error) {
	v, problems := WorkerDefinition().Parse(o.Worker)
	declared := len(problems) // who made Options.Worker has told of the warnings among these
	var more []configs.Problem
	h := &Hub{up: make(chan struct{}), stopped: make(chan struct{}), done: make(chan struct{}), runners: map[string]*runner{},
		figures: map[string]map[int]*taskFigures{}, versions: map[string]connectors.Info{}, started: time.Now()}
	h.options = options{worker: o.Worker, values: v, base: o.Client, launcher: o.Launcher, formats: o.Formats, resolver: o.Resolver,
		redactor: o.Redactor, log: o.Log, workerID: o.WorkerID, instance: cmp.Or(o.Instance, o.WorkerID), version: o.Version, sinkDrain: 15 * time.Second}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if h.redactor == nil {
		h.redactor = &configs.Redactor{}
	}
	if h.resolver == nil {
		h.resolver, more = configs.NewResolver(o.Worker, nil)
		problems = append(problems, more...)
	}
	h.producer, more = parseClient(clientProducer, v.Prefixed("producer."), "producer.")
	problems = append(problems, more...)
	h.consumer, more = parseClient(clientConsumer, v.Prefixed("consumer."), "consumer.")
	problems = append(problems, more...)
	h.adminSettings, more = parseClient(clientAdmin, v.Prefixed("admin."), "admin.")
	problems = append(problems, more...)
	h.warnings = slices.DeleteFunc(append(h.converterWarnings(), problems[declared:]...), configs.Problem.IsError)
	if err := configs.Err(problems); err != nil {
		return nil, fmt.Errorf("worker configuration: %w", err)
	}
	h.flushInterval = v.Duration("offset.flush.interval.ms")
	h.graceful = v.Duration("task.shutdown.graceful.timeout.ms")
	h.createTopics, h.trackTopics = v.Bool("topic.creation.enable"), v.Bool("topic.tracking.enable")
	h.resetTopics = v.Bool("topic.tracking.allow.reset")
	h.overridePolicy, h.overrideAllowed = v.String("connector.client.config.override.policy"), v.List("connector.client.config.override.allowlist")
	h.runCtx, h.runEnd = context.WithCancel(context.Background())
	return h, nil
}

// startTimeout is how long the log may take to answer when the hub starts.
const startTimeout = 60 * time.Second

// Run starts the hub, runs until ctx ends or Close is called, and drains: what sources have in flight becomes durable
// and their offsets too, sinks flush and commit. It takes at most 30 s for that. Run is called once.
func (h *Hub) Run(ctx context.Context) error {
	defer close(h.done)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-h.stopped:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := h.open(ctx); err != nil {
		h.setHealth(false, err)
		return err
	}
	defer h.client.Close()
	for _, name := range h.configs.names() {
		h.startRunner(name)
	}
	h.setHealth(true, nil)
	close(h.up)
	h.log.Info("the hub is ready", "connectors", len(h.configs.names()), "took", time.Since(h.started).Round(time.Millisecond))
	held, letGo := context.WithCancel(context.Background())
	lost := make(chan error, 1)
	go func() { lost <- h.leases.keep(held) }()
	select {
	case <-ctx.Done():
		err := h.drain()
		letGo()
		<-lost
		h.giveUp()
		return err
	case err := <-lost:
		letGo()
		return h.abandon(err)
	}
}

// drainTimeout bounds the end of a hub.
const drainTimeout = 30 * time.Second

// drain ends all connectors in order.
func (h *Hub) drain() error {
	h.setHealth(false, errors.New("the worker is stopping"))
	limit, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if err := h.endRunners(limit); err != nil {
		return err
	}
	if err := h.client.Flush(limit); err != nil {
		return fmt.Errorf("write the last statuses: %w", err)
	}
	return nil
}

// giveUp lets the next worker begin at once.
func (h *Hub) giveUp() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	h.leases.release(ctx)
}

// abandon ends all connectors because another worker runs them now. Nothing more is written to the internal topics:
// they are the other one's.
func (h *Hub) abandon(cause error) error {
	h.setHealth(false, cause)
	h.log.Error("this worker stops all of its connectors", "cause", cause)
	h.client.Close()
	limit, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	return errors.Join(cause, h.endRunners(limit))
}

// endRunners ends all connectors and waits for them.
func (h *Hub) endRunners(limit context.Context) error {
	h.runEnd()
	ended := make(chan struct{})
	go func() {
		h.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-limit.Done():
		return fmt.Errorf("not all connectors ended within %s; what they had in hand is done again at the next start", drainTimeout)
	}
}

// Close ends Run and waits until it has drained, or until ctx ends.
func (h *Hub) Close(ctx context.Context) error {
	h.stopOnce.Do(func() { close(h.stopped) })
	select {
	case <-h.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// open reaches the log, makes sure of the internal topics and reads them to their end.
func (h *Hub) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var err error
	if h.client, err = kgo.NewClient(h.storeOptions()...); err != nil {
		return fmt.Errorf("make the client of the log: %w", err)
	}
	h.admin = kadm.NewClient(h.client)
	if err := h.openStores(ctx); err != nil {
		h.giveUp()
		h.client.Close()
		return err
	}
	return nil
}

func (h *Hub) openStores(ctx context.Context) error {
	if err := patiently(ctx, func() error { return h.client.Ping(ctx) }); err != nil {
		return fmt.Errorf("reach the log at %s: %w", h.values.String("bootstrap.servers"), err)
	}
	h.leases = h.newLeases()
	if err := h.leases.acquire(ctx); err != nil {
		return err
	}
	topics := h.internalTopics()
	for _, t := range topics {
		if err := patiently(ctx, func() error { return t.ensure(ctx, h.admin) }); err != nil {
			return err
		}
	}
	if err := patiently(ctx, func() error { return readToEnd(ctx, h.base, h.log, topics...) }); err != nil {
		return err
	}
	h.status.begin()
	if meta, err := h.admin.BrokerMetadata(ctx); err == nil {
		h.clusterID = meta.Cluster
	}
	return nil
}

// newLeases returns what this worker must have for itself: its group.id, and the topic of its configurations, which
// a worker with another group.id would run as well.
func (h *Hub) newLeases() leases {
	group, topic := h.values.String("group.id"), h.values.String("config.storage.topic")
	session, beat := h.values.Duration("session.timeout.ms"), h.values.Duration("heartbeat.interval.ms")
	l := lease{instance: instanceID(h.instance, ""), session: session, beat: min(beat, session/3), client: h.client, log: h.log}
	ofGroup, ofTopic := l, l
	ofGroup.group, ofGroup.what = group, "group.id="+group
	ofTopic.group, ofTopic.what = "connect-lease-"+topic, "config.storage.topic="+topic
	return leases{&ofGroup, &ofTopic}
}

// patiently calls do until it succeeds or ctx ends: a cluster that starts beside the hub is not there at once, and
// topics that were just made are not known to all brokers.
func patiently(ctx context.Context, do func() error) error {
	for delay := 20 * time.Millisecond; ; delay = min(2*delay, time.Second) {
		err := do()
		if err == nil || ctx.Err() != nil {
			return err
		}
		if sleep(ctx, delay) != nil {
			return err
		}
	}
}

// internalTopics makes the stores and the topics behind them.
func (h *Hub) internalTopics() []*internalTopic {
	v := h.values
	config, offset, status := v.String("config.storage.topic"), v.String("offset.storage.topic"), v.String("status.storage.topic")
	h.configs = newConfigStore(config, h.client, h.log)
	h.offsets = newOffsetStore(offset, h.client, h.log)
	h.status = newStatusStore(status, h.client, h.log, time.Now)
	topic := func(prefix, name string, partitions int, read func(*kgo.Record)) *internalTopic {
		t := &internalTopic{name: name, partitions: int32(partitions), configs: map[string]string{}, read: read}
		for key, value := range v.Prefixed(prefix) {
			switch key {
			case "topic", "partitions", "cleanup.policy":
			case "replication.factor":
				t.replication = int16(v.Int(prefix + key))
			default:
				t.configs[key] = value
			}
		}
		return t
	}
	return []*internalTopic{
		topic("config.storage.", config, 1, h.configs.read),
		topic("offset.storage.", offset, v.Int("offset.storage.partitions"), h.offsets.read),
		topic("status.storage.", status, v.Int("status.storage.partitions"), h.status.read),
	}
}

// startRunner starts what keeps a connector running, or wakes it if it is there.
func (h *Hub) startRunner(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.runners[name]; r != nil {
		r.poke()
		return
	}
	r := newRunner(h, name)
	h.runners[name] = r
	h.running.Add(1)
	go func() {
		defer h.running.Done()
		for r.run(h.runCtx); !h.dropRunner(r); r.run(h.runCtx) {
			// The connector was deleted and made again while it was ending.
		}
		close(r.done)
	}()
}

// dropRunner lets go of a runner that has ended, unless there is work for it again.
func (h *Hub) dropRunner(r *runner) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, again := h.configs.get(r.name); again && h.runCtx.Err() == nil {
		return false
	}
	delete(h.runners, r.name)
	return true
}

func (h *Hub) runner(name string) *runner {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.runners[name]
}

func (h *Hub) setHealth(ready bool, err error) {
	h.mu.Lock()
	h.state = health{ready: ready, err: err}
	h.mu.Unlock()
}

// noteVersion keeps which plugin a connector uses.
func (h *Hub) noteVersion(name string, info connectors.Info) {
	h.mu.Lock()
	h.versions[name] = info
	h.mu.Unlock()
}

func (h *Hub) versionOf(name string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.versions[name].Version
}

func (h *Hub) kindOf(name string) connectors.Kind {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.versions[name].Kind
}

// setTask changes the status of a task.
func (h *Hub) setTask(name string, task int, state State, trace string) {
	st := Status{State: state, Trace: trace, Worker: h.workerID, Version: h.versionOf(name)}
	if now, ok := h.status.get(name, task); ok && now == st {
		return
	}
	h.status.set(name, task, st)
}

// taskFigures returns the counters of a task, which outlive its runs.
func (h *Hub) taskFigures(name string, task int) *taskFigures {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.figures[name] == nil {
		h.figures[name] = map[int]*taskFigures{}
	}
	if h.figures[name][task] == nil {
		h.figures[name][task] = &taskFigures{}
	}
	return h.figures[name][task]
}

// connectorRestarted counts a restart of a whole connector for each of its tasks.
func (h *Hub) connectorRestarted(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.figures[name] {
		f.restarts.Add(1)
	}
}

// newTaskRun puts together what a task runs with.
func (h *Hub) newTaskRun(r *runner, index int, config map[string]string, p prepared) *taskRun {
	run := &taskRun{hub: h, connector: r.name, index: index, config: config, settings: p.settings, figures: h.taskFigures(r.name, index),
		gate: r.gate, log: r.log.With("task", index), report: func(state State, trace string) { h.setTask(r.name, index, state, trace) }}
	run.errors = &errorHandler{settings: p.settings.errors, connector: r.name, task: index, figures: run.figures, log: run.log, redact: h.redactor.Redact}
	if topic := p.settings.errors.deadLetters; topic != "" {
		run.errors.letters = &deadLetters{topic: topic, headers: p.settings.errors.deadLettersHeaders,
			connector: r.name, task: index, redact: h.redactor.Redact}
	}
	return run
}

// namedTopics splits a list that may be a regular expression.
func consumed(s settings) []string {
	if s.topicsRegex != "" {
		return []string{"^(?:" + s.topicsRegex + ")$"}
	}
	out := make([]string, 0, len(s.topics))
	for _, t := range s.topics {
		if t = strings.TrimSpace(t); t != "" {
			out = append(out, t)
		}
	}
	return out
}
