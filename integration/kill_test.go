package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
)

// The kill twins: the main job under load, with one process that is killed by SIGKILL at random moments, again and
// again. What must be true afterwards is the same for all of them:
//
//   - The log has every change of every row in the order of commits. A source that was started again may repeat
//     events (its offset is written after its records), and then repeats an unbroken run of them.
//   - The bucket has every record of the log exactly once.
//   - The index equals the table.
//
// SLUICE_TEST_ROUNDS is the number of kills, SLUICE_TEST_SEED repeats the random choices of a run.

const killPartitions = 2 // of the topic

// victim is what is killed.
type victim struct {
	kill  func(ctx context.Context) error
	start func(ctx context.Context) error // returns when it is there again
}

func TestKillHub(t *testing.T) {
	t.Parallel()
	p := newPipeline(t, "insert", nil)
	p.torture(victim{
		kill: func(ctx context.Context) error {
			children, err := p.worker.Children()
			if err != nil {
				return err
			}
			if err := p.worker.Kill(); err != nil {
				return err
			}
			return eventually(ctx, "the children to die with the hub", func() error { return allDead(children) })
		},
		start: p.worker.Start,
	})
}

func TestKillSource(t *testing.T) {
	t.Parallel()
	p := newPipeline(t, "upsert", nil)
	p.torture(p.child("postgres"))
}

func TestKillSinks(t *testing.T) {
	t.Parallel()
	p := newPipeline(t, "upsert", nil)
	s3, es := p.child("s3"), p.child("elasticsearch")
	p.torture(victim{
		kill: func(ctx context.Context) error {
			switch p.rnd.IntN(3) {
			case 0:
				return s3.kill(ctx)
			case 1:
				return es.kill(ctx)
			}
			return errors.Join(s3.kill(ctx), es.kill(ctx))
		},
		start: func(ctx context.Context) error { return errors.Join(s3.start(ctx), es.start(ctx)) },
	})
}

func TestKillPostgres(t *testing.T) {
	t.Parallel()
	pg, err := services.StartPostgres(t.Context(), services.PostgresOptions{Fsync: true})
	must(t, err)
	closeLater(t, pg)
	p := newPipeline(t, "insert", func(p *pipeline) { p.pg = pg })
	p.torture(server(pg.Server))
}

