package plugins

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/plugins/pluginpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/status"
)

// windowBytes is gRPC's own flow control window, of a stream and of the connection. It is larger than the default
// credit, so that credit is what bounds a stream, and no message waits for half of it to be taken.
const windowBytes = 16 << 20

// readBuffer is none: TLS keeps the rest of what it has deciphered itself.
const readBuffer = 0

// newGRPCServer is a server as the wall needs it; go-plugin's own has a limit of 4 MiB a message.
func newGRPCServer(m memory, opts []grpc.ServerOption) *grpc.Server {
	return grpc.NewServer(append(opts, grpc.ForceServerCodecV2(newCodec(m)),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage),
		grpc.InitialWindowSize(windowBytes), grpc.InitialConnWindowSize(2*windowBytes),
		grpc.WriteBufferSize(256<<10), grpc.ReadBufferSize(readBuffer), experimental.BufferPool(&receiving{}))...)
}

// dialOptions are the hub's side of the same.
func dialOptions(m memory) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage), grpc.ForceCodecV2(newCodec(m))),
		grpc.WithInitialWindowSize(windowBytes), grpc.WithInitialConnWindowSize(2 * windowBytes),
		grpc.WithWriteBufferSize(256 << 10), grpc.WithReadBufferSize(readBuffer), experimental.WithBufferPool(&receiving{}),
		grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(),
	}
}

// server is the child's side of the wall: it serves one connector.
type server struct {
	pluginpb.UnimplementedConnectorServer
	connector connectors.Connector
	memory    memory
	log       *slog.Logger
	ended     context.Context // done when the process is to end
	tasks     sync.WaitGroup

	begin     func() // called once, before anything is asked of the connector; may be nil
	beginning sync.Once
}

// Describe implements pluginpb.ConnectorServer. It is what the hub asks first.
func (s *server) Describe(context.Context, *pluginpb.DescribeRequest) (*pluginpb.Description, error) {
	s.beginning.Do(func() {
		if s.begin != nil {
			s.begin()
		}
	})
	return describe(s.connector)
}

func describe(c connectors.Connector) (*pluginpb.Description, error) {
	info := c.Info()
	config, err := json.Marshal(info.Config)
	if err != nil {
		return nil, fmt.Errorf("describe the configuration of %s: %w", info.Name, err)
	}
	d := &pluginpb.Description{Name: info.Name, Classes: info.Classes, Version: info.Version, Kind: string(info.Kind), Config: config}
	_, d.Plans = c.(connectors.Planner)
	_, d.AltersOffsets = c.(connectors.OffsetAlterer)
	return d, nil
}

// Validate implements pluginpb.ConnectorServer. The checks that are functions do not cross the wall with the
// definition, so they are run here before the connector is asked.
func (s *server) Validate(ctx context.Context, r *pluginpb.ValidateRequest) (*pluginpb.ValidateResponse, error) {
	var problems []configs.Problem
	if definition := s.connector.Info().Config; definition != nil {
		_, found := definition.Parse(r.GetConfig())
		for _, p := range found {
			if p.IsError() { // unknown keys are for the hub to judge, which has keys of its own
				problems = append(problems, p)
			}
		}
	}
	if v, ok := s.connector.(connectors.Validator); ok && len(problems) == 0 {
		problems = v.Validate(ctx, r.GetConfig())
	}
	text, err := json.Marshal(problems)
	return &pluginpb.ValidateResponse{Problems: text}, err
}

// Plan implements pluginpb.ConnectorServer.
func (s *server) Plan(ctx context.Context, r *pluginpb.PlanRequest) (*pluginpb.PlanResponse, error) {
	p, ok := s.connector.(connectors.Planner)
	if !ok {
		return nil, status.Error(codes.Unimplemented, "the connector does not plan")
	}
	tasks, err := p.Plan(ctx, r.GetConfig(), int(r.GetMaxTasks()))
	if err != nil {
		return &pluginpb.PlanResponse{Error: errorToWall(err)}, nil
	}
	m := &pluginpb.PlanResponse{}
	for _, config := range tasks {
		m.Tasks = append(m.Tasks, &pluginpb.TaskConfig{Config: config})
	}
	return m, nil
}

// AlterOffsets implements pluginpb.ConnectorServer.
func (s *server) AlterOffsets(ctx context.Context, r *pluginpb.AlterOffsetsRequest) (*pluginpb.AlterOffsetsResponse, error) {
	a, ok := s.connector.(connectors.OffsetAlterer)
	if !ok {
		return nil, status.Error(codes.Unimplemented, "the connector does not look at offsets")
	}
	done, err := a.AlterOffsets(ctx, r.GetConfig(), offsetsFromWall(nil, r.GetOffsets()))
	return &pluginpb.AlterOffsetsResponse{Done: done, Error: errorToWall(err)}, nil
}

// Task implements pluginpb.ConnectorServer: it serves one task from its start to its stop.
func (s *server) Task(stream grpc.BidiStreamingServer[pluginpb.ToTask, pluginpb.FromTask]) error {
	s.tasks.Add(1)
	defer s.tasks.Done()
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	start := first.GetStart()
	if start == nil {
		return status.Error(codes.InvalidArgument, "the first message of a task is not its start")
	}
	t := newTaskServer(stream, start, s.memory, s.log)
	switch c := s.connector.(type) {
	case connectors.SourceConnector:
		source := newSourceServer(t, c.NewSourceTask())
		source.run(s.ended, source.task, source)
	case connectors.SinkConnector:
		sink := newSinkServer(t, c.NewSinkTask())
		sink.run(s.ended, sink.task, sink)
	default:
		return status.Errorf(codes.Unimplemented, "connector %s is neither a source nor a sink", s.connector.Info().Name)
	}
	return nil
}
