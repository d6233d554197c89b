package log

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/sluicehub/sluice/log/segment"
)

// TestKafkasTransactions opens a partition that Apache Kafka 4.3 wrote: four
// rounds in which a producer of transaction version 2 wrote a0 and aa0, one of
// version 0 wrote b0, and one without transactions plain0, each batch in a
// segment of its own (segment.ms=50); the first committed in even rounds, the
// second in rounds 0 and 3. A third one's transaction, "open", is open. Only
// logs, transaction indexes and producer snapshots are kept.
func TestKafkasTransactions(t *testing.T) {
	golden := filepath.Join("testdata", "kafka-4.3-transactions")
	for _, snapshots := range []bool{true, false} {
		t.Run(fmt.Sprintf("snapshots=%v", snapshots), func(t *testing.T) {
			dir := t.TempDir()
			adopt(t, dir, golden, snapshots)
			l := mustOpen(t, goldenOptions(dir))
			p, err := l.Partition("gt", 0)
			if err != nil || p.Err() != nil {
				t.Fatal(err, p.Err())
			}
			var got []string
			for _, r := range readCommitted(t, p, 0, 200) {
				got = append(got, r.value)
			}
			if want := "[a0 b0 plain0 aa0 plain1 a2 plain2 aa2 b3 plain3]"; fmt.Sprint(got) != want {
				t.Errorf("read %v, want %v", got, want)
			}
			if p.LastStable() != 24 || p.HighWatermark() != 27 {
				t.Errorf("last stable offset %d, high watermark %d", p.LastStable(), p.HighWatermark())
			}
			// Indexes were missing, so all of this was made anew.
			compareTxnIndexes(t, filepath.Join(golden, "gt-0"), filepath.Join(dir, "gt-0"))
			compareSnapshots(t, filepath.Join(golden, "gt-0"), filepath.Join(dir, "gt-0"))
		})
	}
}

// adopt makes a data directory around a partition's folder.
func adopt(t *testing.T, dir, golden string, snapshots bool) {
	t.Helper()
	if err := os.CopyFS(dir, os.DirFS(golden)); err != nil {
		t.Fatal(err)
	}
	meta, err := os.ReadFile(filepath.Join(dir, "gt-0", partitionFile))
	if err != nil {
		t.Fatal(err)
	}
	id, err := decodePartitionMeta(meta)
	if err != nil {
		t.Fatal(err)
	}
	topics, err := encodeTopics([]topicRecord{{Name: "gt", ID: id.String(), Partitions: 1}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{topicsFile: topics, metaFile: encodeMeta(meta0())} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if snapshots {
		return
	}
	for _, f := range globbed(t, filepath.Join(dir, "gt-0"), segment.SnapshotSuffix) {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
}

func meta0() meta { return meta{clusterID: "MkU3OEVBNTcwNTJENDM2Qg", epoch: 0} }

func globbed(t *testing.T, dir, suffix string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func compareTxnIndexes(t *testing.T, want, got string) {
	t.Helper()
	if w, g := globbed(t, want, segment.TxnIndexSuffix), globbed(t, got, segment.TxnIndexSuffix); len(w) != len(g) || len(w) != 4 {
		t.Errorf("%d transaction indexes, Kafka has %d", len(g), len(w))
	}
	for _, f := range globbed(t, want, segment.TxnIndexSuffix) {
		w, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		g, err := os.ReadFile(filepath.Join(got, filepath.Base(f)))
		if err != nil || !bytes.Equal(w, g) {
			t.Errorf("%s is %x, Kafka's is %x (%v)", filepath.Base(f), g, w, err)
		}
	}
}

// compareSnapshots compares what does not depend on the clock.
func compareSnapshots(t *testing.T, want, got string) {
	t.Helper()
	read := func(dir, name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		ps, err := decodeSnapshot(b)
		if err != nil {
			t.Fatal(err)
		}
		out := map[int64]string{}
		for id, p := range ps {
			last := p.last()
			out[id] = fmt.Sprintf("epoch %d, coordinator %d, sequence %d, offset %d, open %v from %d", p.epoch, p.coordinator(), last.lastSeq, last.lastOffset, p.open, p.txnFirst)
		}
		return fmt.Sprint(out)
	}
	all := globbed(t, want, segment.SnapshotSuffix)
	for _, f := range all {
		if w, g := read(want, filepath.Base(f)), read(got, filepath.Base(f)); w != g {
			t.Errorf("%s:\n got %s\nwant %s", filepath.Base(f), g, w)
		}
	}
	if len(all) < 20 {
		t.Errorf("%d snapshots", len(all))
	}
}