// The session beside the stream, in which the source looks up what a table is like, is ended by the server while the
// stream goes on. ANALYZE makes the server describe the table anew, and the source look.
func TestKillSession(t *testing.T) {
	t.Parallel()
	p := newPipeline(t, "insert", nil)
	p.torture(victim{
		kill: func(ctx context.Context) error {
			return eventually(ctx, "the source's session", func() error {
				return p.query(ctx, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'sluice' AND backend_type = 'client backend'")
			})
		},
		start: func(ctx context.Context) error { p.pg.Exec(t, p.db, "ANALYZE items"); return nil },
	})
}

func TestKillS3(t *testing.T) {
	t.Parallel()
	s, err := services.StartS3(t.Context())
	must(t, err)
	closeLater(t, s)
	p := newPipeline(t, "upsert", func(p *pipeline) { p.s3 = s })
	p.torture(server(s.Server))
}

// Elasticsearch takes long to start, so the two stories that need one of their own share it.
func TestKillElasticsearch(t *testing.T) {
	t.Parallel()
	e, err := services.StartElasticsearch(t.Context(), services.ElasticsearchOptions{})
	must(t, err)
	closeLater(t, e)
	t.Run("Killed", func(t *testing.T) {
		p := newPipeline(t, "upsert", func(p *pipeline) {
			p.es, p.pause = e, 100*time.Millisecond // what waits for it is to be caught up with
		})
		p.torture(server(e.Server))
	})
	t.Run("Stopped", func(t *testing.T) { stoppedTargets(t, e) })
}

func server(s *services.Server) victim {
	return victim{kill: func(context.Context) error { return s.Kill() }, start: s.Restart}
}

func closeLater(t *testing.T, s interface{ Close() error }) {
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// query runs a query in the database whose answer is a number, and fails if it is 0.
func (p *pipeline) query(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, p.pg.DSN(p.db))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var n int
	if err := conn.QueryRow(ctx, sql).Scan(&n); err != nil || n == 0 {
		return fmt.Errorf("%s: %d, %w", sql, n, err)
	}
	return nil
}

// child is the process of the connectors of one kind.
func (p *pipeline) child(plugin string) victim {
	var killed int
	return victim{
		kill: func(ctx context.Context) error {
			return eventually(ctx, "the process of "+plugin, func() (err error) {
				if killed, err = p.find(plugin); err != nil {
					return err
				}
				return syscall.Kill(killed, syscall.SIGKILL)
			})
		},
		start: func(ctx context.Context) error { // that is the hub's business
			return eventually(ctx, "another process of "+plugin, func() error {
				pid, err := p.find(plugin)
				if err == nil && pid == killed {
					err = errors.New("the killed one is not gone")
				}
				return err
			})
		},
	}
}

// find returns the process that serves a connector.
func (p *pipeline) find(plugin string) (int, error) {
	children, err := p.worker.Children()
	if err != nil {
		return 0, err
	}
	for _, pid := range children {
		args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && bytes.Contains(args, []byte("\x00plugin\x00"+plugin+"\x00")) {
			return pid, nil
		}
	}
	return 0, fmt.Errorf("none of %d children serves %s", len(children), plugin)
}

func allDead(pids []int) error {
	for _, pid := range pids {
		if syscall.Kill(pid, 0) == nil && !zombie(pid) {
			return fmt.Errorf("process %d lives", pid)
		}
	}
	return nil
}

// pipeline is PostgreSQL → sluice → S3 and Elasticsearch, with a load.
type pipeline struct {
	t    *testing.T
	seed uint64
	rnd  *rand.Rand

	pg     *services.Postgres
	s3     *services.S3
	es     *services.Elasticsearch
	db     string
	bucket string
	index  string
	topic  string

	flush  int           // records to an object of the bucket
	pause  time.Duration // of the load, between two transactions of a writer
	worker *worker.Worker
	load   *load
	topics *topicReader
}

// newPipeline starts everything. own puts servers of the test's own in the place of those that tests share.
func newPipeline(t *testing.T, write string, own func(*pipeline)) *pipeline {
	t.Helper()
	p := prepare(t, own)
	ctx := p.deadline()
	must(t, p.worker.Start(ctx))
	must(t, p.worker.Put(ctx, "items-source", p.source()))
	must(t, p.worker.Put(ctx, "items-s3", p.bucketSink()))
	must(t, p.worker.Put(ctx, "items-elasticsearch", p.indexSink(write)))
	p.read()
	return p
}

// prepare makes what the connectors need; the hub does not run yet.
func prepare(t *testing.T, own func(*pipeline)) *pipeline {
	t.Helper()
	p := &pipeline{t: t, seed: uint64(time.Now().UnixNano()), pause: 15 * time.Millisecond, flush: 200}
	if text := os.Getenv("SLUICE_TEST_SEED"); text != "" {
		var err error
		p.seed, err = strconv.ParseUint(text, 10, 64)
		must(t, err)
	}
	t.Logf("SLUICE_TEST_SEED=%d", p.seed)
	p.rnd = rand.New(rand.NewPCG(p.seed, 1<<32))
	if own != nil {
		own(p)
	}
	if p.pg == nil {
		p.pg = services.UsePostgres(t)
	}
	if p.s3 == nil {
		p.s3 = services.UseS3(t)
	}
	if p.es == nil {
		p.es = services.UseElasticsearch(t)
	}
	p.db, p.bucket, p.index = p.pg.NewDatabase(t), p.s3.NewBucket(t), p.es.NewPrefix(t)+"items"
	p.topic = p.db + ".public.items"
	p.load = newLoad(t, p.pg.DSN(p.db), 100)
	p.worker = newWorker(t, worker.Options{Settings: map[string]string{
		"key.converter.schemas.enable": "false", "value.converter.schemas.enable": "true", "offset.flush.interval.ms": "300"}})
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s\nthe end of sluice's log:\n%s", p.statuses(context.Background()), p.worker.LogTail())
		}
	})
	return p
}

// read begins to read the topic.
func (p *pipeline) read() {
	p.t.Helper()
	var err error
	p.topics, err = newTopicReader(p.worker.Kafka, p.topic)
	must(p.t, err)
	p.t.Cleanup(p.topics.client.Close)
}

func (p *pipeline) source() map[string]string {
	return map[string]string{
		"connector.class": "io.debezium.connector.postgresql.PostgresConnector", "database.hostname": p.pg.Host,
		"database.port": strconv.Itoa(p.pg.Port), "database.user": p.pg.User, "database.password": p.pg.Password,
		"database.dbname": p.db, "topic.prefix": p.db, "plugin.name": "pgoutput", "slot.name": p.db, "publication.name": p.db,
		"publication.autocreate.mode": "filtered", "table.include.list": "public.items",
		"topic.creation.default.partitions": strconv.Itoa(killPartitions), "topic.creation.default.replication.factor": "1",
	}
}

