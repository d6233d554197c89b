// Command demo shows a table's changes arriving: PostgreSQL → sluice → an S3 bucket and an Elasticsearch index, all of
// them real servers on this machine. `make demo` starts the servers and then this.
//
// The connectors are the files in configs/examples, as a user would write them.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/mattn/go-isatty"
	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
)

const (
	bucket = "sluice-demo"
	index  = "shop.public.orders"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := demo(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func demo(ctx context.Context) (err error) {
	from, to, err := servers()
	if err != nil {
		return err
	}
	if err := to.makeBucket(ctx); err != nil {
		return err
	}
	admin, err := pgx.Connect(ctx, from.String())
	if err != nil {
		return fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer admin.Close(ctx)
	say("A database `shop` with a table `orders` and two rows in it")
	if _, err := admin.Exec(ctx, "CREATE DATABASE shop"); err != nil {
		return err
	}
	shop := *from
	shop.Path = "/shop"
	db, err := pgx.Connect(ctx, shop.String())
	if err != nil {
		return err
	}
	defer db.Close(ctx)
	if err := run(ctx, db,
		"CREATE TABLE orders (id bigserial PRIMARY KEY, customer text NOT NULL, total numeric(12,2), paid boolean DEFAULT false)",
		"INSERT INTO orders (customer, total) VALUES ('Ada', 19.99), ('Grace', 240.00)"); err != nil {
		return err
	}
	w, err := start(ctx, from, to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Stop(), w.Close()) }()

	say("The two rows arrive by snapshot")
	if err := to.show(ctx, w, "2 documents, 2 lines", map[string]string{"1": "Ada", "2": "Grace"}, 2); err != nil {
		return err
	}
	say("Insert, update, delete")
	if err := run(ctx, db,
		"INSERT INTO orders (customer, total) VALUES ('Edsger', 7.50)",
		"UPDATE orders SET paid = true WHERE id = 1",
		"DELETE FROM orders WHERE id = 2"); err != nil {
		return err
	}
	if err := to.show(ctx, w, "row 2 is gone from the index, and every change is in the bucket", map[string]string{"1": "Ada", "3": "Edsger"}, 5); err != nil {
		return err
	}
	return linger(ctx, w, &shop)
}

// start runs the program that `make build` made, with the example connectors.
func start(ctx context.Context, from *postgresURL, to *targets) (*worker.Worker, error) {
	dir, err := os.MkdirTemp("", "sluice-demo-")
	if err != nil {
		return nil, err
	}
	binary, err := filepath.Abs("bin/sluice")
	if err != nil {
		return nil, err
	}
	files := []string{"postgres-orders.json", "s3-orders.properties", "elasticsearch-orders.json"}
	for i, f := range files {
		files[i] = filepath.Join("configs", "examples", f)
	}
	w, err := worker.New(worker.Options{Binary: binary, Dir: dir, Files: files, Env: append(from.env(), to.env()...),
		Settings: map[string]string{
			"key.converter": "org.apache.kafka.connect.json.JsonConverter", "key.converter.schemas.enable": "false",
			"value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "true",
			"offset.flush.interval.ms": "1000",
		}})
	if err != nil {
		return nil, err
	}
	say("sluice run " + strings.Join(files, " "))
	began := time.Now()
	if err := w.Start(ctx); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	fmt.Printf("   ready after %d ms; Connect REST %s, schema registry %s, Kafka %s\n", time.Since(began).Milliseconds(), w.REST, w.Registry, w.Kafka)
	for _, name := range []string{"orders-source", "orders-s3", "orders-elasticsearch"} {
		if err := w.Running(ctx, name); err != nil {
			return nil, errors.Join(err, w.Close())
		}
	}
	return w, nil
}

func run(ctx context.Context, db *pgx.Conn, statements ...string) error {
	for _, s := range statements {
		fmt.Printf("   sql> %s\n", s)
		if _, err := db.Exec(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

func say(text string) { fmt.Printf("\n== %s\n", text) }

// linger leaves everything running while a person is there to try it.
func linger(ctx context.Context, w *worker.Worker, shop *postgresURL) error {
	if !isatty.IsTerminal(os.Stdin.Fd()) {
		say("Done")
		return nil
	}
	say("Everything is still running. Try:")
	fmt.Printf("   psql %q -c \"UPDATE orders SET total = 1 WHERE id = 1\"\n", shop.String())
	fmt.Printf("   curl %s/connectors?expand=status\n   curl %s/metrics\n", w.REST, w.REST)
	fmt.Printf("   kcat -b %s -t %s -C -e\n   press Enter to end it\n", w.Kafka, index)
	entered := make(chan struct{})
	go func() { // ends with the process at the latest: a read of a terminal cannot be called off
		bufio.NewReader(os.Stdin).ReadString('\n')
		close(entered)
	}()
	select {
	case <-entered:
	case <-ctx.Done():
	}
	return nil
}

// servers reads from the environment where the servers are.
func servers() (*postgresURL, *targets, error) {
	pg, err := parsePostgres(os.Getenv(services.EnvPostgres))
	if err != nil {
		return nil, nil, err
	}
	t := &targets{s3URL: os.Getenv(services.EnvS3), accessKey: os.Getenv(services.EnvS3AccessKey),
		secretKey: os.Getenv(services.EnvS3SecretKey), elasticsearch: os.Getenv(services.EnvElasticsearch)}
	if t.s3URL == "" || t.elasticsearch == "" {
		return nil, nil, fmt.Errorf("%s and %s must be set: run `make demo`", services.EnvS3, services.EnvElasticsearch)
	}
	return pg, t, nil
}
