package log

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/sluicehub/sluice/log/segment"
)

// step does one thing.
func (w *world) step(l *Log) {
	w.t.Helper()
	w.clock.ms += int64(w.rng.IntN(2000))
	names := slices.Sorted(maps.Keys(w.topics))
	if len(names) == 0 || len(names) < 5 && w.rng.IntN(25) == 0 {
		w.create(l)
		return
	}
	topic := w.topics[names[w.rng.IntN(len(names))]]
	switch w.rng.IntN(40) {
	case 0:
		w.delete(l, topic)
	case 1:
		w.grow(l, topic)
	case 2:
		w.alter(l, topic)
	case 3, 4:
		w.retain(l)
	case 5, 6:
		w.clock.ms += int64(w.rng.IntN(60_000))
		w.tolerate(l.Compact(context.Background()), "compact")
	case 7:
		w.keep(l)
	case 8:
		w.nextID(l)
	default:
		i := w.rng.IntN(len(topic.parts))
		p, err := l.Partition(topic.name, int32(i))
		if err != nil {
			w.t.Fatal(err)
		}
		if w.rng.IntN(12) == 0 {
			w.deleteRecords(topic, topic.parts[i], p)
		} else {
			w.append(topic.parts[i], p)
		}
	}
}

// tolerate takes an error where one was injected.
func (w *world) tolerate(err error, doing string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil && !w.failed {
		w.t.Fatalf("%s: %v", doing, err)
	}
}

