package cdc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// Inbox holds signals that did not come by the log, until the stream takes them between two transactions. Any goroutine
// may use it.
type Inbox struct {
	mu      sync.Mutex
	waiting []waiting
	arrived chan struct{}
	moved   *sync.Cond  // with mu: signals were taken, or what they have done is stored
	taken   SignalPlace // of the last signal of a topic that was taken
	stored  SignalPlace // up to which what the signals of a topic have done is stored
	shut    bool        // it takes nothing

	end   context.CancelFunc
	watch sync.WaitGroup
}

// waiting is a signal, and its place if it is of a topic.
type waiting struct {
	connectors.Signal
	place SignalPlace
}

// most is how many signals may wait.
const most = 1000

// OpenInbox returns an inbox that also takes the signals of a file and of a topic, if signal.enabled.channels has these
// channels. It must be closed. Where nothing is streamed, it takes none. from is the place in the topic that the stored
// source offset has.
func OpenInbox(v configs.Values, from SignalPlace, streams bool, log *slog.Logger) *Inbox {
	i := &Inbox{arrived: make(chan struct{}, 1), taken: from, stored: from, shut: !streams}
	i.moved = sync.NewCond(&i.mu)
	var ctx context.Context
	ctx, i.end = context.WithCancel(context.Background())
	if !streams {
		return i
	}
	channels, every := v.List("signal.enabled.channels"), v.Duration("signal.poll.interval.ms")
	if slices.Contains(channels, "file") {
		i.watch.Go(func() { i.watchFile(ctx, v.String("signal.file"), every, log) })
	}
	if slices.Contains(channels, "kafka") {
		i.watch.Go(func() { i.watchTopic(ctx, newSignalTopic(v, from), every, log) })
	}
	return i
}

// Close ends the reading of file and topic. The inbox may be nil.
func (i *Inbox) Close() {
	if i != nil {
		i.end()
		i.watch.Wait()
	}
}

// Put takes a signal that can be understood.
func (i *Inbox) Put(s connectors.Signal) error { return i.put(s, 0) }

func (i *Inbox) put(s connectors.Signal, place SignalPlace) error {
	refuse := func(err error) error {
		return &connectors.Error{Op: "take a signal", Class: connectors.ClassConfig, Err: err}
	}
	if i.shut {
		return refuse(errors.New("snapshot.mode=initial_only reads no changes, and takes no signals"))
	}
	d, err := ParseSignalData(s.Data)
	if err != nil {
		return refuse(err)
	}
	switch s.Type {
	case ExecuteSnapshot:
		if len(d.Collections) == 0 {
			return refuse(errors.New("data-collections names no table"))
		}
	case StopSnapshot, PauseSnapshot, ResumeSnapshot, LogSignal:
	default:
		return refuse(fmt.Errorf("there is no signal of the type %q", s.Type))
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.waiting) == most {
		return &connectors.Error{Op: "take a signal", Class: connectors.ClassEnvironment, Retriable: true, Err: fmt.Errorf("%d signals wait already", most)}
	}
	i.waiting = append(i.waiting, waiting{s, place})
	select {
	case i.arrived <- struct{}{}:
	default:
	}
	return nil
}

// Arrived receives when there is something to take.
func (i *Inbox) Arrived() <-chan struct{} { return i.arrived }

// Take empties the inbox.
func (i *Inbox) Take() (out []connectors.Signal) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, w := range i.waiting {
		out = append(out, w.Signal)
		if w.place > 0 {
			i.taken = w.place
		}
	}
	i.waiting = nil
	i.moved.Broadcast()
	return out
}

// Place belongs into the source offset that has what all signals have done that were taken.
func (i *Inbox) Place() SignalPlace {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.taken
}

// Stored says that a source offset with the place is durable.
func (i *Inbox) Stored(place SignalPlace) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.stored = place
	i.moved.Broadcast()
}

// await waits until something is done, which is asked with mu.
func (i *Inbox) await(ctx context.Context, done func() bool) error {
	stop := context.AfterFunc(ctx, func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.moved.Broadcast()
	})
	defer stop()
	i.mu.Lock()
	defer i.mu.Unlock()
	for !done() && ctx.Err() == nil {
		i.moved.Wait()
	}
	return ctx.Err()
}

// parseSignal reads a signal from JSON, as a line of a file and a record of a topic have it.
func parseSignal(text []byte) (connectors.Signal, error) {
	var s struct {
		ID   string          `json:"id"`
		Type string          `json:"type"`
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return connectors.Signal{}, err
	}
	data := string(s.Data)
	if json.Unmarshal(s.Data, &data) != nil { // it may be a text of JSON, too
		data = string(s.Data)
	}
	return connectors.Signal{ID: s.ID, Type: s.Type, Data: data}, nil
}

// watchFile puts the signals of a file into the inbox, every so often, until ctx ends. A signal is a line of JSON, and
// the file is emptied when it was read:
//
//	{"id":"1","type":"execute-snapshot","data":{"data-collections":["public.orders"]}}
func (i *Inbox) watchFile(ctx context.Context, name string, every time.Duration, log *slog.Logger) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	told := ""
	for {
		if err := i.readFile(name, log); err != nil && err.Error() != told && !errors.Is(err, os.ErrNotExist) {
			told = err.Error() // once, not every five seconds
			log.Error("the file of signals cannot be read", "signal.file", name, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (i *Inbox) readFile(name string, log *slog.Logger) error {
	text, err := os.ReadFile(name)
	if err != nil || len(text) == 0 {
		return err
	}
	if err := os.Truncate(name, 0); err != nil { // else all would come again
		return fmt.Errorf("empty the file: %w", err)
	}
	for _, line := range bytes.Split(text, []byte{'\n'}) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		s, err := parseSignal(line)
		if err == nil {
			err = i.Put(s)
		}
		if err != nil {
			log.Error("a signal cannot be carried out", "signal.file", name, "line", string(line), "error", err)
		}
	}
	return nil
}
