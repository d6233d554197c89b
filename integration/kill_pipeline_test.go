package integration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
)

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
	p := &pipeline{t: t, seed: killSeed(t), pause: 60 * time.Millisecond, flush: 100}
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
	// What is asked of it is documents by their id, so it need not look into what it stores.
	_, err := p.es.Do(p.deadline(), "PUT", "/"+p.index, `{"mappings":{"dynamic":false,"properties":{"id":{"type":"long"}}}}`)
	must(t, err)
	p.load = newLoad(t, p.pg.DSN(p.db), 100)
	p.worker = newWorker(t, worker.Options{Settings: map[string]string{
		"key.converter.schemas.enable": "false", "value.converter.schemas.enable": "true", "offset.flush.interval.ms": "300"}})
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.statuses(context.Background()))
		}
	})
	return p
}

// killSeed is what all random choices of a twin are made from.
func killSeed(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("SLUICE_TEST_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		must(t, err)
	}
	t.Logf("SLUICE_TEST_SEED=%d", seed)
	return seed
}

// read begins to read the topic.
func (p *pipeline) read() {
	p.t.Helper()
	var err error
	p.topics, err = newTopicReader(p.worker.Kafka, p.topic, (*event).ofPostgres)
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
	if err := p.topics.beyond(ctx, p.load.newest()); err != nil {
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

// nudging restarts what has failed again and again, as a person would who does not want to wait for the hub to do it,
// until it is told to stop. A hub that is down cannot be asked, and one that has nothing to restart says so.
func (p *pipeline) nudging() (stop func()) {
	ctx, cancel := context.WithCancel(p.t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		pause := time.NewTicker(300 * time.Millisecond)
		defer pause.Stop()
		for ctx.Err() == nil {
			for _, name := range []string{"items-source", "items-s3", "items-elasticsearch"} {
				_, _, _ = p.worker.Do(ctx, "POST", "/connectors/"+name+"/restart?includeTasks=true&onlyFailed=true", nil)
			}
			select {
			case <-ctx.Done():
			case <-pause.C:
			}
		}
	})
	return func() { cancel(); done.Wait() }
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

// eventually tries until it succeeds or ctx ends, and says what the last try said. It tries ever more seldom: some tries
// read a whole index, from a server that is busy with filling it.
func eventually(ctx context.Context, what string, try func() error) error {
	for pause := 20 * time.Millisecond; ; pause = min(pause*3/2, 250*time.Millisecond) {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w (%w)", what, err, context.Cause(ctx))
		case <-time.After(pause):
		}
	}
}

// lostConnection reports whether an error leaves open if a transaction was committed, or says that the server ends or
// starts (class 57 of PostgreSQL's error codes).
func lostConnection(err error) bool {
	var refused *pgconn.PgError
	return !errors.As(err, &refused) || strings.HasPrefix(refused.Code, "57")
}
