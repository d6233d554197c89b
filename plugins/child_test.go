package plugins_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/plugins"
	"github.com/sluicehub/sluice/plugins/plugintest"
)

// inChild starts a trouble source in a child and gives its task to the test. Afterwards nothing of it may be left.
func inChild(t *testing.T, do string, change func(*plugins.Options), test func(ctx context.Context, child *plugins.Child, task connectors.SourceTask)) {
	t.Helper()
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	o := plugintest.Options(t, troubleSource{})
	if change != nil {
		change(&o)
	}
	child := plugintest.Launch(t, o, "trouble-source")
	defer child.Kill()
	task := child.Connector().(connectors.SourceConnector).NewSourceTask()
	must(t, task.Start(ctx, connectors.SourceStart{Connector: "c", Config: map[string]string{"do": do},
		Report: func(_ context.Context, r connectors.Record, err error) error { return err }}))
	test(ctx, child, task)
	must(t, task.Stop(ctx))
	child.Kill()
	if err := eventually("the goroutines end", func() bool { return runtime.NumGoroutine() <= before }); err != nil {
		stacks := make([]byte, 1<<20)
		t.Fatalf("%v: %d before, %d after\n%s", err, before, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
	}
	if err := syscall.Kill(child.PID(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Fatalf("process %d is still there: %v", child.PID(), err)
	}
}

// wantError checks that an error is classed and says the things.
func wantError(t *testing.T, err error, class connectors.Class, says ...string) {
	t.Helper()
	var e *connectors.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is not a connectors.Error", err)
	}
	if e.Class != class {
		t.Errorf("class %v, wanted %v: %v", e.Class, class, err)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("the error does not say %q: %v", s, err)
		}
	}
}

func TestAPanicHarmsOnlyItsOwnChild(t *testing.T) {
	inChild(t, "wait", nil, func(ctx context.Context, _ *plugins.Child, other connectors.SourceTask) {
		inChild(t, "panic", nil, func(ctx context.Context, child *plugins.Child, task connectors.SourceTask) {
			var b connectors.Batch
			must(t, task.Read(ctx, &b))
			must(t, task.Commit(ctx, b.Offsets))
			err := task.Read(ctx, &b)
			wantError(t, err, connectors.ClassBug, "exit status 2", "panic: ", "nil pointer", "troubleSourceTask).Commit")
			<-child.Done()
			wantError(t, child.Err(), connectors.ClassBug, "exit status 2")
			wantError(t, task.Read(ctx, &b), connectors.ClassBug, "exit status 2")
			wantError(t, task.Commit(ctx, nil), connectors.ClassBug, "exit status 2")
		})
		var b connectors.Batch
		must(t, other.Read(ctx, &b))
	})
}

func TestTheLastWordsOfAChildAreInTheError(t *testing.T) {
	inChild(t, "exit", nil, func(ctx context.Context, child *plugins.Child, task connectors.SourceTask) {
		var b connectors.Batch
		must(t, task.Read(ctx, &b))
		must(t, task.Commit(ctx, b.Offsets))
		wantError(t, task.Read(ctx, &b), connectors.ClassBug, "exit status 3", "these are my last words")
	})
}

// TestADeadChildIsBlamedForWhatItDidItself kills a child with the signals that come from outside, which another try
// may outlive, and those that a program brings upon itself. SIGHUP is not among them: under nohup nobody dies of it.
func TestADeadChildIsBlamedForWhatItDidItself(t *testing.T) {
	for signal, class := range map[syscall.Signal]connectors.Class{
		syscall.SIGKILL: connectors.ClassEnvironment,
		syscall.SIGTERM: connectors.ClassEnvironment,
		syscall.SIGABRT: connectors.ClassBug,
		syscall.SIGSEGV: connectors.ClassBug,
	} {
		t.Run(signal.String(), func(t *testing.T) {
			inChild(t, "wait", nil, func(ctx context.Context, child *plugins.Child, task connectors.SourceTask) {
				must(t, task.Read(ctx, &connectors.Batch{}))
				must(t, syscall.Kill(child.PID(), signal))
				err := task.Read(ctx, &connectors.Batch{})
				wantError(t, err, class, "run connector trouble-source")
				wantError(t, child.Err(), class)
				if e, told := child.Err().(*connectors.Error), signal == syscall.SIGKILL; (e.Remedy != "") != told || !e.Retriable {
					t.Errorf("%+v", e)
				}
			})
		})
	}
}

