package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/sluicehub/sluice/connectors"
)

// Offsets returns where a connector stands: a source's stored source offsets, or the offsets of a sink's consumer
// group in the same shape.
func (h *Hub) Offsets(ctx context.Context, name string) ([]connectors.SourceOffset, error) {
	sp, err := h.lookup(name)
	if err != nil {
		return nil, err
	}
	if h.kind(ctx, sp.config) != connectors.Sink {
		store, err := h.offsetsByConfig(ctx, sp.config)
		return store.offsets(name), err
	}
	group, err := h.groupOf(name, sp)
	if err != nil {
		return nil, err
	}
	committed, err := h.admin.FetchOffsets(ctx, group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		committed, err = nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the offsets of consumer group %s: %w", group, err)
	}
	out := []connectors.SourceOffset{}
	for _, o := range committed.Sorted() {
		if o.Err == nil && o.At >= 0 {
			out = append(out, connectors.SourceOffset{Partition: connectors.MarshalOffset(connectors.GroupPartition{Topic: o.Topic, Partition: o.Partition}),
				Offset: connectors.MarshalOffset(connectors.GroupOffset{Offset: o.At})})
		}
	}
	return out, nil
}

func (h *Hub) groupOf(name string, sp spec) (string, error) {
	resolved, _ := h.resolver.Resolve(sp.config)
	s, _ := parseSettings(connectors.Sink, resolved.Config)
	return h.group(name, s), nil
}

// What a request about offsets answers, in Connect's words.
const (
	alteredText  = "The offsets for this connector have been altered successfully"
	resetText    = "The offsets for this connector have been reset successfully"
	externalText = "The Connect framework-managed offsets for this connector have been %s successfully. However, if this connector manages offsets externally, they will need to be manually %s in the system that the connector uses."
)

// AlterOffsets changes where a stopped connector goes on. A nil Offset resets that partition.
func (h *Hub) AlterOffsets(ctx context.Context, name string, offsets []connectors.SourceOffset) (message string, err error) {
	if len(offsets) == 0 {
		return "", refuse(Invalid, "Partitions / offsets need to be provided for an alter offsets request")
	}
	return h.changeOffsets(ctx, name, offsets)
}

// ResetOffsets makes a stopped connector begin anew.
func (h *Hub) ResetOffsets(ctx context.Context, name string) (message string, err error) {
	return h.changeOffsets(ctx, name, nil)
}

// changeOffsets alters offsets, or resets all if there are none given.
func (h *Hub) changeOffsets(ctx context.Context, name string, offsets []connectors.SourceOffset) (string, error) {
	end, err := h.begin(ctx, name)
	if err != nil {
		return "", err
	}
	defer end()
	sp, err := h.lookup(name)
	if err != nil {
		return "", err
	}
	if sp.target != Stopped || len(sp.tasks) > 0 {
		return "", refuse(Invalid, "Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the specified connector by issuing a 'PUT' request to the '/connectors/%s/stop' endpoint", name)
	}
	if err := h.untilQuiet(ctx, name); err != nil {
		return "", err
	}
	change := h.changeSource
	if h.kind(ctx, sp.config) == connectors.Sink {
		change = h.changeGroup
	}
	message, err := change(ctx, name, sp, offsets)
	if err != nil && !isRequestError(err) {
		err = errors.New(h.redactor.Redact(err.Error())) // it may hold the connector's own words (I8)
	}
	return message, err
}

// untilQuiet waits until nothing of a stopped connector runs any more.
func (h *Hub) untilQuiet(ctx context.Context, name string) error {
	r := h.runner(name)
	if r == nil {
		return nil
	}
	limit, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	select {
	case <-r.isQuiet():
		return nil
	case <-limit.Done():
		return refuse(Conflict, "Connector %s is still stopping (a conflicting operation); try again", name)
	}
}

// changeSource asks the connector whether the offsets are well formed and stores them.
func (h *Hub) changeSource(ctx context.Context, name string, sp spec, offsets []connectors.SourceOffset) (string, error) {
	text, verb := alteredText, "altered"
	store, err := h.settleOffsets(ctx, name, sp)
	if err != nil {
		return "", err
	}
	if offsets == nil {
		text, verb = resetText, "reset"
		for _, o := range store.offsets(name) {
			offsets = append(offsets, connectors.SourceOffset{Partition: o.Partition})
		}
	}
	complete, err := h.askAlterer(ctx, name, sp, offsets)
	if err != nil {
		return "", err
	}
	if len(offsets) > 0 {
		if err := store.SaveOffsets(ctx, name, offsets); err != nil {
			return "", err
		}
	}
	if !complete {
		text = fmt.Sprintf(externalText, verb, verb)
	}
	return text, nil
}

// settleOffsets returns where the offsets of a stopped source are. Where sources write in transactions, no earlier task
// of it changes them any more, and all of them are known.
func (h *Hub) settleOffsets(ctx context.Context, name string, sp spec) (sourceOffsets, error) {
	store, err := h.offsetsByConfig(ctx, sp.config)
	if tasks, known := h.configs.taskCount(name); err == nil && h.exactlyOnce && known {
		if err = h.fenceAll(ctx, name, settings{name: name}, tasks); err == nil {
			err = store.refresh(ctx, h)
		}
	}
	return store, err
}

