package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/hub"
	"github.com/sluicehub/sluice/plugins"
	"github.com/spf13/cobra"
)

// loadConnectors reads connector files. What is wrong with their text is an error that lists everything; what is
// wrong with their content is found when they are applied.
func loadConnectors(files []string) ([]configs.File, []configs.Problem, error) {
	var all []configs.File
	var problems []configs.Problem
	byName := make(map[string]string)
	for _, path := range files {
		f, found := configs.Load(path)
		problems = append(problems, found...)
		f.Name = nameOf(f)
		if other, ok := byName[f.Name]; ok {
			problems = append(problems, configs.Problem{Key: "name", File: path, Line: f.Lines["name"], Message: fmt.Sprintf("connector %s is in %s too", f.Name, other)})
		}
		byName[f.Name] = path
		all = append(all, f)
	}
	warnings := slices.DeleteFunc(slices.Clone(problems), configs.Problem.IsError)
	return all, warnings, configs.Err(problems)
}

func validateCommand() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:   "validate FILE…",
		Short: "Check connector files: every problem at once, with file and line",
		Long: "Check connector files without touching a database, a target or the log. Problems go to the standard output, a line each; " +
			"the exit code is 1 if one of them is an error.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			problems, err := validateFiles(cmd.Context(), config, files)
			if err != nil {
				return err
			}
			failed := 0
			for _, p := range problems {
				fmt.Fprintln(cmd.OutOrStdout(), p)
				if p.IsError() {
					failed++
				}
			}
			if failed > 0 {
				return fmt.Errorf("%d errors in %d files", failed, len(files))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&config, "config", "", "the worker's configuration: its converters, config providers and plugin.path count")
	return cmd
}

// validateFiles checks files with a hub that never runs.
func validateFiles(ctx context.Context, config string, files []string) ([]configs.Problem, error) {
	raw, v, _, _, err := loadWorker(config, "", nil)
	if err != nil {
		return nil, err
	}
	dir, err := newDir(plugins.Options{Path: v.List("plugin.path")})
	if err != nil {
		return nil, err
	}
	h, err := hub.New(hub.Options{Worker: raw, Launcher: launcher{dir: dir}, Formats: hub.DefaultFormats(nil, nil), Version: version})
	if err != nil {
		return nil, err
	}
	var all []configs.Problem
	for _, path := range files {
		f, problems := configs.Load(path)
		if configs.Err(problems) == nil {
			problems = append(problems, checkFile(ctx, h, f)...)
		}
		all = append(all, problems...)
	}
	return all, nil
}

// checkFile returns what is wrong with the content of a file.
func checkFile(ctx context.Context, h *hub.Hub, f configs.File) []configs.Problem {
	config := maps.Clone(f.Config)
	config["name"] = nameOf(f)
	infos, err := h.CheckDeclared(ctx, config)
	if err != nil {
		key := "connector.class"
		var refused *hub.RequestError
		if !errors.As(err, &refused) {
			key = ""
		}
		return f.Locate([]configs.Problem{{Key: key, Message: err.Error()}})
	}
	problems := slices.Clone(infos.Warnings)
	for _, info := range infos.Configs {
		for _, message := range info.Value.Errors {
			problems = append(problems, configs.KeyError(info.Value.Name, message))
		}
	}
	problems = f.Locate(problems)
	slices.SortStableFunc(problems, func(a, b configs.Problem) int { return a.Line - b.Line })
	return problems
}

// nameOf is the connector's name: the file's own, if nothing in it says another.
func nameOf(f configs.File) string {
	if f.Name != "" {
		return f.Name
	}
	return strings.TrimSuffix(filepath.Base(f.Path), filepath.Ext(f.Path))
}
