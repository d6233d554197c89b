package integration

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/integration/history"
)

func readerName(isolated bool) string { return fmt.Sprintf("reader, isolated %v", isolated) }

func isolation(isolated bool) kgo.Opt {
	if isolated {
		return kgo.FetchIsolationLevel(kgo.ReadCommitted())
	}
	return kgo.FetchIsolationLevel(kgo.ReadUncommitted())
}

// fromStart are all partitions, from their beginning.
func fromStart() kgo.Opt {
	at := map[int32]kgo.Offset{}
	for p := range int32(chroniclePartitions) {
		at[p] = kgo.NewOffset().At(0)
	}
	return kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{chronicleTopic: at})
}

// read reads all partitions from their beginning on, with one client, over all kills.
func (c *chronicle) read(ctx context.Context, isolated bool) error {
	cl, err := c.client(fromStart(), isolation(isolated))
	if err != nil {
		return err
	}
	defer cl.Close()
	for p := range int32(chroniclePartitions) {
		c.Add(history.Event{Kind: history.Resumed, Reader: readerName(isolated), Partition: p, Isolated: isolated})
	}
	for ctx.Err() == nil {
		if _, err := c.poll(ctx, cl, readerName(isolated), "", isolated); err != nil {
			return err
		}
	}
	return nil
}

// poll polls once, and returns where each partition goes on.
func (c *chronicle) poll(ctx context.Context, cl *kgo.Client, reader, member string, isolated bool) (next map[int32]*kgo.Record, err error) {
	fetches := cl.PollFetches(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	for _, e := range fetches.Errors() {
		var away *kgo.ErrGroupSession // from a group whose broker is away; the client goes on
		if !errors.As(e.Err, &away) {
			return nil, fmt.Errorf("poll of partition %d: %w", e.Partition, e.Err)
		}
	}
	next = map[int32]*kgo.Record{}
	for it := fetches.RecordIter(); !it.Done(); {
		r := it.Next()
		value, err := strconv.ParseInt(string(r.Value), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("offset %d of partition %d: %w", r.Offset, r.Partition, err)
		}
		c.Add(history.Event{Kind: history.Polled, Reader: reader, Member: member, Value: value, Partition: r.Partition, Offset: r.Offset, Isolated: isolated})
		next[r.Partition] = r
	}
	return next, nil
}

// member reads in the group and commits after each poll, until it has polled so many times; 0 for ever. It gives up its
// partitions before it joins again: this client's cooperative members keep them while they join under a new name, as
// the broker that was started again wants it, and then commit in that name what they had got in the old one.
func (c *chronicle) member(ctx context.Context, name string, polls int) error {
	cl, err := c.client(isolation(true), kgo.ConsumerGroup(chronicleGroup), kgo.ConsumeTopics(chronicleTopic), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(), kgo.Balancers(kgo.RangeBalancer()), kgo.SessionTimeout(2*time.Second), kgo.RebalanceTimeout(2*time.Second),
		kgo.HeartbeatInterval(200*time.Millisecond), kgo.FetchMaxWait(200*time.Millisecond),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, given map[string][]int32) {
			for _, p := range given[chronicleTopic] {
				c.Add(history.Event{Kind: history.Resuming, Reader: chronicleGroup, Member: name, Partition: p})
			}
		}),
		kgo.AdjustFetchOffsetsFn(func(_ context.Context, at map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
			for p, o := range at[chronicleTopic] {
				c.Add(history.Event{Kind: history.Resumed, Reader: chronicleGroup, Member: name, Partition: p, Offset: max(0, o.EpochOffset().Offset), Isolated: true})
			}
			return at, nil
		}))
	if err != nil {
		return err
	}
	defer cl.CloseAllowingRebalance()
	for n := 0; ctx.Err() == nil && (polls == 0 || n < polls); n++ {
		next, err := c.poll(ctx, cl, chronicleGroup, name, true)
		if err != nil {
			return err
		}
		c.commit(cl, name, next)
		cl.AllowRebalance()
	}
	return nil
}

// commit commits what was polled. A commit that fails may have been written.
func (c *chronicle) commit(cl *kgo.Client, member string, next map[int32]*kgo.Record) {
	record := func(kind history.Kind) {
		for p, r := range next {
			c.Add(history.Event{Kind: kind, Reader: chronicleGroup, Member: member, Partition: p, Offset: r.Offset + 1})
		}
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Second)
	defer cancel()
	record(history.Committing)
	if err := cl.CommitRecords(ctx, slices.Collect(maps.Values(next))...); err == nil {
		record(history.Committed)
	}
}

// readAll reads the log as a whole, when it no longer changes.
func (c *chronicle) readAll(isolated bool) {
	c.t.Helper()
	cl, err := c.client(fromStart(), isolation(isolated), kgo.KeepControlRecords())
	must(c.t, err)
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListEndOffsets(deadline(c.t), chronicleTopic)
	must(c.t, err)
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	for ctx := deadline(c.t); len(left) > 0; {
		fetches := cl.PollFetches(ctx)
		must(c.t, fetches.Err())
		for it := fetches.RecordIter(); !it.Done(); {
			r := it.Next()
			if !r.Attrs.IsControl() {
				value, err := strconv.ParseInt(string(r.Value), 10, 64)
				must(c.t, err)
				c.Add(history.Event{Kind: history.Final, Value: value, Partition: r.Partition, Offset: r.Offset, Isolated: isolated})
				if isolated {
					c.all[1]++
				} else {
					c.all[0]++
				}
			}
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		}
	}
}

// allRead says who has not got all that is there.
func (c *chronicle) allRead() error {
	for reader, want := range map[string]int{readerName(false): c.all[0], readerName(true): c.all[1], chronicleGroup: c.all[1]} {
		if got := c.Seen(reader); got != want {
			return fmt.Errorf("%s has %d of %d records", reader, got, want)
		}
	}
	return nil
}
