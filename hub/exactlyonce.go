package hub

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// Keys and values of exactly-once delivery of sources (KIP-618), as Kafka Connect spells them.
const (
	onceKey       = "exactly.once.source.support" // of the worker
	onceDisabled  = "disabled"
	oncePreparing = "preparing"
	onceEnabled   = "enabled"

	onceSupportKey = "exactly.once.support" // of a connector, as those below
	onceRequired   = "required"

	offsetsTopicKey = "offsets.storage.topic"

	boundaryKey         = "transaction.boundary"
	boundaryPoll        = "poll"
	boundaryInterval    = "interval"
	boundaryConnector   = "connector"
	boundaryIntervalKey = "transaction.boundary.interval.ms"
)

// onceProblems checks a source's keys about exactly-once delivery against the worker. Every source can deliver exactly
// once: the contract ties offsets to batches. None defines transactions of its own.
func (h *Hub) onceProblems(s settings) []configs.Problem {
	if s.kind != connectors.Source {
		return nil
	}
	var problems []configs.Problem
	if s.onceRequired && !h.exactlyOnce {
		problems = append(problems, configs.KeyError(onceSupportKey, "This worker does not have exactly-once source support enabled."))
	}
	if s.boundary == boundaryConnector {
		problems = append(problems, configs.KeyError(boundaryKey, "The connector does not support connector-defined transaction boundaries with the given configuration. Please reconfigure it to use a different transaction boundary definition."))
	}
	switch {
	case s.boundary != "" && !h.exactlyOnce:
		problems = append(problems, configs.KeyWarning(boundaryKey, boundaryKey+" has no effect: this worker delivers at least once; set "+onceKey+"=enabled for it."))
	case s.boundaryEvery >= 0 && (!h.exactlyOnce || s.boundary != boundaryInterval):
		problems = append(problems, configs.KeyWarning(boundaryIntervalKey, boundaryIntervalKey+" has an effect only with "+boundaryKey+"=interval and "+onceKey+"=enabled of the worker."))
	}
	return problems
}

// transactionalID returns the id under which a source task writes, as Kafka Connect names it.
func (h *Hub) transactionalID(connector string, task int) string {
	return fmt.Sprintf("%s-%s-%d", h.values.String("group.id"), connector, task)
}

// Bounds of a transaction's timeout: Kafka's producers have the first, its brokers allow the second.
const (
	transactionTimeout    = time.Minute
	transactionTimeoutMax = 15 * time.Minute
)

// transactionOptions make a source task's producer a transactional one. They stand before what users set, but for
// the id.
func (h *Hub) transactionOptions(s settings) []kgo.Opt {
	timeout := transactionTimeout
	if s.boundary == boundaryInterval { // Kafka Connect's default for both is a minute, and such transactions expire
		timeout = h.boundaryEvery(s) + transactionTimeout
	}
	return []kgo.Opt{kgo.TransactionTimeout(timeout)}
}

// boundaryEvery returns how long transactions with the boundary interval are: not longer than brokers allow.
func (h *Hub) boundaryEvery(s settings) time.Duration {
	every := s.boundaryEvery
	if every < 0 {
		every = h.flushInterval
	}
	return min(every, transactionTimeoutMax-transactionTimeout)
}

// fenceTimeout bounds the fencing of one id: what another one has open is brought to its end before.
const fenceTimeout = 30 * time.Second

// fence makes sure that no earlier generation of a source's tasks writes any more, before new ones start: task 1 may
// now read what was task 0's. How many tasks there were stands in the configuration topic. Like Kafka Connect, it
// leaves a single task that stays one to its successor, which has the same id.
func (h *Hub) fence(ctx context.Context, name string, s settings, tasks int, same bool) error {
	was, known := h.configs.taskCount(name)
	if known && (was != 1 || tasks != 1) {
		if err := h.fenceAll(ctx, name, s, was); err != nil {
			return err
		}
	}
	if same && known && was == tasks {
		return nil
	}
	if err := h.configs.putTaskCount(ctx, name, tasks); err != nil {
		return logError("store the number of tasks", err)
	}
	return nil
}

// fenceAll keeps all tasks of a source from writing.
func (h *Hub) fenceAll(ctx context.Context, name string, s settings, tasks int) error {
	client, end, err := h.adminConnection(ctx, s, 0)
	if err != nil {
		return err
	}
	defer end()
	for i := range tasks {
		if err := fenceProducer(ctx, client, h.transactionalID(name, i)); err != nil {
			return &connectors.Error{Op: "keep earlier tasks of the connector from writing", Class: connectors.ClassEnvironment, Err: err,
				Remedy: "where the brokers have ACLs, this worker needs Write on the transactional ids " + h.transactionalID(name, 0) + " and so on"}
		}
	}
	h.log.Info("earlier tasks of the connector are fenced", "connector", name, "tasks", tasks)
	return nil
}

// fenceProducer makes the broker refuse whoever writes under a transactional id, and abort what it has open.
func fenceProducer(ctx context.Context, client *kgo.Client, id string) error {
	ctx, cancel := context.WithTimeout(ctx, fenceTimeout)
	defer cancel()
	for {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch = &id, -1, -1
		req.TransactionTimeoutMillis = 1 // as Kafka's own fencing: nothing is written with it
		resp, err := req.RequestWith(ctx, client)
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		if err == nil {
			return nil
		}
		if !kerr.IsRetriable(err) && err != kerr.ConcurrentTransactions || sleep(ctx, settlePause) != nil {
			return fmt.Errorf("fence the transactional id %s: %w", id, err)
		}
	}
}
