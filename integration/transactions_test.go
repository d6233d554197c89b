package integration

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
)

// newClient connects to a worker for the length of the test.
func newClient(t *testing.T, w *worker.Worker, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(w.Kafka), kgo.MetadataMinAge(50 * time.Millisecond)}, opts...)...)
	must(t, err)
	t.Cleanup(cl.Close)
	return cl
}

// createTopics makes topics with so small segments that a test has many.
func createTopics(t *testing.T, w *worker.Worker, partitions int32, names ...string) {
	t.Helper()
	size := "16384"
	_, err := kadm.NewClient(newClient(t, w)).CreateTopics(deadline(t), partitions, 1, map[string]*string{"segment.bytes": &size}, names...)
	must(t, err)
}

// produceNumbers writes the numbers 0 … n-1.
func produceNumbers(t *testing.T, w *worker.Worker, topic string, n int) {
	t.Helper()
	cl := newClient(t, w)
	for i := range n {
		cl.Produce(deadline(t), &kgo.Record{Topic: topic, Key: fmt.Append(nil, i), Value: fmt.Append(nil, i)}, nil)
	}
	must(t, cl.Flush(deadline(t)))
}

// copyTransactions copies in to out, a transaction for each poll, every third of them aborted, until ctx ends or n
// records are committed. What goes wrong while the broker is away is tried again.
func copyTransactions(ctx context.Context, w *worker.Worker, n int, progress chan<- int) error {
	sess, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(w.Kafka), kgo.MetadataMinAge(50*time.Millisecond), kgo.TransactionalID("copier"),
		kgo.ConsumerGroup("copiers"), kgo.ConsumeTopics("in"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxPartitionBytes(2000),
		kgo.FetchMaxBytes(8000), kgo.DefaultProduceTopic("out"), kgo.TransactionTimeout(30*time.Second))
	if err != nil {
		return err
	}
	defer sess.Close()
	for round, done := 0, 0; done < n; round++ {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := sess.Begin(); err != nil {
			return fmt.Errorf("begin: %w", err)
		}
		poll, cancel := context.WithTimeout(ctx, time.Second)
		fetches := sess.PollFetches(poll)
		cancel()
		for it := fetches.RecordIter(); !it.Done(); {
			r := it.Next()
			sess.Produce(ctx, &kgo.Record{Key: r.Key, Value: r.Value}, nil)
		}
		committed, err := sess.End(ctx, kgo.TransactionEndTry(round%3 != 2))
		if err != nil {
			return fmt.Errorf("end: %w", err)
		}
		if committed {
			done += fetches.NumRecords()
			select {
			case progress <- done:
			default:
			}
		}
	}
	return nil
}

// TestTransactionsSurviveKills copies a topic exactly once while the broker is killed again and again.
func TestTransactionsSurviveKills(t *testing.T) {
	t.Parallel()
	const n, kills = 20_000, 3
	w := startWorker(t, worker.Options{})
	createTopics(t, w, 3, "in", "out")
	produceNumbers(t, w, "in", n)
	ctx, stop := context.WithCancel(deadline(t))
	progress := make(chan int, 1)
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		for ctx.Err() == nil {
			// A session that fails for good is replaced by another one, as a program that is started again.
			if err := copyTransactions(ctx, w, n, progress); err != nil && ctx.Err() == nil {
				t.Logf("the copier starts again: %v", err)
			}
		}
	}()
	defer func() { stop(); <-copied }()
	for range kills {
		for range 4 {
			select {
			case <-progress:
			case <-ctx.Done():
				t.Fatal("nothing is copied")
			}
		}
		must(t, w.Kill())
		must(t, w.Start(deadline(t)))
	}
	reader := newClient(t, w, kgo.ConsumeTopics("out"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	times := map[string]int{}
	for len(times) < n {
		fetches := reader.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%d of %d records arrived", len(times), n)
		}
		for it := fetches.RecordIter(); !it.Done(); {
			times[string(it.Next().Key)]++
		}
	}
	stop()
	<-copied
	checkOnce(t, w, times)
}

// checkOnce reads what is left of out and wants each number once.
func checkOnce(t *testing.T, w *worker.Worker, times map[string]int) {
	t.Helper()
	adm := kadm.NewClient(newClient(t, w))
	ends, err := adm.ListCommittedOffsets(deadline(t), "out")
	must(t, err)
	reader := newClient(t, w, kgo.ConsumeTopics("out"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords())
	clear(times)
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) { left[o.Partition] = o.Offset })
	for len(left) > 0 {
		fetches := reader.PollFetches(deadline(t))
		must(t, fetches.Err0())
		for it := fetches.RecordIter(); !it.Done(); {
			r := it.Next()
			if !r.Attrs.IsControl() {
				times[string(r.Key)]++
			}
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		}
	}
	for k, n := range times {
		if n != 1 {
			t.Fatalf("number %s is there %d times", k, n)
		}
	}
}

