package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehub/sluice/integration/services"
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
		if services.Running(pid) {
			return fmt.Errorf("process %d lives", pid)
		}
	}
	return nil
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
		stopNudging := func() {}
		if round%3 == 1 { // and some are helped
			stopNudging = p.nudging()
		}
		restart := time.Now()
		must(p.t, v.start(ctx))
		there := time.Now()
		// Some die again before they have come to themselves.
		if round%3 != 2 {
			must(p.t, p.recovered(ctx))
		}
		stopNudging()
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
	ctx, cancel := context.WithTimeoutCause(p.t.Context(), 6*time.Minute, errors.New("the test's own deadline has passed"))
	p.t.Cleanup(cancel)
	return ctx
}

// busy lets the load go on for a time. This waits for nothing: it makes the moment of a kill random.
func (p *pipeline) busy(d time.Duration) { <-time.After(d) }

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
