package integration

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehub/sluice/integration/services"
)

// residentLimit is what a hub and each child may have in memory while a target does not answer, in bytes.
const residentLimit = 300 << 20

// stoppedTargets stops both targets (they take connections and never answer), lets far more be written than may be
// held in memory, and lets them go on.
func stoppedTargets(t *testing.T, es *services.Elasticsearch) {
	s3, err := services.StartS3(t.Context())
	must(t, err)
	closeLater(t, s3)
	const rows = 60_000
	p := newPipeline(t, "insert", func(p *pipeline) { p.s3, p.es, p.flush = s3, es, 2000 })
	p.flowing()
	ctx := p.deadline()
	must(t, p.recovered(ctx))
	meter := startMeter(t, p)
	frozen := append(services.Family(s3.PID()), services.Family(es.PID())...)
	signal := func(sig syscall.Signal) {
		for _, pid := range frozen {
			if err := syscall.Kill(pid, sig); err != nil {
				t.Errorf("%v to %d: %v", sig, pid, err)
			}
		}
	}
	signal(syscall.SIGSTOP)
	t.Cleanup(func() {
		for _, pid := range frozen {
			_ = syscall.Kill(pid, syscall.SIGCONT) // it may have ended
		}
	})
	insertMany(t, p, "c", rows, strings.Repeat("x", 2400))
	must(t, p.topics.until(ctx, "everything to be in the log", func() bool { return p.topics.total >= rows }))
	for _, sink := range []string{"items-s3", "items-elasticsearch"} {
		at, err := p.position(ctx, sink)
		must(t, err)
		if left := int64(p.topics.total) - at; left < rows/2 {
			t.Errorf("%s went on with its target stopped: only %d records are left", sink, left)
		}
	}
	peaks := meter.stop()
	for _, name := range slices.Sorted(maps.Keys(peaks)) {
		t.Logf("%s had %d MB in memory", name, peaks[name]>>20)
		if peaks[name] > residentLimit {
			t.Errorf("%s had %d MB in memory, the limit is %d", name, peaks[name]>>20, residentLimit>>20)
		}
	}
	signal(syscall.SIGCONT)
	began := time.Now()
	p.settle(0)
	t.Logf("everything had arrived %.0f s after the targets went on", time.Since(began).Seconds())
}

// meter keeps the most memory that the processes of a worker had: their own peaks, as the kernel counts them.
type meter struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	peaks  map[string]int64 // by name
}

func startMeter(t *testing.T, p *pipeline) *meter {
	ctx, cancel := context.WithCancel(t.Context())
	m := &meter{cancel: cancel, peaks: map[string]int64{}}
	m.done.Go(func() {
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for stopped := false; ; {
			if err := m.look(p); err != nil {
				t.Error(err)
				return
			}
			if stopped {
				return
			}
			select {
			case <-ctx.Done():
				stopped = true // and once more
			case <-tick.C:
			}
		}
	})
	t.Cleanup(func() { m.stop() })
	return m
}

func (m *meter) look(p *pipeline) error {
	children, err := p.worker.Children()
	if err != nil {
		return err
	}
	for _, pid := range append(children, p.worker.PID()) {
		args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		words := bytes.Split(bytes.TrimSuffix(args, []byte{0}), []byte{0})
		if err != nil || len(words) < 2 {
			continue // it has just ended
		}
		name := "the hub"
		if string(words[1]) == "plugin" {
			name = string(bytes.Join(words[1:], []byte(" ")))
		}
		peak, err := services.PeakMemory(pid)
		if err == nil {
			m.peaks[name] = max(m.peaks[name], peak)
		}
	}
	return nil
}

func (m *meter) stop() map[string]int64 {
	m.cancel()
	m.done.Wait()
	return m.peaks
}
