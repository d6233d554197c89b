package plugins

import (
	"sync"

	"github.com/sluicehub/sluice/plugins/pluginpb"
)

// reports are a task's reports that wait for the hub's answer.
type reports struct {
	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan error
}

// begin returns the number of a new report, and where its answer will come.
func (r *reports) begin() (uint64, <-chan error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting == nil {
		r.waiting = map[uint64]chan error{}
	}
	r.last++
	answer := make(chan error, 1)
	r.waiting[r.last] = answer
	return r.last, answer
}

// end forgets a report.
func (r *reports) end(id uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.waiting, id)
}

func (r *reports) answer(m *pluginpb.ReportAnswer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if answer := r.waiting[m.GetId()]; answer != nil {
		answer <- errorFromWall(m.GetError())
		delete(r.waiting, m.GetId())
	}
}
