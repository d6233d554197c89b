package log

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/sluicehub/sluice/log/vfs"
)

// TestGolden opens a data directory that an earlier version wrote, kept in
// testdata. A directory is written once, by
//
//	go test ./log -run TestGolden -write-golden format-1
//
// and never changed after that.
func TestGolden(t *testing.T) {
	if *writeGolden != "" {
		makeGolden(t, filepath.Join("testdata", *writeGolden))
	}
	for _, format := range []string{"format-1"} {
		t.Run(format, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", format))); err != nil {
				t.Fatal(err)
			}
			l := mustOpen(t, goldenOptions(dir))
			p, err := l.Partition("orders", 1)
			if err != nil {
				t.Fatal(err)
			}
			got := readAll(t, p, p.LogStart())
			if p.LogStart() != 3 || len(got) != 37 || got[0] != (readBack{3, "7/3"}) || got[36] != (readBack{39, "7/39"}) {
				t.Errorf("from %d: %v", p.LogStart(), got)
			}
			if l.LeaderEpoch() != 2 || p.Topic().ID().String() != "AQIDBAUGBwgJCgsMDQ4PEA" || l.ClusterID() == "" {
				t.Errorf("epoch %d, topic id %s, cluster id %q", l.LeaderEpoch(), p.Topic().ID(), l.ClusterID())
			}
			if es := fmt.Sprint(p.Epochs()); es != "[{0 0} {1 20}]" {
				t.Errorf("epochs %s", es)
			}
			r, err := p.Append(context.Background(), idempotent(7, 0, 39, 1), AppendOptions{})
			if err != nil || !r.Duplicate || r.BaseOffset != 39 {
				t.Errorf("repeated batch: %+v, %v", r, err)
			}
			if c := p.Topic().Config(); c.SegmentBytes != 1024 || c.RetentionTime >= 0 {
				t.Errorf("config %+v", c)
			}
			if id, err := l.NextProducerID(); err != nil || id != 1000 {
				t.Errorf("producer id %d, %v", id, err)
			}
		})
	}
}

// writeGolden is only set by hand.
var writeGolden = flag.String("write-golden", "", "write this golden data directory under testdata")

func goldenOptions(dir string) Options {
	o := testOptions(vfs.OS())
	o.Dir = dir
	return o
}

func makeGolden(t *testing.T, dir string) {
	t.Helper()
	for life := range int32(2) {
		l, err := Open(goldenOptions(dir))
		if err != nil {
			t.Fatal(err)
		}
		if life == 0 {
			id := TopicID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
			if _, err := l.CreateTopic("orders", id, 2, map[string]string{"segment.bytes": "1024", "retention.ms": "-1"}); err != nil {
				t.Fatal(err)
			}
			if _, err := l.NextProducerID(); err != nil {
				t.Fatal(err)
			}
		}
		p, err := l.Partition("orders", 1)
		if err != nil {
			t.Fatal(err)
		}
		for i := range int32(20) {
			mustAppend(t, p, idempotent(7, 0, life*20+i, 1))
		}
		if _, err := p.DeleteRecords(3); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
