package plugins_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/filestream"
	"github.com/sluicehub/sluice/connectors/mock"
	"github.com/sluicehub/sluice/plugins"
	"github.com/sluicehub/sluice/plugins/plugintest"
)

// script writes an executable into a folder of plugin.path.
func script(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(content), 0o755))
	return path
}

// wrapper is an executable that serves one of the test's own connectors, as a third party's.
func wrapper(t *testing.T, connector string) string {
	self, err := os.Executable()
	must(t, err)
	return fmt.Sprintf("#!/bin/sh\necho started >> \"$0.starts\"\nexec %s plugin %s\n", self, connector)
}

func starts(path string) int {
	text, _ := os.ReadFile(path + ".starts")
	return strings.Count(string(text), "\n")
}

func TestListNamesBuiltInAndThirdPartyConnectors(t *testing.T) {
	dir := t.TempDir()
	good := script(t, dir, "sluice-connector-mock", wrapper(t, "mock"))
	script(t, dir, "folder/sluice-connector-trouble", wrapper(t, "trouble-source"))
	broken := script(t, dir, "sluice-connector-broken", "#!/bin/sh\necho started >> \"$0.starts\"\necho I am broken >&2\nexit 7\n")
	script(t, dir, "something-else", "#!/bin/sh\nexit 1\n")
	must(t, os.WriteFile(filepath.Join(dir, "sluice-connector-notes.txt"), nil, 0o644))
	o := plugintest.Options(t, filestream.Source{}, filestream.Sink{})
	o.Path = []string{dir, filepath.Join(dir, "missing")}
	d := plugins.NewDir(o)
	began := time.Now()
	for range 2 {
		var got []string
		for _, c := range d.List(t.Context()) {
			line := c.Name
			if c.Err != nil {
				line += " broken"
				if c.Name == "sluice-connector-broken" && (!strings.Contains(c.Err.Error(), "exit status 7") || !strings.Contains(c.Err.Error(), "I am broken")) {
					t.Errorf("the reason does not say why: %v", c.Err)
				}
			}
			got = append(got, line)
		}
		want := []string{"filestream-sink", "filestream-source", "missing broken", "mock", "sluice-connector-broken broken", "trouble-source"}
		if !slices.Equal(got, want) {
			t.Fatalf("listed %q, wanted %q", got, want)
		}
	}
	if n := starts(good); n != 1 {
		t.Fatalf("it was started %d times to be asked", n)
	}
	if n := starts(broken); n != 1 && time.Since(began) < time.Minute {
		t.Fatalf("one that cannot be used was started %d times in %v", n, time.Since(began))
	}
	for _, path := range []string{good, broken} {
		must(t, os.Chtimes(path, time.Now(), time.Now().Add(time.Hour)))
	}
	d.List(t.Context())
	if n := starts(broken); n < 2 {
		t.Fatal("one that cannot be used was not asked again after its file was changed")
	}
	if n := starts(good); n != 2 {
		t.Fatalf("after a change of the file it was started %d times to be asked", n)
	}
}

func TestFindFollowsConnectsRuleForAliases(t *testing.T) {
	dir := t.TempDir()
	script(t, dir, "sluice-connector-mock", wrapper(t, "mock"))
	o := plugintest.Options(t, filestream.Source{}, filestream.Sink{})
	o.Path = []string{dir}
	d := plugins.NewDir(o)
	for class, want := range map[string]string{
		"org.apache.kafka.connect.file.FileStreamSourceConnector": "filestream-source",
		"FileStreamSourceConnector":                               "filestream-source",
		"FileStreamSource":                                        "filestream-source",
		" FileStreamSink ":                                        "filestream-sink",
		"filestream-sink":                                         "filestream-sink",
		"mock":                                                    "mock",
		"filestreamsink":                                          "",
		"org.apache.kafka.connect.file.FileStreamSource": "",
		"": "",
	} {
		c, err := d.Find(t.Context(), class)
		if c.Name != want || (err != nil) != (want == "") {
			t.Errorf("%q is %q, %v", class, c.Name, err)
		}
		if err != nil && connectors.ClassOf(err) != connectors.ClassConfig {
			t.Errorf("%q: class of %v", class, err)
		}
	}
	_, err := d.Find(t.Context(), "nothing")
	wantError(t, err, connectors.ClassConfig, "nothing", "filestream-sink, filestream-source, mock")
	// It may be the one that could not be asked.
	o.Path = []string{script(t, t.TempDir(), "sluice-connector-nothing", "#!/bin/sh\nexit 7\n")}
	_, err = plugins.NewDir(o).Find(t.Context(), "nothing")
	wantError(t, err, connectors.ClassEnvironment, "nothing", "exit status 7")
}