func TestAChildThatHangsIsKilled(t *testing.T) {
	quick := func(o *plugins.Options) { o.PingInterval, o.PingTimeout = 10*time.Millisecond, 300*time.Millisecond }
	inChild(t, "much", quick, func(ctx context.Context, _ *plugins.Child, other connectors.SourceTask) {
		inChild(t, "wait", quick, func(ctx context.Context, child *plugins.Child, task connectors.SourceTask) {
			var b connectors.Batch
			must(t, task.Read(ctx, &b))
			must(t, syscall.Kill(child.PID(), syscall.SIGSTOP))
			wantError(t, task.Read(ctx, &b), connectors.ClassBug, "did not answer for 300ms", "killed")
		})
		for range 100 { // more than was on its way
			must(t, other.Read(ctx, &connectors.Batch{}))
		}
	})
}

// TestWhatAChildHasStartedEndsWithIt has two processes beside the connector's: one in its process group, which must go
// with it, and one that has left it and holds the pipes open, which must not keep the hub waiting.
func TestWhatAChildHasStartedEndsWithIt(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	self, err := os.Executable()
	must(t, err)
	path := script(t, t.TempDir(), "sluice-connector-parent", "#!/bin/sh\nsleep 1000 &\nsetsid sleep 1000 &\n"+
		"echo $! >> \"$0.pids\"\nexec "+self+" plugin trouble-source\n")
	t.Cleanup(func() {
		pids, _ := os.ReadFile(path + ".pids")
		for _, pid := range strings.Fields(string(pids)) {
			n, err := strconv.Atoi(pid)
			must(t, err)
			must(t, syscall.Kill(n, syscall.SIGKILL))
		}
	})
	child := plugintest.Launch(t, plugins.Options{Path: []string{path}, Log: plugintest.Log(t)}, "trouble-source")
	defer child.Kill()
	task := child.Connector().(connectors.SourceConnector).NewSourceTask()
	must(t, task.Start(ctx, connectors.SourceStart{Config: map[string]string{"do": "exit"}}))
	must(t, task.Read(ctx, &connectors.Batch{}))
	must(t, task.Commit(ctx, []connectors.SourceOffset{{Partition: []byte("{}"), Offset: []byte("{}")}}))
	wantError(t, task.Read(ctx, &connectors.Batch{}), connectors.ClassBug, "exit status 3")
	select {
	case <-child.Done():
	case <-ctx.Done():
		t.Fatal("the hub waits for a process that is not its child")
	}
	must(t, eventually("the process group is empty", func() bool { return errors.Is(syscall.Kill(-child.PID(), 0), syscall.ESRCH) }))
	must(t, task.Stop(ctx))
}

func TestATaskThatIgnoresItsContextIsGivenUp(t *testing.T) {
	inChild(t, "ignore its context", nil, func(ctx context.Context, child *plugins.Child, task connectors.SourceTask) {
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		if err := task.Read(short, &connectors.Batch{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("read: %v", err)
		}
		short, cancel = context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		if err := task.Stop(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("stop: %v", err)
		}
		child.Kill()
	})
}

func TestAStartThatHangsEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	child := plugintest.Launch(t, plugintest.Options(t, troubleSource{}), "trouble-source")
	defer child.Kill()
	task := child.Connector().(connectors.SourceConnector).NewSourceTask()
	short, end := context.WithTimeout(ctx, 50*time.Millisecond)
	defer end()
	err := task.Start(short, connectors.SourceStart{Config: map[string]string{"do": "hang in start"}})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("start: %v", err)
	}
	must(t, task.Stop(ctx))
}

