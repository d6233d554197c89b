package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/sluicehub/sluice/log"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// topicCommand is `sluice topic`.
func topicCommand() *cobra.Command {
	c := &cluster{}
	cmd := &cobra.Command{Use: "topic", Short: "Look at topics, make, change and delete them, read and write their records"}
	c.flags(cmd)
	cmd.AddCommand(c.topicList(), c.topicDescribe(), c.topicCreate(), c.topicAlter(), c.topicDelete(), c.topicTail(), c.topicProduce())
	return cmd
}

// topicRow is a topic in a list. Records counts offsets: what compaction removed is counted too.
type topicRow struct {
	Name       string `json:"name"`
	Partitions int    `json:"partitions"`
	Records    int64  `json:"records"`
	Bytes      int64  `json:"bytes"`
	ID         string `json:"id"`
}

func (c *cluster) topicList() *cobra.Command {
	internal := false
	cmd := &cobra.Command{Use: "list", Short: "List the topics", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return c.ask(cmd, func(ctx context.Context, admin *kadm.Client) error {
			parts, topics, err := partitionsOf(ctx, admin)
			if err != nil {
				return err
			}
			var rows []topicRow
			for _, t := range topics.Sorted() {
				if t.IsInternal && !internal {
					continue
				}
				row := topicRow{Name: t.Topic, Partitions: len(t.Partitions), ID: log.TopicID(t.ID).String()}
				for _, p := range parts[t.Topic] {
					row.Records += p.End - p.Start
					row.Bytes += p.Bytes
				}
				rows = append(rows, row)
			}
			return show(cmd.OutOrStdout(), c.output, "TOPIC PARTITIONS RECORDS SIZE", rows, func(r topicRow) []any {
				return []any{r.Name, r.Partitions, r.Records, size(r.Bytes)}
			})
		})
	}}
	cmd.Flags().BoolVar(&internal, "internal", false, "also the broker's own topics")
	return cmd
}

// partitionRow is a partition of a topic.
type partitionRow struct {
	Partition int32 `json:"partition"`
	Leader    int32 `json:"leader"`
	Start     int64 `json:"start"`
	End       int64 `json:"end"`
	Bytes     int64 `json:"bytes"`
}

// partitionsOf are the partitions of the topics named, or of all.
func partitionsOf(ctx context.Context, admin *kadm.Client, names ...string) (map[string][]partitionRow, kadm.TopicDetails, error) {
	topics, err := admin.ListTopicsWithInternal(ctx, names...)
	if err == nil {
		err = topics.Error()
	}
	if err != nil {
		return nil, nil, err
	}
	starts, serr := admin.ListStartOffsets(ctx, topics.Names()...)
	ends, eerr := admin.ListEndOffsets(ctx, topics.Names()...)
	dirs, derr := admin.DescribeAllLogDirs(ctx, topics.TopicsSet())
	if err := errors.Join(serr, eerr, derr); err != nil {
		return nil, nil, err
	}
	all := make(map[string][]partitionRow)
	for _, t := range topics.Sorted() {
		for _, p := range t.Partitions.Sorted() {
			start, _ := starts.Lookup(t.Topic, p.Partition)
			end, _ := ends.Lookup(t.Topic, p.Partition)
			if err := errors.Join(start.Err, end.Err); err != nil {
				return nil, nil, fmt.Errorf("offsets of %s-%d: %w", t.Topic, p.Partition, err)
			}
			row := partitionRow{Partition: p.Partition, Leader: p.Leader, Start: start.Offset, End: end.Offset}
			if d, ok := dirs[p.Leader].LookupPartition(t.Topic, p.Partition); ok {
				row.Bytes = d.Size
			}
			all[t.Topic] = append(all[t.Topic], row)
		}
	}
	return all, topics, nil
}

// topicDetails is a topic described.
type topicDetails struct {
	Name       string            `json:"name"`
	ID         string            `json:"id"`
	Configs    map[string]string `json:"configs"` // that differ from the defaults
	Partitions []partitionRow    `json:"partitions"`
}

func (c *cluster) topicDescribe() *cobra.Command {
	return &cobra.Command{Use: "describe TOPIC", Short: "Show a topic's partitions, and its configs that are not the defaults", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		return c.ask(cmd, func(ctx context.Context, admin *kadm.Client) error {
			parts, topics, err := partitionsOf(ctx, admin, args[0])
			if err != nil {
				return err
			}
			d := topicDetails{Name: args[0], ID: log.TopicID(topics[args[0]].ID).String(), Configs: map[string]string{}, Partitions: parts[args[0]]}
			described, err := admin.DescribeTopicConfigs(ctx, args[0])
			if err != nil {
				return err
			}
			for _, r := range described {
				if err := refused("configs of "+r.Name, r.Err, r.ErrMessage); err != nil {
					return err
				}
				for _, one := range r.Configs {
					if one.Source.String() != "DEFAULT_CONFIG" {
						d.Configs[one.Key] = one.MaybeValue()
					}
				}
			}
			return d.show(cmd, c.output)
		})
	}}
}

