package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// groupCommand is `sluice group`.
func groupCommand() *cobra.Command {
	c := &cluster{}
	cmd := &cobra.Command{Use: "group", Short: "Look at consumer groups and their lag, move their offsets, delete them"}
	c.flags(cmd)
	cmd.AddCommand(c.groupList(), c.groupDescribe(), c.groupReset(), c.groupDelete())
	return cmd
}

type groupRow struct {
	Name     string `json:"name"`
	State    string `json:"state"`
	Protocol string `json:"protocol"`
	Members  int    `json:"members"`
	Lag      int64  `json:"lag"`
}

func (c *cluster) groupList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the groups with their lag in records", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return c.ask(cmd, func(ctx context.Context, admin *kadm.Client) error {
			groups, err := admin.ListGroups(ctx)
			if err != nil {
				return err
			}
			var rows []groupRow
			if names := groups.Groups(); len(names) > 0 {
				lags, err := groupLags(ctx, admin, names)
				if err != nil {
					return err
				}
				for _, g := range lags {
					rows = append(rows, groupRow{g.name, g.state, g.protocol, g.members, g.total()})
				}
			}
			return show(cmd.OutOrStdout(), c.output, "GROUP STATE PROTOCOL MEMBERS LAG", rows, func(r groupRow) []any {
				return []any{r.Name, r.State, r.Protocol, r.Members, r.Lag}
			})
		})
	}}
}

type lagRow struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Committed int64  `json:"committed"` // -1: nothing
	End       int64  `json:"end"`
	Lag       int64  `json:"lag"` // -1: not known
	Member    string `json:"member,omitempty"`
	Host      string `json:"host,omitempty"`
}

func (c *cluster) groupDescribe() *cobra.Command {
	return &cobra.Command{Use: "describe GROUP", Short: "Show where a group is in each partition", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		return c.ask(cmd, func(ctx context.Context, admin *kadm.Client) error {
			lags, err := groupLags(ctx, admin, args)
			if err != nil {
				return err
			}
			if lags[0].err != nil {
				return lags[0].err
			}
			if lags[0].state == "Dead" {
				return fmt.Errorf("there is no group %s", args[0])
			}
			rows := lags[0].parts
			return show(cmd.OutOrStdout(), c.output, "TOPIC PARTITION COMMITTED END LAG MEMBER HOST", rows, func(r lagRow) []any {
				return []any{r.Topic, r.Partition, r.Committed, r.End, r.Lag, r.Member, r.Host}
			})
		})
	}}
}

func (c *cluster) groupReset() *cobra.Command {
	topics, to, dry := []string(nil), "", false
	cmd := &cobra.Command{Use: "reset GROUP", Short: "Move the offsets of a group that has no members",
		Long: "Move a group's committed offsets. --to is earliest, latest, an offset, or a time (2006-01-02T15:04:05Z, or -1h for an hour ago): " +
			"the first record from then on. Without --topic all topics are moved that the group has offsets of.",
		Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			return c.ask(cmd, func(ctx context.Context, admin *kadm.Client) error {
				rows, err := resetGroup(ctx, admin, args[0], topics, to, dry)
				if err != nil {
					return err
				}
				return show(cmd.OutOrStdout(), c.output, "TOPIC PARTITION OFFSET", rows, func(r movedRow) []any {
					return []any{r.Topic, r.Partition, r.Offset}
				})
			})
		}}
	cmd.Flags().StringSliceVar(&topics, "topic", nil, "topics to move; may be repeated")
	cmd.Flags().StringVar(&to, "to", "", "earliest, latest, an offset or a time")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only print where the group would be")
	if err := cmd.MarkFlagRequired("to"); err != nil {
		panic(err) // the flag is defined two lines above
	}
	return cmd
}

// movedRow is where a group is moved to.
type movedRow struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

// resetGroup returns the new offsets.
func resetGroup(ctx context.Context, admin *kadm.Client, group string, topics []string, to string, dry bool) ([]movedRow, error) {
	if len(topics) == 0 {
		have, err := admin.FetchOffsets(ctx, group)
		if err != nil {
			return nil, err
		}
		if topics = have.Offsets().TopicsSet().Topics(); len(topics) == 0 {
			return nil, fmt.Errorf("group %s has no offsets: name topics with --topic", group)
		}
	}
	listed, err := resetTarget(ctx, admin, to, topics)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, err
	}
	var rows []movedRow
	for _, o := range listed.Offsets().Sorted() {
		rows = append(rows, movedRow{o.Topic, o.Partition, o.At})
	}
	if dry {
		return rows, nil
	}
	if err := admin.CommitAllOffsets(ctx, group, listed.Offsets()); err != nil {
		return nil, fmt.Errorf("move the offsets of group %s, which must have no members: %w", group, err)
	}
	return rows, nil
}

// resetTarget finds the offsets that --to means.
func resetTarget(ctx context.Context, admin *kadm.Client, to string, topics []string) (kadm.ListedOffsets, error) {
	starts, serr := admin.ListStartOffsets(ctx, topics...)
	ends, eerr := admin.ListEndOffsets(ctx, topics...)
	if err := errors.Join(serr, eerr); err != nil {
		return nil, err
	}
	if at, err := strconv.ParseInt(to, 10, 64); err == nil && at >= 0 {
		for topic, parts := range ends {
			for n, p := range parts {
				start, _ := starts.Lookup(topic, n)
				p.Offset = min(max(at, start.Offset), p.Offset)
				parts[n] = p
			}
		}
		return ends, nil
	}
	switch to {
	case "earliest":
		return starts, nil
	case "latest":
		return ends, nil
	}
	at, err := parseMoment(to)
	if err != nil {
		return nil, err
	}
	return admin.ListOffsetsAfterMilli(ctx, at.UnixMilli(), topics...)
}

// parseMoment reads a time, or how long ago it was.
func parseMoment(s string) (time.Time, error) {
	if ago, ok := strings.CutPrefix(s, "-"); ok {
		if d, err := time.ParseDuration(ago); err == nil {
			return time.Now().Add(-d), nil
		}
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", time.DateOnly} {
		if at, err := time.Parse(layout, s); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("--to %s: want earliest, latest, an offset, a time such as 2006-01-02T15:04:05Z, or -1h", s)
}

func (c *cluster) groupDelete() *cobra.Command {
	return &cobra.Command{Use: "delete GROUP…", Short: "Delete groups that have no members, with their offsets", Args: cobra.MinimumNArgs(1), RunE: func(cmd *cobra.Command, names []string) error {
		return c.ask(cmd, func(ctx context.Context, admin *kadm.Client) error {
			gone, err := admin.DeleteGroups(ctx, names...)
			errs := []error{err}
			for _, r := range gone.Sorted() {
				if r.Err != nil {
					errs = append(errs, fmt.Errorf("delete %s: %w", r.Group, r.Err))
				}
			}
			return errors.Join(errs...)
		})
	}}
}
