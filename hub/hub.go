package hub

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
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
	// Client says where the log is: seeds and dialer. How it is talked to, and as whom, is in Worker.
	// Nothing else belongs in it.
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
	client       *kgo.Client
	leader       *kgo.Client // writes the configuration topic in transactions; nil: client does, without
	fenced       chan error  // another worker has become the leader
	admin        *kadm.Client
	leases       leases
	configs      *configStore
	offsets      offsetTopic // of the worker
	ownOffsetsMu sync.Mutex
	ownOffsets   map[string]offsetTopic // of connectors, by topic
	status       *statusStore
	started      time.Time
	up           chan struct{} // closed when the hub takes requests
	stopped      chan struct{}
	stopOnce     sync.Once
	done         chan struct{}
	runCtx       context.Context
	runEnd       context.CancelFunc
	running      sync.WaitGroup
	mu           sync.Mutex
	changing     map[string]chan struct{} // connectors that a request changes; closed when it has ended
	validations  atomic.Int64             // that have begun
	state        health
	runners      map[string]*runner
	figures      map[string]map[int]*taskFigures
	versions     map[string]connectors.Info
	clusterID    string
}

// options are Options in the form the hub uses.
type options struct {
	worker          map[string]string
	values          configs.Values
	external        bool              // the log is a cluster elsewhere
	security        map[string]string // how the worker talks to it, by securityDefinition
	seeds           []kgo.Opt         // Options.Client
	base            []kgo.Opt         // with security: of all clients that are the worker's own; from open on
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
	exactlyOnce     bool // sources write in transactions
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

// health is what Ready answers.
type health struct {
	ready bool
	err   error
}

// New checks the options and returns a hub that does nothing yet.
func New(o Options) (*Hub, error) {
	v, problems := WorkerDefinition().Parse(o.Worker)
	declared := len(problems) // who made Options.Worker has told of the warnings among these
	var more []configs.Problem
	h := &Hub{up: make(chan struct{}), changing: map[string]chan struct{}{}, fenced: make(chan error, 1), ownOffsets: map[string]offsetTopic{}, stopped: make(chan struct{}), done: make(chan struct{}), runners: map[string]*runner{},
		figures: map[string]map[int]*taskFigures{}, versions: map[string]connectors.Info{}, started: time.Now()}
	h.options = options{worker: o.Worker, values: v, external: external(o.Worker), seeds: o.Client, launcher: o.Launcher, formats: o.Formats, resolver: o.Resolver,
		redactor: o.Redactor, log: o.Log, workerID: o.WorkerID, instance: cmp.Or(o.Instance, o.WorkerID), version: o.Version}
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
	h.security, _ = splitSecurity(o.Worker)
	h.producer, more = parseClient(clientProducer, v.Prefixed("producer."), "producer.")
	problems = append(problems, more...)
	h.consumer, more = parseClient(clientConsumer, v.Prefixed("consumer."), "consumer.")
	problems = append(problems, more...)
	h.adminSettings, more = parseClient(clientAdmin, v.Prefixed("admin."), "admin.")
	problems = append(problems, more...)
	for _, kind := range []clientKind{clientProducer, clientConsumer, clientAdmin} {
		problems = append(problems, h.checkSecurity(h.layersOf(kind, settings{})[:2])...)
	}
	h.warnings = slices.DeleteFunc(append(h.converterWarnings(), problems[declared:]...), configs.Problem.IsError)
	if err := configs.Err(problems); err != nil {
		return nil, fmt.Errorf("worker configuration: %w", err)
	}
	h.flushInterval = v.Duration("offset.flush.interval.ms")
	h.graceful = v.Duration("task.shutdown.graceful.timeout.ms")
	h.exactlyOnce = v.String(onceKey) == onceEnabled
	h.createTopics, h.trackTopics = v.Bool("topic.creation.enable"), v.Bool("topic.tracking.enable")
	h.resetTopics = v.Bool("topic.tracking.allow.reset")
	h.overridePolicy, h.overrideAllowed = v.String("connector.client.config.override.policy"), v.List("connector.client.config.override.allowlist")
	h.runCtx, h.runEnd = context.WithCancel(context.Background())
	return h, nil
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

// setStatus changes the status of a task, or of the connector itself (connectorTask).
func (h *Hub) setStatus(name string, task int, state State, trace string) {
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

// forgetFigures lets go of what was counted of a deleted connector.
func (h *Hub) forgetFigures(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.figures, name)
	delete(h.versions, name)
}

// connectorRestarted counts a restart of a whole connector for each of its tasks.
func (h *Hub) connectorRestarted(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.figures[name] {
		f.restarts.Add(1)
	}
}