// logged collects what is logged.
type logged struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.String()
}

func TestAFloodOfOutputIsBounded(t *testing.T) {
	var log logged
	into := func(o *plugins.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) }
	inChild(t, "flood", into, func(ctx context.Context, child *plugins.Child, task connectors.SourceTask) {
		must(t, task.Read(ctx, &connectors.Batch{}))
	})
	if n := len(log.String()); n > 4<<20 {
		t.Fatalf("30 MB of output became %d bytes of log", n)
	}
	if !strings.Contains(log.String(), "line=xxxx") {
		t.Fatal("nothing of the flood is in the log")
	}
}

func TestLogLinesArriveWithLevelAndAttributes(t *testing.T) {
	var log logged
	into := func(o *plugins.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) }
	inChild(t, "log", into, func(ctx context.Context, child *plugins.Child, task connectors.SourceTask) {
		must(t, eventually("the line is logged", func() bool {
			return strings.Contains(log.String(), `level=WARN msg="a warning from the child"`) && strings.Contains(log.String(), "number=7") &&
				strings.Contains(log.String(), "task=0")
		}))
	})
}

func TestErrorsCrossWithTheirClass(t *testing.T) {
	child := plugintest.Launch(t, plugintest.Options(t, troubleSource{}), "trouble-source")
	defer child.Kill()
	task := child.Connector().(connectors.SourceConnector).NewSourceTask()
	err := task.Start(t.Context(), connectors.SourceStart{Config: map[string]string{"do": "fail"}})
	wantError(t, err, connectors.ClassGone, "on the way: connect (LSN 1): no slot; remedy: look")
	var e *connectors.Error
	errors.As(err, &e)
	if !e.Retriable || e.Op != "connect" || e.Remedy != "look" || e.Record == nil || e.Record.Place != "LSN 1" || e.Err.Error() != "no slot" {
		t.Fatalf("%+v", e)
	}
	must(t, task.Stop(t.Context()))
}

func TestAFailedReadIsTriedAgainByTheNext(t *testing.T) {
	inChild(t, "fail twice", nil, func(ctx context.Context, child *plugins.Child, task connectors.SourceTask) {
		var b connectors.Batch
		for range 2 {
			wantError(t, task.Read(ctx, &b), connectors.ClassEnvironment, "try again")
		}
		must(t, task.Read(ctx, &b))
		if string(b.Offsets[0].Offset) != `{"n":3}` {
			t.Fatalf("offset %s", b.Offsets[0].Offset)
		}
	})
}

func TestARefusedCommitIsTheNextReadsError(t *testing.T) {
	inChild(t, "refuse commits", nil, func(ctx context.Context, child *plugins.Child, task connectors.SourceTask) {
		var b connectors.Batch
		must(t, task.Read(ctx, &b))
		must(t, task.Commit(ctx, b.Offsets))
		err := task.Read(ctx, &b)
		wantError(t, err, connectors.ClassEnvironment, `no commit of {"n":1}`)
		var e *connectors.Error
		if errors.As(err, &e); e.Retriable {
			t.Fatal("the error asks for another read, and it was a commit that failed")
		}
	})
}

func TestTheEndComesWithTheLastBatch(t *testing.T) {
	inChild(t, "end", nil, func(ctx context.Context, child *plugins.Child, task connectors.SourceTask) {
		for i := range 4 {
			var b connectors.Batch
			err := task.Read(ctx, &b)
			if i < 2 && err != nil || i >= 2 && !errors.Is(err, io.EOF) {
				t.Fatalf("read %d: %v", i, err)
			}
			if i == 2 && len(b.Offsets) != 1 {
				t.Fatal("the last batch has no offset")
			}
		}
	})
}

func TestABatchThatIsTooLargeIsNamed(t *testing.T) {
	inChild(t, "oversized", nil, func(ctx context.Context, child *plugins.Child, task connectors.SourceTask) {
		for range 2 { // it is lost in the child, so nothing may follow it
			wantError(t, task.Read(ctx, &connectors.Batch{}), connectors.ClassData, "is the most that crosses at once")
		}
	})
}

