package integration

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/twmb/franz-go/pkg/kadm"
	_ "modernc.org/sqlite"

	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
)

// replica is a database that a sink keeps equal to the source's table, and a journal that has every row image of the
// log once.
type replica struct {
	name   string
	db     *sql.DB
	config map[string]string
}

// The main job to databases under load, while the sinks' children, the hub and a target are killed by SIGKILL: at the end
// every replica equals the table, and the journals, which have no key that would hide it, have nothing twice. Each kill is
// in the middle of what a large transaction has made: `make torture` makes them of 200,000 rows.
func TestKillJDBC(t *testing.T) {
	t.Parallel()
	ctx, rounds, rows := deadline(t), 4, int64(3000)
	if os.Getenv("SLUICE_TORTURE") != "" {
		ctx, rounds, rows = t.Context(), killRounds(t), 200_000
	}
	pg := services.UsePostgres(t)
	source := pg.NewDatabase(t)
	target, err := services.StartPostgres(ctx, services.PostgresOptions{Fsync: true})
	must(t, err)
	closeLater(t, target)
	my := services.UseMySQL(t)
	replicas := []replica{
		newReplica(t, "pgsink", "pgx", target.DSN("postgres"), map[string]string{
			"connection.url":  fmt.Sprintf("jdbc:postgresql://%s:%d/postgres?sslmode=disable", target.Host, target.Port),
			"connection.user": target.User, "retry.backoff.ms": "50"}),
		myReplica(t, my),
		newReplica(t, "litesink", "sqlite", filepath.Join(t.TempDir(), "target.db")+"?_pragma=busy_timeout(10000)", nil),
	}
	replicas[2].config = map[string]string{"connection.url": "jdbc:sqlite:" + sqlitePath(t, replicas[2].db)}
	load := newLoad(t, pg.DSN(source), 100)
	w := startWorker(t, worker.Options{Settings: map[string]string{"key.converter.schemas.enable": "true", "value.converter.schemas.enable": "true", "offset.flush.interval.ms": "300"}})
	topic := source + ".public.items"
	must(t, w.Put(ctx, "items-source", map[string]string{
		"connector.class": "io.debezium.connector.postgresql.PostgresConnector", "database.hostname": pg.Host,
		"database.port": strconv.Itoa(pg.Port), "database.user": pg.User, "database.password": pg.Password,
		"database.dbname": source, "topic.prefix": source, "plugin.name": "pgoutput", "slot.name": source, "publication.name": source,
		"publication.autocreate.mode": "filtered", "table.include.list": "public.items",
		"topic.creation.default.partitions": strconv.Itoa(killPartitions), "topic.creation.default.replication.factor": "1",
	}))
	for _, r := range replicas {
		must(t, w.Put(ctx, r.name, with(r.config, "connector.class", "io.debezium.connector.jdbc.JdbcSinkConnector", "tasks.max", "2", "topics", topic,
			"insert.mode", "upsert", "primary.key.mode", "record_key", "delete.enabled", "true", "schema.evolution", "basic", "collection.name.format", "items")))
		must(t, w.Put(ctx, r.name+"-journal", with(r.config, "connector.class", "io.confluent.connect.jdbc.JdbcSinkConnector", "tasks.max", "1", "topics", topic,
			"auto.create", "true", "table.name.format", "journal", "transforms", "unwrap", "transforms.unwrap.type", "io.debezium.transforms.ExtractNewRecordState",
			"transforms.unwrap.delete.tombstone.handling.mode", "drop")))
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, r := range replicas {
				s, err := w.Status(context.Background(), r.name)
				t.Logf("%+v %v", s, err)
			}
		}
	})
	load.start(1, 60*time.Millisecond)
	for round := range rounds {
		load.large(ctx, int64(round), rows)
		grown(ctx, t, replicas)
		switch round % 4 {
		case 1:
			must(t, w.Kill())
			must(t, w.Start(ctx))
		case 2:
			must(t, target.Kill())
			must(t, target.Restart(ctx))
		default:
			killChildren(ctx, t, w, "jdbc")
		}
	}
	grown(ctx, t, replicas)
	load.end(5)
	images := imagesIn(ctx, t, w.Kafka, topic, loadEnd+4)
	want := make([]string, 0, len(load.table))
	for _, c := range load.table {
		want = append(want, fmt.Sprint(c.id, " ", c.version, " ", c.note))
	}
	slices.Sort(want)
	for _, r := range replicas {
		must(t, eventually(ctx, r.name+" to have the last rows", func() error {
			got, err := r.rows(ctx, "items")
			if err == nil && !slices.Equal(got, want) {
				err = fmt.Errorf("%d rows, wanted %d, the first that differs is %s", len(got), len(want), firstDifference(got, want))
			}
			return err
		}))
		must(t, eventually(ctx, r.name+"'s journal to be whole", func() error {
			got, err := r.rows(ctx, "journal")
			if err == nil && !slices.Equal(got, images) {
				err = fmt.Errorf("%d images, the log has %d, the first that differs is %s", len(got), len(images), firstDifference(got, images))
			}
			return err
		}))
	}
}

