package plugins

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluicehub/sluice/connectors"
)

// The times that Options leave to us.
const (
	startTimeout = 30 * time.Second
	pingInterval = 5 * time.Second
	pingTimeout  = 30 * time.Second
)

// executablePrefix begins the file name of a third party's connector.
const executablePrefix = "sluice-connector-"

// Options say where connectors are and how their processes are kept. The zero value of each but Log has a meaning.
type Options struct {
	// Builtins are the connectors inside this program.
	Builtins []connectors.Connector
	// Self is the command that serves the built-in connector whose name is appended to it: this program's path and
	// "plugin".
	Self []string
	// Path is plugin.path: executables, and folders with executables, named sluice-connector-….
	Path []string
	Log  *slog.Logger
	// Environment returns the names of the environment variables that a connector gets besides the few that every
	// process needs; a star at the end of a name stands for anything ("AWS_*"). nil returns none. Configurations
	// cross the wall, so an environment is only for what a driver reads by itself.
	Environment func(name string) []string
	// Window is the number of bytes that may be on their way for a task in each direction. 0 is DefaultWindow.
	Window int64
	// StartTimeout is how long a child may take to answer after its start. 0 is 30 s.
	StartTimeout time.Duration
	// PingInterval is how often a child is asked whether it lives, PingTimeout how long it may take to answer
	// before it is killed. 0 is 5 s and 30 s.
	PingInterval, PingTimeout time.Duration
}

// Dir is the hub's list of connectors, and starts them. Its methods may be called from several goroutines.
type Dir struct {
	options Options

	mu        sync.Mutex
	described map[string]described // by path
}

// described is what an executable said of itself, or that it cannot be used, and which file it was then.
type described struct {
	size     int64
	modified time.Time
	asked    time.Time
	Description
}

// retryBroken is how long an executable that cannot be used is not asked again: tools list connectors every few seconds.
const retryBroken = time.Minute

// isOf reports whether it still holds for the file.
func (d described) isOf(file os.FileInfo) bool {
	return d.size == file.Size() && d.modified.Equal(file.ModTime()) && (d.Err == nil || time.Since(d.asked) < retryBroken)
}

// Description is a connector that could be started.
type Description struct {
	connectors.Info
	// Path is the executable of a third party's connector, "" for a built-in one.
	Path string
	// Err says why the executable cannot be used; of Info then only Name is set.
	Err error
}

// NewDir returns a Dir. It starts nothing.
func NewDir(o Options) *Dir {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Window <= 0 {
		o.Window = DefaultWindow
	}
	if o.StartTimeout <= 0 {
		o.StartTimeout = startTimeout
	}
	if o.PingInterval <= 0 {
		o.PingInterval = pingInterval
	}
	if o.PingTimeout <= 0 {
		o.PingTimeout = pingTimeout
	}
	return &Dir{options: o, described: map[string]described{}}
}

