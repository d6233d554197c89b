package integration

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/integration/worker"
	"github.com/sluicehub/sluice/log/segment"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	damageRecords = 10
	damageBatch   = 61 + 9 + 200 // bytes of a batch that damageable writes
	damageTime    = 1_760_000_000_000
	damageID      = 4711 // of the producer
)

// damageable makes topics of ten batches of one record each, in segments of four: offsets 0 to 3, 4 to 7, 8 and 9.
func damageable(t *testing.T, w *worker.Worker, topics ...string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.Kafka))
	must(t, err)
	defer client.Close()
	configs := map[string]*string{"segment.bytes": kmsg.StringPtr("1200"), "index.interval.bytes": kmsg.StringPtr("200")}
	made, err := kadm.NewClient(client).CreateTopics(deadline(t), 1, 1, configs, topics...)
	must(t, errors.Join(err, made.Error()))
	for _, topic := range topics {
		for i := range damageRecords {
			offset, err := appendNumbered(t, client, topic, i)
			if err != nil || offset != int64(i) {
				t.Fatalf("append %d to %s: offset %d, %v", i, topic, offset, err)
			}
		}
	}
}

// appendNumbered sends batch i of the topic's producer once: a client of its own would not send one twice.
func appendNumbered(t *testing.T, client *kgo.Client, topic string, i int) (int64, error) {
	t.Helper()
	b := segment.Builder{Idempotent: true, ProducerID: damageID, BaseSequence: int32(i)}
	b.Add(damageTime+int64(i), nil, fmt.Appendf(nil, "%0200d", i))
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 30_000
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = b.Batch()
	known, err := kadm.NewClient(client).ListTopics(deadline(t), topic)
	must(t, err)
	req.Topics = append(req.Topics, kmsg.ProduceRequestTopic{Topic: topic, TopicID: known[topic].ID, Partitions: []kmsg.ProduceRequestTopicPartition{p}})
	resp, err := req.RequestWith(deadline(t), client)
	if err != nil {
		return -1, err
	}
	answer := resp.Topics[0].Partitions[0]
	return answer.BaseOffset, kerr.ErrorForCode(answer.ErrorCode)
}

// readNumbered reads a topic until it has the offset last, or cannot be read any further.
func readNumbered(t *testing.T, w *worker.Worker, topic string, last int64) (offsets []int64, err error) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.Kafka), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
	must(t, err)
	defer client.Close()
	ctx := deadline(t)
	for len(offsets) == 0 || offsets[len(offsets)-1] != last {
		fetches := client.PollFetches(ctx)
		for _, r := range fetches.Records() {
			if n := len(offsets); string(r.Value) != fmt.Sprintf("%0200d", n) {
				t.Errorf("%s: offset %d has %q, want %d", topic, r.Offset, r.Value, n)
			}
			offsets = append(offsets, r.Offset)
		}
		for _, e := range fetches.Errors() {
			return offsets, e.Err
		}
	}
	return offsets, nil
}