// askAlterer lets the plugin look at offsets that a person wrote. It reports whether nothing more is needed.
func (h *Hub) askAlterer(ctx context.Context, name string, sp spec, offsets []connectors.SourceOffset) (bool, error) {
	p, err := h.prepare(ctx, name, sp.config)
	if err != nil {
		return false, err
	}
	child, err := h.launcher.Launch(ctx, Launch{Connector: name, Class: p.settings.class, Version: p.settings.version, Log: h.log.With("connector", name)})
	if err != nil {
		return false, err
	}
	defer func() {
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
		defer cancel()
		child.Stop(limit)
	}()
	alterer, ok := child.(connectors.OffsetAlterer)
	if !ok {
		return false, nil
	}
	complete, err := alterer.AlterOffsets(ctx, maps.Clone(p.resolved.Config), offsets)
	if err != nil && connectors.ClassOf(err) != connectors.ClassBug {
		return false, refuse(Invalid, "%s", h.redactor.Redact(err.Error()))
	}
	return complete, err
}

// changeGroup changes the offsets of a sink's consumer group; all of it goes if none are given. A sink that keeps positions
// in its target alters those first: they count for more than the group's.
func (h *Hub) changeGroup(ctx context.Context, name string, sp spec, offsets []connectors.SourceOffset) (string, error) {
	group, err := h.groupOf(name, sp)
	if err != nil {
		return "", err
	}
	text, verb := alteredText, "altered"
	if offsets == nil {
		text, verb = resetText, "reset"
	}
	set, reset, plain, err := parseGroupOffsets(offsets)
	if err != nil {
		return "", err
	}
	complete, err := h.askAlterer(ctx, name, sp, plain)
	if err != nil {
		return "", err
	}
	if !complete {
		text = fmt.Sprintf(externalText, verb, verb)
	}
	if offsets == nil {
		if _, err := h.admin.DeleteGroup(ctx, group); err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
			return "", fmt.Errorf("delete consumer group %s: %w", group, err)
		}
		return text, nil
	}
	if len(reset) > 0 {
		if _, err := h.admin.DeleteOffsets(ctx, group, reset); err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
			return "", fmt.Errorf("reset offsets of consumer group %s: %w", group, err)
		}
	}
	if len(set) > 0 {
		if err := h.admin.CommitAllOffsets(ctx, group, set); err != nil {
			return "", fmt.Errorf("commit offsets of consumer group %s: %w", group, err)
		}
	}
	return text, nil
}

// parseGroupOffsets reads a sink's offsets as a person wrote them: what to set, what to reset, and all of it spelled as
// Offsets does.
func parseGroupOffsets(offsets []connectors.SourceOffset) (set kadm.Offsets, reset kadm.TopicsSet, plain []connectors.SourceOffset, err error) {
	set, reset = kadm.Offsets{}, kadm.TopicsSet{}
	for _, o := range offsets {
		tp, at, err := parseGroupOffset(o)
		if err != nil {
			return nil, nil, nil, err
		}
		o = connectors.SourceOffset{Partition: connectors.MarshalOffset(connectors.GroupPartition(tp))}
		if at < 0 {
			reset.Add(tp.Topic, tp.Partition)
		} else {
			set.AddOffset(tp.Topic, tp.Partition, at, -1)
			o.Offset = connectors.MarshalOffset(connectors.GroupOffset{Offset: at})
		}
		plain = append(plain, o)
	}
	return set, reset, plain, nil
}

// parseGroupOffset reads a sink's offset as a person wrote it; numbers may be texts. The offset is -1 for null.
func parseGroupOffset(o connectors.SourceOffset) (connectors.TopicPartition, int64, error) {
	var tp connectors.TopicPartition
	var members map[string]any
	if err := json.Unmarshal(o.Partition, &members); err != nil || members == nil {
		return tp, 0, refuse(Invalid, "The partition for a sink connector offset cannot be null or missing")
	}
	topic, ok := members["kafka_topic"].(string)
	partition, okPartition := wholeNumber(members["kafka_partition"])
	if !ok || !okPartition || partition > 1<<31-1 {
		return tp, 0, refuse(Invalid, "The partition for a sink connector offset must contain the keys 'kafka_topic' and 'kafka_partition', a text and a whole number")
	}
	tp = connectors.TopicPartition{Topic: topic, Partition: int32(partition)}
	if o.Offset == nil || strings.TrimSpace(string(o.Offset)) == "null" {
		return tp, -1, nil
	}
	members = nil
	if err := json.Unmarshal(o.Offset, &members); err != nil {
		return tp, 0, refuse(Invalid, "The offset for a sink connector must be an object")
	}
	at, ok := wholeNumber(members["kafka_offset"])
	if !ok {
		return tp, 0, refuse(Invalid, "The offset for a sink connector should either be null or contain the key 'kafka_offset', a whole number that is not negative")
	}
	return tp, at, nil
}

func wholeNumber(v any) (int64, bool) {
	switch v := v.(type) {
	case float64:
		return int64(v), v >= 0 && v == float64(int64(v))
	case string:
		n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
		return n, err == nil && n >= 0
	}
	return 0, false
}

// PluginInfo describes something that can be configured by a class name.
type PluginInfo struct {
	Class   string
	Type    string // source, sink, converter, header_converter, transformation, predicate
	Version string
}

// Plugins lists what can be configured; connectors only, or all kinds.
func (h *Hub) Plugins(ctx context.Context, connectorsOnly bool) ([]PluginInfo, error) {
	infos, err := h.launcher.Plugins(ctx)
	if err != nil {
		return nil, err
	}
	out := []PluginInfo{}
	for _, in := range infos {
		class := in.Name
		if len(in.Classes) > 0 {
			class = in.Classes[0] // tools show and fill in what users know: the Java class
		}
		out = append(out, PluginInfo{Class: class, Type: string(in.Kind), Version: in.Version})
	}
	if connectorsOnly || h.formats.List == nil {
		return out, nil
	}
	list := h.formats.List()
	for i := range list {
		list[i].Version = h.version
	}
	return append(out, slices.Clone(list)...), nil
}

// Uptime returns how long ago the hub was made.
func (h *Hub) Uptime() time.Duration { return time.Since(h.started) }