// List describes all connectors, sorted by name, built-in ones first. Those of third parties are started once to ask
// them, and again only when the file has changed; one that does not answer is in the list with the reason, and is asked
// again after a minute.
func (d *Dir) List(ctx context.Context) []Description {
	list := d.builtins()
	paths, problems := executables(d.options.Path)
	for _, path := range paths {
		list = append(list, d.describe(ctx, path))
	}
	list = append(list, problems...)
	slices.SortStableFunc(list, func(a, b Description) int {
		if (a.Path == "") != (b.Path == "") {
			if a.Path == "" {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	return list
}

func (d *Dir) builtins() []Description {
	var list []Description
	for _, c := range d.options.Builtins {
		list = append(list, Description{Info: c.Info()})
	}
	return list
}

// describe asks an executable what it is.
func (d *Dir) describe(ctx context.Context, path string) Description {
	info, err := os.Stat(path)
	if err != nil {
		return Description{Info: connectors.Info{Name: filepath.Base(path)}, Path: path, Err: err}
	}
	d.mu.Lock()
	known, ok := d.described[path]
	d.mu.Unlock()
	if ok && known.isOf(info) {
		return known.Description
	}
	name := filepath.Base(path)
	known = described{size: info.Size(), modified: info.ModTime(), Description: Description{Info: connectors.Info{Name: name}, Path: path}}
	child, err := d.launch(ctx, known.Description, name)
	switch {
	case err == nil:
		known.Info = child.Info()
		child.Kill() // it has no task
	case ctx.Err() != nil: // nobody waited for what it says
		known.Err = err
		return known.Description
	default:
		known.Err = err
	}
	known.asked = time.Now()
	d.mu.Lock()
	d.described[path] = known
	d.mu.Unlock()
	return known.Description
}

// executables finds the third parties' connectors.
func executables(path []string) (found []string, problems []Description) {
	for _, entry := range path {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		info, err := os.Stat(entry)
		switch {
		case err != nil:
			problems = append(problems, Description{Info: connectors.Info{Name: filepath.Base(entry)}, Path: entry,
				Err: fmt.Errorf("plugin.path: %w", err)})
		case !info.IsDir():
			found = append(found, entry)
		default:
			// Connect's folders hold one folder per plugin.
			for _, pattern := range []string{executablePrefix + "*", "*/" + executablePrefix + "*"} {
				matches, _ := filepath.Glob(filepath.Join(escapeGlob(entry), pattern))
				found = append(found, slices.DeleteFunc(matches, notExecutable)...)
			}
		}
	}
	for i := range found {
		if absolute, err := filepath.Abs(found[i]); err == nil {
			found[i] = absolute
		}
	}
	slices.Sort(found)
	return slices.Compact(found), problems
}

func notExecutable(path string) bool {
	info, err := os.Stat(path)
	return err != nil || info.IsDir() || info.Mode()&0o111 == 0
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// Find returns the connector that a value of connector.class means: its name, one of its classes, the class's simple
// name, or that without "Connector" at its end, as in Connect. If there is none, but an executable that could not be asked,
// the error may pass.
func (d *Dir) Find(ctx context.Context, class string) (Description, error) {
	class = strings.TrimSpace(class)
	if found, err := match(d.builtins(), class); found != nil || err != nil {
		return deref(found), err
	}
	list := d.List(ctx)
	found, err := match(list, class)
	if found != nil || err != nil {
		return deref(found), err
	}
	missing := &connectors.Error{Op: "find connector.class " + class, Class: connectors.ClassConfig}
	var broken string
	var names []string
	for _, c := range list {
		if c.Err == nil {
			names = append(names, c.Name)
			continue
		}
		broken += fmt.Sprintf("; %s cannot be used: %v", c.Path, c.Err)
		var start *connectors.Error
		if errors.As(c.Err, &start) && start.Retriable { // it may be this one, and start the next time
			missing.Class, missing.Retriable = connectors.ClassEnvironment, true
		}
	}
	missing.Err = fmt.Errorf("no connector has this name or class%s", broken)
	missing.Remedy = "there are: " + strings.Join(names, ", ") + "; others are found on plugin.path by the name " + executablePrefix + "…"
	return Description{}, missing
}

func deref(d *Description) Description {
	if d == nil {
		return Description{}
	}
	return *d
}

// match returns the one connector that the class means, nil if there is none.
func match(list []Description, class string) (*Description, error) {
	var found *Description
	for i := range list {
		c := &list[i]
		if c.Err != nil || !means(&c.Info, class) {
			continue
		}
		if found != nil {
			return nil, &connectors.Error{Op: "find connector.class " + class, Class: connectors.ClassConfig,
				Err:    fmt.Errorf("it means %s %s as well as %s %s", found.Name, found.Path, c.Name, c.Path),
				Remedy: "write the full class name, or remove one of them from plugin.path"}
		}
		found = c
	}
	return found, nil
}

func means(info *connectors.Info, class string) bool {
	if class == info.Name {
		return true
	}
	for _, full := range info.Classes {
		simple := full[strings.LastIndexByte(full, '.')+1:]
		if class == full || class == simple || class == strings.TrimSuffix(simple, "Connector") {
			return true
		}
	}
	return false
}

// Launch starts the connector of that class in a process of its own, for the configured connector of that name. The
// caller ends the child with Stop or Kill. ctx bounds the start only.
func (d *Dir) Launch(ctx context.Context, class, connector string) (*Child, error) {
	found, err := d.Find(ctx, class)
	if err != nil {
		return nil, err
	}
	return d.launch(ctx, found, connector)
}
