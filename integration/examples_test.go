package integration

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
	"github.com/twmb/franz-go/pkg/kgo"
)

const examples = "../configs/examples/"

// Every file in configs/examples does what it says.
func TestExamples(t *testing.T) {
	t.Parallel()
	run := map[string]bool{}
	for _, story := range []struct {
		name  string
		files []string
		run   func(t *testing.T, files []string)
	}{
		{"orders", []string{"worker.properties", "postgres-orders.json", "s3-orders.properties", "elasticsearch-orders.json"}, ordersArrive},
		{"warehouse", []string{"jdbc-orders.properties"}, warehouseFollows},
		{"accounts", []string{"jdbc-accounts.properties"}, accountsArrive},
		{"minimal", []string{"postgres-minimal.json"}, minimalReadsLibpqsEnvironment},
		{"mysql", []string{"mysql-orders.properties"}, mysqlOrdersArrive},
		{"lines", []string{"filestream-source.properties", "filestream-sink.properties"}, linesArrive},
		{"mock", []string{"mock-source.json"}, mockWrites},
	} {
		var paths []string
		for _, f := range story.files {
			run[f] = true
			paths = append(paths, examples+f)
		}
		t.Run(story.name, func(t *testing.T) { story.run(t, paths) })
	}
	all, err := os.ReadDir(examples)
	must(t, err)
	for _, e := range all {
		if !run[e.Name()] {
			t.Errorf("%s%s is run by no test", examples, e.Name())
		}
	}
}

// exampleWorker are the settings of the example, but for its ports and its folder.
func exampleWorker(t *testing.T, path string) map[string]string {
	t.Helper()
	f, problems := configs.Load(path)
	must(t, configs.Err(problems))
	for _, key := range []string{"listeners", "sluice.registry.listener", "sluice.kafka.listener", "sluice.data.dir"} {
		if f.Config[key] == "" {
			t.Errorf("%s does not show %s", path, key)
		}
		delete(f.Config, key)
	}
	return f.Config
}

func ordersArrive(t *testing.T, files []string) {
	s, lake, search := newShop(t, services.PostgresOptions{}), services.UseS3(t), services.UseElasticsearch(t)
	bucket, index := lake.NewBucket(t), "shop.public.orders"
	dropIndex(t, search, index)
	w := startWorker(t, worker.Options{Settings: exampleWorker(t, files[0]), Files: files[1:], Env: append(lakeEnv(lake, bucket),
		"POSTGRES_HOST="+s.server.Host, "POSTGRES_PORT="+strconv.Itoa(s.server.Port), "POSTGRES_USER="+s.server.User, "POSTGRES_PASSWORD=none",
		"ELASTICSEARCH_URL="+search.URL)})
	want := []string{"r 1 Ada false", "r 2 Grace false"}
	arrive(t, w, s, lake, bucket, search, index, want...)

	s.exec("INSERT INTO orders (customer, total) VALUES ('Edsger', 7.50)",
		"UPDATE orders SET paid = true WHERE id = 1",
		"DELETE FROM orders WHERE id = 2",
		"UPDATE orders SET id = 30 WHERE id = 3")
	want = append(want, "c 3 Edsger false", "u 1 Ada true", "d 2", "d 3", "c 30 Edsger false")
	arrive(t, w, s, lake, bucket, search, index, want...)

	// What happens while the hub is down arrives after it, and nothing twice.
	must(t, w.Stop())
	s.exec("INSERT INTO orders (customer) VALUES ('Barbara')", "DELETE FROM orders WHERE id = 1")
	want = append(want, "c 4 Barbara false", "d 1")
	must(t, w.Start(deadline(t)))
	arrive(t, w, s, lake, bucket, search, index, want...)
}

