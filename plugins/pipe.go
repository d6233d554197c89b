package plugins

import (
	"context"
	"log/slog"
	"net"
	"sync"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/plugins/pluginpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
)

// Pipe puts a connector behind the wall without a process: all that Launch's child does, over a pipe in memory. It is
// for tests of connectors and of the wall. The caller ends it with Stop or Kill. window is as in Options.
func Pipe(c connectors.Connector, window int64, log *slog.Logger) (*Child, error) {
	ended, end := context.WithCancel(context.Background())
	s := &server{connector: c, memory: newMemory(), log: log, ended: ended}
	return pipe(s, window, func() { end(); s.tasks.Wait() })
}

// pipe connects to whatever serves the wall. stop is called when the child is to end, and returns when its tasks have.
func pipe(served pluginpb.ConnectorServer, window int64, stop func()) (*Child, error) {
	if window <= 0 {
		window = DefaultWindow
	}
	listener := bufconn.Listen(1 << 20)
	g := newGRPCServer(newMemory(), nil) // the child's
	pluginpb.RegisterConnectorServer(g, served)
	memory := newMemory()
	conn, err := grpc.NewClient("passthrough:///pipe", append(dialOptions(memory),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))...)
	if err != nil {
		stop()
		return nil, err
	}
	child := &Child{window: window, memory: memory, conn: conn, client: pluginpb.NewConnectorClient(conn), done: make(chan struct{})}
	child.life, child.end = context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { g.Serve(listener) }) // returns when the server is stopped
	go func() {
		<-child.life.Done()
		stop()
		conn.Close()
		g.Stop()
		serving.Wait()
		close(child.done)
	}()
	if err := child.describe(child.life); err != nil {
		child.Kill()
		return nil, err
	}
	return child, nil
}
