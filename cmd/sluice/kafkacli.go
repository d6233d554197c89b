package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/hub"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// cluster is how the verbs about topics and groups reach a log, ours or any Kafka.
type cluster struct {
	bootstrap []string
	config    string // a file with a Kafka client's properties
	timeout   time.Duration
	output    string // "table" or "json"
}

func (c *cluster) flags(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	f.StringSliceVarP(&c.bootstrap, "bootstrap-server", "b", []string{"127.0.0.1:9092"}, "where the log is, host:port")
	f.StringVar(&c.config, "command-config", "", "a .properties file with the settings of a Kafka client (security.protocol, sasl.*, ssl.*)")
	f.DurationVar(&c.timeout, "timeout", 15*time.Second, "how long to wait for an answer")
	outputFlag(cmd, &c.output)
}

func outputFlag(cmd *cobra.Command, to *string) {
	cmd.PersistentFlags().StringVarP(to, "output", "o", "table", "table or json")
}

// client connects, with more options.
func (c *cluster) client(ctx context.Context, more ...kgo.Opt) (*kgo.Client, error) {
	if c.output != "table" && c.output != "json" {
		return nil, fmt.Errorf("--output %s: want table or json", c.output)
	}
	worker := map[string]string{}
	if c.config != "" {
		file, problems := configs.Load(c.config)
		if err := configs.Err(problems); err != nil {
			return nil, err
		}
		worker = file.Config
	}
	worker["bootstrap.servers"] = strings.Join(c.bootstrap, ",")
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	opts, err := hub.Reach(ctx, worker, []kgo.Opt{kgo.SeedBrokers(c.bootstrap...)})
	if err != nil {
		return nil, err
	}
	return kgo.NewClient(append(opts, more...)...)
}

// ask runs what needs an administrator's client, within the timeout.
func (c *cluster) ask(cmd *cobra.Command, do func(ctx context.Context, admin *kadm.Client) error) error {
	cl, err := c.client(cmd.Context())
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(cmd.Context(), c.timeout)
	defer cancel()
	return do(ctx, kadm.NewClient(cl))
}

// show prints rows: as JSON, or as a table with a head. A cell's text is what fmt prints.
func show[R any](w io.Writer, output string, head string, rows []R, cells func(R) []any) error {
	if output == "json" {
		if rows == nil {
			rows = []R{}
		}
		return printJSON(w, rows)
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, strings.Join(strings.Fields(head), "\t"))
	for _, r := range rows {
		var texts []string
		for _, c := range cells(r) {
			texts = append(texts, fmt.Sprint(c))
		}
		fmt.Fprintln(t, strings.Join(texts, "\t"))
	}
	return t.Flush()
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// size prints bytes for people.
type size int64

func (s size) String() string {
	const units = "KMGTPE"
	if s < 1024 {
		return fmt.Sprintf("%d B", int64(s))
	}
	f, i := float64(s)/1024, 0
	for f >= 1024 {
		f, i = f/1024, i+1
	}
	return fmt.Sprintf("%.1f %ciB", f, units[i])
}

// refused is an error of the broker with its own words, if it had some.
func refused(what string, err error, message string) error {
	switch {
	case err == nil:
		return nil
	case message == "":
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%s: %w", what, errors.New(message))
}

// pairs reads name=value arguments.
func pairs(flag string, args []string) (map[string]*string, error) {
	all := make(map[string]*string)
	for _, a := range args {
		name, value, ok := strings.Cut(a, "=")
		if !ok {
			return nil, fmt.Errorf("--%s %s: want name=value", flag, a)
		}
		all[strings.TrimSpace(name)] = &value
	}
	return all, nil
}