func warehouseFollows(t *testing.T, files []string) {
	s := newShop(t, services.PostgresOptions{})
	s.exec("CREATE DATABASE warehouse")
	w := startWorker(t, worker.Options{Settings: exampleWorker(t, examples+"worker.properties"), Files: append(files, examples+"postgres-orders.json"), Env: []string{
		"POSTGRES_HOST=" + s.server.Host, "POSTGRES_PORT=" + strconv.Itoa(s.server.Port), "POSTGRES_USER=" + s.server.User, "POSTGRES_PASSWORD=none",
		"WAREHOUSE_URL=jdbc:postgresql://" + s.server.Host + ":" + strconv.Itoa(s.server.Port) + "/warehouse", "WAREHOUSE_USER=" + s.server.User, "WAREHOUSE_PASSWORD=none"}})
	warehouse, err := pgx.Connect(t.Context(), s.server.DSN("warehouse"))
	must(t, err)
	t.Cleanup(func() { warehouse.Close(context.Background()) })
	equal := func(columns string, want ...string) {
		t.Helper()
		must(t, w.Wait(deadline(t), "the warehouse to follow", func() error {
			rows, err := warehouse.Query(t.Context(), "SELECT concat_ws(' ', "+columns+") FROM orders ORDER BY id")
			if err != nil {
				return err
			}
			got, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err == nil && !slices.Equal(got, want) {
				err = fmt.Errorf("it has %q, not %q", got, want)
			}
			return err
		}))
	}
	equal("id, customer, total, paid", "1 Ada 19.99 f", "2 Grace 240.00 f")
	s.exec("UPDATE orders SET paid = true WHERE id = 1", "DELETE FROM orders WHERE id = 2", "ALTER TABLE orders ADD COLUMN note text",
		"INSERT INTO orders (customer, total, note) VALUES ('Edsger', 7.5, 'hello')", "UPDATE orders SET id = 30 WHERE id = 3")
	equal("id, customer, total, paid, note", "1 Ada 19.99 t", "30 Edsger 7.50 f hello")

	// What happens while the hub is down arrives after it.
	must(t, w.Stop())
	s.exec("DELETE FROM orders WHERE id = 1", "INSERT INTO orders (customer) VALUES ('Barbara')")
	must(t, w.Start(deadline(t)))
	equal("id, customer, paid", "4 Barbara f", "30 Edsger f")
}

