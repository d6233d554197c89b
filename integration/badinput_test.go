package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
)

// deadAddress is a port at which nobody listens.
func deadAddress(t *testing.T) (host, port string) {
	t.Helper()
	p, err := services.ReservePort()
	must(t, err)
	t.Cleanup(func() { p.Release() })
	host, port, err = net.SplitHostPort(p.Addr())
	must(t, err)
	return host, port
}

// validate asks whether a configuration is good and returns the errors by key.
func validate(t *testing.T, w *worker.Worker, config map[string]string) map[string][]string {
	t.Helper()
	config = maps.Clone(config)
	config["name"] = "checked"
	class := config["connector.class"]
	status, body, err := w.Do(deadline(t), http.MethodPut, "/connector-plugins/"+class[strings.LastIndex(class, ".")+1:]+"/config/validate", config)
	must(t, err)
	if status != http.StatusOK {
		t.Fatalf("validate: %d %s", status, body)
	}
	var answer struct {
		ErrorCount int `json:"error_count"`
		Configs    []struct {
			Value struct {
				Name   string
				Errors []string
			}
		}
	}
	must(t, json.Unmarshal(body, &answer))
	all, count := map[string][]string{}, 0
	for _, c := range answer.Configs {
		if len(c.Value.Errors) > 0 {
			all[c.Value.Name] = c.Value.Errors
			count += len(c.Value.Errors)
		}
	}
	if count < answer.ErrorCount {
		t.Errorf("%d errors are counted, shown are %v", answer.ErrorCount, all)
	}
	return all
}

