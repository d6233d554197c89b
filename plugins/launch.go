package plugins

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/plugins/pluginpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// baseEnvironment is what any process needs of the hub's environment. Everything else, secrets foremost, stays out.
const baseEnvironment = "PATH HOME USER LANG LC_ALL TZ TMPDIR SSL_CERT_FILE SSL_CERT_DIR " +
	"HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy GOGC GOMEMLIMIT GOMAXPROCS GODEBUG GOTRACEBACK GOCOVERDIR"

// launch starts a process and waits until it has said what it is.
func (d *Dir) launch(ctx context.Context, what Description, connector string) (*Child, error) {
	log := d.options.Log.With("connector", connector)
	words := newOutput(log)
	proc, err := newProcess(d.command(what))
	if err != nil {
		return nil, startError(what, err, nil, words)
	}
	if err := checksum(proc.path, what.Path); err != nil {
		proc.closeAll()
		return nil, startError(what, err, nil, words)
	}
	c := &Child{proc: proc, window: d.options.Window, memory: newMemory(), done: make(chan struct{})}
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  handshake(),
		VersionedPlugins: map[int]plugin.PluginSet{ProtocolVersion: {pluginName: &wallPlugin{}}},
		RunnerFunc: func(_ hclog.Logger, spec *exec.Cmd, _ string) (runner.Runner, error) {
			proc.cmd.Env = append(proc.cmd.Env, spec.Env...)
			return proc, nil
		},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		StartTimeout:     d.options.StartTimeout,
		Stderr:           words,
		SyncStdout:       words,
		SyncStderr:       words,
		Logger:           hclog.NewNullLogger(), // output does it, with bounds
		GRPCDialOptions:  dialOptions(c.memory),
	})
	c.info.Name = what.Name
	c.life, c.end = context.WithCancel(context.Background())
	release := context.AfterFunc(ctx, func() { proc.kill(fmt.Errorf("its start was given up: %w", ctx.Err())) })
	err = c.connect(ctx, client, d.options.StartTimeout)
	if err != nil || !release() {
		c.end()
		client.Kill()
		proc.closeAll()
		return nil, startError(what, err, proc, words)
	}
	go c.watch(client, words)
	go c.ping(d.options.PingInterval, d.options.PingTimeout, log)
	return c, nil
}

// command returns the command of a connector's process.
func (d *Dir) command(what Description) *exec.Cmd {
	argv := []string{what.Path}
	if what.Path == "" {
		argv = append(append([]string(nil), d.options.Self...), what.Name)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	names := strings.Fields(baseEnvironment)
	if d.options.Environment != nil {
		names = append(names, d.options.Environment(what.Name)...)
	}
	cmd.Env = environment(os.Environ(), names)
	return cmd
}

// environment picks the named variables of env.
func environment(env, names []string) []string {
	out := []string{}
	for _, variable := range env {
		name, _, _ := strings.Cut(variable, "=")
		for _, want := range names {
			prefix, family := strings.CutSuffix(want, "*")
			if name == want || family && strings.HasPrefix(name, prefix) {
				out = append(out, variable)
				break
			}
		}
	}
	return out
}

// checksum refuses a third party's executable that is not the one its checksum was made of, if there is a file beside
// it with the same name and ".sha256", as sha256sum writes it.
func checksum(command, path string) error {
	if path == "" {
		return nil // this program itself
	}
	text, err := os.ReadFile(path + ".sha256")
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	digits, _, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	sum, err := hex.DecodeString(digits)
	if err != nil || len(sum) != sha256.Size {
		return fmt.Errorf("%s.sha256 does not begin with the 64 hexadecimal digits of a SHA-256 sum", path)
	}
	ok, err := (&plugin.SecureConfig{Checksum: sum, Hash: sha256.New()}).Check(command)
	if err == nil && !ok {
		err = fmt.Errorf("its SHA-256 sum is not the one in %s.sha256; the executable was changed or exchanged", path)
	}
	return err
}

// connect does the handshake and asks the child what it is.
func (c *Child) connect(ctx context.Context, client *plugin.Client, timeout time.Duration) error {
	protocol, err := client.Client()
	if err != nil {
		return err
	}
	conn, err := protocol.Dispense(pluginName)
	if err != nil {
		return err
	}
	c.conn = conn.(*grpc.ClientConn)
	c.client = pluginpb.NewConnectorClient(c.conn)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return c.describe(ctx)
}

// startError says why a connector's process could not be used.
func startError(what Description, err error, proc *process, words *output) error {
	e := &connectors.Error{Op: "start connector " + what.Name, Class: connectors.ClassBug, Retriable: true, Err: err}
	if what.Path != "" {
		e.Op += " (" + what.Path + ")"
	}
	if err != nil && strings.Contains(err.Error(), "incompatible API version") {
		e.Class, e.Retriable = connectors.ClassConfig, false
		e.Err = fmt.Errorf("it was built for another version of the wall between hub and connector than this hub, which has version %d (%w)",
			ProtocolVersion, err)
		e.Remedy = "use a build of the connector that was made for this version of sluice"
		return e
	}
	if err != nil && strings.HasPrefix(err.Error(), "Unrecognized remote plugin message") {
		e.Err = fmt.Errorf("it does not begin as a connector does, so it probably is none (%w)", err)
	}
	if proc == nil {
		return e
	}
	if why := proc.failing(); why != nil {
		e.Err = why
		e.Class, e.Remedy = blame(why)
	}
	if lines := words.tail(); lines != "" {
		e.Err = fmt.Errorf("%w; its last lines:\n%s", e.Err, lines)
	}
	return e
}

// watch waits for the end of the process and clears away what is left of it.
func (c *Child) watch(client *plugin.Client, words *output) {
	<-c.proc.exited
	c.end()
	client.Kill() // waits for its goroutines, which have read all of the output
	c.proc.closeAll()
	if err := c.proc.ending(words.tail()); err != nil {
		class, remedy := blame(err)
		c.err = &connectors.Error{Op: "run connector " + c.info.Name, Class: class, Retriable: true, Remedy: remedy, Err: err}
	}
	close(c.done)
}

// ping kills a child that does not answer for too long. Not to answer for a while is fine: it may be in a debugger, or
// the machine asleep.
func (c *Child) ping(interval, timeout time.Duration, log *slog.Logger) {
	health := grpc_health_v1.NewHealthClient(c.conn)
	if !hangs(c.life, interval, timeout, func(ctx context.Context) error {
		_, err := health.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: plugin.GRPCServiceName}, grpc.WaitForReady(true))
		return err
	}) {
		return
	}
	log.Error("the connector's process hangs and is killed", "no_answer_for", timeout, "pid", c.proc.pid)
	c.proc.kill(fmt.Errorf("the connector's process did not answer for %v and was killed", timeout))
}

// hangs asks again and again, an interval apart, and reports true when an answer has not come in time; false when life
// ends. An answer that is an error is one.
func hangs(life context.Context, interval, timeout time.Duration, ask func(context.Context) error) bool {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-life.Done():
			return false
		}
		ctx, cancel := context.WithTimeout(life, timeout)
		err := ask(ctx)
		late := err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded)
		cancel()
		if late {
			return life.Err() == nil
		}
	}
}
