package plugins

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/plugins/pluginpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Child is a connector on the other side of the wall, usually in a process of its own. It answers as the connector
// itself would: Connector returns it as the SourceConnector or SinkConnector that it is, and the tasks made of that
// are the remote ones. All methods may be called from several goroutines.
type Child struct {
	info   connectors.Info
	plans  bool
	alters bool
	window int64
	memory memory // of the frames that cross
	client pluginpb.ConnectorClient
	conn   *grpc.ClientConn

	life context.Context // ends when the other side is gone
	end  context.CancelFunc
	proc *process      // nil if there is none
	done chan struct{} // closed when nothing is left of the child
	err  error         // why it ended; set before done is closed
}

// describeChild asks the other side who it is.
func (c *Child) describe(ctx context.Context) error {
	d, err := c.client.Describe(ctx, &pluginpb.DescribeRequest{})
	if err != nil {
		return err
	}
	c.info, c.plans, c.alters, err = infoFromWall(d)
	return err
}

func infoFromWall(d *pluginpb.Description) (info connectors.Info, plans, alters bool, err error) {
	info = connectors.Info{Name: d.GetName(), Classes: d.GetClasses(), Version: d.GetVersion(),
		Kind: connectors.Kind(d.GetKind()), Config: &configs.Definition{}}
	if info.Name == "" || info.Kind != connectors.Source && info.Kind != connectors.Sink {
		return info, false, false, fmt.Errorf("%w: it describes itself as %q of kind %q", errNonsense, info.Name, info.Kind)
	}
	if err := json.Unmarshal(d.GetConfig(), info.Config); err != nil {
		return info, false, false, fmt.Errorf("%w: definition of its configuration: %w", errNonsense, err)
	}
	if err := info.Config.Verify(); err != nil {
		return info, false, false, fmt.Errorf("definition of the configuration of %s: %w", info.Name, err)
	}
	return info, d.GetPlans(), d.GetAltersOffsets(), nil
}

// Info returns what the child said of itself. Checks in its Config that are functions are not there; Validate runs
// them.
func (c *Child) Info() connectors.Info { return c.info }

// remoteSourceConnector and remoteSinkConnector are a Child with the one method that tells the kinds apart.
type remoteSourceConnector struct{ *Child }

// NewSourceTask implements connectors.SourceConnector.
func (c remoteSourceConnector) NewSourceTask() connectors.SourceTask {
	return newRemoteSource(c.Child)
}

type remoteSinkConnector struct{ *Child }

// NewSinkTask implements connectors.SinkConnector.
func (c remoteSinkConnector) NewSinkTask() connectors.SinkTask { return newRemoteSink(c.Child) }

var (
	_ connectors.SourceConnector = remoteSourceConnector{}
	_ connectors.SinkConnector   = remoteSinkConnector{}
	_ connectors.Validator       = (*Child)(nil)
	_ connectors.Planner         = (*Child)(nil)
	_ connectors.OffsetAlterer   = (*Child)(nil)
	_ connectors.Observer        = (*remoteSource)(nil)
	_ connectors.Observer        = (*remoteSink)(nil)
)

// Connector returns the child as a connectors.SourceConnector or a connectors.SinkConnector, after its kind. It also
// is a Validator, a Planner and an OffsetAlterer, and its tasks are Observers, whatever the connector itself can: an
// ability that it lacks answers as the contract says for connectors without it.
func (c *Child) Connector() connectors.Connector {
	if c.info.Kind == connectors.Source {
		return remoteSourceConnector{c}
	}
	return remoteSinkConnector{c}
}

// Validate implements connectors.Validator. Besides what the connector's own Validate finds, it returns what the
// checks of its definition find that are functions. A child that cannot answer is a problem without a key.
func (c *Child) Validate(ctx context.Context, config map[string]string) []configs.Problem {
	answer, err := c.client.Validate(ctx, &pluginpb.ValidateRequest{Config: config})
	var problems []configs.Problem
	if err == nil {
		err = json.Unmarshal(answer.GetProblems(), &problems)
	} else {
		err = c.failedCall(ctx, err)
	}
	if err != nil {
		return []configs.Problem{{Message: "The configuration could not be checked: " + err.Error(), Severity: configs.Error}}
	}
	return problems
}

