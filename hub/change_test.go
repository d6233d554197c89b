package hub

import (
	"errors"
	"sync"
	"testing"

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
