package hub

import (
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
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// State is the state of a connector or a task, spelled as in Connect's REST API.
type State string

// The states. Stopped is of connectors only.
const (
	Unassigned   State = "UNASSIGNED"
	Running      State = "RUNNING"
	PausedState  State = "PAUSED"
	Failed       State = "FAILED"
	Restarting   State = "RESTARTING"
	StoppedState State = "STOPPED"
)

// Status is what is known of a connector or of a task.
type Status struct {
	State State
	// Trace says why it is not running: the cause, the remedy, when it is tried again. No secret is in it (I8).
	Trace   string
	Worker  string
	Version string
}

// connectorTask as the number of a status means the connector itself.
const connectorTask = -1

// statusStore is the topic connect-status, in Connect's formats:
//
//	status-connector-<name>               {"state","trace","worker_id","generation","version"}
//	status-task-<name>-<i>                the same
//	status-topic-<topic>:connector-<name> {"topic":{"name","connector","task","discoverTimestamp"}}
//
// Statuses are news, not promises: they are appended without waiting, in order per key.
type statusStore struct {
	topic  string
	client *kgo.Client
	log    *slog.Logger
	now    func() time.Time

	mu         sync.Mutex
	generation int // above every one read, so that Connect's workers take ours for newer
	statuses   map[string]map[int]Status
	topics     map[string]map[string]bool
}

func newStatusStore(topic string, client *kgo.Client, log *slog.Logger, now func() time.Time) *statusStore {
	return &statusStore{topic: topic, client: client, log: log, now: now,
		statuses: map[string]map[int]Status{}, topics: map[string]map[string]bool{}}
}

type storedStatus struct {
	State      State   `json:"state"`
	Trace      *string `json:"trace"`
	Worker     string  `json:"worker_id"`
	Generation int     `json:"generation"`
	Version    *string `json:"version"`
}

type storedTopic struct {
	Topic struct {
		Name      string `json:"name"`
		Connector string `json:"connector"`
		Task      int    `json:"task"`
		Found     int64  `json:"discoverTimestamp"`
	} `json:"topic"`
}

// read takes one record of the topic into memory.
func (s *statusStore) read(r *kgo.Record) {
	key := string(r.Key)
	var err error
	if rest, ok := strings.CutPrefix(key, "status-connector-"); ok {
		err = s.readStatus(rest, connectorTask, r.Value)
	} else if rest, ok := strings.CutPrefix(key, "status-task-"); ok {
		i := strings.LastIndexByte(rest, '-')
		task, numErr := strconv.Atoi(rest[i+1:])
		if err = numErr; err == nil && i > 0 {
			err = s.readStatus(rest[:i], task, r.Value)
		}
	} else if rest, ok := strings.CutPrefix(key, "status-topic-"); ok {
		if topic, connector, ok := strings.Cut(rest, ":connector-"); ok {
			s.noteTopic(connector, topic, r.Value != nil)
		}
	}
	if err != nil {
		s.log.Error("a record of the status topic is not understood and left out", "topic", s.topic,
			"partition", r.Partition, "offset", r.Offset, "key", key, "error", err)
	}
}

func (s *statusStore) readStatus(connector string, task int, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if value == nil {
		delete(s.statuses[connector], task)
		return nil
	}
	var st storedStatus
	if err := json.Unmarshal(value, &st); err != nil {
		return err
	}
	s.generation = max(s.generation, st.Generation)
	status := Status{State: st.State, Worker: st.Worker}
	if st.Trace != nil {
		status.Trace = *st.Trace
	}
	if st.Version != nil {
		status.Version = *st.Version
	}
	s.keep(connector, task, status)
	return nil
}

func (s *statusStore) keep(connector string, task int, status Status) {
	if s.statuses[connector] == nil {
		s.statuses[connector] = map[int]Status{}
	}
	s.statuses[connector][task] = status
}

// begin opens a new generation, after the topic was read.
func (s *statusStore) begin() {
	s.mu.Lock()
	s.generation++
	s.mu.Unlock()
}

func statusKey(connector string, task int) string {
	if task == connectorTask {
		return "status-connector-" + connector
	}
	return fmt.Sprintf("status-task-%s-%d", connector, task)
}

// set changes a status. The topic follows.
func (s *statusStore) set(connector string, task int, status Status) {
	stored := storedStatus{State: status.State, Worker: status.Worker}
	if status.Trace != "" {
		stored.Trace = &status.Trace
	}
	if status.Version != "" {
		stored.Version = &status.Version
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	stored.Generation = s.generation
	s.keep(connector, task, status)
	s.send(jsonRecord(statusKey(connector, task), stored))
}

// send appends a record without waiting for it.
func (s *statusStore) send(r *kgo.Record) {
	r.Topic = s.topic
	s.client.Produce(context.Background(), r, func(r *kgo.Record, err error) {
		if err != nil && !errors.Is(err, kgo.ErrClientClosed) { // closed: this worker has lost its lease
			s.log.Error("a status could not be written; it is right here and old in the topic", "topic", r.Topic,
				"key", string(r.Key), "error", err)
		}
	})
}

// get returns the status of a connector or a task.
func (s *statusStore) get(connector string, task int) (Status, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, ok := s.statuses[connector][task]
	return st, ok
}

// keepTasks removes the statuses of tasks that are no longer: those from count on.
func (s *statusStore) keepTasks(connector string, count int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, task := range slices.Sorted(maps.Keys(s.statuses[connector])) {
		if task >= count {
			delete(s.statuses[connector], task)
			s.send(tombstone(statusKey(connector, task)))
		}
	}
}

// remove forgets a deleted connector.
func (s *statusStore) remove(connector string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for task := range s.statuses[connector] {
		s.send(tombstone(statusKey(connector, task)))
	}
	delete(s.statuses, connector)
	s.removeTopics(connector)
}

// noteTopic takes into memory that a connector uses a topic, and reports whether that is new.
func (s *statusStore) noteTopic(connector, topic string, used bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !used {
		delete(s.topics[connector], topic)
		return false
	}
	if s.topics[connector][topic] {
		return false
	}
	if s.topics[connector] == nil {
		s.topics[connector] = map[string]bool{}
	}
	s.topics[connector][topic] = true
	return true
}

// trackTopic records that a task uses a topic.
func (s *statusStore) trackTopic(connector string, task int, topic string) {
	if !s.noteTopic(connector, topic, true) {
		return
	}
	var t storedTopic
	t.Topic.Name, t.Topic.Connector, t.Topic.Task, t.Topic.Found = topic, connector, task, s.now().UnixMilli()
	s.send(jsonRecord("status-topic-"+topic+":connector-"+connector, t))
}

// usedTopics returns the topics that a connector uses.
func (s *statusStore) usedTopics(connector string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, slices.Sorted(maps.Keys(s.topics[connector]))...)
}

// resetTopics forgets which topics a connector uses.
func (s *statusStore) resetTopics(connector string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeTopics(connector)
}

func (s *statusStore) removeTopics(connector string) {
	for topic := range s.topics[connector] {
		s.send(tombstone("status-topic-" + topic + ":connector-" + connector))
	}
	delete(s.topics, connector)
}