// Plan implements connectors.Planner.
func (c *Child) Plan(ctx context.Context, config map[string]string, maxTasks int) ([]map[string]string, error) {
	if !c.plans {
		n := maxTasks
		if c.info.Kind == connectors.Source {
			n = 1
		}
		tasks := make([]map[string]string, n)
		for i := range tasks {
			tasks[i] = config
		}
		return tasks, nil
	}
	answer, err := c.client.Plan(ctx, &pluginpb.PlanRequest{Config: config, MaxTasks: int32(maxTasks)})
	if err != nil {
		return nil, c.failedCall(ctx, err)
	}
	if err := errorFromWall(answer.GetError()); err != nil {
		return nil, err
	}
	var tasks []map[string]string
	for _, t := range answer.GetTasks() {
		tasks = append(tasks, t.GetConfig())
	}
	if len(tasks) > maxTasks {
		return nil, fmt.Errorf("%w: it plans %d tasks where %d are the most", errNonsense, len(tasks), maxTasks)
	}
	return tasks, nil
}

// AlterOffsets implements connectors.OffsetAlterer. A connector without the ability takes any offsets.
func (c *Child) AlterOffsets(ctx context.Context, config map[string]string, offsets []connectors.SourceOffset) (bool, error) {
	if !c.alters {
		return true, nil
	}
	answer, err := c.client.AlterOffsets(ctx, &pluginpb.AlterOffsetsRequest{Config: config, Offsets: offsetsToWall(offsets)})
	if err != nil {
		return false, c.failedCall(ctx, err)
	}
	return answer.GetDone(), errorFromWall(answer.GetError())
}

// failedCall says why a call brought no answer.
func (c *Child) failedCall(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("connector %s did not answer: %w", c.info.Name, ctx.Err())
	}
	return c.lost(err)
}

// lost turns the end of a stream or call into an error that says why: the end of the process, if it was that.
func (c *Child) lost(err error) error {
	if c.proc != nil && !errors.Is(err, errNonsense) {
		c.awaitDeath(err)
	}
	select {
	case <-c.done:
		if c.err != nil {
			return c.err
		}
		err = errors.New("its process was stopped")
	default:
	}
	return &connectors.Error{Op: "talk to connector " + c.info.Name, Class: connectors.ClassBug, Retriable: true, Err: err}
}

// awaitDeath gives a process that has closed its connection a moment to be seen ending, so that the error can tell.
func (c *Child) awaitDeath(err error) {
	select {
	case <-c.proc.exited:
	default:
		if code := status.Code(err); code == codes.Canceled || code == codes.Unimplemented {
			return
		}
	}
	timer := time.NewTimer(deathWatch)
	defer timer.Stop()
	select {
	case <-c.done:
	case <-timer.C:
	}
}

// Done is closed when the child has ended and nothing of it is left in the hub.
func (c *Child) Done() <-chan struct{} { return c.done }

// Err says, after Done, why the child ended: a *connectors.Error with the exit status and the last lines of standard
// error, or nil if it was asked to.
func (c *Child) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}

// PID returns the process id of the child, for its CPU and memory figures; 0 if it has no process.
func (c *Child) PID() int {
	if c.proc == nil {
		return 0
	}
	return c.proc.pid
}

// Stop ends the child in order: it gets time until ctx ends to stop its tasks, and is then killed. When Stop has
// returned, nothing of it is left.
func (c *Child) Stop(ctx context.Context) {
	if c.proc == nil {
		c.end()
		<-c.done
		return
	}
	c.proc.closeInput()
	select {
	case <-c.done:
	case <-ctx.Done():
		c.Kill()
	}
}

// Kill ends the child at once and waits until it has.
func (c *Child) Kill() {
	if c.proc == nil {
		c.end()
	} else {
		c.proc.kill(nil)
	}
	<-c.done
}

// Usage returns the CPU time that the child's process has used and its resident memory in bytes; zeros if that is not
// known.
func (c *Child) Usage() (cpu time.Duration, resident int64) {
	if c.proc == nil {
		return 0, 0
	}
	return Usage(c.PID())
}