func (p *pipeline) bucketSink() map[string]string {
	return map[string]string{
		"connector.class": "io.confluent.connect.s3.S3SinkConnector", "tasks.max": "2", "topics": p.topic,
		"s3.bucket.name": p.bucket, "s3.region": p.s3.Region, "store.url": p.s3.URL, "s3.path.style.access.enabled": "true",
		"aws.access.key.id": p.s3.AccessKey, "aws.secret.access.key": p.s3.SecretKey,
		"storage.class": "io.confluent.connect.s3.storage.S3Storage", "format.class": "io.confluent.connect.s3.format.json.JsonFormat",
		"flush.size": strconv.Itoa(p.flush), "behavior.on.null.values": "ignore",
	}
}

func (p *pipeline) indexSink(write string) map[string]string {
	return map[string]string{
		"connector.class": "io.confluent.connect.elasticsearch.ElasticsearchSinkConnector", "tasks.max": "2", "topics": p.topic,
		"connection.url": p.es.URL, "key.ignore": "false", "schema.ignore": "true", "write.method": write, "behavior.on.null.values": "delete",
		"transforms":             "unwrap,id,name",
		"transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState", "transforms.unwrap.delete.tombstone.handling.mode": "tombstone",
		"transforms.id.type": "org.apache.kafka.connect.transforms.ExtractField$Key", "transforms.id.field": "id",
		"transforms.name.type": "org.apache.kafka.connect.transforms.RegexRouter", "transforms.name.regex": ".*", "transforms.name.replacement": p.index,
	}
}

// torture kills the victim as often as there are rounds, and then compares everything.
func (p *pipeline) torture(v victim) {
	p.t.Helper()
	began := time.Now()
	rounds := killRounds(p.t)
	p.flowing()
	for round := range rounds {
		ctx := p.deadline()
		p.busy(time.Duration(200+p.rnd.IntN(1500)) * time.Millisecond)
		must(p.t, v.kill(ctx))
		p.busy(time.Duration(p.rnd.IntN(800)) * time.Millisecond)
		restart := time.Now()
		must(p.t, v.start(ctx))
		there := time.Now()
		// Some are helped, and some die again before they have come to themselves.
		if round%3 == 1 {
			must(p.t, p.nudge(ctx))
		}
		if round%3 != 2 {
			must(p.t, p.recovered(ctx))
		}
		p.t.Logf("round %d: restarted in %.1f s, recovered in %.1f s", round, there.Sub(restart).Seconds(), time.Since(there).Seconds())
	}
	tortured := time.Since(began)
	p.settle(rounds)
	p.t.Logf("%d kills in %.0f s, all compared after %.0f s", rounds, tortured.Seconds(), time.Since(began).Seconds())
}

// killRounds is how often a twin's victim is killed.
func killRounds(t *testing.T) int {
	t.Helper()
	text := os.Getenv("SLUICE_TEST_ROUNDS")
	if text == "" {
		return 5
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("SLUICE_TEST_ROUNDS=%s must be a number from 1", text)
	}
	return n
}

// deadline bounds one step of a test. It is generous, because a task that failed several times waits longer each time.
func (p *pipeline) deadline() context.Context {
	ctx, cancel := context.WithTimeoutCause(p.t.Context(), 3*time.Minute, errors.New("the test's own deadline has passed"))
	p.t.Cleanup(cancel)
	return ctx
}

// busy lets the load go on for a time. This waits for nothing: it makes the moment of a kill random.
func (p *pipeline) busy(d time.Duration) { <-time.After(d) }

// flowing starts the load and returns when its changes arrive in the log.
func (p *pipeline) flowing() {
	p.t.Helper()
	ctx := p.deadline()
	must(p.t, p.topics.until(ctx, "the snapshot", func() bool { return p.topics.total >= len(p.load.table) }))
	p.load.start(p.seed, p.pause)
	must(p.t, p.topics.until(ctx, "the first changes", func() bool { return p.topics.total > len(p.load.history)+100 }))
}

// recovered waits until what is committed from now on arrives in the log, and both sinks have gone on.
func (p *pipeline) recovered(ctx context.Context) error {
	newest := p.load.newest()
	if err := p.topics.until(ctx, "changes after a kill", func() bool {
		for writer, version := range newest {
			if p.topics.newest[writer] <= version {
				return false
			}
		}
		return true
	}); err != nil {
		return err
	}
	for _, sink := range []string{"items-s3", "items-elasticsearch"} {
		before, err := p.position(ctx, sink)
		if err != nil {
			return err
		}
		if err := eventually(ctx, sink+" to go on", func() error {
			if now, err := p.position(ctx, sink); err != nil || now <= before {
				return fmt.Errorf("it is at %d, %w", now, err)
			}
			return nil
		}); err != nil {
			return fmt.Errorf("%w\n%s", err, p.statuses(ctx))
		}
	}
	return nil
}

