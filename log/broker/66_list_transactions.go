package broker

import (
	"regexp"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// listTransactions answers ListTransactions, filtered by state, producer, how long it has been open (version 1), and a
// pattern for the whole id (version 2).
func (b *Broker) listTransactions(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.ListTransactionsRequest)
	resp := req.ResponseKind().(*kmsg.ListTransactionsResponse)
	var pattern *regexp.Regexp
	if p := req.TransactionalIDPattern; p != nil && *p != "" {
		var err error
		if pattern, err = regexp.Compile("^(?:" + *p + ")$"); err != nil {
			resp.ErrorCode = kerr.InvalidRegularExpression.Code
			return now(resp), nil
		}
	}
	for _, s := range req.StateFilters {
		if !slices.Contains(txnStateNames(), s) {
			resp.UnknownStateFilters = append(resp.UnknownStateFilters, s)
		}
	}
	at := time.Now().UnixMilli()
	for _, t := range b.txns.list() {
		t.mu.Lock()
		m, gone := t.meta, t.gone
		t.mu.Unlock()
		switch {
		case gone || m.producer < 0 || r.transactional(mayDescribe, t.id) != nil:
		case len(req.StateFilters) > 0 && !slices.Contains(req.StateFilters, m.state.String()):
		case len(req.ProducerIDFilters) > 0 && !slices.Contains(req.ProducerIDFilters, m.producer):
		case req.DurationFilterMillis >= 0 && at-m.start <= req.DurationFilterMillis:
		case pattern != nil && !pattern.MatchString(t.id):
		default:
			rt := kmsg.NewListTransactionsResponseTransactionState()
			rt.TransactionalID, rt.ProducerID, rt.TransactionState = t.id, m.producer, m.state.String()
			resp.TransactionStates = append(resp.TransactionStates, rt)
		}
	}
	return now(resp), nil
}
