package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TargetState is what a person wants of a connector, spelled as in the topic connect-configs.
type TargetState string

// The target states. Older workers do not know Stopped, so it is stored as state PAUSED with state.v2 STOPPED.
const (
	Started TargetState = "STARTED"
	Paused  TargetState = "PAUSED"
	Stopped TargetState = "STOPPED"
)

// configStore is the topic connect-configs: what connectors there are, in which state they should be and how their
// work is split. One partition, keys and values as Kafka Connect writes them:
//
//	connector-<name>     {"properties":{…}}                              null: deleted
//	target-state-<name>  {"state":"PAUSED","state.v2":"STOPPED"}         null: deleted
//	task-<name>-<i>      {"properties":{…}}                              takes effect with the commit behind it
//	commit-<name>        {"tasks":N}
//	tasks-fencing-<name> {"task-count":N}                                written when older tasks cannot write any more
//
// Configurations are kept as they were given: placeholders stay placeholders (I8).
type configStore struct {
	topic  string
	client *kgo.Client
	leader *kgo.Client  // nil: writes are no transactions
	fenced chan<- error // is told when another worker has become the leader
	log    *slog.Logger

	write sync.Mutex // held while appending, so that memory and topic have one order
	mu    sync.Mutex
	all   map[string]*storedConnector
}

type storedConnector struct {
	config  map[string]string // nil: only leftovers of a deleted connector
	target  TargetState       // "" is Started
	tasks   []map[string]string
	pending map[int]map[string]string
	count   *int // tasks whose ids may be in use; nil: none ever wrote in transactions
	// revision counts changes of config, so that a runner sees that it has an old one.
	revision int
}

func newConfigStore(topic string, client *kgo.Client, log *slog.Logger) *configStore {
	return &configStore{topic: topic, client: client, log: log, all: map[string]*storedConnector{}}
}

type storedProperties struct {
	Properties map[string]string `json:"properties"`
}

type storedTarget struct {
	State   TargetState `json:"state"`
	StateV2 TargetState `json:"state.v2,omitempty"`
}

type storedCommit struct {
	Tasks int `json:"tasks"`
}

type storedCount struct {
	Tasks int `json:"task-count"`
}

// read takes one record of the topic into memory.
func (s *configStore) read(r *kgo.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.apply(string(r.Key), r.Value); err != nil {
		s.log.Error("a record of the configuration topic is not understood and left out", "topic", s.topic,
			"offset", r.Offset, "key", string(r.Key), "error", err)
	}
}

func (s *configStore) entry(name string) *storedConnector {
	c := s.all[name]
	if c == nil {
		c = &storedConnector{}
		s.all[name] = c
	}
	return c
}

func (s *configStore) apply(key string, value []byte) error {
	if name, ok := strings.CutPrefix(key, "connector-"); ok {
		return s.applyConnector(name, value)
	}
	if name, ok := strings.CutPrefix(key, "target-state-"); ok {
		return s.applyTarget(name, value)
	}
	if rest, ok := strings.CutPrefix(key, "task-"); ok {
		i := strings.LastIndexByte(rest, '-')
		if i < 0 {
			return fmt.Errorf("no task number in the key")
		}
		task, err := strconv.Atoi(rest[i+1:])
		if err != nil {
			return fmt.Errorf("no task number in the key: %w", err)
		}
		return s.applyTask(rest[:i], task, value)
	}
	if name, ok := strings.CutPrefix(key, "commit-"); ok {
		return s.applyCommit(name, value)
	}
	if name, ok := strings.CutPrefix(key, "tasks-fencing-"); ok {
		return s.applyCount(name, value)
	}
	return nil // session keys, restarts and logger levels of a Connect cluster
}

func (s *configStore) applyConnector(name string, value []byte) error {
	c := s.entry(name)
	if value == nil {
		*c = storedConnector{target: c.target, revision: c.revision + 1, count: c.count}
		return nil
	}
	var p storedProperties
	if err := json.Unmarshal(value, &p); err != nil {
		return err
	}
	if p.Properties == nil {
		p.Properties = map[string]string{}
	}
	c.config = p.Properties
	c.revision++
	return nil
}

func (s *configStore) applyTarget(name string, value []byte) error {
	c := s.entry(name)
	if value == nil {
		c.target = ""
		return nil
	}
	var t storedTarget
	if err := json.Unmarshal(value, &t); err != nil {
		return err
	}
	c.target = t.State
	if t.StateV2 != "" {
		c.target = t.StateV2
	}
	return nil
}

func (s *configStore) applyTask(name string, task int, value []byte) error {
	c := s.entry(name)
	if value == nil {
		delete(c.pending, task)
		return nil
	}
	var p storedProperties
	if err := json.Unmarshal(value, &p); err != nil {
		return err
	}
	if c.pending == nil {
		c.pending = map[int]map[string]string{}
	}
	c.pending[task] = p.Properties
	return nil
}

func (s *configStore) applyCommit(name string, value []byte) error {
	c := s.entry(name)
	c.tasks = nil
	if value == nil {
		return nil
	}
	var commit storedCommit
	if err := json.Unmarshal(value, &commit); err != nil {
		return err
	}
	if commit.Tasks < 0 || commit.Tasks > len(c.pending) {
		return nil // as below
	}
	tasks := make([]map[string]string, commit.Tasks)
	for i := range tasks {
		if tasks[i] = c.pending[i]; tasks[i] == nil {
			return nil // an incomplete set, left by compaction: the work is split anew
		}
	}
	c.tasks = tasks
	return nil
}