func TestFindRefusesToChooseBetweenTwo(t *testing.T) {
	dir := t.TempDir()
	script(t, dir, "sluice-connector-a", wrapper(t, "mock"))
	script(t, dir, "sluice-connector-b", wrapper(t, "mock"))
	_, err := plugins.NewDir(plugins.Options{Path: []string{dir}}).Find(t.Context(), "mock")
	wantError(t, err, connectors.ClassConfig, "sluice-connector-a", "sluice-connector-b")
	// A built-in connector is preferred to one that took its name.
	c, err := plugins.NewDir(plugins.Options{Builtins: []connectors.Connector{mock.Source{}}, Path: []string{dir}}).Find(t.Context(), "mock")
	if err != nil || c.Path != "" {
		t.Fatalf("%+v, %v", c, err)
	}
}

func TestLaunchSaysWhyItCannot(t *testing.T) {
	dir := t.TempDir()
	sum := sha256.Sum256([]byte("another file"))
	for name, c := range map[string]struct {
		content, sum string
		class        connectors.Class
		says         []string
	}{
		"version":  {"#!/bin/sh\necho '1|99|unix|/tmp/x|grpc|'\nsleep 60\n", "", connectors.ClassConfig, []string{"another version of the wall", "99", "this hub, which has version 1", "remedy"}},
		"garbage":  {"#!/bin/sh\necho hello\nsleep 60\n", "", connectors.ClassBug, []string{"hello"}},
		"exits":    {"#!/bin/sh\necho no license >&2\nexit 4\n", "", connectors.ClassBug, []string{"exit status 4", "no license"}},
		"killed":   {"#!/bin/sh\nkill -9 $$\n", "", connectors.ClassEnvironment, []string{"signal: killed", "memory was short"}},
		"faults":   {"#!/bin/sh\nulimit -c 0; kill -SEGV $$\n", "", connectors.ClassBug, []string{"signal: segmentation fault"}},
		"silent":   {"#!/bin/sh\nexec sleep 60\n", "", connectors.ClassBug, []string{"given up", "deadline exceeded"}},
		"binary":   {"\x00\x01\x02", "", connectors.ClassBug, []string{"exec format error"}},
		"checksum": {wrapper(t, "mock"), fmt.Sprintf("%x  sluice-connector-checksum\n", sum), connectors.ClassBug, []string{"SHA-256", "changed or exchanged"}},
		"no sum":   {wrapper(t, "mock"), "abc", connectors.ClassBug, []string{"64 hexadecimal digits"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := script(t, dir, strings.ReplaceAll("sluice-connector-"+name, " ", "-"), c.content)
			if c.sum != "" {
				must(t, os.WriteFile(path+".sha256", []byte(c.sum), 0o644))
			}
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			if name != "silent" {
				cancel()
				ctx, cancel = context.WithTimeout(t.Context(), 3*time.Minute)
			}
			defer cancel()
			list := plugins.NewDir(plugins.Options{Path: []string{path}}).List(ctx)
			if len(list) != 1 || list[0].Err == nil {
				t.Fatalf("%+v", list)
			}
			wantError(t, list[0].Err, c.class, append(c.says, path)...)
		})
	}
}

func TestAChecksumThatFitsIsFine(t *testing.T) {
	dir := t.TempDir()
	content := wrapper(t, "mock")
	path := script(t, dir, "sluice-connector-mock", content)
	must(t, os.WriteFile(path+".sha256", fmt.Appendf(nil, "%x *sluice-connector-mock\n", sha256.Sum256([]byte(content))), 0o644))
	child, err := plugins.NewDir(plugins.Options{Path: []string{dir}}).Launch(t.Context(), "mock", "c")
	must(t, err)
	child.Kill()
}

// TestManyTasksInOneChild runs tasks beside each other over one connection.
func TestManyTasksInOneChild(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	child := plugintest.Launch(t, plugintest.Options(t, mock.Source{}), "mock")
	defer child.Kill()
	config := map[string]string{"tables": "8", "rows": "2000", "rows.per.second": "0", "batch.size": "100"}
	plan, err := child.Plan(ctx, config, 8)
	if err != nil || len(plan) != 8 {
		t.Fatalf("%v, %v", plan, err)
	}
	done := make(chan error)
	for i, config := range plan {
		go func() {
			task := child.Connector().(connectors.SourceConnector).NewSourceTask()
			done <- func() error {
				if err := task.Start(ctx, connectors.SourceStart{Connector: "c", Task: i, Config: config}); err != nil {
					return err
				}
				var b connectors.Batch
				n := 0
				for {
					b.Reset()
					err := task.Read(ctx, &b)
					n += len(b.Records)
					for _, r := range b.Records {
						if r.Topic != fmt.Sprintf("mock-%d", i) {
							return fmt.Errorf("task %d was given a record of %s", i, r.Topic)
						}
					}
					if errors.Is(err, io.EOF) {
						break
					}
					if err != nil {
						return err
					}
				}
				if n != 2000 {
					return fmt.Errorf("%d rows, wanted 2000", n)
				}
				return task.Stop(ctx)
			}()
		}()
	}
	for range plan {
		must(t, <-done)
	}
}
