package log

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sluicehub/sluice/log/vfs"
)

// slowRemoval is a file system that removes log files only when it is let.
type slowRemoval struct {
	vfs.FS
	began, goOn chan struct{}
	removing    atomic.Int32
}

func (s *slowRemoval) Remove(name string) error {
	if strings.HasSuffix(name, ".log") {
		s.removing.Add(1)
		defer s.removing.Add(-1)
		s.began <- struct{}{}
		<-s.goOn
	}
	return s.FS.Remove(name)
}

// TestAppendsGoOnWhileFilesAreRemoved appends to a partition whose old files take their time to go, and deletes its
// topic, which has to wait: the next topic of the name has files of the same names.
func TestAppendsGoOnWhileFilesAreRemoved(t *testing.T) {
	fs := &slowRemoval{FS: vfs.NewMem(), began: make(chan struct{}), goOn: make(chan struct{})}
	l := mustOpen(t, testOptions(fs))
	p := mustCreate(t, l, "t", map[string]string{"segment.bytes": "1024", "retention.bytes": "1024"})
	for i := range 9 {
		mustAppend(t, p, batch(strings.Repeat(fmt.Sprint(i), 400)))
	}
	retained := make(chan error)
	go func() { retained <- l.ApplyRetention(t.Context()) }()
	<-fs.began
	if r := mustAppend(t, p, batch("new")); r.BaseOffset != 9 || r.LogStart == 0 {
		t.Errorf("appended at %d, log start %d", r.BaseOffset, r.LogStart)
	}
	deleted := make(chan error)
	go func() { deleted <- l.DeleteTopic("t") }()
	for left := 2; left > 0; {
		select {
		case fs.goOn <- struct{}{}:
		case <-fs.began:
		case err := <-retained:
			left--
			if err != nil {
				t.Error(err)
			}
		case err := <-deleted:
			left--
			if err != nil || fs.removing.Load() > 0 {
				t.Errorf("the topic was deleted (%v) while %d files were being removed", err, fs.removing.Load())
			}
		}
	}
}