// Files that a disk, a power cut or a person damaged while the hub was down. Each topic has its own damage, one has
// none. What a start must do about each is in log/DESIGN.md.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	file := func(base int64, suffix string) string { return segment.FileName(base, suffix) }
	flip := func(at int) func([]byte) []byte { return func(b []byte) []byte { b[at] ^= 0x40; return b } }
	cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:len(b)-n] } }
	cases := map[string]struct {
		file    string
		change  func([]byte) []byte // nil: the file is removed
		read    int                 // records that can be read
		refuses bool                // it takes no writes
		next    int64               // offset of the next record
		says    []string            // one line of the log has these
		rebuilt bool                // the file is there again
		killed  bool                // what an orderly end leaves, which makes the file needless, is not there
	}{
		"sound":            {read: 10, next: 10},
		"tail-cut":         {file: file(8, ".log"), change: cut(10), read: 9, next: 10, says: []string{"cut a torn tail", `"bytes":260`}},
		"tail-cut-loss":    {file: file(8, ".log"), change: cut(10), read: 9, next: 10, says: []string{"acknowledged records are missing", `"from":9`, `"to":10`}},
		"tail-garbage":     {file: file(8, ".log"), change: func(b []byte) []byte { return append(b, "half a batch"...) }, read: 10, next: 10, says: []string{"cut a torn tail", `"bytes":12`}},
		"middle-of-active": {file: file(8, ".log"), change: flip(100), read: 8, refuses: true, says: []string{"bytes 0 to 270", "offsets from 8 on"}},
		"middle-of-sealed": {file: file(4, ".log"), change: flip(damageBatch + 100), read: 5, refuses: true, says: []string{"bytes 270 to 540", "offsets from 5 on"}},
		"segment-missing":  {file: file(4, ".log"), read: 4, refuses: true, says: []string{"ends at offset 4", "begins at 8"}},
		"index-missing":    {file: file(4, ".index"), read: 10, next: 10, says: []string{"index is made anew"}, rebuilt: true},
		"time-missing":     {file: file(4, ".timeindex"), read: 10, next: 10, says: []string{"index is made anew"}, rebuilt: true},
		"snapshot-cut":     {file: file(8, ".snapshot"), change: cut(5), read: 10, next: 10, says: []string{"producer snapshot is unreadable"}, rebuilt: true, killed: true},
		"snapshot-missing": {file: file(8, ".snapshot"), read: 10, next: 10, says: []string{"producer snapshot is missing"}, rebuilt: true, killed: true},
	}
	w := startWorker(t, worker.Options{})
	topics := make([]string, 0, len(cases))
	for topic := range cases {
		topics = append(topics, topic)
	}
	slices.Sort(topics)
	damageable(t, w, topics...)
	must(t, w.Stop())
	for topic, c := range cases {
		if c.file != "" {
			damage(t, filepath.Join(w.Data(), topic+"-0", c.file), c.change)
		}
		if c.killed {
			must(t, os.Remove(filepath.Join(w.Data(), topic+"-0", "active-state")))
		}
	}
	began := len(w.Log())
	must(t, w.Start(deadline(t)))
	client, err := kgo.NewClient(kgo.SeedBrokers(w.Kafka))
	must(t, err)
	defer client.Close()

	for _, topic := range topics {
		c := cases[topic]
		t.Run(topic, func(t *testing.T) {
			defer func() {
				if said := w.Log()[began:]; !saidOf(said, topic, c.says) {
					t.Errorf("no line of the log has %q for %s:\n%s", c.says, topic, said)
				}
			}()
			if c.refuses {
				offsets, err := readNumbered(t, w, topic, -1)
				if len(offsets) != c.read || !errors.Is(err, kerr.InvalidRecord) {
					t.Errorf("read %d, %v; want %d and %v", offsets, err, c.read, kerr.InvalidRecord)
				}
				if _, err := appendNumbered(t, client, topic, c.read); !errors.Is(err, kerr.KafkaStorageError) {
					t.Errorf("a write: %v, want %v", err, kerr.KafkaStorageError)
				}
				return
			}
			// What was written before is known again, what is new goes behind it.
			if offset, err := appendNumbered(t, client, topic, c.read-1); err != nil || offset != int64(c.read-1) {
				t.Errorf("batch %d sent again: offset %d, %v", c.read-1, offset, err)
			}
			if offset, err := appendNumbered(t, client, topic, c.read); err != nil || offset != c.next {
				t.Errorf("a new batch: offset %d, %v; want %d", offset, err, c.next)
			}
			offsets, err := readNumbered(t, w, topic, c.next)
			if err != nil || len(offsets) != c.read+1 {
				t.Errorf("read %d, %v; want %d and the new one", offsets, err, c.read)
			}
			at, err := kadm.NewClient(client).ListOffsetsAfterMilli(deadline(t), damageTime+6, topic)
			must(t, err)
			if o, _ := at.Lookup(topic, 0); o.Offset != 6 {
				t.Errorf("offset %d by time, want 6", o.Offset)
			}
			if _, err := os.Stat(filepath.Join(w.Data(), topic+"-0", c.file)); c.rebuilt && err != nil {
				t.Error(err)
			}
		})
	}
	if n := metric(t, w, "sluice_log_failed_partitions"); n != 3 {
		t.Errorf("%v partitions count as failed, want 3", n)
	}
}