func (d *topicDetails) show(cmd *cobra.Command, output string) error {
	if output == "json" {
		return printJSON(cmd.OutOrStdout(), d)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s, id %s\n", d.Name, d.ID)
	for _, name := range slices.Sorted(maps.Keys(d.Configs)) {
		fmt.Fprintf(cmd.OutOrStdout(), "  %s=%s\n", name, d.Configs[name])
	}
	return show(cmd.OutOrStdout(), output, "PARTITION LEADER START END SIZE", d.Partitions, func(p partitionRow) []any {
		return []any{p.Partition, p.Leader, p.Start, p.End, size(p.Bytes)}
	})
}

func (c *cluster) topicCreate() *cobra.Command {
	partitions, set := int32(0), []string(nil)
	cmd := &cobra.Command{Use: "create TOPIC…", Short: "Make topics", Args: cobra.MinimumNArgs(1), RunE: func(cmd *cobra.Command, names []string) error {
		values, err := pairs("config", set)
		if err != nil {
			return err
		}
		return c.ask(cmd, func(ctx context.Context, admin *kadm.Client) error {
			made, err := admin.CreateTopics(ctx, cmp.Or(partitions, -1), -1, values, names...)
			if err != nil {
				return err
			}
			var errs []error
			for _, r := range made.Sorted() {
				errs = append(errs, refused("create "+r.Topic, r.Err, r.ErrMessage))
			}
			return errors.Join(errs...)
		})
	}}
	cmd.Flags().Int32Var(&partitions, "partitions", 0, "number of partitions (the broker's num.partitions)")
	cmd.Flags().StringArrayVar(&set, "config", nil, "a topic config, name=value; may be repeated")
	return cmd
}

func (c *cluster) topicAlter() *cobra.Command {
	partitions, set, remove := 0, []string(nil), []string(nil)
	cmd := &cobra.Command{Use: "alter TOPIC…", Short: "Change configs of topics, or add partitions", Args: cobra.MinimumNArgs(1), RunE: func(cmd *cobra.Command, names []string) error {
		values, err := pairs("config", set)
		if err != nil {
			return err
		}
		var changes []kadm.AlterConfig
		for _, name := range slices.Sorted(maps.Keys(values)) {
			changes = append(changes, kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: values[name]})
		}
		for _, name := range remove {
			changes = append(changes, kadm.AlterConfig{Op: kadm.DeleteConfig, Name: name})
		}
		if len(changes) == 0 && partitions == 0 {
			return errors.New("nothing to change: give --config, --delete-config or --partitions")
		}
		return c.ask(cmd, func(ctx context.Context, admin *kadm.Client) error {
			return alterTopics(ctx, admin, changes, partitions, names)
		})
	}}
	cmd.Flags().IntVar(&partitions, "partitions", 0, "the number of partitions to have")
	cmd.Flags().StringArrayVar(&set, "config", nil, "a topic config, name=value; may be repeated")
	cmd.Flags().StringArrayVar(&remove, "delete-config", nil, "a topic config that goes back to its default; may be repeated")
	return cmd
}

func alterTopics(ctx context.Context, admin *kadm.Client, changes []kadm.AlterConfig, partitions int, names []string) error {
	var errs []error
	if len(changes) > 0 {
		altered, err := admin.AlterTopicConfigs(ctx, changes, names...)
		errs = append(errs, err)
		for _, r := range altered {
			errs = append(errs, refused("alter "+r.Name, r.Err, r.ErrMessage))
		}
	}
	if partitions > 0 {
		grown, err := admin.UpdatePartitions(ctx, partitions, names...)
		errs = append(errs, err)
		for _, r := range grown.Sorted() {
			errs = append(errs, refused("partitions of "+r.Topic, r.Err, r.ErrMessage))
		}
	}
	return errors.Join(errs...)
}

func (c *cluster) topicDelete() *cobra.Command {
	return &cobra.Command{Use: "delete TOPIC…", Short: "Delete topics with all their records", Args: cobra.MinimumNArgs(1), RunE: func(cmd *cobra.Command, names []string) error {
		return c.ask(cmd, func(ctx context.Context, admin *kadm.Client) error {
			gone, err := admin.DeleteTopics(ctx, names...)
			errs := []error{err}
			for _, r := range gone.Sorted() {
				errs = append(errs, refused("delete "+r.Topic, r.Err, r.ErrMessage))
			}
			return errors.Join(errs...)
		})
	}}
}