// TestKafkasToolsKnowTransactions: Kafka's transactional producer and consumer in Java copy a topic exactly once,
// kafka-transactions looks at them, and DumpLogSegments reads the files that came of it.
func TestKafkasToolsKnowTransactions(t *testing.T) {
	t.Parallel()
	const n = 2000
	w := startWorker(t, worker.Options{})
	createTopics(t, w, 1, "in", "out")
	produceNumbers(t, w, "in", n)
	tools := services.StartKafkaTools(deadline(t), t)
	run := func(class string, args ...string) string {
		t.Helper()
		out, err := tools.Run(class, "", args...)
		must(t, err)
		return out
	}
	copier := []string{"--broker-list", w.Kafka, "--input-topic", "in", "--input-partition", "0", "--consumer-group", "copiers", "--output-topic", "out",
		"--transactional-id", "java", "--transaction-size", "100", "--enable-random-aborts", "--max-messages", fmt.Sprint(n)}
	if got := run("org.apache.kafka.tools.TransactionalMessageCopier", copier...); !strings.Contains(got, `"remaining":0`) {
		t.Errorf("the copier says %s", got)
	}
	got := run("org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", w.Kafka, "--topic", "out", "--from-beginning",
		"--isolation-level", "read_committed", "--max-messages", fmt.Sprint(n), "--timeout-ms", "60000")
	want := map[string]bool{}
	for line := range strings.Lines(got) {
		want[strings.TrimSpace(line)] = true
	}
	for i := range n {
		if !want[fmt.Sprint(i)] {
			t.Fatalf("%d was not copied exactly once", i)
		}
	}
	if got := run("org.apache.kafka.tools.TransactionsCommand", "--bootstrap-server", w.Kafka, "list"); !strings.Contains(got, "java") || !strings.Contains(got, "CompleteCommit") {
		t.Errorf("kafka-transactions list: %s", got)
	}
	if got := run("org.apache.kafka.tools.TransactionsCommand", "--bootstrap-server", w.Kafka, "describe", "--transactional-id", "java"); !strings.Contains(got, "CompleteCommit") {
		t.Errorf("kafka-transactions describe: %s", got)
	}
	abortByHand(t, w, run)
	must(t, w.Stop())
	dumpTransactions(t, w.Data(), run)
}

// abortByHand aborts an open transaction with kafka-transactions.
func abortByHand(t *testing.T, w *worker.Worker, run func(class string, args ...string) string) {
	t.Helper()
	cl := newClient(t, w, kgo.TransactionalID("hangs"), kgo.DefaultProduceTopic("out"))
	must(t, cl.BeginTransaction())
	var at *kgo.Record
	for _, r := range cl.ProduceSync(deadline(t), kgo.StringRecord("never")) {
		must(t, r.Err)
		at = r.Record
	}
	if got := run("org.apache.kafka.tools.TransactionsCommand", "--bootstrap-server", w.Kafka, "describe-producers", "--topic", "out", "--partition", "0"); !strings.Contains(got, fmt.Sprint(at.ProducerID)) {
		t.Errorf("kafka-transactions describe-producers: %s", got)
	}
	run("org.apache.kafka.tools.TransactionsCommand", "--bootstrap-server", w.Kafka, "abort", "--topic", "out", "--partition", "0", "--start-offset", fmt.Sprint(at.Offset))
	adm := kadm.NewClient(newClient(t, w))
	committed, err := adm.ListCommittedOffsets(deadline(t), "out")
	must(t, err)
	if o, _ := committed.Lookup("out", 0); o.Offset <= at.Offset {
		t.Errorf("last stable offset %d, the aborted transaction began at %d", o.Offset, at.Offset)
	}
}

// dumpTransactions reads the files with Kafka's own reader.
func dumpTransactions(t *testing.T, data string, run func(class string, args ...string) string) {
	t.Helper()
	dump := func(args ...string) string {
		t.Helper()
		got := run("org.apache.kafka.tools.DumpLogSegments", args...)
		for _, complaint := range []string{"Found ", "isvalid: false", "Exception", "not a valid", "mismatch"} {
			if strings.Contains(got, complaint) {
				t.Errorf("DumpLogSegments %v: %s", args, got)
			}
		}
		return got
	}
	files := func(topic, suffix string) string {
		t.Helper()
		all, err := filepath.Glob(filepath.Join(data, "*", topic+"-0", "*"+suffix))
		if err == nil && len(all) == 0 {
			all, err = filepath.Glob(filepath.Join(data, topic+"-0", "*"+suffix))
		}
		must(t, err)
		if len(all) == 0 {
			must(t, errors.New("no "+suffix+" of "+topic))
		}
		return strings.Join(all, ",")
	}
	if got := dump("--files", files("out", ".log"), "--deep-iteration", "--print-data-log"); !strings.Contains(got, "isTransactional: true isControl: true") || !strings.Contains(got, "endTxnMarker: COMMIT") || !strings.Contains(got, "endTxnMarker: ABORT") {
		t.Errorf("the log of out: %.2000s", got)
	}
	if got := dump("--files", files("out", ".txnindex")); !strings.Contains(got, "firstOffset") {
		t.Errorf("the transaction indexes of out: %.2000s", got)
	}
	if got := dump("--files", files("out", ".snapshot")); !strings.Contains(got, "coordinatorEpoch") {
		t.Errorf("the producer snapshots of out: %.2000s", got)
	}
	if got := dump("--files", files("__transaction_state", ".log"), "--transaction-log-decoder"); !strings.Contains(got, "java") || !strings.Contains(got, "hangs") {
		t.Errorf("__transaction_state: %s", got)
	}
	if got := dump("--files", files("__consumer_offsets", ".log"), "--offsets-decoder"); !strings.Contains(got, "copiers") {
		t.Errorf("__consumer_offsets: %s", got)
	}
}
