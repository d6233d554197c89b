package hub

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/connectors"
)

// offsetTopic is a topic of source offsets with what is in it.
type offsetTopic struct {
	*offsetStore
	topic *internalTopic
}

// sourceOffsets are the topics that hold the source offsets of a connector. The last one is the worker's; with
// offsets.storage.topic one of the connector's own stands before it and wins, partition by partition. Offsets are
// written to both at once, so that the key may be taken away again. (If it comes back then, what is old in the own topic
// wins, as in Kafka Connect.)
type sourceOffsets []offsetTopic

// offsetsOf returns where the source offsets of a connector are. A topic of its own is made and read on first use.
func (h *Hub) offsetsOf(ctx context.Context, s settings) (sourceOffsets, error) {
	if s.offsetsTopic == "" || s.offsetsTopic == h.offsets.topic.name {
		return sourceOffsets{h.offsets}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	h.ownOffsetsMu.Lock()
	defer h.ownOffsetsMu.Unlock()
	own, ok := h.ownOffsets[s.offsetsTopic]
	if !ok {
		own = h.newOffsetTopic(s.offsetsTopic)
		err := own.topic.ensure(ctx, h.admin)
		if err == nil {
			err = patiently(ctx, func() error { return readToEnd(ctx, h.admin, h.base, h.log, own.topic) })
		}
		if err != nil {
			return nil, logError("", err)
		}
		h.ownOffsets[s.offsetsTopic] = own
	}
	return sourceOffsets{own, h.offsets}, nil
}

// offsetsByConfig is offsetsOf for a configuration as it is stored.
func (h *Hub) offsetsByConfig(ctx context.Context, config map[string]string) (sourceOffsets, error) {
	resolved, _ := h.resolver.Resolve(config)
	s, _ := parseSettings(connectors.Source, resolved.Config)
	return h.offsetsOf(ctx, s)
}

// newOffsetTopic returns a topic of source offsets, which offset.storage.… describes.
func (h *Hub) newOffsetTopic(name string) offsetTopic {
	store := newOffsetStore(name, h.client, h.log)
	return offsetTopic{store, h.internalTopic("offset.storage.", name, h.values.Int("offset.storage.partitions"), store.read)}
}

// refresh reads the topics on to their ends, behind the transactions that are open there.
func (o sourceOffsets) refresh(ctx context.Context, h *Hub) error {
	for _, t := range o {
		if err := t.topic.refresh(ctx, h.admin, h.base, h.log); err != nil {
			return err
		}
	}
	return nil
}

// has reports whether a topic is one of them.
func (o sourceOffsets) has(topic string) bool {
	return slices.ContainsFunc(o, func(t offsetTopic) bool { return t.topic.name == topic })
}

// offsets returns the stored source offsets of a connector, ordered by their partitions.
func (o sourceOffsets) offsets(connector string) []connectors.SourceOffset {
	found := map[string]*storedOffset{}
	for _, t := range slices.Backward(o) {
		t.each(connector, func(id string, at *storedOffset) { found[id] = at })
	}
	out := []connectors.SourceOffset{}
	for _, at := range found {
		if at.offset != nil {
			out = append(out, connectors.SourceOffset{Partition: at.partition, Offset: at.offset})
		}
	}
	slices.SortFunc(out, func(a, b connectors.SourceOffset) int {
		return strings.Compare(string(a.Partition), string(b.Partition))
	})
	return out
}

// SaveOffsets appends the offsets, waits until they are durable, and remembers them.
func (o sourceOffsets) SaveOffsets(ctx context.Context, connector string, offsets []connectors.SourceOffset) error {
	if len(offsets) == 0 {
		return nil
	}
	return o.save(connector, offsets, func(records []*kgo.Record) error { return produceAll(ctx, o[0].client, records...) })
}

// save gives the records of the offsets to write, and remembers them if it brought them into the topics.
func (o sourceOffsets) save(connector string, offsets []connectors.SourceOffset, write func([]*kgo.Record) error) error {
	var records []*kgo.Record
	for _, t := range o {
		more, err := t.records(connector, offsets)
		if err != nil {
			return err
		}
		records = append(records, more...)
	}
	if err := write(records); err != nil {
		return fmt.Errorf("write to topic %s: %w", o[0].topic.name, err)
	}
	for i, t := range o {
		if err := t.remember(connector, offsets, records[i*len(offsets):]); err != nil {
			return err
		}
	}
	return nil
}
