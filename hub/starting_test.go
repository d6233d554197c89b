package hub

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sluicehub/sluice/connectors"
)

// atStart returns a function that does something when it is first called, for the launch or the plan of a connector. What
// it does may call it again.
func atStart(do func()) (first func()) {
	done := make(chan struct{}, 1)
	done <- struct{}{}
	return func() {
		select {
		case <-done:
			do()
		default:
		}
	}
}

func toBeginning() []connectors.SourceOffset {
	return []connectors.SourceOffset{{Partition: json.RawMessage(`{"file":"lines"}`), Offset: json.RawMessage(`{"position":0}`)}}
}

// A source that does not answer how its work is to be split says so, and can be stopped.
func TestAPlanThatHangs(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.world.plan = func(ctx context.Context, _ int) ([]map[string]string, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	r.create("in", source())
	r.until("the status says what is waited for", func() bool {
		state, _, trace := r.state("in")
		return state == Unassigned && strings.Contains(trace, "has not answered")
	})
	r.set("in", Stopped)
	r.untilState("in", StoppedState)
	r.world.update(func() { r.world.plan = nil })
	r.set("in", Started)
	r.untilState("in", Running, Running)
}

// One that is stopped while it plans its tasks has none: only then its offsets may be changed.
func TestStoppedWhileItPlans(t *testing.T) {
	r := newRig(t, nil)
	stop := atStart(func() { r.set("in", Stopped) })
	r.world.plan = func(context.Context, int) ([]map[string]string, error) {
		stop()
		return []map[string]string{source()}, nil
	}
	r.create("in", source())
	r.untilState("in", StoppedState)
	if _, err := r.hub.AlterOffsets(t.Context(), "in", toBeginning()); err != nil {
		t.Error(err)
	}
	if list, err := r.hub.TaskConfigs("in"); err != nil || len(list) > 0 {
		t.Errorf("a stopped connector has the tasks %v, %v", list, err)
	}
	r.set("in", Started)
	r.untilState("in", Running, Running)
}

// The offsets of one that is stopped while it is launched are not changed before it has seen that: its tasks would
// write theirs over them.
func TestOffsetsWaitForALaunch(t *testing.T) {
	r := newRig(t, nil)
	r.create("in", source())
	r.untilState("in", Running, Running)
	asked := make(chan error, 1)
	change := atStart(func() {
		r.set("in", Stopped)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := r.hub.AlterOffsets(ctx, "in", toBeginning())
		asked <- err
	})
	r.world.update(func() { r.world.launch = func(Launch) error { change(); return nil } })
	if _, _, err := r.hub.Apply(t.Context(), "in", source("interval", "6")); err != nil {
		t.Fatal(err)
	}
	var refused *RequestError
	if err := <-asked; !errors.As(err, &refused) || refused.Fault != Conflict {
		t.Errorf("the offsets of a connector that is being launched: %v", err)
	}
	if _, err := r.hub.AlterOffsets(t.Context(), "in", toBeginning()); err != nil {
		t.Error(err)
	}
}

// A correction that comes while the wrong configuration is tried is not overlooked when that fails.
func TestACorrectionThatComesDuringALaunch(t *testing.T) {
	r := newRig(t, nil)
	r.create("in", source())
	r.untilState("in", Running, Running)
	apply := func(interval string) {
		if _, _, err := r.hub.Apply(t.Context(), "in", source("interval", interval)); err != nil {
			t.Error(err)
		}
	}
	correct := atStart(func() { apply("7") })
	r.world.update(func() {
		r.world.launch = func(Launch) error {
			if sp, _ := r.hub.configs.get("in"); sp.config["interval"] == "7" {
				return nil
			}
			correct()
			return &connectors.Error{Class: connectors.ClassConfig, Err: errors.New("no such driver")}
		}
	})
	apply("6")
	r.until("it runs as corrected", func() bool {
		state, tasks, _ := r.state("in")
		list, err := r.hub.TaskConfigs("in")
		return err == nil && state == Running && len(tasks) == 1 && tasks[0] == Running && len(list) == 1 && list[0]["interval"] == "7"
	})
}

// A plugin that could not be asked what it is, on a machine that is busy perhaps, is asked again.
func TestAPluginThatIsNotFoundForAWhile(t *testing.T) {
	r := newRig(t, nil)
	r.create("in", source())
	r.untilState("in", Running, Running)
	r.world.update(func() {
		r.world.findErr = &connectors.Error{Class: connectors.ClassEnvironment, Err: errors.New("it cannot be used")}
	})
	if err := r.hub.configs.putConnector(t.Context(), "in", source("name", "in", "interval", "6"), ""); err != nil {
		t.Fatal(err)
	}
	r.hub.runner("in").poke()
	if trace := r.untilState("in", Failed, Failed); !strings.Contains(trace, "next restart in 1s") {
		t.Errorf("trace %q", trace)
	}
	r.world.update(func() { r.world.findErr = nil })
	r.untilState("in", Running, Running)
}
