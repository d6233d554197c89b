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
	if window <= 0 {
		window = DefaultWindow
	}
	life, end := context.WithCancel(context.Background())
	listener := bufconn.Listen(1 << 20)
	g := newGRPCServer(nil)
	s := &server{connector: c, log: log, ended: life}
	pluginpb.RegisterConnectorServer(g, s)
	conn, err := grpc.NewClient("passthrough:///pipe", append(dialOptions(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))...)
	if err != nil {
		end()
		return nil, err
	}
	child := &Child{window: window, conn: conn, client: pluginpb.NewConnectorClient(conn), life: life, end: end, done: make(chan struct{})}
	var serving sync.WaitGroup
	serving.Go(func() { g.Serve(listener) }) // returns when the server is stopped
	go func() {
		<-life.Done()
		s.tasks.Wait()
		conn.Close()
		g.Stop()
		serving.Wait()
		close(child.done)
	}()
	if err := child.describe(life); err != nil {
		child.Kill()
		return nil, err
	}
	return child, nil
}
