package integration

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/sluicehub/sluice/integration/worker"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
)

// smallDisk is a file system of a few MiB in a mount namespace of its own. Nothing outside sees it, and it is gone when
// the process that holds the namespace ends, which is at the latest when this one does.
type smallDisk struct {
	path  string // in the namespace
	seen  string // the same folder, as this process sees it
	enter string // a shell command that runs what follows it in the namespace
}

func newSmallDisk(t *testing.T, mib int) *smallDisk {
	t.Helper()
	d := &smallDisk{path: t.TempDir()}
	// A user namespace needs no root. Where there is none, as in a chroot, root does without.
	pid, err := d.hold(t, mib, "--map-root-user")
	d.enter = fmt.Sprintf("nsenter --target %d --mount --user --preserve-credentials", pid)
	if err != nil {
		var second error
		pid, second = d.hold(t, mib)
		d.enter = fmt.Sprintf("nsenter --target %d --mount", pid)
		if second != nil {
			t.Fatalf("this test mounts a tmpfs in a namespace of its own and cannot: %v; %v\n"+
				"allow user namespaces (sysctl user.max_user_namespaces=10000), or run the tests as root with CAP_SYS_ADMIN", err, second)
		}
	}
	d.seen = fmt.Sprintf("/proc/%d/root%s", pid, d.path)
	return d
}

// hold starts the process that holds the namespace. It reads from a pipe whose other end this process has, so it ends
// with it.
func (d *smallDisk) hold(t *testing.T, mib int, more ...string) (pid int, err error) {
	script := fmt.Sprintf("mount -t tmpfs -o size=%dm,mode=0700 tmpfs '%s' && echo mounted && exec cat", mib, d.path)
	cmd := exec.Command("unshare", append(more, "--mount", "sh", "-c", script)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	end := func() error { return errors.Join(in.Close(), cmd.Wait()) }
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "mounted\n" {
		return 0, fmt.Errorf("unshare %s: %q, %w, %w: %s", strings.Join(more, " "), line, err, end(), strings.TrimSpace(stderr.String()))
	}
	t.Cleanup(func() {
		if err := end(); err != nil {
			t.Errorf("the holder of the small disk: %v: %s", err, &stderr)
		}
	})
	return cmd.Process.Pid, nil
}

// ballast puts a file on the disk; to remove it makes space.
func (d *smallDisk) ballast(t *testing.T, name string, bytes int) (remove func()) {
	t.Helper()
	path := filepath.Join(d.seen, name)
	must(t, os.WriteFile(path, make([]byte, bytes), 0o600))
	return func() { must(t, os.Remove(path)) }
}

// fillUp leaves not a byte.
func (d *smallDisk) fillUp(t *testing.T) {
	t.Helper()
	f, err := os.Create(filepath.Join(d.seen, "rest"))
	must(t, err)
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	must(t, f.Close())
}

// metric is a figure of /metrics.
func metric(t *testing.T, w *worker.Worker, name string) float64 {
	t.Helper()
	status, body, err := w.Do(deadline(t), http.MethodGet, "/metrics", nil)
	must(t, err)
	for line := range strings.Lines(string(body)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			must(t, err)
			return n
		}
	}
	t.Fatalf("no %s in the answer %d of /metrics", name, status)
	return 0
}

