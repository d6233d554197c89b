package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/hub"
	"github.com/sluicehub/sluice/hub/rest"
	"github.com/sluicehub/sluice/plugins"
	"github.com/sluicehub/sluice/schemaregistry"
	"github.com/spf13/cobra"
)

// drainTimeout is how long SIGTERM lets the hub drain before everything ends all the same.
const drainTimeout = 30 * time.Second

func runCommand() *cobra.Command {
	var r runner
	cmd := &cobra.Command{
		Use:   "run [CONNECTOR-FILE…]",
		Short: "Run the hub: the log, the schema registry, the connectors and their REST API",
		Long: "Run the hub in this process. Connector files (.properties, or JSON, flat or {\"name\", \"config\"}) are applied at the start, " +
			"as by PUT /connectors/NAME/config. SIGTERM drains and ends within 30 seconds; a second one ends at once.",
		RunE: func(cmd *cobra.Command, files []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			go func() {
				<-ctx.Done()
				stop() // from here on a signal does what it does to any process: a second one ends it at once
			}()
			return r.run(ctx, files)
		},
	}
	cmd.Flags().StringVar(&r.config, "config", "", "the worker's configuration, a .properties or JSON file")
	cmd.Flags().StringVar(&r.data, "data", "", "folder of the embedded log (sluice.data.dir)")
	cmd.Flags().StringArrayVar(&r.set, "set", nil, "a key of the worker's configuration, key=value; may be repeated")
	return cmd
}

// runner is `sluice run`.
type runner struct {
	config, data string
	set          []string
}

// run is the wiring diagram. What is opened first is closed last; nothing is opened before everything that can be
// refused at once (files, ports, the data directory) has been.
func (r *runner) run(ctx context.Context, files []string) (err error) {
	began := time.Now()
	if os.Getenv("GOGC") == "" {
		paceGarbage()
	}
	raw, v, secrets, warnings, err := loadWorker(r.config, r.data, r.set)
	if err != nil {
		return err
	}
	applied, more, err := loadConnectors(files)
	if err != nil {
		return err
	}

	redactor, level := &configs.Redactor{}, &slog.LevelVar{}
	redactor.Set("worker", secrets)
	level.Set(logLevel(v.String("sluice.log.level")))
	logger := slog.New(redactor.Handler(newLogger(os.Stderr, level)))
	for _, p := range append(warnings, more...) {
		logger.Warn(p.String())
	}

	doors, err := listen(v)
	if err != nil {
		return err
	}
	defer doors.close()
	guard, registryDoor, err := secureRegistry(v, doors.registry)
	if err != nil {
		return err
	}

	kafka, err := r.brokers(ctx, raw, v, doors, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kafka.close()) }()

	settings, err := registryOptions(v, kafka, guard, doors.registry.Addr(), logger)
	if err != nil {
		return err
	}
	registry, err := schemaregistry.New(ctx, settings)
	if err != nil {
		return fmt.Errorf("open the schema registry: %w", err)
	}
	defer registry.Close()

	dir, err := newDir(plugins.Options{Path: v.List("plugin.path"), Log: logger.With("room", "plugins")})
	if err != nil {
		return err
	}
	resolver, _ := configs.NewResolver(raw, nil) // its problems were the worker's, and are none
	h, err := hub.New(hub.Options{
		Worker: raw, Client: kafka.client, Launcher: launcher{dir, logger}, Formats: hub.DefaultFormats(registry, registryURLs(doors.registry.Addr())),
		Resolver: resolver, Redactor: redactor, Log: logger.With("room", "hub"), WorkerID: workerID(v, doors.rest.Addr()), Instance: instance(doors.rest.Addr()), Version: version,
	})
	if err != nil {
		return err
	}
	for _, p := range h.Warnings() {
		logger.Warn(p.String())
	}
	if err := h.CheckWorker(); err != nil {
		return err
	}

	go plugins.ReleaseAtRest(ctx)
	failed := make(chan error, 3) // a door or the hub that ended by itself
	go func() { failed <- h.Run(context.Background()) }()
	closeREST := serveHTTP(doors.rest, rest.New(h, rest.Options{Log: logger.With("room", "rest"), Level: level, Collectors: collectors(kafka, registry)}), failed)
	closeRegistry := serveHTTP(registryDoor, registry.Handler(usersOf(h)), failed)
	defer closeREST()
	defer closeRegistry()
	if err = r.apply(ctx, h, failed, applied); err == nil {
		logger.Info("sluice is ready", "version", version, "rest", doors.rest.Addr().String(), "registry", doors.registry.Addr().String(),
			"kafka", doors.kafkaAddress(v), "took", time.Since(began).Round(time.Millisecond))
		select {
		case <-ctx.Done():
			logger.Info("draining")
		case err = <-failed:
		}
	}
	drained, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	return errors.Join(err, h.Close(drained))
}