// large commits one transaction of so many rows, of which some are changed and some deleted in it again. Their keys are
// below those of all others.
func (l *load) large(ctx context.Context, round, rows int64) {
	l.t.Helper()
	conn, err := pgx.Connect(ctx, l.dsn)
	must(l.t, err)
	defer conn.Close(context.Background())
	last := -(round + 1) * 1_000_000
	first := last - rows + 1
	_, err = conn.Exec(ctx, fmt.Sprintf(`BEGIN;
		INSERT INTO items SELECT i, 1, 'large ' || i FROM generate_series(%[1]d, %[2]d) i;
		UPDATE items SET version = 2, note = 'changed ' || id WHERE id BETWEEN %[1]d AND %[2]d AND id %% 4 = 0;
		DELETE FROM items WHERE id BETWEEN %[1]d AND %[2]d AND id %% 10 = 0;
		COMMIT`, first, last))
	must(l.t, err)
	var changes []change
	for id := first; id <= last; id++ {
		changes = append(changes, change{"c", id, 1, fmt.Sprint("large ", id)})
		if id%4 == 0 {
			changes = append(changes, change{"u", id, 2, fmt.Sprint("changed ", id)})
		}
		if id%10 == 0 {
			changes = append(changes, change{op: "d", id: id})
		}
	}
	l.apply(changes)
}

func firstDifference(got, want []string) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return got[i] + " for " + want[i]
		}
	}
	return "the length"
}

func with(config map[string]string, pairs ...string) map[string]string {
	config = maps.Clone(config)
	for i := 0; i < len(pairs); i += 2 {
		config[pairs[i]] = pairs[i+1]
	}
	return config
}

func newReplica(t *testing.T, name, driver, dsn string, config map[string]string) replica {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	must(t, err)
	t.Cleanup(func() { db.Close() })
	return replica{name, db, config}
}

func myReplica(t *testing.T, m *services.MySQL) replica {
	db := m.NewDatabase(t)
	return newReplica(t, "mysink", "mysql", fmt.Sprintf("%s:%s@tcp(%s:%d)/%s", m.User, m.Password, m.Host, m.Port, db), map[string]string{
		"connection.url": fmt.Sprintf("jdbc:mysql://%s:%d/%s", m.Host, m.Port, db), "connection.user": m.User, "connection.password": m.Password})
}

func sqlitePath(t *testing.T, db *sql.DB) (path string) {
	t.Helper()
	must(t, db.QueryRow("SELECT file FROM pragma_database_list WHERE name = 'main'").Scan(&path))
	return path
}

func (r *replica) rows(ctx context.Context, table string) ([]string, error) {
	rows, err := r.db.QueryContext(ctx, "SELECT id, version, note FROM "+table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var c change
		if err := rows.Scan(&c.id, &c.version, &c.note); err != nil {
			return nil, err
		}
		out = append(out, fmt.Sprint(c.id, " ", c.version, " ", c.note))
	}
	slices.Sort(out)
	return out, rows.Err()
}

// grown waits until every journal has more than it has now.
func grown(ctx context.Context, t *testing.T, replicas []replica) {
	t.Helper()
	for _, r := range replicas {
		count := func() (n int, err error) {
			err = r.db.QueryRowContext(ctx, "SELECT count(*) FROM journal").Scan(&n)
			return n, err
		}
		before, _ := count() // there may be no table yet
		must(t, eventually(ctx, r.name+"'s journal to grow", func() error {
			n, err := count()
			if err == nil && n < before+50 {
				err = fmt.Errorf("it has %d rows after %d", n, before)
			}
			return err
		}))
	}
}

// killChildren ends every process that serves a connector of a kind.
func killChildren(ctx context.Context, t *testing.T, w *worker.Worker, plugin string) {
	t.Helper()
	killed := 0
	must(t, eventually(ctx, "the children", func() error {
		children, err := w.Children()
		if err != nil {
			return err
		}
		for _, pid := range children {
			if args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil && bytes.Contains(args, []byte("\x00plugin\x00"+plugin+"\x00")) {
				if err := syscall.Kill(pid, syscall.SIGKILL); err == nil {
					killed++
				}
			}
		}
		if killed == 0 {
			return errors.New("none is there")
		}
		return nil
	}))
}

// imagesIn returns the row images in a topic whose last row is known.
func imagesIn(ctx context.Context, t *testing.T, broker, topic string, last int64) []string {
	t.Helper()
	r, err := newTopicReader(broker, topic, (*event).ofPostgres)
	must(t, err)
	defer r.client.Close()
	must(t, r.until(ctx, "the end of the log", func() bool { return r.last[last].op != "" }))
	ends, err := kadm.NewClient(r.client).ListEndOffsets(ctx, topic)
	must(t, err)
	sum := 0
	ends.Each(func(o kadm.ListedOffset) { sum += int(o.Offset) })
	must(t, r.until(ctx, "all of the log", func() bool { return r.total >= sum }))
	var images []string
	for _, events := range r.events {
		for _, e := range events {
			if e.payload != nil && e.op != "d" {
				images = append(images, fmt.Sprint(e.id, " ", e.version, " ", e.note))
			}
		}
	}
	slices.Sort(images)
	return images
}