// smallChild checks that a child whose other side stands still has not kept what it could not hand on.
func smallChild(t *testing.T, child *plugins.Child) {
	t.Helper()
	if _, resident := child.Usage(); resident == 0 || resident > 200<<20 { // a race detector takes most of it
		t.Errorf("the child holds %d MiB", resident>>20)
	}
}

// TestASourceWaitsForTheHub does not read, and looks at how much the source hands on meanwhile.
func TestASourceWaitsForTheHub(t *testing.T) {
	var log logged
	small := func(o *plugins.Options) { o.Window, o.Log = 1<<20, slog.New(slog.NewTextHandler(&log, nil)) }
	inChild(t, "much", small, func(ctx context.Context, child *plugins.Child, task connectors.SourceTask) {
		var b connectors.Batch
		must(t, task.Read(ctx, &b))
		must(t, eventually("the window is full", func() bool { return strings.Count(log.String(), "handed on") >= 11 }))
		time.Sleep(100 * time.Millisecond) // time in which it could do what it must not
		if n := strings.Count(log.String(), "handed on"); n > 14 {
			t.Fatalf("%d batches of 100 KiB with a window of 1 MiB", n)
		}
		smallChild(t, child)
		for range 50 { // and goes on when the hub does
			b.Reset()
			must(t, task.Read(ctx, &b))
		}
	})
}

func TestNothingIsInheritedButWhatIsAllowed(t *testing.T) {
	t.Setenv("SECRET_OF_THE_HUB", "shh")
	t.Setenv("PGPASSFILE", "/a/file")
	allow := func(o *plugins.Options) { o.Environment = func(string) []string { return []string{"PG*"} } }
	inChild(t, "environment", allow, func(ctx context.Context, child *plugins.Child, task connectors.SourceTask) {
		var b connectors.Batch
		must(t, task.Read(ctx, &b))
		got := string(b.Records[0].Value.Bytes)
		if strings.Contains(got, "SECRET_OF_THE_HUB") || !strings.Contains(got, "PGPASSFILE=/a/file") || !strings.Contains(got, "PATH=") {
			t.Fatalf("the child's environment:\n%s", got)
		}
	})
}

func TestValidateRunsTheChecksThatAreFunctions(t *testing.T) {
	child := plugintest.Launch(t, plugintest.Options(t, troubleSource{}), "trouble-source")
	defer child.Kill()
	for do, want := range map[string]string{
		"refused by a function": "must be something else",
		"refused by the world":  "the world says no",
		"fine":                  "",
	} {
		problems := child.Validate(t.Context(), map[string]string{"do": do, "topics": "of the hub"})
		if want == "" && len(problems) == 0 {
			continue
		}
		if len(problems) != 1 || problems[0].Key != "do" || !strings.Contains(problems[0].Message, want) {
			t.Errorf("%s: %v", do, problems)
		}
	}
}

func TestServeRefusesToRunByHand(t *testing.T) {
	self, err := os.Executable()
	must(t, err)
	cmd := exec.Command(self, "plugin", "trouble-source")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("%v, wanted exit status 1", err)
	}
	for _, s := range []string{"trouble-source", "a hub starts", "SLUICE_CONNECTOR_PLUGIN", "sluice run"} {
		if !strings.Contains(string(out), s) {
			t.Errorf("it does not say %q: %s", s, out)
		}
	}
}

func TestStopLetsTheTasksStop(t *testing.T) {
	child := plugintest.Launch(t, plugintest.Options(t, troubleSource{}), "trouble-source")
	task := child.Connector().(connectors.SourceConnector).NewSourceTask()
	must(t, task.Start(t.Context(), connectors.SourceStart{Config: map[string]string{"do": "wait"}}))
	child.Stop(t.Context())
	must(t, child.Err())
	var err error
	for err == nil { // what had arrived may be read
		err = task.Read(t.Context(), &connectors.Batch{})
	}
	if errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}