// brokers is the log: embedded, or a cluster that bootstrap.servers names.
func (r *runner) brokers(ctx context.Context, raw map[string]string, v configs.Values, d *doors, logger *slog.Logger) (*brokers, error) {
	if servers := v.List("bootstrap.servers"); len(servers) > 0 {
		return externalBrokers(ctx, raw, servers)
	}
	return embeddedBrokers(v, d.kafka, logger)
}

// apply waits until the hub is ready and gives it the connectors of the files.
func (r *runner) apply(ctx context.Context, h *hub.Hub, failed <-chan error, files []configs.File) error {
	select {
	case <-h.Up():
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
	for _, f := range files {
		if err := applyFile(ctx, h, f); err != nil {
			return err
		}
	}
	return nil
}

// applyFile gives the hub one connector, as a PUT would; its initial state counts if the connector is new.
func applyFile(ctx context.Context, h *hub.Hub, f configs.File) error {
	if f.InitialState != "" {
		_, err := h.Create(ctx, f.Name, f.Config, hub.TargetState(f.InitialState))
		var refused *hub.RequestError
		if !errors.As(err, &refused) || refused.Fault != hub.Conflict {
			return inFile(f, err)
		}
	}
	_, _, err := h.Apply(ctx, f.Name, f.Config)
	return inFile(f, err)
}

func inFile(f configs.File, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", f.Path, err)
}

// workerID is how this worker is named in statuses.
func workerID(v configs.Values, at net.Addr) string {
	host, port, err := net.SplitHostPort(at.String())
	if err != nil {
		return at.String()
	}
	if name := v.String("rest.advertised.host.name"); name != "" {
		host = name
	}
	if n := v.Int("rest.advertised.port"); n != 0 {
		port = fmt.Sprint(n)
	}
	return net.JoinHostPort(host, port)
}

// instance is how this worker is known to the log. On one machine the port of the REST API is one process's; machines
// are told apart by their names, because that port is mostly on the loopback address.
func instance(at net.Addr) string {
	host, err := os.Hostname()
	if err != nil {
		return at.String() // it is enough on one machine
	}
	return host + "-" + at.String()
}

// doors are the ports of this process.
type doors struct {
	rest, registry net.Listener
	kafka          []net.Listener
}

// listen opens the ports. A port in use is said by name, with the key that moves it.
func listen(v configs.Values) (*doors, error) {
	at, err := restAddress(v.List("listeners"))
	if err != nil {
		return nil, err
	}
	d := &doors{}
	open := func(to *net.Listener, key, address string) {
		if err != nil {
			return
		}
		if *to, err = net.Listen("tcp", address); err != nil {
			err = fmt.Errorf("%s: cannot listen on %s: %w; free the port, or set %s to another", key, address, errors.Unwrap(err), key)
		}
	}
	open(&d.rest, "listeners", at)
	open(&d.registry, "sluice.registry.listener", v.String("sluice.registry.listener"))
	if len(v.List("bootstrap.servers")) == 0 {
		for _, text := range v.List(listenerKey) {
			l, problem := parseListener(text)
			d.kafka = append(d.kafka, nil)
			err = errors.Join(err, problem)
			open(&d.kafka[len(d.kafka)-1], listenerKey, l.address)
		}
	}
	if err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *doors) close() {
	for _, l := range append([]net.Listener{d.rest, d.registry}, d.kafka...) {
		if l != nil {
			l.Close()
		}
	}
}

func (d *doors) kafkaAddress(v configs.Values) string {
	if len(d.kafka) == 0 {
		return v.String("bootstrap.servers")
	}
	var at []string
	for _, l := range d.kafka {
		at = append(at, l.Addr().String())
	}
	return strings.Join(at, ",")
}

// serveHTTP serves a handler on a listener, and returns what ends that: running requests are given a moment.
func serveHTTP(l net.Listener, handler http.Handler, failed chan<- error) (end func()) {
	s := rest.NewServer(handler)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("serve %s: %w", l.Addr(), err)
		}
	}()
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if s.Shutdown(ctx) != nil {
			s.Close()
		}
		<-ended
	}
}