// The topics in which the hub and the registry keep what they know are files like any other. A hub starts although the
// ends of all of them are gone, and its connectors go on.
func TestDamagedInternalTopics(t *testing.T) {
	t.Parallel()
	w := startWorker(t, worker.Options{})
	ctx, dir := deadline(t), t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	must(t, os.WriteFile(in, []byte("one\ntwo\n"), 0o600))
	text := map[string]string{"value.converter": "org.apache.kafka.connect.storage.StringConverter"}
	config := func(class, topicKey, path string) map[string]string {
		c := maps.Clone(text)
		c["connector.class"], c[topicKey], c["file"] = class, "lines", path
		return c
	}
	must(t, w.Put(ctx, "source", config("FileStreamSource", "topic", in)))
	must(t, w.Put(ctx, "sink", config("FileStreamSink", "topics", out)))
	status, body, err := worker.Do(ctx, http.MethodPost, w.Registry+"/subjects/s/versions", `{"schema":"\"string\""}`)
	if err != nil || status != http.StatusOK {
		t.Fatalf("register: %d %s %v", status, body, err)
	}
	must(t, w.Wait(ctx, "the lines", func() error { return holdsLines(out, 2) }))
	must(t, w.Stop())
	logs, err := filepath.Glob(filepath.Join(w.Data(), "*", "*"+segment.LogSuffix))
	must(t, err)
	cutTopics := map[string]bool{}
	for _, path := range logs {
		partition := filepath.Base(filepath.Dir(path))
		if partition == "connect-configs-0" { // its end is the sink's configuration: without it there is none
			continue
		}
		if info, err := os.Stat(path); err == nil && info.Size() > 10 {
			must(t, os.Truncate(path, info.Size()-10))
			cutTopics[partition[:strings.LastIndexByte(partition, '-')]] = true
		}
	}
	for _, topic := range []string{"_schemas", "connect-offsets", "connect-status", "__consumer_offsets", "lines"} {
		if !cutTopics[topic] {
			t.Errorf("%s was not damaged; damaged are %v", topic, cutTopics)
		}
	}
	must(t, w.Start(ctx))
	status, body, err = worker.Do(ctx, http.MethodPost, w.Registry+"/subjects/s/versions", `{"schema":"\"string\""}`)
	if err != nil || status != http.StatusOK {
		t.Errorf("register again: %d %s %v", status, body, err)
	}
	must(t, os.WriteFile(in, []byte("one\ntwo\nthree\n"), 0o600))
	must(t, w.Wait(ctx, "the new line", func() error { return holdsLines(out, 3) }))
}

// saidOf tells whether one line of a log names a topic's partition and has all words.
func saidOf(log, topic string, words []string) bool {
	for line := range strings.Lines(log) {
		has := func(word string) bool { return strings.Contains(line, word) }
		if (has(`"`+topic+`-0"`) || has("/"+topic+"-0/")) && !slices.ContainsFunc(words, func(w string) bool { return !has(w) }) {
			return true
		}
	}
	return len(words) == 0
}

// damage edits a file, or removes it.
func damage(t *testing.T, path string, edit func([]byte) []byte) {
	t.Helper()
	if edit == nil {
		must(t, os.Remove(path))
		return
	}
	b, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, edit(b), 0o600))
}

// A sink that comes to damage does not stand still in silence: its task fails and names the partition. Others go on.
func TestSinkOfADamagedPartition(t *testing.T) {
	t.Parallel()
	w := startWorker(t, worker.Options{})
	damageable(t, w, "broken", "whole")
	must(t, w.Stop())
	damage(t, filepath.Join(w.Data(), "broken-0", segment.FileName(4, ".log")), func(b []byte) []byte { b[damageBatch+100] ^= 0x40; return b })
	must(t, w.Start(deadline(t)))
	ctx, dir := deadline(t), t.TempDir()
	for _, topic := range []string{"broken", "whole"} {
		must(t, w.Put(ctx, topic, map[string]string{"connector.class": "FileStreamSink", "file": filepath.Join(dir, topic), "topics": topic,
			"value.converter": "org.apache.kafka.connect.storage.StringConverter"}))
	}
	must(t, w.Wait(ctx, "the records of the whole one", func() error { return holdsLines(filepath.Join(dir, "whole"), damageRecords) }))
	troubled(t, w, "broken", "broken", "partition 0", "INVALID_RECORD")
	must(t, w.Running(ctx, "whole"))
}

// holdsLines checks how many different lines a file has: a sink that was started again repeats some.
func holdsLines(path string, n int) error {
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	lines := slices.Compact(slices.Sorted(strings.Lines(string(b))))
	if len(lines) != n {
		return fmt.Errorf("%d lines, want %d", len(lines), n)
	}
	return nil
}
