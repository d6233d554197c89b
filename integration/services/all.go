package services

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// kind is what Start and Fetch know of one server.
type kind struct {
	name  string
	fetch func(context.Context) error
	start func(context.Context) (running, error)
}

// running is a started server of any kind.
type running interface {
	Env() []string
	Close() error
}

func kinds() []kind {
	return []kind{
		{
			name:  "postgres",
			fetch: func(context.Context) error { _, err := postgresBinDir(); return err },
			start: func(ctx context.Context) (running, error) { return StartPostgres(ctx, PostgresOptions{}) },
		},
		{
			name:  "s3",
			fetch: func(ctx context.Context) error { _, err := FetchS3(ctx); return err },
			start: func(ctx context.Context) (running, error) { return StartS3(ctx) },
		},
		{
			name:  "elasticsearch",
			fetch: func(ctx context.Context) error { _, err := FetchElasticsearch(ctx); return err },
			start: func(ctx context.Context) (running, error) {
				return StartElasticsearch(ctx, ElasticsearchOptions{})
			},
		},
		{
			name:  "mysql",
			fetch: func(ctx context.Context) error { _, err := FetchMySQL(ctx); return err },
			start: func(ctx context.Context) (running, error) { return StartMySQL(ctx, MySQLOptions{}) },
		},
		{
			name:  "mariadb",
			fetch: func(ctx context.Context) error { _, err := FetchMariaDB(ctx); return err },
			start: func(ctx context.Context) (running, error) { return StartMariaDB(ctx, MySQLOptions{}) },
		},
		{
			name:  "kafka",
			fetch: func(ctx context.Context) error { _, err := kafkaClasses(ctx); return err },
			start: func(ctx context.Context) (running, error) { return StartKafka(ctx, KafkaOptions{}) },
		},
	}
}

// Names are the servers that Start and Fetch know.
func Names() []string {
	var names []string
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return names
}

// Set is several servers that were started together.
type Set struct {
	servers []running
}

// Start starts the named servers side by side, all that there are when none is
// named. When one fails, the others are ended and all errors are returned. It
// reports to progress, from several goroutines, how long each took.
func Start(ctx context.Context, progress func(string), names ...string) (*Set, error) {
	var mu sync.Mutex
	set := &Set{}
	err := each(names, func(k kind) error {
		began := time.Now()
		s, err := k.start(ctx)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		set.servers = append(set.servers, s)
		progress(fmt.Sprintf("%s answers after %.1f s", k.name, time.Since(began).Seconds()))
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, set.Close())
	}
	return set, nil
}

// Env is the environment that names the servers to other processes.
func (s *Set) Env() []string {
	var env []string
	for _, server := range s.servers {
		env = append(env, server.Env()...)
	}
	return env
}

// Close ends the servers, removes their data and frees their ports.
func (s *Set) Close() error {
	errs := make([]error, len(s.servers))
	var wg sync.WaitGroup
	for i, server := range s.servers {
		wg.Go(func() { errs[i] = server.Close() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// fetchPause is how long a fetch may be silent.
const fetchPause = 3 * time.Second

// Fetch puts what the named servers need into the cache, and the clients of
// other makers that tests run. Nothing is started.
func Fetch(ctx context.Context, progress func(string), names ...string) error {
	timed := func(name string, fetch func(context.Context) error) error {
		began := time.Now()
		slow := time.AfterFunc(fetchPause, func() { progress(name + " is being fetched; the first time takes minutes") })
		err := fetch(ctx)
		slow.Stop()
		if err != nil {
			return err
		}
		progress(fmt.Sprintf("%s is there after %.1f s", name, time.Since(began).Seconds()))
		return nil
	}
	servers := each(names, func(k kind) error { return timed(k.name, k.fetch) })
	if len(names) > 0 {
		return servers
	}
	return errors.Join(servers,
		timed("kcat", func(context.Context) error { _, err := Kcat(); return err }),
		timed("kafka-python", func(ctx context.Context) error { _, err := FetchKafkaPython(ctx); return err }),
		timed("kafka-python-tests", func(ctx context.Context) error { _, _, err := FetchKafkaPythonTests(ctx); return err }),
		timed("confluent-kafka-python", func(ctx context.Context) error { _, err := FetchConfluentKafkaPython(ctx); return err }),
		timed("schemathesis", func(ctx context.Context) error { _, err := FetchSchemathesis(ctx); return err }),
		timed("kafka-streams", func(ctx context.Context) error { _, err := FetchKafkaStreams(ctx); return err }),
		timed("avro", func(ctx context.Context) error { _, err := FetchAvro(ctx); return err }),
	)
}

// each calls do for the named kinds at the same time.
func each(names []string, do func(kind) error) error {
	chosen := kinds()
	for _, name := range names {
		if !slices.Contains(Names(), name) {
			return fmt.Errorf("services: no server %q; there are %s", name, strings.Join(Names(), ", "))
		}
	}
	if len(names) > 0 {
		chosen = slices.DeleteFunc(chosen, func(k kind) bool { return !slices.Contains(names, k.name) })
	}
	errs := make([]error, len(chosen))
	var wg sync.WaitGroup
	for i, k := range chosen {
		wg.Go(func() { errs[i] = do(k) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
