package plugins

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/plugins/pluginpb"
)

// crossedError is an error from the other side that wraps a connectors.Error in more text, or is one of context's.
type crossedError struct {
	text  string
	cause error
}

func (e *crossedError) Error() string { return e.text }
func (e *crossedError) Unwrap() error { return e.cause }

// errorToWall returns what crosses of an error, nil for nil.
func errorToWall(err error) *pluginpb.Error {
	if err == nil {
		return nil
	}
	m := &pluginpb.Error{Text: valid(err.Error())}
	switch {
	case errors.Is(err, context.Canceled):
		m.Cause = pluginpb.Error_CANCELED
	case errors.Is(err, context.DeadlineExceeded):
		m.Cause = pluginpb.Error_DEADLINE
	}
	var e *connectors.Error
	if !errors.As(err, &e) {
		return m
	}
	m.Classed, m.Op, m.Class, m.Retriable, m.Remedy = true, valid(e.Op), uint32(e.Class), e.Retriable, valid(e.Remedy)
	if e.Record != nil {
		m.Record = refToWall(*e.Record)
	}
	if e.Err != nil {
		m.Err = valid(e.Err.Error())
	}
	return m
}

// errorFromWall is the reverse. What had no class comes back as a connectors.Error of class ClassBug.
func errorFromWall(m *pluginpb.Error) error {
	if m == nil {
		return nil
	}
	cause := causeFromWall(m)
	if !m.Classed {
		if cause != nil {
			return &crossedError{text: m.Text, cause: cause}
		}
		return &connectors.Error{Class: connectors.ClassBug, Err: errors.New(m.Text)}
	}
	e := &connectors.Error{Op: m.Op, Class: connectors.Class(m.Class), Retriable: m.Retriable, Remedy: m.Remedy}
	if e.Class > connectors.ClassGone {
		e.Class = connectors.ClassBug
	}
	if m.Record != nil {
		ref := refFromWall(m.Record)
		e.Record = &ref
	}
	if m.Err != "" {
		e.Err = errors.New(m.Err)
		if cause != nil {
			e.Err = &crossedError{text: m.Err, cause: cause}
		}
	}
	if e.Error() != m.Text {
		return &crossedError{text: m.Text, cause: e}
	}
	return e
}

func causeFromWall(m *pluginpb.Error) error {
	switch m.Cause {
	case pluginpb.Error_CANCELED:
		return context.Canceled
	case pluginpb.Error_DEADLINE:
		return context.DeadlineExceeded
	}
	return nil
}

func refToWall(r connectors.RecordRef) *pluginpb.RecordRef {
	return &pluginpb.RecordRef{Topic: valid(r.Topic), Partition: r.Partition, Offset: r.Offset, Place: valid(r.Place)}
}

func refFromWall(m *pluginpb.RecordRef) connectors.RecordRef {
	return connectors.RecordRef{
		TopicPartition: connectors.TopicPartition{Topic: m.GetTopic(), Partition: m.GetPartition()},
		Offset:         m.GetOffset(), Place: m.GetPlace(),
	}
}

func offsetsToWall(list []connectors.SourceOffset) []*pluginpb.SourceOffset {
	out := make([]*pluginpb.SourceOffset, len(list))
	for i, o := range list {
		out[i] = &pluginpb.SourceOffset{Partition: o.Partition, Offset: o.Offset}
	}
	return out
}

// offsetsFromWall appends to dst. An empty JSON text is none, so an empty offset is the nil one.
func offsetsFromWall(dst []connectors.SourceOffset, list []*pluginpb.SourceOffset) []connectors.SourceOffset {
	dst = slices.Grow(dst, len(list))
	for _, m := range list {
		o := connectors.SourceOffset{Partition: m.GetPartition()}
		if len(m.GetOffset()) > 0 {
			o.Offset = m.Offset
		}
		dst = append(dst, o)
	}
	return dst
}

func partToWall(p connectors.TopicPartition) *pluginpb.TopicPartition {
	return &pluginpb.TopicPartition{Topic: p.Topic, Partition: p.Partition}
}

func partFromWall(m *pluginpb.TopicPartition) connectors.TopicPartition {
	return connectors.TopicPartition{Topic: m.GetTopic(), Partition: m.GetPartition()}
}

func partsToWall(list []connectors.TopicPartition) []*pluginpb.TopicPartition {
	out := make([]*pluginpb.TopicPartition, len(list))
	for i, p := range list {
		out[i] = partToWall(p)
	}
	return out
}

func partsFromWall(list []*pluginpb.TopicPartition) []connectors.TopicPartition {
	out := make([]connectors.TopicPartition, len(list))
	for i, m := range list {
		out[i] = partFromWall(m)
	}
	return out
}

func positionsToWall(list []connectors.Position) []*pluginpb.Position {
	out := make([]*pluginpb.Position, len(list))
	for i, p := range list {
		out[i] = &pluginpb.Position{Of: partToWall(p.TopicPartition), Offset: p.Offset}
	}
	return out
}

// positionsFromWall returns nil for none.
func positionsFromWall(list []*pluginpb.Position) []connectors.Position {
	var out []connectors.Position
	for _, m := range list {
		out = append(out, connectors.Position{TopicPartition: partFromWall(m.GetOf()), Offset: m.GetOffset()})
	}
	return out
}

func figuresToWall(list []connectors.Figure) *pluginpb.Figures {
	out := &pluginpb.Figures{}
	for _, f := range list {
		out.Figures = append(out.Figures, &pluginpb.Figure{Name: valid(f.Name), Help: valid(f.Help), Value: f.Value})
	}
	return out
}

func figuresFromWall(m *pluginpb.Figures) []connectors.Figure {
	out := make([]connectors.Figure, 0, len(m.GetFigures()))
	for _, f := range m.GetFigures() {
		out = append(out, connectors.Figure{Name: f.GetName(), Help: f.GetHelp(), Value: f.GetValue()})
	}
	return out
}

// valid returns the text with what is not UTF-8 replaced: protobuf refuses a whole message for it.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
