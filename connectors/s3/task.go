package s3

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

const (
	// uploadsAtOnce is how many objects of a task are packed and sent at the same time.
	uploadsAtOnce = 8
	// packsAtOnce is how many of them are being packed: that takes processors and memory, and sending takes neither.
	packsAtOnce = 2
	// abortTimeout bounds the clearing up of unfinished uploads.
	abortTimeout = 10 * time.Second
)

// errNull is what is wrong with a record that should have a value.
var errNull = errors.New("it has no value")

// task is one task of the sink. Its methods and those of its partitions run in the goroutine that calls the task;
// rotations are uploaded by goroutines of their partition.
type task struct {
	definition *configs.Definition
	memory     *memory
	dial       func(context.Context, configs.Values, *settings) (store, error)

	settings    *settings
	store       store
	partitioner partitioner
	values      *encoders
	keys        *encoders // nil: not wanted
	headers     *encoders // likewise
	streams     bool      // value files can be sent in parts before they are finished
	atOnce      int
	reporter    func(context.Context, connectors.RecordRef, error) error
	log         *slog.Logger

	partitions map[connectors.TopicPartition]*partition
	life       context.Context
	cancel     context.CancelFunc
	slots      chan struct{} // one for each upload under way
	packers    chan struct{} // one for each file being packed
	inFlight   atomic.Int64
	progress   chan struct{} // gets something whenever an upload ended

	path, dir []byte // scratch
	scratch   [3][]byte
}

// Start implements connectors.SinkTask. It asks for the bucket, so that what is wrong with address, credentials and
// rights shows before the first record.
func (t *task) Start(ctx context.Context, start connectors.SinkStart) error {
	values, problems := t.definition.Parse(start.Config)
	if err := configs.Err(problems); err != nil {
		return &connectors.Error{Op: "read the configuration", Class: connectors.ClassConfig, Err: err}
	}
	if err := t.configure(values, start); err != nil {
		return err
	}
	t.life, t.cancel = context.WithCancel(context.WithoutCancel(ctx))
	t.partitions = map[connectors.TopicPartition]*partition{}
	t.slots, t.packers, t.progress = make(chan struct{}, uploadsAtOnce), make(chan struct{}, packsAtOnce), make(chan struct{}, 1)
	var err error
	if t.store, err = t.dial(ctx, values, t.settings); err != nil {
		return err
	}
	if b, ok := t.store.(*bucketStore); ok {
		return b.check(ctx)
	}
	return nil
}

func (t *task) configure(values configs.Values, start connectors.SinkStart) (err error) {
	if t.settings, err = newSettings(values, start.Config); err != nil {
		return err
	}
	wrong := func(err error) error {
		return &connectors.Error{Op: "read the configuration", Class: connectors.ClassConfig, Err: err}
	}
	if t.partitioner, err = newPartitioner(values, t.settings); err != nil {
		return wrong(err)
	}
	encodersOf := func(key, kind string, wanted bool) (*encoders, error) {
		if !wanted {
			return nil, nil
		}
		of, err := newFormat(values, key, kind)
		if err != nil {
			return nil, wrong(err)
		}
		return newEncoders(of, t.settings.schemaCache), nil
	}
	if t.values, err = encodersOf("format.class", "", true); err != nil {
		return err
	}
	if t.keys, err = encodersOf("keys.format.class", ".keys", t.settings.storeKeys); err != nil {
		return err
	}
	if t.headers, err = encodersOf("headers.format.class", ".headers", t.settings.storeHeader); err != nil {
		return err
	}
	t.memory.limit.Store(t.settings.memory)
	t.atOnce = rotationsAtOnce
	if t.settings.byClock() {
		t.atOnce = rotationsInOrder
	}
	// What is known only at the end of a rotation goes with the request that begins an upload in parts.
	t.streams = !t.values.of.packs() && !t.settings.byClock() && !values.Bool("s3.object.tagging")
	t.reporter, t.log = start.Report, start.Log
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// report hands a bad record to the hub. If it returns nil the task goes on behind the record.
func (t *task) report(ctx context.Context, err *connectors.Error) error {
	if t.reporter == nil {
		return err
	}
	return t.reporter(ctx, *err.Record, err)
}

// Open implements connectors.SinkTask. The bucket keeps no positions: names and contents of objects follow from the
// records alone, so reading some of them again does no harm.
func (t *task) Open(_ context.Context, parts []connectors.TopicPartition) ([]connectors.Position, error) {
	for _, from := range parts {
		if t.partitions[from] == nil {
			t.partitions[from] = newPartition(t, from)
		}
	}
	return nil, nil
}

// Put implements connectors.SinkTask.
func (t *task) Put(ctx context.Context, batch *connectors.Records) error {
	now := time.Now()
	if len(batch.List) > 0 || batch.From.Topic != "" {
		p := t.partitions[batch.From]
		if p == nil {
			return fmt.Errorf("put of %s-%d, which is not open", batch.From.Topic, batch.From.Partition)
		}
		if err := p.settle(ctx, false); err != nil {
			return err
		}
		if err := p.put(ctx, batch, now); err != nil {
			return err
		}
	}
	return t.tick(ctx, now)
}

// tick does what is due by the clock, in all partitions.
func (t *task) tick(ctx context.Context, now time.Time) error {
	t.memory.trim(now)
	for _, p := range t.partitions {
		if o := p.open; o != nil && o.due(now, p.next, t.settings) {
			if err := p.rotate(ctx); err != nil {
				return err
			}
		}
		if err := p.settle(ctx, false); err != nil {
			return err
		}
	}
	return nil
}

// Flush implements connectors.SinkTask. Open files are not finished for it, not even with force: where they end must
// depend on the records (or on the schedule), or a replay would make other files. force waits for the finished ones.
func (t *task) Flush(ctx context.Context, force bool) ([]connectors.Position, error) {
	var positions []connectors.Position
	for _, p := range t.sorted() {
		for {
			if err := p.settle(ctx, force && len(p.closed) > 0); err != nil {
				return nil, err
			}
			if !force || len(p.closed) == 0 {
				break
			}
		}
		if at := p.position(); at >= 0 {
			positions = append(positions, connectors.Position{TopicPartition: p.from, Offset: at})
		}
	}
	return positions, nil
}

func (t *task) sorted() []*partition {
	all := make([]*partition, 0, len(t.partitions))
	for _, p := range t.partitions {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *partition) int {
		if c := strings.Compare(a.from.Topic, b.from.Topic); c != 0 {
			return c
		}
		return int(a.from.Partition) - int(b.from.Partition)
	})
	return all
}

