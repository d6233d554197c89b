package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/hub"
	"github.com/sluicehub/sluice/plugins"
)

// launcher is plugins.Dir in the words of the hub, which does not know that a connector is a process.
type launcher struct {
	dir *plugins.Dir
	log *slog.Logger
}

var _ hub.Launcher = launcher{}

// Plugins implements hub.Launcher. An executable that cannot be used is said in the log and left out.
func (l launcher) Plugins(ctx context.Context) ([]connectors.Info, error) {
	var all []connectors.Info
	for _, d := range l.dir.List(ctx) {
		if d.Err != nil {
			l.log.Warn("a connector cannot be used", "path", d.Path, "cause", d.Err)
			continue
		}
		all = append(all, d.Info)
	}
	return all, nil
}

// Find implements hub.Launcher.
func (l launcher) Find(ctx context.Context, class, version string) (connectors.Info, error) {
	d, err := l.dir.Find(ctx, class)
	if err != nil {
		return connectors.Info{}, err
	}
	if version != "" && version != "latest" && version != d.Version {
		return connectors.Info{}, fmt.Errorf("connector %s has the version %s, not %s", d.Name, d.Version, version)
	}
	return d.Info, nil
}

// Launch implements hub.Launcher.
func (l launcher) Launch(ctx context.Context, what hub.Launch) (hub.Child, error) {
	c, err := l.dir.Launch(ctx, what.Class, what.Connector)
	if err != nil {
		return nil, err
	}
	child, ok := c.Connector().(hub.Child)
	if !ok {
		return nil, fmt.Errorf("a child of the wall lacks a method of hub.Child: %T", c.Connector())
	}
	return child, nil
}