// position is how far a sink's consumer group is, over all partitions.
func (p *pipeline) position(ctx context.Context, sink string) (sum int64, err error) {
	offsets, err := kadm.NewClient(p.topics.client).FetchOffsets(ctx, "connect-"+sink)
	offsets.Each(func(o kadm.OffsetResponse) { sum += o.At })
	return sum, err
}

// logged is how many records the topic has; 0 while there is none.
func (p *pipeline) logged(ctx context.Context) (sum int64, err error) {
	ends, err := kadm.NewClient(p.topics.client).ListEndOffsets(ctx, p.topic)
	ends.Each(func(o kadm.ListedOffset) { sum += max(0, o.Offset) })
	return sum, err
}

// nudge restarts what has failed, as a person would who does not want to wait for the hub to do it.
func (p *pipeline) nudge(ctx context.Context) error {
	for _, name := range []string{"items-source", "items-s3", "items-elasticsearch"} {
		status, body, err := p.worker.Do(ctx, "POST", "/connectors/"+name+"/restart?includeTasks=true&onlyFailed=true", nil)
		if err != nil || status >= 300 {
			return fmt.Errorf("restart %s: %d %s %w", name, status, body, err)
		}
	}
	return nil
}

// statuses is what Connect says of the connectors.
func (p *pipeline) statuses(ctx context.Context) string {
	var b strings.Builder
	for _, name := range []string{"items-source", "items-s3", "items-elasticsearch"} {
		s, err := p.worker.Status(ctx, name)
		fmt.Fprintf(&b, "%+v %v\n", s, err)
	}
	return b.String()
}

// settle ends the load, waits until everything has arrived and compares it.
func (p *pipeline) settle(kills int) {
	p.t.Helper()
	ctx := p.deadline()
	// Enough rows at the end to fill an object of each partition: then all that came before is in full ones.
	last := p.load.end(killPartitions * p.flush * 2)
	p.arrive(ctx, last)
	once := map[int32][]event{}
	var again repeats
	for partition, events := range p.topics.events {
		unique, r, err := unrepeat(events)
		if err == nil {
			err = checkOrder(unique)
		}
		if err != nil {
			p.t.Fatalf("partition %d of the log: %v", partition, err)
		}
		if r.runs > kills {
			p.t.Errorf("partition %d of the log: the source went back %d times in %d kills", partition, r.runs, kills)
		}
		once[partition], again.records, again.runs = unique, again.records+r.records, again.runs+r.runs
	}
	if err := checkHistory(once, p.load.history); err != nil {
		p.t.Fatal(err)
	}
	inBucket := p.checkBucket(ctx)
	must(p.t, eventually(ctx, "the index to equal the table", func() error { return checkIndex(ctx, p.es, p.index, p.load.table) }))
	p.t.Logf("%d changes committed (%d commits unanswered); %d records in the log, of them %d repeats in %d runs; %d records in the bucket; %d documents",
		p.load.committed.Load(), p.load.resolved.Load(), p.topics.total, again.records, again.runs, inBucket, len(p.load.table))
}

// arrive waits until the last transaction is in the log, and makes sure of what should be there.
func (p *pipeline) arrive(ctx context.Context, last []change) {
	p.t.Helper()
	p.load.check()
	must(p.t, p.topics.until(ctx, "the last transaction", func() bool {
		for _, c := range last {
			if _, ok := p.topics.last[c.id]; !ok {
				return false
			}
		}
		return true
	}))
}

// checkBucket waits until as many objects are there as the log fills, and compares them.
func (p *pipeline) checkBucket(ctx context.Context) (records int) {
	p.t.Helper()
	var all map[int32][]object
	must(p.t, eventually(ctx, "the bucket to be filled", func() (err error) {
		if all, err = bucketObjects(ctx, p.s3, p.bucket, p.topic); err != nil {
			return err
		}
		for partition, events := range p.topics.events {
			n := 0
			for _, e := range events {
				if e.payload != nil {
					n++
				}
			}
			if len(all[partition]) < n/p.flush {
				return fmt.Errorf("partition %d: %d of %d objects", partition, len(all[partition]), n/p.flush)
			}
		}
		return nil
	}))
	for partition, events := range p.topics.events {
		n, err := checkObjects(ctx, p.s3, p.bucket, all[partition], events, p.flush)
		if err != nil {
			p.t.Fatalf("partition %d of the bucket: %v", partition, err)
		}
		records += n
	}
	return records
}

// eventually tries until it succeeds or ctx ends, and says what the last try said.
func eventually(ctx context.Context, what string, try func() error) error {
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w (%w)", what, err, context.Cause(ctx))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// lostConnection reports whether an error leaves open if a transaction was committed, or says that the server ends or
// starts (class 57 of PostgreSQL's error codes).
func lostConnection(err error) bool {
	var refused *pgconn.PgError
	return !errors.As(err, &refused) || strings.HasPrefix(refused.Code, "57")
}
