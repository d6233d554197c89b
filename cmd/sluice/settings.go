package main

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/hub"
	"github.com/sluicehub/sluice/log"
	"github.com/sluicehub/sluice/schemaregistry"
)

const (
	diskWarnKey   = "sluice.log.disk.warn.percent"
	diskRejectKey = "sluice.log.disk.reject.percent"
)

// workerDefinition is what a worker's configuration may say: Kafka Connect's keys, and ours.
func workerDefinition() *configs.Definition {
	const group = "Sluice"
	return configs.Concat(hub.WorkerDefinition(), brokerDefinition(), kafkaDefinition(), registryDefinition(), &configs.Definition{Keys: []configs.Key{
		{Name: "sluice.data.dir", Type: configs.String, Default: "./sluice-data", Importance: configs.High, Group: group,
			Doc: "Folder of the embedded log. One process at a time may have it."},
		{Name: "sluice.kafka.replication.factor.lenient", Type: configs.Boolean, Default: "true", Group: group,
			Doc: "Whether a topic that asks for several replicas, or for one on another broker, gets the one that there can be. Otherwise it is refused."},
		{Name: "sluice.log.durability", Type: configs.String, Default: log.DurabilitySync.String(),
			Enum: []string{log.DurabilitySync.String(), log.DurabilityInterval.String(), log.DurabilityOS.String()}, Importance: configs.Medium, Group: group,
			Doc: "When the embedded log answers a producer: sync after an fsync, interval after the write with an fsync ten times a second, os without."},
		{Name: diskWarnKey, Type: configs.Int, Default: strconv.Itoa(log.DefaultDiskWarnPercent), Min: "1", Max: "100", Group: group,
			Doc: "How full the disk of the embedded log is, as df shows it, when that is logged and shown in the metrics."},
		{Name: diskRejectKey, Type: configs.Int, Default: strconv.Itoa(log.DefaultDiskRejectPercent), Min: "1", Max: "100", Group: group,
			Doc: "How full it is when producers are told to try again later. Consumers, committed offsets, connectors' configurations, deletions and retention go on."},
		{Name: "sluice.log.max.open.files", Type: configs.Int, Default: strconv.Itoa(log.DefaultMaxOpenFiles), Min: "100", Group: group,
			Doc: "About how many files the embedded log keeps open. With more partitions in use, files are closed and opened again."},
		{Name: "sluice.log.level", Type: configs.String, Default: "info", Enum: []string{"debug", "info", "warn", "error"}, Group: group,
			Doc: "The least important lines that are logged."},
	}, Rules: []configs.Rule{configs.Check("The disk's marks are in order.", []string{diskWarnKey, diskRejectKey}, checkDiskMarks)}})
}

// checkDiskMarks wants the warning first.
func checkDiskMarks(v configs.Values) []configs.Problem {
	if warn, reject := v.Int(diskWarnKey), v.Int(diskRejectKey); warn > reject {
		return []configs.Problem{{Key: diskWarnKey, Message: fmt.Sprintf("Invalid value for configuration %s: %d is more than %s, %d", diskWarnKey, warn, diskRejectKey, reject)}}
	}
	return nil
}

// checkAddress accepts host:port.
func checkAddress(value string) error {
	if _, _, err := net.SplitHostPort(value); err != nil {
		return fmt.Errorf("must be host:port, such as 127.0.0.1:9092: %w", err)
	}
	return nil
}

// checkLevel accepts a compatibility level.
func checkLevel(value string) error {
	_, err := schemaregistry.ParseLevel(value)
	return err
}

// loadWorker reads the worker's configuration: the file, over it --data and --set. The placeholders in it are
// resolved. Warnings are returned beside the values, and what must not be printed.
func loadWorker(path, data string, set []string) (raw map[string]string, v configs.Values, secrets []string, warnings []configs.Problem, err error) {
	file := configs.File{Config: map[string]string{}}
	var problems []configs.Problem
	if path != "" {
		file, problems = configs.Load(path)
	}
	raw = maps.Clone(file.Config)
	if file.Name != "" {
		raw["name"] = file.Name
	}
	if data != "" {
		raw["sluice.data.dir"] = data
	}
	for _, s := range set {
		key, value, ok := strings.Cut(s, "=")
		if !ok {
			problems = append(problems, configs.Problem{Message: fmt.Sprintf("--set %s: want key=value", s)})
			continue
		}
		raw[strings.TrimSpace(key)] = value
	}
	asOurs(raw)
	resolver, more := configs.NewResolver(raw, nil)
	problems = append(problems, more...)
	resolved, more := resolver.Resolve(raw)
	problems = append(problems, more...)
	v, more = workerDefinition().Parse(resolved.Config)
	problems = file.Locate(append(problems, resolved.Redact(more)...))
	warnings = slices.DeleteFunc(slices.Clone(problems), configs.Problem.IsError)
	if err := configs.Err(problems); err != nil {
		return nil, v, nil, warnings, err
	}
	return resolved.Config, v, hub.Secrets(workerDefinition(), resolved), warnings, nil
}

// restAddress is where the first of Connect's listeners is: http://host:port, the host left out for all interfaces.
func restAddress(listeners []string) (string, error) {
	if len(listeners) != 1 {
		return "", fmt.Errorf("listeners: want one, such as http://127.0.0.1:8083, got %d", len(listeners))
	}
	u, err := url.Parse(listeners[0])
	if err != nil || u.Scheme != "http" || u.Port() == "" {
		return "", fmt.Errorf("listeners: want http://host:port, got %s", listeners[0])
	}
	return u.Host, nil
}
