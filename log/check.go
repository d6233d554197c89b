package log

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/sluicehub/sluice/log/segment"
)

// checker decides whether batches may be appended, as far as that does not
// depend on what the log holds. The rules are those of Kafka's LogValidator.
type checker struct {
	cfg              *TopicConfig
	now              time.Time
	earliest, latest int64 // ms since 1970: what a record may have
	records          bool
	// unsequenced lets batches of a producer have no sequence number.
	unsequenced bool
}

func newChecker(cfg *TopicConfig, now time.Time, o AppendOptions) *checker {
	c := &checker{cfg: cfg, now: now, records: o.CheckRecords || cfg.Compact, unsequenced: o.Unsequenced,
		earliest: math.MinInt64, latest: now.Add(cfg.TimestampAfter).UnixMilli()}
	if cfg.TimestampBefore < forever {
		c.earliest = now.Add(-cfg.TimestampBefore).UnixMilli()
	}
	return c
}

// check returns the headers of the batches. It sets the append time and
// corrects maximum timestamps.
func (c *checker) check(batches []byte) ([]segment.Header, error) {
	if len(batches) == 0 {
		return nil, fmt.Errorf("%w: no batch", ErrInvalidRecord)
	}
	hs := make([]segment.Header, 0, 1)
	for len(batches) > 0 {
		h, b, err := segment.ParseBatch(batches)
		if errors.Is(err, segment.ErrOldFormat) {
			return nil, fmt.Errorf("%w: %w", ErrUnsupportedFormat, err)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrCorruptBatch, err)
		}
		if err := c.header(&h); err != nil {
			return nil, err
		}
		if c.records {
			if err := c.each(&h, b); err != nil {
				return nil, err
			}
		}
		if c.cfg.LogAppendTime {
			h.MaxTimestamp = c.now.UnixMilli()
			h.Attributes |= segment.AttrLogAppendTime
			segment.SetAppendTime(b, h.MaxTimestamp)
		} else if err := c.timestamp(&h); err != nil {
			return nil, err
		}
		hs = append(hs, h)
		batches = batches[len(b):]
	}
	return hs, nil
}

func (c *checker) header(h *segment.Header) error {
	switch {
	case h.Size() > c.cfg.MaxMessageBytes:
		return fmt.Errorf("%w: %d bytes, max.message.bytes is %d", ErrMessageTooLarge, h.Size(), c.cfg.MaxMessageBytes)
	case h.Count == 0 || h.Count != h.LastOffsetDelta+1:
		return fmt.Errorf("%w: %d records with last offset delta %d", ErrInvalidRecord, h.Count, h.LastOffsetDelta)
	case h.Control():
		return fmt.Errorf("%w: control batch from a client", ErrInvalidRecord)
	case h.Transactional() && h.ProducerID < 0:
		return fmt.Errorf("%w: transactional batch without a producer id", ErrInvalidRecord)
	case h.Attributes&segment.AttrDeleteHorizon != 0:
		return fmt.Errorf("%w: delete horizon set by a client", ErrInvalidRecord)
	case h.LogAppendTime() && !c.cfg.LogAppendTime:
		return fmt.Errorf("%w: LogAppendTime set by a client", ErrInvalidTimestamp)
	case h.Codec() > 4:
		return fmt.Errorf("%w: unknown compression codec %d", ErrInvalidRecord, h.Codec())
	case h.ProducerID >= 0 && (h.ProducerEpoch < 0 || h.BaseSequence < 0 && !c.unsequenced):
		return fmt.Errorf("%w: producer %d with epoch %d and sequence %d", ErrInvalidRecord, h.ProducerID, h.ProducerEpoch, h.BaseSequence)
	}
	return nil
}

func (c *checker) timestamp(h *segment.Header) error {
	if reason := c.wrongTime(h.MaxTimestamp); reason != "" {
		return fmt.Errorf("%w: %s", ErrInvalidTimestamp, reason)
	}
	return nil
}

// wrongTime says why a record must not have a timestamp; "" if it may.
func (c *checker) wrongTime(ms int64) string {
	switch {
	case ms == segment.NoTimestamp:
	case ms > c.latest:
		return fmt.Sprintf("%d is %d ms ahead of the clock, message.timestamp.after.max.ms allows %d", ms, ms-c.now.UnixMilli(), c.cfg.TimestampAfter.Milliseconds())
	case ms < c.earliest:
		return fmt.Sprintf("%d is %d ms behind the clock, message.timestamp.before.max.ms allows %d", ms, c.now.UnixMilli()-ms, c.cfg.TimestampBefore.Milliseconds())
	}
	return ""
}

// each checks the records: offsets one after the other, keys where needed,
// timestamps, and the maximum timestamp, which it corrects as Kafka does.
func (c *checker) each(h *segment.Header, batch []byte) error {
	maxTS := int64(segment.NoTimestamp)
	anyTime := c.cfg.LogAppendTime || h.LogAppendTime()
	var bad RecordErrors
	err := segment.Briefs(h, batch, func(i int, r segment.Brief) error {
		if r.Offset != h.BaseOffset+int64(i) {
			return RecordErrors{{i, fmt.Sprintf("offset delta %d", r.Offset-h.BaseOffset), ErrInvalidRecord}}
		}
		if r.Keyless && c.cfg.Compact {
			bad.blame(i, ErrInvalidRecord, "a record of a compacted topic needs a key")
		} else if !anyTime && (r.Timestamp > c.latest || r.Timestamp < c.earliest) {
			if reason := c.wrongTime(r.Timestamp); reason != "" {
				bad.blame(i, ErrInvalidTimestamp, reason)
			}
		}
		maxTS = max(maxTS, r.Timestamp)
		return nil
	})
	if errors.Is(err, segment.ErrBadBatch) {
		return fmt.Errorf("%w: %w", ErrInvalidRecord, err)
	}
	if err != nil {
		return err
	}
	if bad != nil {
		return bad
	}
	if maxTS != h.MaxTimestamp && !h.LogAppendTime() {
		h.MaxTimestamp = maxTS
		segment.SetMaxTimestamp(batch, maxTS)
	}
	return nil
}
