package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/elasticsearch"
	"github.com/sluicehub/sluice/connectors/filestream"
	"github.com/sluicehub/sluice/connectors/jdbc"
	"github.com/sluicehub/sluice/connectors/jdbcsource"
	"github.com/sluicehub/sluice/connectors/mock"
	"github.com/sluicehub/sluice/connectors/mysql"
	"github.com/sluicehub/sluice/connectors/postgres"
	"github.com/sluicehub/sluice/connectors/s3"
	"github.com/sluicehub/sluice/plugins"
	"github.com/spf13/cobra"
)

// builtins are the connectors inside this program.
func builtins() []connectors.Connector {
	return []connectors.Connector{
		postgres.New(),
		mysql.New(),
		mysql.NewMariaDB(),
		s3.New(),
		elasticsearch.New(),
		jdbc.New(),
		jdbcsource.New(),
		filestream.Source{},
		filestream.Sink{},
		mock.Source{},
	}
}

// environmentOf names the variables that a connector's own library reads, as its users expect: libpq's and the
// AWS SDK's. No other variable of the hub reaches a connector.
func environmentOf(name string) []string {
	switch name {
	case "postgres":
		return []string{"PGUSER", "PGPASSWORD", "PGPASSFILE", "PGSERVICEFILE", "PGSSL*"}
	case "s3":
		return []string{"AWS_*"}
	}
	return nil
}

// newDir returns the connectors inside this program and those on plugin.path.
func newDir(o plugins.Options) (*plugins.Dir, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program, which serves the built-in connectors: %w", err)
	}
	o.Builtins, o.Self, o.Environment = builtins(), []string{self, "plugin"}, environmentOf
	return plugins.NewDir(o), nil
}

func pluginCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "plugin NAME",
		Short: "Serve a built-in connector to the hub that started this process",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			var names []string
			for _, c := range builtins() {
				if c.Info().Name == args[0] {
					plugins.Serve(c) // does not return
				}
				names = append(names, c.Info().Name)
			}
			return fmt.Errorf("there is no built-in connector %q; there are %s", args[0], strings.Join(names, ", "))
		},
	}
}
