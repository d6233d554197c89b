package log

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicehub/sluice/log/vfs"
)

// smallDisk is a log on a disk of a MiB, with a producer's topic and a vital one.
type smallDisk struct {
	t       *testing.T
	fs      *vfs.Mem
	clock   *fixedClock
	logged  *logLines
	options Options
	log     *Log
	records *Partition
	vital   *Partition
}

func newSmallDisk(t *testing.T) *smallDisk {
	t.Helper()
	d := &smallDisk{t: t, fs: vfs.NewMem(), clock: &fixedClock{testNow}, logged: &logLines{}}
	d.fs.Limit(1 << 20)
	d.options = testOptions(d.fs)
	d.options.Clock, d.options.Vital, d.options.DiskWarnPercent, d.options.DiskRejectPercent = d.clock, []string{"vital"}, 50, 80
	d.options.Logger = slog.New(slog.NewTextHandler(d.logged, nil))
	d.log = mustOpen(t, d.options)
	d.records = mustCreate(t, d.log, "t", map[string]string{"segment.bytes": "65536"})
	d.vital = mustCreate(t, d.log, "vital", nil)
	return d
}

// fill appends until records are refused, and says how often they were not.
func (d *smallDisk) fill() (n int) {
	d.t.Helper()
	for range 10_000 {
		_, err := d.records.Append(context.Background(), batch(strings.Repeat("x", 5000)), AppendOptions{})
		if errors.Is(err, ErrNoSpace) {
			return n
		}
		if err != nil {
			d.t.Fatal(err)
		}
		n++
	}
	d.t.Fatal("the disk is never full")
	return n
}

// others are what else is on the disk.
func (d *smallDisk) others(bytes int64) {
	d.t.Helper()
	f, err := d.fs.Create("others")
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	if n, err := f.WriteAt(make([]byte, bytes), 0); err != nil && !noSpace(err) {
		d.t.Fatalf("%d bytes: %v", n, err)
	}
	d.clock.ms += 5000
	d.log.disk.look()
}

// works does all that must go on above the reject mark.
func (d *smallDisk) works() {
	d.t.Helper()
	mustAppend(d.t, d.vital, batch("offset"))
	if r, err := d.records.Read(d.records.LogStart(), ReadOptions{MaxBytes: 100, MinOneBatch: true}); err != nil || len(r.Batches) == 0 {
		d.t.Fatalf("read: %d bytes, %v", len(r.Batches), err)
	}
	if err := d.log.AlterTopicConfig("t", []ConfigChange{{Name: "retention.bytes", Value: fmt.Sprint(300_000 + d.clock.ms%7)}}, false); err != nil {
		d.t.Fatal(err)
	}
	if err := d.log.SaveState("acls", []byte("new")); err != nil {
		d.t.Fatal(err)
	}
	if _, err := d.log.NextProducerID(); err != nil {
		d.t.Fatal(err)
	}
	at := d.records.LogStart() + 1
	if start, err := d.records.DeleteRecords(at); err != nil || start != at {
		d.t.Fatalf("delete records: %d, %v", start, err)
	}
}

func (d *smallDisk) wants(state DiskState, ballast bool) {
	d.t.Helper()
	if s := d.log.Stats(); s.Disk != state || (s.Ballast > 0) != ballast {
		d.t.Fatalf("disk is %v, %d bytes of ballast; want %v, %v", s.Disk, s.Ballast, state, ballast)
	}
}

