package plugins

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/plugins/pluginpb"
	"google.golang.org/grpc"
)

// ProtocolVersion is the version of the wall. It changes when a message changes its meaning, and not when a field or
// message is added that the other side may leave out.
const ProtocolVersion = 1

const (
	cookieKey   = "SLUICE_CONNECTOR_PLUGIN"
	cookieValue = "5a1d4c7e0f6b4f0b9d3a8f1c2e7b6a95"
	pluginName  = "connector"
)

// endTimeout bounds how long tasks may take to stop when the hub is gone.
const endTimeout = 5 * time.Second

// drained waits for the end of all tasks, and reports false when they take too long.
func (s *server) drained() bool {
	stopped := make(chan struct{})
	go func() { s.tasks.Wait(); close(stopped) }()
	select {
	case <-stopped:
		return true
	case <-time.After(endTimeout):
		return false
	}
}

// Serve runs the connector for the hub that started this process. It does not return: the process ends when the hub
// closes its standard input or is gone, and at once, with status 1 and a line that says why, when no hub has started
// it. A third party's connector is a main function with this one call; the executable is found on plugin.path by its
// name, sluice-connector-….
//
// Standard output belongs to the wall; what the connector prints there, or on standard error, appears in the hub's
// log. Better is the slog.Logger that a task is started with.
func Serve(c connectors.Connector) {
	if os.Getenv(cookieKey) != cookieValue {
		fmt.Fprintf(os.Stderr, "%s: this is the process of connector %q, which a hub starts and talks to. It does nothing "+
			"when it is run by hand: %s is not in its environment. Start the hub with \"sluice run\" and name the "+
			"connector in a configuration: connector.class=%s\n", os.Args[0], c.Info().Name, cookieKey, c.Info().Name)
		os.Exit(1)
	}
	stderr := os.Stderr
	log := slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	ended, end := context.WithCancel(context.Background())
	s := &server{connector: c, memory: newMemory(), log: log, ended: ended}
	// go-plugin has by then put pipes in their place, in which the last words of a dying process are lost.
	s.begin = func() { os.Stdout, os.Stderr = stderr, stderr }
	go func() {
		// The hub never writes here. The end of it is the one sign of the hub's end that works in all ways it can go.
		_, err := io.Copy(io.Discard, os.Stdin)
		end()
		if !s.drained() {
			log.Warn("the hub is gone, and a task does not stop: the process ends without it", "error", err)
		}
		os.Exit(0)
	}()
	go ReleaseAtRest(ended)
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  handshake(),
		VersionedPlugins: map[int]plugin.PluginSet{ProtocolVersion: {pluginName: &wallPlugin{server: s}}},
		GRPCServer:       func(opts []grpc.ServerOption) *grpc.Server { return newGRPCServer(s.memory, opts) },
		Logger:           hclog.New(&hclog.LoggerOptions{Level: hclog.Error, Output: os.Stderr}),
	})
	os.Exit(0)
}

func handshake() plugin.HandshakeConfig {
	return plugin.HandshakeConfig{MagicCookieKey: cookieKey, MagicCookieValue: cookieValue}
}

// wallPlugin is what go-plugin wants on both sides.
type wallPlugin struct {
	plugin.NetRPCUnsupportedPlugin
	server *server // in the child
}

var _ plugin.GRPCPlugin = (*wallPlugin)(nil)

// GRPCServer implements plugin.GRPCPlugin in the child.
func (p *wallPlugin) GRPCServer(_ *plugin.GRPCBroker, g *grpc.Server) error {
	if p.server == nil {
		return errors.New("there is no connector to serve")
	}
	pluginpb.RegisterConnectorServer(g, p.server)
	return nil
}

// GRPCClient implements plugin.GRPCPlugin in the hub.
func (p *wallPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return conn, nil
}
