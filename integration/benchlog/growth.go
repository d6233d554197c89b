package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/integration/worker"
)

// batches have the same size whatever the number of partitions, or what is measured is the size of batches: a client fills
// a megabyte for one partition and 64 KiB before it goes on to another.
var batches = []kgo.Opt{kgo.ProducerBatchMaxBytes(64 << 10), kgo.MaxBufferedRecords(20_000)}

// grow measures what a record costs with more and more partitions.
func (b *bench) grow() error {
	for n := 1; n <= b.most; n *= 10 {
		b.say(fmt.Sprint(growth, " ", n))
		topic := fmt.Sprint("grow-", n)
		if err := b.topic(topic, int32(n)); err != nil {
			return err
		}
		if _, err := b.produce(topic, 1000, n, kgo.RecordPartitioner(kgo.RoundRobinPartitioner())); err != nil { // the first of each costs more
			return err
		}
		c, err := b.produce(topic, 1000, max(b.large/2, 50*n), batches...)
		if err != nil {
			return err
		}
		b.append(growth, fmt.Sprintf("%d: %.2f", n, c.each()))
	}
	return nil
}

// append adds to a list in the table.
func (b *bench) append(row, what string) {
	if b.results[row] != "" {
		what = b.results[row] + ", " + what
	}
	b.results[row] = what
}

// growSparse measures how long a hub with more and more data takes to start, and what it costs to write to the end of a
// partition that has them, and to read there.
func (b *bench) growSparse(binary, dir string) error {
	for gb := 1; gb <= b.sparse; gb *= 10 {
		b.say(fmt.Sprint(growthBytes, " ", gb))
		if err := b.sparseHub(binary, filepath.Join(dir, fmt.Sprint("sparse-", gb)), gb); err != nil {
			return fmt.Errorf("%d GB: %w", gb, err)
		}
	}
	return nil
}

func (b *bench) sparseHub(binary, dir string, gb int) (err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	w, err := worker.New(worker.Options{Binary: binary, Dir: dir, Settings: largeSegments()})
	if err != nil {
		return err
	}
	defer func() {
		if cerr := w.Close(); err == nil {
			err = cerr
		}
	}()
	if err := makeSparse(w.Data(), gb); err != nil {
		return err
	}
	took, err := b.start(w)
	if err != nil {
		return err
	}
	one := &bench{sizes: b.sizes, ctx: b.ctx, server: server{"sluice", w.Kafka, w.PID()}, results: b.results, client: clientOf(w.Kafka)}
	end, err := one.end(sparseTopic)
	if err != nil {
		return err
	}
	if _, err := one.produce(sparseTopic, 1000, b.large/20); err != nil {
		return err
	}
	produced, err := one.produce(sparseTopic, 1000, b.large)
	if err != nil {
		return err
	}
	consumed, err := one.consume(sparseTopic, b.large, kgo.ConsumeResetOffset(kgo.NewOffset().At(end)))
	if err != nil {
		return err
	}
	b.append(growthBytes, fmt.Sprintf("%d GB: %.2f, %.2f", gb, produced.each(), consumed.each()))
	b.append(sparseStart, fmt.Sprintf("%d GB: %.2f s", gb, took.Seconds()))
	return nil
}

// end is the offset after a topic's last record; it has one partition.
func (b *bench) end(topic string) (int64, error) {
	client, err := kgo.NewClient(b.client...)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(b.ctx, topic)
	if err != nil {
		return 0, err
	}
	end, ok := ends.Lookup(topic, 0)
	if !ok {
		return 0, fmt.Errorf("topic %s has no end", topic)
	}
	return end.Offset, end.Err
}