func (s *configStore) applyCount(name string, value []byte) error {
	c := s.entry(name)
	c.count = nil
	if value == nil {
		return nil
	}
	var count storedCount
	if err := json.Unmarshal(value, &count); err != nil {
		return err
	}
	c.count = &count.Tasks
	return nil
}

// append writes records in their order and takes them into memory.
func (s *configStore) append(ctx context.Context, records ...*kgo.Record) error {
	s.write.Lock()
	defer s.write.Unlock()
	return s.appendLocked(ctx, records...)
}

func (s *configStore) appendLocked(ctx context.Context, records ...*kgo.Record) error {
	for _, r := range records {
		r.Topic = s.topic
	}
	if err := s.produce(ctx, records...); err != nil {
		return fmt.Errorf("write to topic %s: %w", s.topic, err)
	}
	for _, r := range records {
		s.read(r)
	}
	return nil
}

// produce appends records in one transaction if this worker writes in transactions.
func (s *configStore) produce(ctx context.Context, records ...*kgo.Record) error {
	if s.leader == nil {
		return produceAll(ctx, s.client, records...)
	}
	err := s.leader.BeginTransaction()
	if err == nil {
		err = produceAll(ctx, s.leader, records...)
	}
	if err == nil {
		err = s.leader.EndTransaction(ctx, kgo.TryCommit)
	}
	if err == nil {
		return nil
	}
	if errors.Is(err, kerr.ProducerFenced) || errors.Is(err, kerr.InvalidProducerEpoch) {
		select {
		case s.fenced <- fmt.Errorf("another worker with the same group.id writes to topic %s: %w", s.topic, err):
		default:
		}
		return err
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	return errors.Join(err, s.leader.EndTransaction(limit, kgo.TryAbort))
}

func jsonRecord(key string, value any) *kgo.Record {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		panic("hub: record " + key + ": " + err.Error()) // only types of this package come here
	}
	return &kgo.Record{Key: []byte(key), Value: bytes.TrimSuffix(text.Bytes(), []byte{'\n'})}
}

func tombstone(key string) *kgo.Record { return &kgo.Record{Key: []byte(key)} }

func targetRecord(name string, target TargetState) *kgo.Record {
	t := storedTarget{State: target, StateV2: target}
	if target == Stopped {
		t.State = Paused
	}
	return jsonRecord("target-state-"+name, t)
}

// putConnector stores a configuration; a target state that is not "" is stored before it, as Connect does, so that
// no worker sees the connector without it.
func (s *configStore) putConnector(ctx context.Context, name string, config map[string]string, target TargetState) error {
	var records []*kgo.Record
	if target != "" {
		records = append(records, targetRecord(name, target))
	}
	return s.append(ctx, append(records, jsonRecord("connector-"+name, storedProperties{config}))...)
}

func (s *configStore) putTarget(ctx context.Context, name string, target TargetState) error {
	return s.append(ctx, targetRecord(name, target))
}

// stop stores that a connector is to be stopped, which has no tasks.
func (s *configStore) stop(ctx context.Context, name string) error {
	return s.append(ctx, jsonRecord("commit-"+name, storedCommit{}), targetRecord(name, Stopped))
}

// putTasks stores how the work of a connector is split, and reports whether it did: not if the connector has been
// stopped or deleted meanwhile.
func (s *configStore) putTasks(ctx context.Context, name string, tasks []map[string]string) (kept bool, err error) {
	var records []*kgo.Record
	for i, t := range tasks {
		records = append(records, jsonRecord(fmt.Sprintf("task-%s-%d", name, i), storedProperties{t}))
	}
	records = append(records, jsonRecord("commit-"+name, storedCommit{len(tasks)}))
	s.write.Lock()
	defer s.write.Unlock()
	if now, ok := s.get(name); !ok || now.target == Stopped {
		return false, nil
	}
	return true, s.appendLocked(ctx, records...)
}

// putTaskCount stores how many tasks of a source may write in transactions from now on.
func (s *configStore) putTaskCount(ctx context.Context, name string, tasks int) error {
	return s.append(ctx, jsonRecord("tasks-fencing-"+name, storedCount{tasks}))
}

// taskCount returns how many tasks of a source may have written in transactions; false if none ever did. A deleted
// connector is remembered: one of its name has the same ids.
func (s *configStore) taskCount(name string) (n int, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.all[name]; c != nil && c.count != nil {
		return *c.count, true
	}
	return 0, false
}

// remove forgets a connector. Beyond what Connect does, the tasks go too, so that nothing is left in the topic.
func (s *configStore) remove(ctx context.Context, name string) error {
	records := []*kgo.Record{tombstone("connector-" + name), tombstone("target-state-" + name)}
	s.write.Lock()
	defer s.write.Unlock()
	s.mu.Lock()
	if c := s.all[name]; c != nil {
		for _, i := range slices.Sorted(maps.Keys(c.pending)) {
			records = append(records, tombstone(fmt.Sprintf("task-%s-%d", name, i)))
		}
	}
	s.mu.Unlock()
	return s.appendLocked(ctx, append(records, tombstone("commit-"+name))...)
}

// spec is one connector as it is stored now. Its maps are never changed.
type spec struct {
	config   map[string]string
	target   TargetState
	tasks    []map[string]string
	revision int
}

// get returns a connector, or false if there is none.
func (s *configStore) get(name string) (spec, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.all[name]
	if c == nil || c.config == nil {
		return spec{}, false
	}
	target := c.target
	if target == "" {
		target = Started
	}
	return spec{config: c.config, target: target, tasks: c.tasks, revision: c.revision}, true
}

// names returns the connectors in alphabetical order.
func (s *configStore) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := []string{}
	for name, c := range s.all {
		if c.config != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