func accountsArrive(t *testing.T, files []string) {
	path := filepath.Join(t.TempDir(), "test.db")
	db, err := sql.Open("sqlite", path)
	must(t, err)
	t.Cleanup(func() { db.Close() })
	exec := func(statement string) {
		_, err := db.ExecContext(t.Context(), statement)
		must(t, err)
	}
	exec("CREATE TABLE accounts (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, name VARCHAR(255))")
	exec("INSERT INTO accounts (name) VALUES ('alice'), ('bob')")
	w := startWorker(t, worker.Options{Files: files, Env: []string{"ACCOUNTS_DB=" + path}})
	arrived := func(want ...string) {
		t.Helper()
		var got []string
		must(t, w.Consume(deadline(t), "test-sqlite-jdbc-accounts", func(r *kgo.Record) bool {
			if !slices.Contains(got, string(r.Value)) { // what was not acknowledged when the hub was killed may come again
				got = append(got, string(r.Value))
			}
			return len(got) == len(want)
		}))
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	arrived(`{"id":1,"name":"alice"}`, `{"id":2,"name":"bob"}`)
	must(t, w.Kill())
	exec("INSERT INTO accounts (name) VALUES (NULL)")
	must(t, w.Start(deadline(t)))
	arrived(`{"id":1,"name":"alice"}`, `{"id":2,"name":"bob"}`, `{"id":3,"name":null}`)
}

func minimalReadsLibpqsEnvironment(t *testing.T, files []string) {
	s := newShop(t, services.PostgresOptions{HBA: []string{
		"host all postgres 127.0.0.1/32 trust", "host all reader 127.0.0.1/32 scram-sha-256"}})
	s.exec("CREATE ROLE reader LOGIN SUPERUSER PASSWORD 'se cret'")
	// Only the place of the server is another.
	text := strings.NewReplacer(`"localhost"`, `"`+s.server.Host+`"`, `"5432"`, `"`+strconv.Itoa(s.server.Port)+`"`).Replace(read(t, files[0]))
	file := write(t, filepath.Base(files[0]), text)
	w := startWorker(t, worker.Options{Files: []string{file}, Env: []string{"PGUSER=reader", "PGPASSWORD=se cret"}})
	records, err := w.Records(deadline(t), "minimal.public.orders", 2)
	must(t, err)
	if got := string(records[0].Value); !strings.Contains(got, "Ada") {
		t.Errorf("got %s", got)
	}

	// Without them the answer names what is missing.
	w = startWorker(t, worker.Options{Env: []string{"PGUSER=", "PGPASSWORD=", "PGPASSFILE=/nowhere"}})
	status, body, err := w.Do(deadline(t), http.MethodPut, "/connectors/minimal/config", text)
	must(t, err)
	if status != http.StatusBadRequest || !strings.Contains(string(body), "database.user") {
		t.Errorf("without a user: %d %s", status, body)
	}
}

func mysqlOrdersArrive(t *testing.T, files []string) {
	server := services.UseMySQL(t)
	server.Exec(t, "", "CREATE DATABASE shop")
	t.Cleanup(func() { server.Exec(t, "", "DROP DATABASE shop") })
	server.Exec(t, "shop", "CREATE TABLE orders (id int PRIMARY KEY AUTO_INCREMENT, customer varchar(40) NOT NULL, total decimal(12,2))")
	server.Exec(t, "shop", "INSERT INTO orders (customer, total) VALUES ('Ada', 1.50), ('Grace', 2)")
	w := startWorker(t, worker.Options{Files: files, Env: []string{"MYSQL_HOST=" + server.Host, "MYSQL_PORT=" + strconv.Itoa(server.Port),
		"MYSQL_USER=" + server.User, "DB_PASSWORD=" + server.Password}})
	records, err := w.Records(deadline(t), "inventory.shop.orders", 2)
	must(t, err)
	if got := string(records[1].Value); !strings.Contains(got, "Grace") || !strings.Contains(got, `"op":"r"`) {
		t.Errorf("the snapshot has %s", got)
	}
	server.Exec(t, "shop", "UPDATE orders SET customer = 'Ada Lovelace' WHERE id = 1")
	if records, err = w.Records(deadline(t), "inventory.shop.orders", 3); err != nil || !strings.Contains(string(records[2].Value), "Lovelace") {
		t.Fatalf("the change is not there: %v", err)
	}

	// What happens while the hub is down arrives after it, and nothing twice.
	must(t, w.Stop())
	server.Exec(t, "shop", "DELETE FROM orders WHERE id = 2")
	must(t, w.Start(deadline(t)))
	records, err = w.Records(deadline(t), "inventory.shop.orders", 5)
	must(t, err)
	if !strings.Contains(string(records[3].Value), `"op":"d"`) || records[4].Value != nil {
		t.Errorf("after the restart came %s and %s", records[3].Value, records[4].Value)
	}
}

func linesArrive(t *testing.T, files []string) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	must(t, os.WriteFile(in, []byte(lines(10)), 0o600))
	w := startWorker(t, worker.Options{Files: files, Env: []string{"LINES_IN=" + in, "LINES_OUT=" + out}})
	must(t, w.Wait(deadline(t), "the lines to arrive", func() error {
		got, err := os.ReadFile(out)
		if err == nil && string(got) != lines(10) {
			err = fmt.Errorf("got %q", got)
		}
		return err
	}))
}

func mockWrites(t *testing.T, files []string) {
	w := startWorker(t, worker.Options{Files: files})
	records, err := w.Records(deadline(t), "load", 100)
	must(t, err)
	if slices.ContainsFunc(records[1:], func(r *kgo.Record) bool { return string(r.Value) == string(records[0].Value) }) {
		t.Errorf("rows repeat: %s", records[0].Value)
	}
}
