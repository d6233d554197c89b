package integration

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
)

// TestKafkaStreamsCountsExactlyOnce runs an application of Kafka Streams with exactly_once_v2 that counts words, and
// kills it, and later the broker, in the middle: the counts of each word are 1, 2, 3 … up to the truth, each once.
func TestKafkaStreamsCountsExactlyOnce(t *testing.T) {
	t.Parallel()
	w := startWorker(t, worker.Options{})
	createTopics(t, w, 2, "lines", "counts")
	truth := map[string]int{}
	total := 0
	grow := func() {
		t.Helper()
		cl := newClient(t, w, kgo.DefaultProduceTopic("lines"))
		for range 2000 {
			words := make([]string, 3)
			for i := range words {
				words[i] = fmt.Sprintf("word%d", rand.IntN(40))
				truth[words[i]]++
				total++
			}
			cl.Produce(deadline(t), kgo.StringRecord(strings.Join(words, " ")), func(_ *kgo.Record, err error) {
				if err != nil {
					t.Error(err)
				}
			})
		}
		must(t, cl.Flush(deadline(t)))
	}
	counts := newWordCounts(t, w)
	state := t.TempDir()

	grow()
	app := startWordCount(t, w, state)
	counts.read(total / 4)
	must(t, app.Signal(syscall.SIGKILL))
	<-app.Ended()
	before := counts.total
	grow()
	startWordCount(t, w, state)
	counts.read(max(total/2, before) + 1)
	t.Logf("the application was killed after %d of %d counts, the broker after %d of %d", before, total/2, counts.total, total)
	must(t, w.Kill())
	must(t, w.Start(deadline(t)))
	counts.read(total)
	for word, n := range truth {
		if counts.last[word] != n {
			t.Errorf("%s: counted %d, there are %d", word, counts.last[word], n)
		}
	}
}

// startWordCount starts the application, which ends with the test.
func startWordCount(t *testing.T, w *worker.Worker, state string) *services.Watched {
	t.Helper()
	cmd, err := services.KafkaStreamsProgram(t.Context(), "testdata/WordCount.java", w.Kafka, state)
	must(t, err)
	return startForeign(t, "Kafka Streams", cmd)
}

// wordCounts reads what the application has committed.
type wordCounts struct {
	t     *testing.T
	cl    *kgo.Client
	last  map[string]int // by word
	total int
}

func newWordCounts(t *testing.T, w *worker.Worker) *wordCounts {
	t.Helper()
	return &wordCounts{t: t, last: map[string]int{}, cl: newClient(t, w, kgo.ConsumeTopics("counts"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()))}
}

// read goes on until there are as many records, and fails when a word is not counted one by one.
func (c *wordCounts) read(total int) {
	c.t.Helper()
	ctx := deadline(c.t)
	for c.total < total {
		fetches := c.cl.PollFetches(ctx)
		if ctx.Err() != nil {
			c.t.Fatalf("%d of %d counts arrived", c.total, total)
		}
		for it := fetches.RecordIter(); !it.Done(); c.total++ {
			r := it.Next()
			word := string(r.Key)
			n, err := strconv.Atoi(string(r.Value))
			must(c.t, err)
			if n != c.last[word]+1 {
				c.t.Fatalf("offset %d of partition %d: %s is counted %d after %d", r.Offset, r.Partition, word, n, c.last[word])
			}
			c.last[word] = n
		}
	}
}
