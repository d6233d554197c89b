package hub

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
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
	r.untilState("slow", Running, Running)
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
	select {
	case <-launching:
	case err := <-reset:
		t.Fatalf("reset: %v", err)
	}
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

// What a plugin logs of a configuration that is only validated has no secrets in it (I8).
func TestSecretsOfAValidationAreNotLogged(t *testing.T) {
	var logged bytes.Buffer
	redactor := &configs.Redactor{}
	world := newFakeWorld()
	world.launch = func(l Launch) error {
		l.Log.Error("cannot log in with hunter22")
		return nil
	}
	h, err := New(Options{Launcher: world, Formats: DefaultFormats(nil, nil), Redactor: redactor, Log: slog.New(redactor.Handler(slog.NewTextHandler(&logged, nil)))})
	if err != nil {
		t.Fatal(err)
	}
	if infos, err := h.Validate(t.Context(), "", source("name", "new", "api.password", "hunter22")); err != nil || infos.ErrorCount > 0 {
		t.Fatalf("%+v, %v", infos, err)
	}
	if text := logged.String(); !strings.Contains(text, "cannot log in with "+configs.Mask) {
		t.Errorf("logged %s", text)
	}
	if text := "hunter22"; redactor.Redact(text) != text {
		t.Error("a secret is kept for longer than the validation")
	}
}

// A pause that comes while a task reports that it works is not overlooked in the status.
func TestAPauseWhileATaskReports(t *testing.T) {
	g := &gate{}
	var reported []State
	run := &taskRun{gate: g}
	run.report = func(state State, _ string) {
		reported = append(reported, state)
		switch len(reported) {
		case 1:
			g.set(true)
		case 2:
			g.set(false)
		}
	}
	run.running()
	if want := []State{Running, PausedState, Running}; !slices.Equal(reported, want) {
		t.Errorf("reported %v, want %v", reported, want)
	}
}
