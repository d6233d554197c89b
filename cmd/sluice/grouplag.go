package main

import (
	"cmp"
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
)

// groupLag is a group of either protocol, with where it is in each partition.
type groupLag struct {
	name, state, protocol string
	members               int
	parts                 []lagRow
	err                   error // why nothing is known of it
}

// total is the lag in records where it is known.
func (g *groupLag) total() (n int64) {
	for _, p := range g.parts {
		n += max(0, p.Lag)
	}
	return n
}

// groupLags describes groups, by name. Those of the consumer protocol are asked for as such; a broker that does not know
// it has none.
func groupLags(ctx context.Context, admin *kadm.Client, names []string) ([]groupLag, error) {
	var all []groupLag
	consumers, _ := admin.DescribeConsumerGroups(ctx, names...) // what is no such group is asked for again below
	for _, g := range consumers {
		if g.Err != nil {
			continue
		}
		lag, err := consumerLag(ctx, admin, &g)
		lag.err = err
		all = append(all, lag)
		names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == g.Group })
	}
	if len(names) > 0 {
		lags, err := admin.Lag(ctx, names...)
		if err != nil {
			return nil, err
		}
		for _, g := range lags.Sorted() {
			all = append(all, classicLag(&g))
		}
	}
	slices.SortFunc(all, func(a, b groupLag) int { return cmp.Compare(a.name, b.name) })
	return all, nil
}

func classicLag(g *kadm.DescribedGroupLag) groupLag {
	lag := groupLag{name: g.Group, state: g.State, protocol: g.ProtocolType, members: len(g.Members), err: g.Error()}
	for _, p := range g.Lag.Sorted() {
		row := lagRow{Topic: p.Topic, Partition: p.Partition, Committed: p.Commit.At, End: p.End.Offset, Lag: p.Lag}
		if p.Member != nil {
			row.Member, row.Host = p.Member.MemberID, p.Member.ClientHost
		}
		lag.parts = append(lag.parts, row)
	}
	return lag
}

// consumerLag is of a group of the consumer protocol: where it has committed something, or a member has the partition.
func consumerLag(ctx context.Context, admin *kadm.Client, g *kadm.DescribedConsumerGroup) (groupLag, error) {
	lag := groupLag{name: g.Group, state: g.State, protocol: "consumer", members: len(g.Members)}
	committed, err := admin.FetchOffsets(ctx, g.Group)
	if err != nil {
		return lag, err
	}
	places := committed.Offsets().TopicsSet()
	places.Merge(g.AssignedPartitions())
	if len(places) == 0 {
		return lag, nil
	}
	starts, err := admin.ListStartOffsets(ctx, places.Topics()...)
	if err != nil {
		return lag, err
	}
	ends, err := admin.ListEndOffsets(ctx, places.Topics()...)
	if err != nil {
		return lag, err
	}
	for _, t := range places.Sorted() {
		for _, n := range t.Partitions {
			row := lagRow{Topic: t.Topic, Partition: n, Committed: -1, End: -1, Lag: -1}
			if o, ok := committed.Lookup(t.Topic, n); ok {
				row.Committed = o.At
			}
			start, _ := starts.Lookup(t.Topic, n)
			if end, ok := ends.Lookup(t.Topic, n); ok && end.Err == nil {
				row.End = end.Offset
				row.Lag = max(0, end.Offset-max(row.Committed, start.Offset))
			}
			for _, m := range g.Members {
				if _, ok := m.Assignment[t.Topic][n]; ok {
					row.Member, row.Host = m.MemberID, m.ClientHost
				}
			}
			lag.parts = append(lag.parts, row)
		}
	}
	return lag, nil
}
