package hub

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/connectors"
)

// flushed is the proof of I2: positions that a Flush returned. Only ask makes it, only commitGroup takes it.
type flushed struct{ positions []connectors.Position }

func (s *sinkRun) ask(ctx context.Context, force bool) (flushed, error) {
	positions, err := s.task.Flush(ctx, force)
	return flushed{positions}, err
}

// flush asks the task how far it is and commits that.
func (s *sinkRun) flush(ctx context.Context, force bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	trouble := inPlace{run: s.taskRun}
	for {
		done, err := s.ask(ctx, force)
		if err == nil {
			trouble.over()
			return s.commitGroup(ctx, done)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := trouble.again(ctx, err); err != nil {
			return err
		}
	}
}

// commitGroup commits positions of open partitions to the consumer group, if they moved (I2).
func (s *sinkRun) commitGroup(ctx context.Context, done flushed) error {
	offsets := map[string]map[int32]kgo.EpochOffset{}
	var moved []connectors.Position
	for _, p := range done.positions {
		part := s.parts[p.TopicPartition]
		switch {
		case part == nil || p.Offset <= part.committed || max(part.end, part.own) < 0:
			continue
		case p.Offset > max(part.end, part.own):
			s.log.Warn("the sink claims a position beyond what it was given; it is not committed", "topic", p.Topic,
				"partition", p.Partition, "position", p.Offset, "given", part.end)
			continue
		}
		if offsets[p.Topic] == nil {
			offsets[p.Topic] = map[int32]kgo.EpochOffset{}
		}
		offsets[p.Topic][p.Partition] = kgo.EpochOffset{Epoch: -1, Offset: p.Offset}
		moved = append(moved, p)
	}
	if len(moved) == 0 {
		return nil
	}
	if err := commitSync(ctx, s.client, offsets); err != nil {
		// The sink's work is not lost: it is only done again if the task starts again before the next commit.
		s.log.Warn("the consumer group's offsets could not be committed; it is tried again with the next flush", "error", err)
		return nil
	}
	for _, p := range moved {
		s.parts[p.TopicPartition].committed = p.Offset
	}
	s.figures.commits.Add(1)
	return nil
}

// assigned opens partitions. A failure ends the run.
func (s *sinkRun) assigned(_ context.Context, _ *kgo.Client, added map[string][]int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := flatten(added)
	if len(list) == 0 || s.run.Err() != nil {
		return
	}
	positions, err := s.task.Open(s.calls, list)
	if err != nil {
		s.fail(fmt.Errorf("open %d topic partitions: %w", len(list), err))
		return
	}
	for _, tp := range list {
		s.parts[tp] = &sinkPartition{end: -1, committed: -1, own: -1}
	}
	for _, p := range positions {
		if part := s.parts[p.TopicPartition]; part != nil {
			part.own = p.Offset
		}
	}
}

// adjust puts the positions that the target knows in the place of the group's.
func (s *sinkRun) adjust(_ context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for tp, part := range s.parts {
		at, ok := offsets[tp.Topic][tp.Partition]
		if !ok {
			continue
		}
		o := at.EpochOffset().Offset
		if part.own >= 0 {
			offsets[tp.Topic][tp.Partition] = kgo.NewOffset().At(part.own)
			o = part.own
		} else if o >= 0 {
			part.committed = o
		}
		if o >= 0 {
			part.end = o
			s.figures.setPosition(tp, o)
		}
	}
	return offsets, nil
}

// revoked flushes, commits and closes partitions that go to another task, or all when the task leaves.
func (s *sinkRun) revoked(_ context.Context, _ *kgo.Client, removed map[string][]int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.open(removed)
	if len(list) == 0 {
		return
	}
	if !s.broken.Load() {
		done, err := s.ask(s.calls, true)
		if err == nil {
			err = s.commitGroup(s.calls, done)
		}
		if err != nil {
			s.log.Warn("what the sink holds could not be flushed before its partitions went away; it is put again",
				"error", s.redact(err.Error()))
		}
	}
	s.closeParts(list)
}

// lost closes partitions that another task has already: nothing may be committed for them.
func (s *sinkRun) lost(_ context.Context, _ *kgo.Client, removed map[string][]int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closeParts(s.open(removed))
}

func (s *sinkRun) closeParts(list []connectors.TopicPartition) {
	if len(list) == 0 {
		return
	}
	if err := s.task.Close(s.calls, list); err != nil && !s.broken.Load() {
		s.log.Warn("the sink did not close its partitions cleanly", "error", s.redact(err.Error()))
	}
	for _, tp := range list {
		delete(s.parts, tp)
	}
	s.figures.dropPositions(list)
}

// OnGroupManageError implements kgo.HookGroupManageError. A member whose place another one of the same
// group.instance.id took must not join again, as the client would do: the two would take it from each other for ever.
// Under a name of our own the other one can only be a worker that lost its lease to this one and is about to stop, so
// the task starts again after a while. Under a name that the configuration gives, a person must decide.
func (s *sinkRun) OnGroupManageError(err error) {
	if !errors.Is(err, kerr.FencedInstanceID) {
		return
	}
	group, instance := s.hub.group(s.connector, s.settings), s.hub.groupInstance(s.connector, s.index, s.settings)
	fenced := &connectors.Error{Op: "consume", Class: connectors.ClassEnvironment,
		Err: fmt.Errorf("another consumer took this task's place in consumer group %s, with the same group.instance.id %s: %w", group, instance, err)}
	if s.settings.consumer.instance != "" || s.hub.consumer.instance != "" {
		fenced.Class = connectors.ClassGone
		fenced.Remedy = "leave group.instance.id out, or end the other consumer, and restart the task; several tasks cannot have the same one"
	}
	s.fail(fenced)
	s.cutClient()
}

// leaveGroup says that this member does not come back: the client leaves that out for static members. Who has taken
// the member's place keeps it.
func (s *sinkRun) leaveGroup(ctx context.Context, member string) {
	if member == "" {
		return
	}
	instance := s.hub.groupInstance(s.connector, s.index, s.settings)
	if err := leaveGroup(ctx, s.hub.client, s.hub.group(s.connector, s.settings), member, instance); err != nil {
		s.log.Warn("the sink could not leave its consumer group; its partitions wait for it until the session is over", "error", err)
	}
}

// open returns those of the partitions that the task has.
func (s *sinkRun) open(m map[string][]int32) []connectors.TopicPartition {
	return slices.DeleteFunc(flatten(m), func(tp connectors.TopicPartition) bool { return s.parts[tp] == nil })
}

func flatten(m map[string][]int32) []connectors.TopicPartition {
	var out []connectors.TopicPartition
	for _, topic := range slices.Sorted(maps.Keys(m)) {
		parts := slices.Clone(m[topic])
		slices.Sort(parts)
		for _, p := range parts {
			out = append(out, connectors.TopicPartition{Topic: topic, Partition: p})
		}
	}
	return out
}
