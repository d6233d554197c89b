package plugins

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/plugins/pluginpb"
	"google.golang.org/protobuf/proto"
)

func TestErrorsCross(t *testing.T) {
	inner := &connectors.Error{Op: "put", Class: connectors.ClassData, Retriable: true, Remedy: "shorten it",
		Record: &connectors.RecordRef{TopicPartition: connectors.TopicPartition{Topic: "t", Partition: 3}, Offset: 9}, Err: errors.New("too long")}
	for name, c := range map[string]struct {
		err   error
		class connectors.Class
		is    error
	}{
		"classed":            {inner, connectors.ClassData, nil},
		"wrapped":            {fmt.Errorf("bulk: %w", inner), connectors.ClassData, nil},
		"plain":              {errors.New("oops"), connectors.ClassBug, nil},
		"cancelled":          {fmt.Errorf("read: %w", context.Canceled), connectors.ClassBug, context.Canceled},
		"classed, too late":  {&connectors.Error{Op: "x", Class: connectors.ClassEnvironment, Err: context.DeadlineExceeded}, connectors.ClassEnvironment, context.DeadlineExceeded},
		"not UTF-8":          {errors.New("a\xffb"), connectors.ClassBug, nil},
		"classed, no reason": {&connectors.Error{Op: "x", Class: connectors.ClassGone}, connectors.ClassGone, nil},
	} {
		text, err := proto.Marshal(errorToWall(c.err))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var m pluginpb.Error
		if err := proto.Unmarshal(text, &m); err != nil {
			t.Fatal(err)
		}
		got := errorFromWall(&m)
		if want := strings.ToValidUTF8(c.err.Error(), "\uFFFD"); got.Error() != want {
			t.Errorf("%s: %q became %q", name, want, got)
		}
		if connectors.ClassOf(got) != c.class || c.is != nil && !errors.Is(got, c.is) {
			t.Errorf("%s: %#v", name, got)
		}
		var before, after *connectors.Error
		if errors.As(c.err, &before) {
			if !errors.As(got, &after) || after.Op != before.Op || after.Retriable != before.Retriable || after.Remedy != before.Remedy ||
				!cmp.Equal(after.Record, before.Record) {
				t.Errorf("%s: %+v became %+v", name, before, after)
			}
		}
	}
	if errorFromWall(errorToWall(nil)) != nil {
		t.Error("nil became an error")
	}
}

func TestCommitsThatWaitBecomeOne(t *testing.T) {
	c := newCommits()
	offset := func(partition string, n int) *pluginpb.SourceOffset {
		return &pluginpb.SourceOffset{Partition: []byte(partition), Offset: fmt.Append(nil, n)}
	}
	for i := range 1000 {
		c.add([]*pluginpb.SourceOffset{offset("a", i)})
		if i%10 == 0 {
			c.add([]*pluginpb.SourceOffset{offset("b", i)})
		}
	}
	if len(c.list) > 100 {
		t.Fatalf("%d offsets are kept of two source partitions", len(c.list))
	}
	var got []string
	for _, o := range c.take() {
		got = append(got, string(o.Partition)+string(o.Offset))
	}
	if diff := cmp.Diff([]string{"b990", "a999"}, got); diff != "" {
		t.Fatal(diff)
	}
	if rest := c.take(); len(rest) != 0 {
		t.Fatalf("%v is still there", rest)
	}
}

func TestCreditIsNeverMoreThanTheWindowAndOneMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCredit(100)
		for i, n := range []int64{60, 60} {
			if ok, err := c.take(t.Context(), n, nil); !ok || err != nil {
				t.Fatalf("take %d: %v %v", i, ok, err)
			}
		}
		took := make(chan bool)
		for range 2 { // two that wait
			go func() {
				ok, _ := c.take(t.Context(), 10, nil)
				took <- ok
			}()
		}
		synctest.Wait()
		select {
		case <-took:
			t.Fatal("taken without credit")
		default:
		}
		c.give(60)
		for range 2 {
			if !<-took {
				t.Fatal("not taken with credit")
			}
		}
		stop := make(chan struct{})
		c.take(t.Context(), 1000, nil)
		close(stop)
		if ok, err := c.take(t.Context(), 1, stop); ok || err != nil {
			t.Fatalf("stopped: %v %v", ok, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.take(ctx, 1, nil); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	})
}

func TestOutputIsBoundedAndRateLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		o := newOutput(slog.New(slog.NewTextHandler(&log, nil)))
		for i := range 10_000 {
			fmt.Fprintf(o, "line %d\n", i)
		}
		if n := strings.Count(log.String(), "\n"); n != logBurst {
			t.Fatalf("%d lines were logged at once, wanted %d", n, logBurst)
		}
		time.Sleep(time.Second)
		fmt.Fprintln(o, "later")
		if !strings.Contains(log.String(), "withheld_lines=9500") || !strings.Contains(log.String(), "line=later") {
			t.Fatalf("the log ends with %s", log.String()[log.Len()-300:])
		}
		if lines := strings.Split(o.tail(), "\n"); len(lines) != lastLines || lines[lastLines-1] != "later" {
			t.Fatalf("%d lines are remembered: %q", len(lines), lines)
		}
		o.Write(make([]byte, 10<<20))
		if len(o.line) > maxLine {
			t.Fatalf("%d bytes of an endless line are kept", len(o.line))
		}
	})
}

func TestOfAPanicTheBeginningIsRemembered(t *testing.T) {
	o := newOutput(slog.New(slog.DiscardHandler))
	fmt.Fprintln(o, "before")
	fmt.Fprint(o, "panic: it is ", "over\n")
	for i := range 1000 {
		fmt.Fprintf(o, "frame %d\n", i)
	}
	if got := o.tail(); !strings.HasPrefix(got, "panic: it is over\nframe 0\n") || strings.Count(got, "\n") != lastLines-1 {
		t.Fatal(got)
	}
}

func TestOutputKeepsWarningsOfTheTasksLogger(t *testing.T) {
	var log strings.Builder
	o := newOutput(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	child := slog.New(slog.NewJSONHandler(o, &slog.HandlerOptions{Level: slog.LevelDebug}))
	child.Debug("fine", "n", 1.5, "list", []int{1, 2})
	child.Error("not fine", "text", `a "b"`)
	if got := o.tail(); got != "ERROR not fine" {
		t.Errorf("remembered %q", got)
	}
	for _, s := range []string{"level=DEBUG msg=fine", "n=1.5", "list=[1,2]", `level=ERROR msg="not fine" text="a \"b\""`} {
		if !strings.Contains(log.String(), s) {
			t.Errorf("the log lacks %s: %s", s, log.String())
		}
	}
}

func FuzzParseEntry(f *testing.F) {
	f.Add(`{"time":"2026-01-01T00:00:00Z","level":"INFO","msg":"x","a":{"b":[1]}}`)
	f.Add(`{"time":`)
	f.Add(`{"time":1,"level":7}`)
	f.Fuzz(func(t *testing.T, line string) {
		e, ok := parseEntry(line)
		if ok && !strings.HasPrefix(line, `{"time":`) {
			t.Fatalf("%q was taken for an entry: %+v", line, e)
		}
	})
}

func TestUsageOfThisProcess(t *testing.T) {
	cpu, resident := Usage(os.Getpid())
	if resident < 1<<20 || cpu < 0 {
		t.Errorf("this process has used %s and %d bytes", cpu, resident)
	}
	if cpu, resident := Usage(-1); cpu != 0 || resident != 0 {
		t.Errorf("no process has used %s and %d bytes", cpu, resident)
	}
}
