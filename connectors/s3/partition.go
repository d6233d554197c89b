package s3

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/sluicehub/sluice/connectors"
)

// Numbers of rotations of one topic partition that may be uploaded at the same time. When it depends on the clock where
// files end, they must become visible in order, because a later task takes the first one missing as the end.
const (
	rotationsAtOnce  = 4
	rotationsInOrder = 1
)

// partition is one topic partition that the task has open. Its methods are called by the task's goroutine.
type partition struct {
	t    *task
	from connectors.TopicPartition

	next    int64       // offset after what was taken; -1: nothing was put yet
	open    *rotation   // nil while no record waits
	closed  []*rotation // being uploaded or waiting for it, in order
	probing bool        // a former task may have written rotations that this one is going to see again
	blind   bool        // it is not allowed to see whether it has

	life   context.Context // ends when the partition is closed
	cancel context.CancelFunc
	group  sync.WaitGroup // of its goroutines
}

func newPartition(t *task, from connectors.TopicPartition) *partition {
	p := &partition{t: t, from: from, next: -1, probing: t.settings.byClock()}
	p.life, p.cancel = context.WithCancel(t.life)
	return p
}

// start runs do in a goroutine that ends with the partition.
func (p *partition) start(do func(ctx context.Context)) {
	p.t.inFlight.Add(1)
	p.group.Go(func() {
		defer p.t.progressed()
		do(p.life)
	})
}

// put takes the records that were not taken before: after an error the hub sends a batch again.
func (p *partition) put(ctx context.Context, batch *connectors.Records, now time.Time) error {
	for i := range batch.List {
		r := &batch.List[i]
		if r.Offset < p.next {
			continue
		}
		if err := p.take(ctx, r, now); err != nil {
			return err
		}
		p.next = r.Offset + 1
		if p.t.memory.short() {
			if err := p.t.relieve(ctx); err != nil {
				return err
			}
		}
	}
	p.next = max(p.next, batch.End)
	return nil
}

// take writes one record into its file, after ending the rotation if it belongs into the next. A record that cannot be
// written is reported; that changes nothing in the files.
func (p *partition) take(ctx context.Context, r *connectors.Record, now time.Time) error {
	t := p.t
	tombstone := isNull(r.Value)
	if tombstone && t.settings.nulls != "write" {
		return p.null(ctx, r)
	}
	if err := t.complete(r, tombstone); err != nil {
		return t.report(ctx, dataError("write the record", p.from, r.Offset, err))
	}
	dir, at, err := p.dir(r, tombstone, now)
	if err != nil {
		return t.report(ctx, dataError("find the path of the record", p.from, r.Offset, err))
	}
	var f *file
	if o := p.open; o != nil {
		f = o.file(dir)
		if o.tombstones != tombstone || o.endsBefore(r, dir, at, now, t.settings) || !o.fits(f, r, t.settings) {
			if err := p.rotate(ctx); err != nil {
				return err
			}
			f = nil
		}
	}
	lines, err := t.encode(r, f, tombstone)
	if err != nil {
		return t.report(ctx, dataError("write the record", p.from, r.Offset, err))
	}
	if f == nil {
		if f, err = p.newFile(r, string(dir), tombstone); err != nil {
			return t.report(ctx, dataError("write the record", p.from, r.Offset, err))
		}
		if p.open == nil {
			if err := p.begin(ctx, r, f.dir, at, tombstone, now); err != nil {
				return err
			}
		}
		p.open.add(f)
	}
	o := p.open
	f.write(lines)
	o.records++
	o.last, o.lastFile = now, f
	if t.streams && f.value != nil && f.value.blob.size() >= t.settings.partSize && f.value.layout.whole() {
		if err := f.value.cut(ctx, t, p); err != nil {
			return p.taken(r, err)
		}
	}
	if o.adopted == 0 && o.records >= t.settings.flushSize || o.adopted > 0 && r.Offset+1 >= o.adopted {
		return p.taken(r, p.rotateAt(ctx, r.Offset+1))
	}
	return nil
}

// taken makes sure that a record that is in its file is not taken again because of an error after that.
func (p *partition) taken(r *connectors.Record, err error) error {
	if err != nil {
		p.next = r.Offset + 1
	}
	return err
}

// null handles a record without a value that is not to be written.
func (p *partition) null(ctx context.Context, r *connectors.Record) error {
	s := p.t.settings
	if s.nulls == "ignore" && !s.reportNulls {
		return nil
	}
	err := dataError("write the record", p.from, r.Offset, errNull)
	err.Remedy = "set behavior.on.null.values=ignore to leave such records out, or write to keep their keys"
	return p.t.report(ctx, err)
}

// dir returns the directory of a record, in scratch memory, and its time as the partitioner says.
func (p *partition) dir(r *connectors.Record, tombstone bool, now time.Time) (dir []byte, at int64, err error) {
	t := p.t
	if tombstone {
		t.path = append(t.path[:0], t.settings.tombstones...)
		at = r.Timestamp
	} else if t.path, at, err = t.partitioner.appendPath(t.path[:0], p.from.Partition, r, now.UnixMilli()); err != nil {
		return nil, 0, err
	}
	t.dir = t.settings.appendDir(t.dir[:0], r.Topic, t.path)
	return t.dir, at, nil
}

