package hub

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/connectors"
)

// sinkConverter turns records of the log into batches for a sink. The memory of a batch is used again for the next.
type sinkConverter struct {
	*sinkRun
	list    []connectors.Record
	headers []connectors.Header
	buf     []byte
}

// batch converts records from the beginning of list until the batch is full, and returns how many it took.
func (c *sinkConverter) batch(ctx context.Context, from connectors.TopicPartition, list []*kgo.Record) (*connectors.Records, int, error) {
	c.list, c.headers, c.buf = c.list[:0], c.headers[:0], c.buf[:0]
	n, size := 0, 0
	for n < len(list) && n < putRecords && size < putBytes {
		r := list[n]
		n++
		if r.Attrs.IsControl() { // the end of a transaction: nothing but a place
			continue
		}
		size += len(r.Key) + len(r.Value)
		c.figures.recordsIn.Add(1)
		keep, err := c.append(ctx, r)
		if err != nil {
			return nil, n, err
		}
		if !keep {
			c.list = c.list[:len(c.list)-1]
		}
	}
	c.figures.bytesIn.Add(int64(size))
	return &connectors.Records{From: from, List: c.list, End: list[n-1].Offset + 1}, n, nil
}

// append converts and transforms one record into the last place of the list; false if it is not for the sink.
func (c *sinkConverter) append(ctx context.Context, r *kgo.Record) (keep bool, err error) {
	c.list = append(c.list, connectors.Record{})
	rec := &c.list[len(c.list)-1]
	at, err := c.convert(rec, r)
	if err != nil {
		err = c.errors.retry(ctx, err, func() error { at, err = c.convert(rec, r); return err })
	}
	if err != nil {
		return false, c.errors.report(ctx, badRecord{original: *r, stage: at, class: c.pipeline.class(at), err: err})
	}
	if c.pipeline.transforms.Empty() {
		return true, nil
	}
	original := *rec
	if keep, err = c.pipeline.transforms.Apply(rec); err == nil {
		return keep, nil
	}
	err = c.errors.retry(ctx, err, func() error { *rec = original; keep, err = c.pipeline.transforms.Apply(rec); return err })
	if err != nil {
		return false, c.errors.report(ctx, badRecord{original: *r, stage: stageTransform, class: transformClass(err), err: err})
	}
	return keep, nil
}

// convert fills rec from r, in Connect's order: key, value, headers.
func (c *sinkConverter) convert(rec *connectors.Record, r *kgo.Record) (at stage, err error) {
	*rec = connectors.Record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli()}
	if rec.Key, c.buf, err = c.pipeline.key.ToConnect(c.buf, r.Topic, r.Key); err != nil {
		return stageKeyConverter, err
	}
	if rec.Value, c.buf, err = c.pipeline.value.ToConnect(c.buf, r.Topic, r.Value); err != nil {
		return stageValueConverter, err
	}
	if len(r.Headers) == 0 {
		return "", nil
	}
	first := len(c.headers)
	for _, h := range r.Headers {
		var d connectors.Data
		if d, c.buf, err = c.pipeline.header.ToConnect(c.buf, r.Topic, h.Value); err != nil {
			return stageHeaderConverter, err
		}
		c.headers = append(c.headers, connectors.Header{Key: h.Key, Value: d})
	}
	rec.Headers = c.headers[first:len(c.headers):len(c.headers)]
	return "", nil
}