func TestDiskMarks(t *testing.T) {
	d := newSmallDisk(t)
	d.wants(DiskOK, true)
	n := d.fill()
	d.wants(DiskReject, true)
	if s := d.log.Stats(); s.Space.Usable > 1<<20/5 || s.Space.Usable < 1<<20/5-12_000 || s.NoSpace != 1 {
		t.Errorf("after %d appends: %+v", n, s)
	}
	d.works()
	d.wants(DiskReject, true)
	d.clock.ms += time.Minute.Milliseconds()
	if d.fill() != 0 {
		t.Error("records are taken above the mark")
	}
	if err := d.log.ApplyRetention(context.Background()); err != nil {
		t.Fatal(err)
	}
	d.clock.ms += 1000
	if d.fill() == 0 {
		t.Error("no records are taken after retention")
	}
	for _, says := range []string{"the disk is getting full", "the disk is full: no records are taken", "has space again"} {
		if !strings.Contains(d.logged.String(), says) {
			t.Errorf("not said: %s\n%s", says, d.logged)
		}
	}
	if lines := strings.Count(d.logged.String(), "no records are taken until"); lines != 2 {
		t.Errorf("the mark was crossed twice and said %d times:\n%s", lines, d.logged)
	}
	if lines := strings.Count(d.logged.String(), "there is no space for records"); lines != 0 {
		t.Errorf("a full disk was said %d times, and none was", lines)
	}
}

func TestDuplicateAboveMark(t *testing.T) {
	d := newSmallDisk(t)
	first := mustAppend(t, d.records, idempotent(7, 0, 0, 1))
	d.others(900_000)
	d.wants(DiskReject, true)
	if r := mustAppend(t, d.records, idempotent(7, 0, 0, 1)); !r.Duplicate || r.BaseOffset != first.BaseOffset {
		t.Errorf("%+v, first was %+v", r, first)
	}
	if _, err := d.records.Append(context.Background(), idempotent(7, 0, 1, 1), AppendOptions{}); !errors.Is(err, ErrNoSpace) {
		t.Errorf("a new one: %v", err)
	}
}

// TestBallast: others take every byte. The node gives up its ballast and goes
// on, also over a start, and has it again when there is space.
func TestBallast(t *testing.T) {
	for _, how := range []string{"seen by looking", "met by writing"} {
		t.Run(how, func(t *testing.T) {
			d := newSmallDisk(t)
			mustAppend(t, d.records, batch("one", "two", "three"))
			had := d.log.Stats().Ballast
			if how == "seen by looking" {
				d.others(1 << 20)
			} else {
				f, err := d.fs.Create("others")
				if err != nil {
					t.Fatal(err)
				}
				if _, err := f.WriteAt(make([]byte, 1<<20), 0); !noSpace(err) {
					t.Fatal(err)
				}
				if err := d.log.SaveState("acls", []byte("new")); err != nil {
					t.Fatal(err)
				}
			}
			d.wants(DiskReject, false)
			d.works()
			if err := d.log.Close(); err != nil {
				t.Fatal(err)
			}
			d.log = mustOpen(t, d.options)
			for p, name := range map[**Partition]string{&d.records: "t", &d.vital: "vital"} {
				var err error
				if *p, err = d.log.Partition(name, 0); err != nil {
					t.Fatal(err)
				}
			}
			d.wants(DiskReject, false)
			d.works()
			d.others(0)
			d.wants(DiskOK, true)
			if now := d.log.Stats().Ballast; now != had {
				t.Errorf("%d bytes of ballast, had %d", now, had)
			}
			mustAppend(t, d.records, batch("four"))
		})
	}
}

// TestDiskIsLookedAt: what others write is seen while nothing is appended.
func TestDiskIsLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		fs.Limit(1 << 20)
		l, err := Open(Options{Dir: "data", FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		f, err := fs.Create("others")
		if err != nil {
			t.Fatal(err)
		}
		for full, want := range []DiskState{DiskOK, DiskWarn} {
			if err := f.Truncate(int64(full) * 960_000); err != nil {
				t.Fatal(err)
			}
			time.Sleep(6 * time.Second)
			synctest.Wait()
			if s := l.Stats(); s.Disk != want {
				t.Errorf("state %v, want %v", s.Disk, want)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestDiskMarksChecked(t *testing.T) {
	for _, marks := range [][2]int{{91, 90}, {-1, 50}, {50, 101}, {99, 0}} {
		o := testOptions(vfs.NewMem())
		o.DiskWarnPercent, o.DiskRejectPercent = marks[0], marks[1]
		if _, err := Open(o); err == nil {
			t.Errorf("%v: no error", marks)
		}
	}
}