// Close implements connectors.SinkTask.
func (t *task) Close(ctx context.Context, parts []connectors.TopicPartition) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	for _, from := range parts {
		if p := t.partitions[from]; p != nil {
			p.close(ctx)
			delete(t.partitions, from)
		}
	}
	return nil
}

// Stop implements connectors.SinkTask.
func (t *task) Stop(ctx context.Context) error {
	if t.cancel == nil {
		return nil
	}
	t.cancel()
	var all []connectors.TopicPartition
	for from := range t.partitions {
		all = append(all, from)
	}
	err := t.Close(ctx, all)
	if b, ok := t.store.(*bucketStore); ok {
		b.close()
	}
	return err
}

// Figures implements connectors.Observer.
func (t *task) Figures() []connectors.Figure {
	return []connectors.Figure{
		{Name: "s3_buffered_bytes", Help: "Memory of all tasks of the connector that waits for its upload.", Value: float64(t.memory.used.Load())},
		{Name: "s3_uploads", Help: "Rotations and parts that are being uploaded.", Value: float64(t.inFlight.Load())},
	}
}

// finish finishes one upload, when it is its turn.
func (t *task) finish(ctx context.Context, u *upload, about metadata, ifAbsent bool) error {
	release, err := enter(ctx, t.slots)
	if err != nil {
		return err
	}
	defer release()
	if err := u.settleEarly(ctx, t.store); err != nil {
		return err
	}
	if !u.packed {
		release, err := enter(ctx, t.packers)
		if err != nil {
			return err
		}
		defer release()
		if err := u.pack(); err != nil {
			return err
		}
		release()
	}
	return u.finish(ctx, t.store, t.settings.partSize, about, ifAbsent)
}

// enter takes a place, and returns what gives it back, once.
func enter(ctx context.Context, places chan struct{}) (leave func(), err error) {
	select {
	case places <- struct{}{}:
		return sync.OnceFunc(func() { <-places }), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// progressed notes that a goroutine of a partition ended.
func (t *task) progressed() {
	t.inFlight.Add(-1)
	select {
	case t.progress <- struct{}{}:
	default:
	}
}

// relieve makes room in memory: it waits for uploads that are under way, and then moves the largest open files to disk.
func (t *task) relieve(ctx context.Context) error {
	for t.memory.short() && t.inFlight.Load() > 0 {
		select {
		case <-t.progress:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if !t.memory.short() {
		return nil
	}
	var all []*upload
	for _, p := range t.partitions {
		for _, o := range append([]*rotation{p.open}, p.closed...) {
			if o != nil && !o.launched {
				all = append(all, o.uploads()...)
			}
		}
	}
	slices.SortFunc(all, func(a, b *upload) int { return int(b.blob.held - a.blob.held) })
	for _, u := range all {
		if t.memory.low() {
			break
		}
		if err := u.blob.spill(); err != nil {
			return err
		}
	}
	return nil
}