// worker prepares one whose data directory is on the disk.
func (d *smallDisk) worker(t *testing.T) *worker.Worker {
	t.Helper()
	inside := filepath.Join(t.TempDir(), "sluice-on-small-disk")
	must(t, os.WriteFile(inside, []byte("#!/bin/sh\nexec "+d.enter+" "+binary+" \"$@\"\n"), 0o700))
	w, err := worker.New(worker.Options{Binary: inside, Dir: t.TempDir(), Settings: map[string]string{"sluice.data.dir": d.path + "/data",
		"sluice.registry.topic": "registered"}}) // of another name: it is vital by what it is for
	must(t, err)
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// filler produces until the disk is full, and keeps what was acknowledged.
type filler struct {
	t     *testing.T
	w     *worker.Worker
	acked []string
	sent  int
}

// fill produces large records, then smaller ones, each until one is refused. The client tries nothing again, so that
// the answer is seen.
func (f *filler) fill() {
	f.t.Helper()
	ctx := deadline(f.t)
	client, err := kgo.NewClient(kgo.SeedBrokers(f.w.Kafka), kgo.AllowAutoTopicCreation(), kgo.DisableIdempotentWrite(),
		kgo.RecordRetries(0), kgo.ProducerLinger(0), kgo.ProducerBatchCompression(kgo.NoCompression()))
	must(f.t, err)
	defer client.Close()
	for _, size := range []int{64 << 10, 4 << 10, 100} {
		for {
			f.sent++
			value := fmt.Sprintf("%08d", f.sent) + strings.Repeat("x", size)
			err := client.ProduceSync(ctx, &kgo.Record{Topic: "filler", Value: []byte(value)}).FirstErr()
			if err == nil {
				f.acked = append(f.acked, value)
				continue
			}
			if !errors.Is(err, kerr.KafkaStorageError) {
				f.t.Fatalf("record %d on a full disk: %v, want %v", f.sent, err, kerr.KafkaStorageError)
			}
			break
		}
	}
}

// check reads the topic: it must hold what was acknowledged, in order, and nothing else.
func (f *filler) check() {
	f.t.Helper()
	records, err := f.w.Records(deadline(f.t), "filler", len(f.acked))
	must(f.t, err)
	for i, r := range records {
		if string(r.Value) != f.acked[i] || r.Offset != int64(i) {
			f.t.Fatalf("record %d is %.8s… at offset %d, acknowledged was %.8s…", i, r.Value, r.Offset, f.acked[i])
		}
	}
}

// numbered is what a file source reads: lines from a number on, a KiB each.
func numbered(from, n int) string {
	var b strings.Builder
	for i := from; i < from+n; i++ {
		fmt.Fprintf(&b, "%06d%s\n", i, strings.Repeat("y", 1000))
	}
	return b.String()
}

// numberedInOrder waits until a topic has the lines 0 to n-1 in order. A source that was started again may go back.
func numberedInOrder(t *testing.T, w *worker.Worker, topic string, n int) {
	t.Helper()
	next, wrong := 0, ""
	must(t, w.Consume(deadline(t), topic, func(r *kgo.Record) bool {
		i, err := strconv.Atoi(string(r.Value[:min(6, len(r.Value))]))
		switch {
		case err != nil || i > next:
			wrong = fmt.Sprintf("offset %d has %.20q, want line %d or one before", r.Offset, r.Value, next)
		case i == next:
			next++
		}
		return wrong != "" || next == n
	}))
	if wrong != "" {
		t.Fatal(wrong)
	}
}

// goesOn does what must be possible while producers are refused: to configure a connector, to register a schema, to
// commit an offset, to alter a topic and to delete one.
func goesOn(t *testing.T, w *worker.Worker, when string) {
	t.Helper()
	ctx := deadline(t)
	must(t, w.Put(ctx, "other", map[string]string{"connector.class": "FileStreamSource", "file": "/dev/null", "topic": "other", "when": when}))
	registry, err := sr.NewClient(sr.URLs(w.Registry))
	must(t, err)
	_, err = registry.CreateSchema(ctx, when, sr.Schema{Schema: fmt.Sprintf(`{"type":"fixed","name":"a","size":%d}`, len(when))})
	must(t, err)
	client, err := kgo.NewClient(kgo.SeedBrokers(w.Kafka))
	must(t, err)
	defer client.Close()
	admin, topic := kadm.NewClient(client), "made "+when
	topic = strings.ReplaceAll(topic, " ", "-")
	_, err = admin.CreateTopic(ctx, 1, -1, nil, topic)
	must(t, err)
	offsets := kadm.Offsets{}
	offsets.AddOffset(topic, 0, 0, -1)
	must(t, admin.CommitAllOffsets(ctx, "group", offsets))
	altered, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: "retention.ms", Value: kadm.StringPtr("3600000")}}, topic)
	must(t, err)
	_, err = altered.On(topic, func(r *kadm.AlterConfigsResponse) error { return r.Err })
	must(t, err)
	_, err = admin.DeleteTopic(ctx, topic)
	must(t, err)
}