// begin opens a rotation with its first record.
func (p *partition) begin(ctx context.Context, r *connectors.Record, dir string, at int64, tombstone bool, now time.Time) error {
	s := p.t.settings
	o := &rotation{start: r.Offset, first: r.Timestamp, files: map[string]*file{}, tombstones: tombstone, base: at, opened: now, last: now}
	if s.scheduleInterval > 0 {
		o.deadline = nextSchedule(now, s.scheduleInterval, s.zone)
	}
	if p.probing {
		if err := p.adopt(ctx, o, r, dir); err != nil {
			return err
		}
	}
	o.unseen = s.byClock() && s.conditional && !p.probing && !p.blind
	p.open = o
	return nil
}

// adopt looks whether a former task wrote the rotation that begins with this record, and if so makes it end where that
// one ended. It stops looking when it finds nothing: rotations become visible in order.
func (p *partition) adopt(ctx context.Context, o *rotation, r *connectors.Record, dir string) error {
	key := p.objectKey(dir, r.Offset, o.tombstones)
	there, found, err := p.t.store.head(ctx, key)
	if status, _, _ := answer(err); status == http.StatusForbidden {
		p.t.log.Warn("cannot see whether objects are there already, so a restart may leave records twice in the bucket",
			"object", key, "remedy", "allow s3:GetObject and s3:ListBucket to this user")
		err, p.blind = nil, true
	}
	switch {
	case err != nil:
		return err
	case !found:
		p.probing = false
	case there.start == r.Offset && there.end > r.Offset && there.first == r.Timestamp:
		o.adopted = there.end
	default:
		p.t.log.Warn("an object of other records is overwritten", "object", key,
			"reason", "it was written by another program, or for an earlier topic of this name")
	}
	return nil
}

// rotate ends the open rotation before the record that comes next.
func (p *partition) rotate(ctx context.Context) error { return p.rotateAt(ctx, p.next) }

// rotateAt ends the open rotation and begins to upload it. It waits while too many are waiting.
func (p *partition) rotateAt(ctx context.Context, end int64) error {
	o := p.open
	if o == nil {
		return nil
	}
	o.end = max(end, o.adopted)
	p.open = nil
	p.closed = append(p.closed, o)
	p.launch()
	for len(p.closed) > p.t.atOnce+1 {
		if err := p.settle(ctx, true); err != nil {
			return err
		}
	}
	return nil
}

// launch begins to upload as many rotations as may be.
func (p *partition) launch() {
	for _, o := range p.closed[:min(len(p.closed), p.t.atOnce)] {
		if o.launched {
			continue
		}
		o.launched, o.over = true, make(chan struct{})
		p.start(func(ctx context.Context) {
			defer close(o.over)
			o.err = o.finish(ctx, p.t)
		})
	}
}

// settle takes the uploaded rotations off the list. With wait it waits for the first one; so it does if that one had
// failed and is now tried again. It returns the error of the first one, once for each time it was tried.
func (p *partition) settle(ctx context.Context, wait bool) error {
	for len(p.closed) > 0 {
		o := p.closed[0]
		if o.failed {
			o.failed, o.launched, wait = false, false, true
		}
		p.launch()
		if wait {
			select {
			case <-o.over:
			case <-ctx.Done():
				return ctx.Err()
			}
		} else {
			select {
			case <-o.over:
			default:
				return nil
			}
		}
		if o.err != nil {
			o.failed = true
			return o.err
		}
		p.closed = p.closed[1:]
		if len(p.closed) > 0 {
			p.closed[0].again()
		}
		p.launch()
		wait = false
	}
	return nil
}

// again lets a rotation that failed be tried once more. One that becomes the first may have failed long ago, for a cause
// that is over.
func (r *rotation) again() {
	if !r.launched {
		return
	}
	select {
	case <-r.over:
		r.launched = r.err == nil
	default:
	}
}

// position is how far everything is in the bucket, -1 if nothing was put.
func (p *partition) position() int64 {
	switch {
	case len(p.closed) > 0:
		return p.closed[0].start
	case p.open != nil:
		return p.open.start
	}
	return p.next
}

// close ends the goroutines of the partition and drops what is not uploaded.
func (p *partition) close(ctx context.Context) {
	p.cancel()
	p.group.Wait()
	all := p.closed
	if p.open != nil {
		all = append(all, p.open)
	}
	for _, o := range all {
		for _, u := range o.uploads() {
			if err := u.abort(ctx, p.t.store); err != nil {
				p.t.log.Warn("an unfinished upload is left in the bucket", "object", u.key, "error", err,
					"remedy", "a lifecycle rule of the bucket (AbortIncompleteMultipartUpload) removes it")
			}
		}
	}
	p.closed, p.open = nil, nil
}

func (p *partition) String() string { return fmt.Sprintf("%s-%d", p.from.Topic, p.from.Partition) }
