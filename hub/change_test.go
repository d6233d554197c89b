package hub

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/sluicehub/sluice/configs"
)

// Changes of single keys that come at once are all made, and none makes a connector that is deleted meanwhile.
func TestPatchesDoNotUndoEachOther(t *testing.T) {
	r := newRig(t, nil)
	r.create("in", source())
	var checked, gone sync.Once
	r.world.update(func() {
		r.world.validate = func(config map[string]string) []configs.Problem {
			if config["interval"] == "7" { // while this one is checked, another comes
				checked.Do(func() {
					other := "other"
					if _, err := r.hub.PatchConfig(t.Context(), "in", map[string]*string{"api.password": &other}); err != nil {
						t.Error(err)
					}
				})
			}
			if config["interval"] == "8" {
				gone.Do(func() {
					if err := r.hub.Delete(t.Context(), "in"); err != nil {
						t.Error(err)
					}
				})
			}
			return nil
		}
	})
	seven, eight := "7", "8"
	info, err := r.hub.PatchConfig(t.Context(), "in", map[string]*string{"interval": &seven})
	if err != nil || info.Config["interval"] != "7" || info.Config["api.password"] != "other" {
		t.Errorf("the configuration is %v, %v", info.Config, err)
	}
	var refused *RequestError
	if _, err := r.hub.PatchConfig(t.Context(), "in", map[string]*string{"interval": &eight}); !errors.As(err, &refused) || refused.Fault != NotFound {
		t.Errorf("a deleted connector: %v", err)
	}
	if names, _ := r.hub.Connectors(); len(names) > 0 {
		t.Errorf("there are the connectors %q", names)
	}
}

// Connectors that come and go under ever new names leave nothing in memory but their source offsets.
func TestNothingIsCountedOfADeletedConnector(t *testing.T) {
	r := newRig(t, nil)
	r.create("in", source())
	r.untilState("in", Running, Running)
	if err := r.hub.Delete(t.Context(), "in"); err != nil {
		t.Fatal(err)
	}
	r.until("it has ended", func() bool { return r.hub.runner("in") == nil })
	r.hub.mu.Lock()
	defer r.hub.mu.Unlock()
	if len(r.hub.figures)+len(r.hub.versions) > 0 {
		t.Errorf("%d figures, %d versions are left", len(r.hub.figures), len(r.hub.versions))
	}
}

// A request that waits for the world keeps nobody waiting who changes another connector, and is not waited for longer
// than somebody wants to.
func TestOneRequestAtATimeForEachConnector(t *testing.T) {
	r := newRig(t, nil)
	r.create("slow", source())
	r.create("other", source())
	r.set("slow", Stopped)
	r.untilState("slow", StoppedState)
	launching, answer := make(chan struct{}), make(chan struct{})
	r.world.update(func() {
		r.world.launch = func(l Launch) error {
			if l.Connector == "slow" {
				close(launching)
				<-answer
			}
			return nil
		}
	})
	reset := make(chan error, 1)
	go func() {
		_, err := r.hub.ResetOffsets(t.Context(), "slow")
		reset <- err
	}()
	<-launching
	paused := make(chan error, 1)
	go func() { paused <- r.hub.SetTarget(t.Context(), "other", Paused) }()
	select {
	case err := <-paused:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("a connector cannot be paused while the offsets of another one are reset")
	}
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	deleted := make(chan error, 1)
	go func() { deleted <- r.hub.Delete(soon, "slow") }()
	select {
	case err := <-deleted:
		var refused *RequestError
		if !errors.As(err, &refused) || refused.Fault != Conflict {
			t.Errorf("deleted while its offsets are reset: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("a request waits for another one for longer than its client does")
	}
	close(answer)
	if err := <-reset; err != nil {
		t.Error(err)
	}
}
