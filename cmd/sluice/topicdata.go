package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// recordRow is a record as `sluice topic tail` prints it. A null key or value is null.
type recordRow struct {
	Partition int32             `json:"partition"`
	Offset    int64             `json:"offset"`
	Timestamp time.Time         `json:"timestamp"`
	Key       *string           `json:"key"`
	Value     *string           `json:"value"`
	Headers   map[string]string `json:"headers,omitempty"`
}

func rowOf(r *kgo.Record) recordRow {
	text := func(b []byte) *string {
		if b == nil {
			return nil
		}
		s := string(b)
		return &s
	}
	row := recordRow{Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UTC(), Key: text(r.Key), Value: text(r.Value)}
	for _, h := range r.Headers {
		if row.Headers == nil {
			row.Headers = make(map[string]string)
		}
		row.Headers[h.Key] = string(h.Value)
	}
	return row
}

func (c *cluster) topicTail() *cobra.Command {
	last, follow := int64(10), false
	cmd := &cobra.Command{Use: "tail TOPIC", Short: "Print the last records of a topic, and those to come",
		Long: "Print the last records of each partition, one line each: partition, offset, time, key, value. With -o json a line is a JSON object. " +
			"Keys and values are printed as text.",
		Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			return c.tail(cmd.Context(), cmd.OutOrStdout(), args[0], last, follow)
		}}
	cmd.Flags().Int64VarP(&last, "lines", "n", last, "how many records of each partition; -1 for all")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what comes")
	return cmd
}

func (c *cluster) tail(ctx context.Context, out io.Writer, topic string, last int64, follow bool) error {
	cl, err := c.client(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	parts, _, err := partitionsOf(ctx, kadm.NewClient(cl), topic)
	if err != nil {
		return err
	}
	from, ends := make(map[int32]kgo.Offset), make(map[int32]int64)
	for _, p := range parts[topic] {
		start := p.Start
		if last >= 0 {
			start = max(start, p.End-last)
		}
		if follow || start < p.End {
			from[p.Partition], ends[p.Partition] = kgo.NewOffset().At(start), p.End
		}
	}
	cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: from})
	w := bufio.NewWriter(out)
	for follow || len(ends) > 0 {
		fetches, err := c.poll(ctx, cl, follow)
		if err != nil || fetches.Empty() && !follow {
			return errors.Join(w.Flush(), err)
		}
		var failed error
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			for _, r := range p.Records {
				if end, ok := ends[r.Partition]; !follow && (!ok || r.Offset >= end) {
					continue // came meanwhile
				}
				failed = errors.Join(failed, c.printRecord(w, rowOf(r)))
			}
			if n := len(p.Records); n > 0 && p.Records[n-1].Offset+1 >= ends[p.Partition] {
				delete(ends, p.Partition)
			}
		})
		if err := errors.Join(failed, w.Flush()); err != nil {
			return err
		}
	}
	return nil
}

// quiet is how long a tail that does not follow waits for a record that should be there. It may not be: compaction may
// have taken the last ones, and the client does not tell how far it has read.
const quiet = 2 * time.Second

// poll waits for records. Without following, nothing is an answer too.
func (c *cluster) poll(ctx context.Context, cl *kgo.Client, follow bool) (kgo.Fetches, error) {
	polling := ctx
	if !follow {
		var cancel context.CancelFunc
		polling, cancel = context.WithTimeout(ctx, quiet)
		defer cancel()
	}
	fetches := cl.PollFetches(polling)
	if err := fetches.Err(); err != nil && polling.Err() == nil {
		return nil, err
	}
	return fetches, ctx.Err()
}

func (c *cluster) printRecord(w *bufio.Writer, r recordRow) error {
	if c.output == "json" {
		return printLine(w, r)
	}
	text := func(s *string) string {
		if s == nil {
			return "null"
		}
		return *s
	}
	_, err := fmt.Fprintf(w, "%d\t%d\t%s\t%s\t%s\n", r.Partition, r.Offset, r.Timestamp.Format(time.RFC3339Nano), text(r.Key), text(r.Value))
	return err
}

func (c *cluster) topicProduce() *cobra.Command {
	separator, partition := "", int32(-1)
	cmd := &cobra.Command{Use: "produce TOPIC", Short: "Append the lines of the standard input to a topic",
		Long: "Append each line of the standard input as a record. With --key-separator a line is key, separator and value. The number of records is printed when all are durable.",
		Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			opts := []kgo.Opt{kgo.DefaultProduceTopic(args[0]), kgo.AllowAutoTopicCreation()}
			if partition >= 0 {
				opts = append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))
			}
			cl, err := c.client(cmd.Context(), opts...)
			if err != nil {
				return err
			}
			defer cl.Close()
			n, err := produceLines(cmd.Context(), cl, cmd.InOrStdin(), separator, max(partition, 0))
			fmt.Fprintf(cmd.OutOrStdout(), "%d records\n", n)
			return err
		}}
	cmd.Flags().StringVar(&separator, "key-separator", "", "what is between key and value; without it there are no keys")
	cmd.Flags().Int32Var(&partition, "partition", -1, "the partition to append to; by the key otherwise")
	return cmd
}

// maxLine bounds a line of the input, and so a record.
const maxLine = 64 << 20

// produceLines returns how many lines were appended.
func produceLines(ctx context.Context, cl *kgo.Client, in io.Reader, separator string, partition int32) (int, error) {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	sent, failed := 0, make(chan error, 1)
	done := 0
	for lines.Scan() {
		r := &kgo.Record{Value: []byte(lines.Text()), Partition: partition}
		if separator != "" {
			key, value, ok := strings.Cut(lines.Text(), separator)
			if !ok {
				return done, fmt.Errorf("line %d has no %q", sent+1, separator)
			}
			r.Key, r.Value = []byte(key), []byte(value)
		}
		sent++
		cl.Produce(ctx, r, func(_ *kgo.Record, err error) { // called one after another
			if err == nil {
				done++
				return
			}
			select {
			case failed <- err:
			default:
			}
		})
	}
	err := errors.Join(lines.Err(), cl.Flush(ctx))
	select {
	case more := <-failed:
		err = errors.Join(err, more)
	default:
	}
	return done, err
}
