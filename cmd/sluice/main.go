// Command sluice is the whole of Sluice in one program.
//
//	sluice run [--config worker.properties] [--data DIR] [--set key=value]… [CONNECTOR-FILE…]
//	sluice validate FILE…
//	sluice topic list|describe|create|alter|delete|tail|produce
//	sluice group list|describe|reset|delete
//	sluice log check|repair|dump DIR
//	sluice plugin NAME
//	sluice version
//
// This package is the wiring: what a verb needs is made here, from top to bottom, and ended in reverse.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// version is set when the program is built.
var version = "dev"

func main() {
	if err := command().ExecuteContext(context.Background()); err != nil {
		fmt.Fprintf(os.Stderr, "sluice: %v\n", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "sluice",
		Short:         "Every change of your databases, in order and without loss, where you need it",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(runCommand(), validateCommand(), topicCommand(), groupCommand(), logCommand(), pluginCommand(), versionCommand())
	return root
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintln(cmd.OutOrStdout(), "sluice", version)
		},
	}
}