// A full disk refuses records, takes back none, and is no trouble any more once it has space, with and without a
// restart between.
func TestDiskFullUnderTheLog(t *testing.T) {
	t.Parallel()
	disk := newSmallDisk(t, 24)
	makeSpace, makeMore := disk.ballast(t, "ballast", 4<<20), disk.ballast(t, "more", 2<<20)
	w := disk.worker(t)
	ctx := deadline(t)
	must(t, w.Start(ctx))
	in := filepath.Join(t.TempDir(), "in")
	must(t, os.WriteFile(in, []byte(numbered(0, 10)), 0o600))
	must(t, w.Put(ctx, "lines", map[string]string{"connector.class": "FileStreamSource", "file": in, "topic": "lines",
		"value.converter": "org.apache.kafka.connect.storage.StringConverter"}))
	numberedInOrder(t, w, "lines", 10)
	more := func(from, n int) {
		f, err := os.OpenFile(in, os.O_APPEND|os.O_WRONLY, 0)
		must(t, err)
		_, err = f.WriteString(numbered(from, n))
		must(t, errors.Join(err, f.Close()))
	}

	f := &filler{t: t, w: w}
	f.fill()
	t.Logf("the disk is full after %d of %d records", len(f.acked), f.sent)
	f.check()
	goesOn(t, w, "above the mark")
	more(10, 500)
	// A producer as people have them tries again until there is space.
	patient, err := kgo.NewClient(kgo.SeedBrokers(w.Kafka), kgo.ProducerBatchCompression(kgo.NoCompression()))
	must(t, err)
	defer patient.Close()
	waits := strings.Repeat("patient", 1000)
	answered := make(chan error, 1)
	patient.Produce(ctx, &kgo.Record{Topic: "filler", Value: []byte(waits)}, func(_ *kgo.Record, err error) { answered <- err })
	before := metric(t, w, "sluice_log_no_space_total")
	must(t, w.Wait(ctx, "the log to refuse the source and the patient producer again and again", func() error {
		if n := metric(t, w, "sluice_log_no_space_total") - before; n < 4 {
			return fmt.Errorf("%v refused", n)
		}
		return nil
	}))
	select {
	case err := <-answered:
		t.Fatalf("the patient producer was answered on a full disk: %v", err)
	default:
	}
	f.check()

	makeSpace()
	must(t, <-answered)
	f.acked = append(f.acked, waits)
	numberedInOrder(t, w, "lines", 510)
	must(t, w.Running(ctx, "lines"))
	f.check()

	// Full again, killed, and started on a disk without a byte: the ballast makes the room for that.
	f.fill()
	if n := metric(t, w, "sluice_log_ballast_bytes"); n == 0 {
		t.Error("there is no ballast")
	}
	must(t, w.Kill())
	disk.fillUp(t)
	must(t, w.Start(ctx))
	if n := metric(t, w, "sluice_log_ballast_bytes"); n != 0 {
		t.Errorf("%v bytes of ballast on a disk without a byte", n)
	}
	goesOn(t, w, "without the ballast")
	f.check()

	// And without ballast: one clear line, and nothing is lost by the attempt.
	must(t, w.Kill())
	disk.fillUp(t)
	must(t, w.Begin())
	code, err := w.Exit(ctx)
	must(t, err)
	if line := lastLine(w.Log()); code != 1 || !strings.Contains(line, "no space left on device") || !strings.Contains(line, disk.path) {
		t.Errorf("a start on a full disk: exit code %d, %q", code, line)
	}
	makeMore()
	began := len(w.Log())
	must(t, w.Start(ctx))
	f.check()
	if n := metric(t, w, "sluice_log_ballast_bytes"); n == 0 {
		t.Error("there is no ballast although there is space")
	}
	more(510, 10)
	numberedInOrder(t, w, "lines", 520)
	if said := w.Log()[began:]; strings.Contains(said, "torn") || strings.Contains(said, "damaged") || strings.Contains(said, "missing") {
		t.Errorf("something was torn:\n%s", said)
	}
}
