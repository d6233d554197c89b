package integration

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
)

// The numbers from 0 on go through a source whose hub and child are killed by SIGKILL again and again. With
// exactly.once.source.support=enabled a reader of committed records sees each number once and in order. Without, it
// sees repeats, which are checked to be nothing worse: the same story tells that the first one can fail.

func TestKillExactlyOnceFile(t *testing.T) {
	t.Parallel()
	counted(t, "enabled", nil, numbersFile)
}

func TestKillAtLeastOnceFile(t *testing.T) {
	t.Parallel()
	counted(t, "disabled", nil, numbersFile)
}

func TestKillExactlyOncePostgres(t *testing.T) {
	t.Parallel()
	counted(t, "enabled", nil, numbersTable)
}

// countedOnKafka runs the story on a broker that others use too, with transactions of an interval and an offset topic
// of the connector's own.
func countedOnKafka(t *testing.T, bootstrap string) {
	settings := map[string]string{"bootstrap.servers": bootstrap, "group.id": "numbers"}
	for _, name := range []string{"config", "offset", "status"} {
		settings[name+".storage.topic"], settings[name+".storage.replication.factor"] = "numbers-"+name, "1"
	}
	counted(t, "enabled", settings, func(t *testing.T) numbers {
		s := numbersFile(t)
		s.config["transaction.boundary"], s.config["transaction.boundary.interval.ms"] = "interval", "150"
		s.config["offsets.storage.topic"] = "numbers-own"
		return s
	})
}

// numbers is a source that counts.
type numbers struct {
	topic  string
	config map[string]string
	write  func(ctx context.Context, from, to int) error
}

// numbersFile counts in the lines of a file.
func numbersFile(t *testing.T) numbers {
	file := filepath.Join(t.TempDir(), "numbers")
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return numbers{topic: "numbers", config: map[string]string{"connector.class": "FileStreamSource", "file": file, "topic": "numbers", "batch.size": "50"},
		write: func(_ context.Context, from, to int) error {
			var b []byte
			for n := from; n < to; n++ {
				b = append(strconv.AppendInt(b, int64(n), 10), '\n')
			}
			_, err := f.Write(b)
			return err
		}}
}

// numbersTable counts in the rows of a table.
func numbersTable(t *testing.T) numbers {
	pg := services.UsePostgres(t)
	db := pg.NewDatabase(t)
	pg.Exec(t, db, "CREATE TABLE numbers (n bigint PRIMARY KEY)")
	conn, err := pgx.Connect(t.Context(), pg.DSN(db))
	must(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) })
	return numbers{topic: db + ".public.numbers", config: map[string]string{
		"connector.class": "io.debezium.connector.postgresql.PostgresConnector", "database.hostname": pg.Host,
		"database.port": strconv.Itoa(pg.Port), "database.user": pg.User, "database.password": pg.Password,
		"database.dbname": db, "topic.prefix": db, "plugin.name": "pgoutput", "slot.name": db, "publication.name": db,
		"publication.autocreate.mode": "filtered", "table.include.list": "public.numbers", "snapshot.mode": "no_data",
		"transforms":             "unwrap,number",
		"transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
		"transforms.number.type": "org.apache.kafka.connect.transforms.ExtractField$Value", "transforms.number.field": "n",
	}, write: func(ctx context.Context, from, to int) error {
		_, err := conn.Exec(ctx, "INSERT INTO numbers SELECT generate_series($1::bigint, $2::bigint)", from, to-1)
		return err
	}}
}

// counted runs the story. settings are of the worker.
func counted(t *testing.T, support string, settings map[string]string, source func(*testing.T) numbers) {
	s := source(t)
	all := map[string]string{"exactly.once.source.support": support, "offset.flush.interval.ms": "300",
		"key.converter": "org.apache.kafka.connect.storage.StringConverter", "value.converter": "org.apache.kafka.connect.storage.StringConverter"}
	for k, v := range settings {
		all[k] = v
	}
	w := startWorker(t, worker.Options{Settings: all})
	s.config["topic.creation.default.partitions"], s.config["topic.creation.default.replication.factor"] = "1", "1"
	if support == "enabled" {
		s.config["exactly.once.support"] = "required"
	}
	must(t, w.Put(deadline(t), "numbers", s.config))
	must(t, w.Running(deadline(t), "numbers"))
	load, stop := context.WithCancel(t.Context())
	defer stop()
	var written atomic.Int64
	ended := make(chan error, 1)
	go func() {
		for load.Err() == nil {
			n := int(written.Load())
			more := 1 + rand.IntN(300)
			if err := s.write(context.WithoutCancel(load), n, n+more); err != nil {
				ended <- err
				return
			}
			written.Store(int64(n + more))
			<-time.After(time.Duration(rand.IntN(20)) * time.Millisecond) // the load's own rhythm
		}
		ended <- nil
	}()
	readNumbers(t, w, s.topic, 1)
	rnd := rand.New(rand.NewPCG(killSeed(t), 7))
	for round := range killRounds(t) {
		<-time.After(time.Duration(50+rnd.IntN(600)) * time.Millisecond) // makes the moment random; nothing waits for it
		if round%2 == 0 {
			must(t, w.Kill())
			must(t, w.Start(deadline(t)))
		} else if children, err := w.Children(); err == nil && len(children) > 0 {
			must(t, syscall.Kill(children[0], syscall.SIGKILL))
		}
		if rnd.IntN(2) == 0 { // others die before they have come to themselves
			readNumbers(t, w, s.topic, int(written.Load()))
		}
	}
	stop()
	must(t, <-ended)
	n := int(written.Load())
	readNumbers(t, w, s.topic, n)
	must(t, s.write(t.Context(), n, n+1)) // what is repeated comes before it
	n++
	repeated := len(readNumbers(t, w, s.topic, n)) - n
	t.Logf("%d numbers, %d of them repeated", n, repeated)
	if support == "enabled" && repeated > 0 {
		t.Error("numbers are there again")
	}
}

// readNumbers waits until a reader of committed records has seen n numbers, and returns all that it saw. A number that
// is missing, or comes before one that is smaller for the first time, fails the test.
func readNumbers(t *testing.T, w *worker.Worker, topic string, n int) []int {
	t.Helper()
	reader := newClient(t, w, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.UnknownTopicRetries(-1))
	defer reader.Close()
	ctx := deadline(t)
	var seen []int
	for next := 0; next < n; {
		fetches := reader.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%d of %d numbers arrived", next, n)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			got, err := strconv.Atoi(string(r.Value))
			if err != nil || got > next {
				t.Fatalf("%q at offset %d, want at most %d: %v", r.Value, r.Offset, next, err)
			}
			seen = append(seen, got)
			next = max(next, got+1)
		})
	}
	return seen
}