// decide ends an operation that is done or not: done if it was answered with the
// power on. If the power went meanwhile, or it failed, the next start tells; a
// life does not go on after such a failure.
func (w *world) decide(err error, doing string, done, undone func(), ask func(l *Log) bool) {
	w.t.Helper()
	w.tolerate(err, doing)
	if err == nil && !w.power() {
		done()
		return
	}
	w.doubt = func(l *Log) {
		if ask(l) {
			done()
		} else if undone != nil {
			undone()
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.crashed == nil {
		w.crashed = w.fs.CrashClone(w.cut)
	}
}

func (w *world) create(l *Log) {
	w.made++
	// A name that another topic had, sometimes.
	t := &worldTopic{name: fmt.Sprintf("t%d", w.made%7), id: TopicID{1, byte(w.made), byte(w.made >> 8)},
		configs: map[string]string{"segment.bytes": "1024", "index.interval.bytes": "100"}}
	if w.topics[t.name] != nil {
		return
	}
	if w.rng.IntN(2) == 0 {
		maps.Copy(t.configs, map[string]string{"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": "60000"})
	}
	for range 1 + w.rng.IntN(3) {
		t.parts = append(t.parts, newWorldPart())
	}
	_, err := l.CreateTopic(t.name, t.id, int32(len(t.parts)), t.configs)
	w.decide(err, "create topic", func() { w.topics[t.name] = t }, nil, func(l *Log) bool { _, err := l.TopicByID(t.id); return err == nil })
}

func (w *world) delete(l *Log, t *worldTopic) {
	w.decide(l.DeleteTopic(t.name), "delete topic", func() { delete(w.topics, t.name) }, nil,
		func(l *Log) bool { _, err := l.TopicByID(t.id); return err != nil })
}

func (w *world) grow(l *Log, t *worldTopic) {
	n := len(t.parts) + 1
	if n > 4 {
		return
	}
	w.decide(l.CreatePartitions(t.name, int32(n)), "create partitions", func() { t.parts = append(t.parts, newWorldPart()) }, nil,
		func(l *Log) bool { got, err := l.TopicByID(t.id); return err == nil && len(got.Partitions()) == n })
}

func (w *world) alter(l *Log, t *worldTopic) {
	value := fmt.Sprint(1024 + w.rng.IntN(4096))
	w.decide(l.AlterTopicConfig(t.name, []ConfigChange{{Name: "retention.bytes", Value: value}}, false), "alter topic",
		func() { t.configs = maps.Clone(t.configs); t.configs["retention.bytes"] = value }, nil,
		func(l *Log) bool {
			got, err := l.TopicByID(t.id)
			return err == nil && got.Config().Values["retention.bytes"] == value
		})
}

func (w *world) keep(l *Log) {
	next := w.state + 1
	w.decide(l.SaveState("world", fmt.Append(nil, next)), "save state", func() { w.state = next }, nil,
		func(l *Log) bool { b, err := l.LoadState("world"); return err == nil && string(b) == fmt.Sprint(next) })
}

func (w *world) nextID(l *Log) {
	id, err := l.NextProducerID()
	if w.tolerate(err, "next producer id"); err != nil || w.power() {
		return
	}
	if id <= w.pid {
		w.t.Fatalf("producer id %d after %d", id, w.pid)
	}
	w.pid = id
}

// retain applies retention. Where the log starts afterwards is durable; if the
// power went or something failed, the start is anywhere.
func (w *world) retain(l *Log) {
	w.clock.ms += int64(w.rng.IntN(5000))
	err := l.ApplyRetention(context.Background())
	w.tolerate(err, "retention")
	for name, t := range w.topics {
		for i, m := range t.parts {
			if p, perr := l.Partition(name, int32(i)); err == nil && perr == nil && !w.power() {
				m.start = max(m.start, p.LogStart())
			} else {
				m.startDoubt = true
			}
		}
	}
}

func (w *world) deleteRecords(t *worldTopic, m *worldPart, p *Partition) {
	at := m.start + w.rng.Int64N(p.HighWatermark()-m.start+1)
	if t.compacted() || m.dead {
		return
	}
	_, err := p.DeleteRecords(at)
	w.tolerate(err, "delete records")
	if err == nil && !w.power() {
		m.start = max(m.start, at)
	} else {
		m.startDoubt = true
	}
}

// append lets a random producer write a record or end its transaction.
func (w *world) append(m *worldPart, p *Partition) {
	if m.dead {
		return
	}
	id := int64(w.rng.IntN(4)) - 1
	e := txnEntry{producer: id, key: fmt.Sprintf("k%d", w.rng.IntN(8)), value: fmt.Sprint(len(m.entries))}
	if w.rng.IntN(6) == 0 {
		e.value = ""
	}
	var a *Pending
	var err error
	switch {
	case id < 0:
		a, err = p.Begin(keyed(e.key, e.value), AppendOptions{CheckRecords: true})
	case m.open(id) && w.rng.IntN(3) == 0:
		e.marker = 1 + w.rng.IntN(2)
		a, err = p.EndTransaction(segment.Marker{ProducerID: id, Commit: e.marker == 1})
	default:
		a, err = p.Begin(txnBatch(id, 0, m.seq[id], e.key, e.value), AppendOptions{})
	}
	w.tolerate(err, "append")
	if err != nil {
		// Nothing is left of it, unless the partition is in a state that only a
		// start can tell.
		if m.dead = p.Err() != nil; m.dead {
			m.entries = append(m.entries, e)
		} else if !errors.Is(err, ErrStorage) {
			w.t.Fatalf("append: %v", err)
		}
		return
	}
	if a.Result.BaseOffset != int64(len(m.entries)) || a.Result.Duplicate {
		w.t.Fatalf("%s: %+v, want offset %d", p, a.Result, len(m.entries))
	}
	if m.entries = append(m.entries, e); id >= 0 && e.marker == 0 {
		m.seq[id]++
	}
	if w.rng.IntN(3) == 0 {
		err = a.Wait(context.Background())
		if w.tolerate(err, "append"); err == nil && !w.power() {
			m.durable = int64(len(m.entries))
		}
		m.dead = err != nil
	}
	if hw := p.HighWatermark(); !w.power() {
		m.durable = max(m.durable, hw) // seen
	}
}
