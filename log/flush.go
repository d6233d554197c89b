package log

import (
	"fmt"
	"time"
)

// round is what the appends that share one fsync wait for. err is set before
// done is closed.
type round struct {
	done   chan struct{}
	err    error
	wanted bool // somebody waits for it
}

func newRound() *round { return &round{done: make(chan struct{})} }

// closedRound is for appends that wait for nothing.
func closedRound() *round {
	r := newRound()
	close(r.done)
	return r
}

// join returns the round of the next fsync and sees that it comes. Everything
// written before is covered by it. Call with mu.
func (p *Partition) join() *round {
	if p.err != nil {
		return &round{done: p.log.doneRound.done, err: p.err}
	}
	if p.round == nil {
		p.round = newRound()
	}
	p.round.wanted = true
	p.startFlush(0)
	p.endPause()
	return p.round
}

// flushLater sees that an fsync comes in the time the topic allows. Call with mu.
func (p *Partition) flushLater(cfg *TopicConfig) {
	if cfg.Durability() != DurabilityInterval {
		return
	}
	if p.round == nil {
		p.round = newRound()
	}
	p.startFlush(cfg.FlushTime)
	if p.unsynced >= cfg.FlushMessages {
		p.endPause()
	}
}

func (p *Partition) endPause() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// startFlush starts the flusher unless it runs. It ends when there is nothing
// to sync, so an idle partition costs nothing. Call with mu.
func (p *Partition) startFlush(pause time.Duration) {
	if p.flushing {
		return
	}
	p.flushing = true
	p.log.flushers.Add(1)
	go p.flush(pause)
}

// flush syncs round after round: each takes whatever was written until it
// begins, so appends that come during one fsync share the next (group commit).
func (p *Partition) flush(pause time.Duration) {
	defer p.log.flushers.Done()
	for {
		p.pauseFlush(pause)
		p.mu.Lock()
		r := p.round
		if r == nil || p.err != nil {
			p.endRounds()
			p.mu.Unlock()
			return
		}
		p.round, p.unsynced = nil, 0
		h, end, pos := p.acquire(p.active()), p.end, p.active().Size()
		p.mu.Unlock()

		err := p.sync(h)

		p.mu.Lock()
		switch {
		case err != nil:
			// Not an ErrNoSpace even then: after a failed sync nothing can be
			// tried again.
			r.err = fmt.Errorf("%w: sync %s: %w", ErrStorage, h.Path(), err)
			p.refuseLocked(r.err)
		case len(p.segs) == 0:
			r.err = p.err // deleted meanwhile
		case h == p.active():
			// Otherwise the roll has synced and published already.
			p.publish(end, pos)
		}
		p.mu.Unlock()
		close(r.done)
		p.release(h)
		if err == nil {
			p.noteDurable(end)
		}
	}
}

// endRounds ends the flusher; who still waits learns why. Call with mu.
func (p *Partition) endRounds() {
	if p.round != nil {
		p.round.err = p.err
		close(p.round.done)
		p.round = nil
	}
	p.flushing = false
}

// pauseFlush waits before a sync nobody waits for.
func (p *Partition) pauseFlush(pause time.Duration) {
	if pause <= 0 {
		return
	}
	p.mu.Lock()
	wanted := p.round == nil || p.round.wanted
	p.mu.Unlock()
	if wanted {
		return
	}
	select {
	case <-p.log.clock.After(pause):
	case <-p.kick:
	case <-p.log.closing:
	}
}

// sync syncs a segment and keeps the figures.
func (p *Partition) sync(h *handle) error {
	p.log.syncSlots <- struct{}{}
	defer func() { <-p.log.syncSlots }()
	began := time.Now()
	err := h.Sync()
	p.log.noteSync(time.Since(began))
	return err
}