func sinkConfig(more map[string]string) map[string]string {
	c := map[string]string{"connector.class": "io.confluent.connect.s3.S3SinkConnector", "topics": "lines", "flush.size": "1",
		"s3.region": "us-east-1", "s3.path.style.access.enabled": "true", "storage.class": "io.confluent.connect.s3.storage.S3Storage",
		"format.class":    "io.confluent.connect.s3.format.json.JsonFormat",
		"value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "false"}
	maps.Copy(c, more)
	return c
}

func searchConfig(more map[string]string) map[string]string {
	c := map[string]string{"connector.class": "io.confluent.connect.elasticsearch.ElasticsearchSinkConnector", "topics": "lines",
		"key.ignore": "true", "schema.ignore": "true",
		"value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "false"}
	maps.Copy(c, more)
	return c
}

// What is wrong with the world is said on the key that is to blame, before anything runs.
func TestValidateNamesTheKeyToBlame(t *testing.T) {
	t.Parallel()
	s := newShop(t, services.PostgresOptions{HBA: []string{
		"host all postgres 127.0.0.1/32 trust", "host all all 127.0.0.1/32 scram-sha-256", "host replication all 127.0.0.1/32 scram-sha-256"}})
	s.exec("CREATE ROLE reader LOGIN SUPERUSER PASSWORD 'right'")
	lake := services.UseS3(t)
	bucket := lake.NewBucket(t)
	host, port := deadAddress(t)
	w := startWorker(t, worker.Options{})
	reader := func(key, value string) map[string]string {
		c := s.source(map[string]string{"database.user": "reader", "database.password": "right"})
		c[key] = value
		return c
	}
	objects := func(key, value string) map[string]string {
		c := sinkConfig(map[string]string{"store.url": lake.URL, "s3.bucket.name": bucket, "aws.access.key.id": lake.AccessKey, "aws.secret.access.key": lake.SecretKey})
		c[key] = value
		return c
	}
	for name, c := range map[string]struct {
		config map[string]string
		key    string // "" for a good configuration
		says   []string
	}{
		"good source":      {reader("topic.prefix", "shop"), "", nil},
		"wrong password":   {reader("database.password", "wrong"), "database.password", []string{"reader"}},
		"host down":        {reader("database.port", port), "database.hostname", []string{host + ":" + port, "refused"}},
		"DNS failure":      {reader("database.hostname", "db.invalid"), "database.hostname", []string{"db.invalid"}},
		"no such database": {reader("database.dbname", "shopp"), "database.dbname", []string{"shopp"}},
		"good bucket":      {objects("topics", "lines"), "", nil},
		"no bucket":        {objects("s3.bucket.name", "sluice-no-such-bucket"), "s3.bucket.name", []string{"sluice-no-such-bucket"}},
		"no permission":    {objects("aws.access.key.id", "nobody"), "aws.access.key.id", nil},
		"store down":       {objects("store.url", "http://"+host+":"+port), "store.url", []string{host + ":" + port}},
		"search down":      {searchConfig(map[string]string{"connection.url": "http://" + host + ":" + port}), "connection.url", []string{host + ":" + port}},
		"search not found": {searchConfig(map[string]string{"connection.url": "http://search.invalid:9200"}), "connection.url", []string{"search.invalid"}},
	} {
		t.Run(name, func(t *testing.T) {
			problems := validate(t, w, c.config)
			said := strings.Join(problems[c.key], "\n")
			if c.key == "" && len(problems) > 0 || c.key != "" && said == "" {
				t.Errorf("want an error on %q, got %v", c.key, problems)
			}
			for _, word := range c.says {
				if !strings.Contains(said, word) {
					t.Errorf("%q is not in %q", word, said)
				}
			}
			for _, secret := range []string{"right", "wrong", lake.SecretKey} {
				if strings.Contains(fmt.Sprint(problems), `"`+secret) || strings.Contains(said, "="+secret) {
					t.Errorf("a secret is in %v", problems)
				}
			}
		})
	}
}

// All mistakes are listed at once, the misspelt ones with what was meant.
func TestValidateListsEveryMistake(t *testing.T) {
	t.Parallel()
	w := startWorker(t, worker.Options{})
	config := map[string]string{
		"connector.class": "io.debezium.connector.postgresql.PostgresConnector", "database.hostname": "127.0.0.1", "database.user": "u",
		"database.dbname": "d", "topic.prefix": "p", "snapshot.mode": "initail", "tasks.max": "many", "database.port": "70000000000",
		"table.include.list": "public.a", "table.exclude.list": "public.b", "heartbeat.interval.msec": "5",
	}
	problems := validate(t, w, config)
	for key, word := range map[string]string{"snapshot.mode": "initial", "tasks.max": "many", "database.port": "70000000000"} {
		if !strings.Contains(strings.Join(problems[key], "\n"), word) {
			t.Errorf("%s: %q is not in %v", key, word, problems[key])
		}
	}
	exclusive := fmt.Sprint(problems["table.include.list"], problems["table.exclude.list"])
	if !strings.Contains(exclusive, "table.include.list") || !strings.Contains(exclusive, "table.exclude.list") {
		t.Errorf("keys that exclude each other: %s", exclusive)
	}
	text, err := json.Marshal(config)
	must(t, err)
	_, out, _ := sluice(t, "validate", write(t, "orders.json", string(text)))
	for _, word := range []string{"heartbeat.interval.msec", "heartbeat.interval.ms", "initial", "many", "70000000000", "table.exclude.list"} {
		if !strings.Contains(out, word) {
			t.Errorf("%q is not in:\n%s", word, out)
		}
	}
}

// troubled waits until a status names a cause, and that it is tried again; the promise is five seconds.
func troubled(t *testing.T, w *worker.Worker, name string, words ...string) {
	t.Helper()
	began := time.Now()
	must(t, w.Wait(deadline(t), name+" to say "+strings.Join(words, ", "), func() error {
		status, body, err := w.Do(t.Context(), http.MethodGet, "/connectors/"+name+"/status", nil)
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("%d %s %w", status, body, err)
		}
		for _, word := range append(words, "next try|next restart") {
			if !slices.ContainsFunc(strings.Split(word, "|"), func(w string) bool { return strings.Contains(string(body), w) }) {
				return fmt.Errorf("%q is not in %s", word, body)
			}
		}
		return nil
	}))
	t.Logf("the cause is in the status after %s", time.Since(began).Round(time.Millisecond))
}

// A source that cannot reach its database says why, tries again and goes on when the world is mended. What it is told
// to connect to stands in a file, so that a restart is enough to break and mend it.
func TestRunningSourceSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := newShop(t, services.PostgresOptions{HBA: []string{
		"host all postgres 127.0.0.1/32 trust", "host all all 127.0.0.1/32 scram-sha-256", "host replication all 127.0.0.1/32 scram-sha-256"}})
	s.exec("CREATE ROLE reader LOGIN SUPERUSER PASSWORD 'right'")
	path := filepath.Join(t.TempDir(), "where.properties")
	place := func(change map[string]string) {
		c := map[string]string{"host": s.server.Host, "port": strconv.Itoa(s.server.Port), "db": "shop", "password": "right"}
		maps.Copy(c, change)
		var text strings.Builder
		for k, v := range c {
			fmt.Fprintf(&text, "%s=%s\n", k, v)
		}
		must(t, os.WriteFile(path, []byte(text.String()), 0o600))
	}
	from := func(key string) string { return "${file:" + path + ":" + key + "}" }
	place(nil)
	ctx := deadline(t)
	w := startWorker(t, worker.Options{})
	must(t, w.Put(ctx, "orders", s.source(map[string]string{"database.user": "reader", "database.password": from("password"),
		"database.hostname": from("host"), "database.port": from("port"), "database.dbname": from("db")})))
	must(t, w.Running(ctx, "orders"))
	restart := func() {
		status, body, err := w.Do(ctx, http.MethodPost, "/connectors/orders/restart?includeTasks=true", nil)
		must(t, err)
		if status >= 300 {
			t.Fatalf("restart: %d %s", status, body)
		}
	}
	_, port := deadAddress(t)
	arrived := 2
	for name, c := range map[string]struct {
		change map[string]string
		says   []string
	}{
		"wrong password":   {map[string]string{"password": "wrong-one"}, []string{"environment", "reader"}},
		"host down":        {map[string]string{"port": port}, []string{"environment", "refused", port}},
		"DNS failure":      {map[string]string{"host": "db.invalid"}, []string{"environment", "db.invalid"}},
		"no such database": {map[string]string{"db": "shopp"}, []string{"environment", "shopp"}},
	} {
		t.Run(name, func(t *testing.T) {
			place(c.change)
			restart()
			troubled(t, w, "orders", c.says...)
			if status := fmt.Sprint(w.Status(ctx, "orders")); strings.Contains(status, "wrong-one") {
				t.Errorf("a secret is in %s", status)
			}
			s.exec("INSERT INTO orders (customer) VALUES ('meanwhile')")
			arrived++
			place(nil)
			restart()
			must(t, w.Running(ctx, "orders"))
			_, err := w.Records(ctx, "shop.public.orders", arrived)
			must(t, err)
		})
	}

	// The server goes away under a running connector, and comes back.
	must(t, s.server.Stop())
	troubled(t, w, "orders", "environment")
	must(t, s.server.Restart(ctx))
	s.db.Close(context.Background())
	s.server.Exec(t, "shop", "INSERT INTO orders (customer) VALUES ('after')")
	_, err := w.Records(ctx, "shop.public.orders", arrived+1)
	must(t, err)
}
