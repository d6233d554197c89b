package s3

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// byTime is the TimeBasedPartitioner, and Daily and Hourly, which are it with a pattern and a duration of their own. The
// time of a record is floored, as local time, to the duration, and then printed by the pattern.
type byTime struct {
	extract  func(r *connectors.Record, now int64) (int64, error)
	pattern  *pattern
	zone     *time.Location
	duration int64 // ms

	// The last path, because records come in runs of the same.
	bucket int64 // local time
	offset int   // of the zone
	path   []byte
}

func newByTime(kind string, v configs.Values, s *settings) (*byTime, error) {
	format, duration := v.String("path.format"), v.Duration("partition.duration.ms").Milliseconds()
	d := s.delim
	daily := "'year'=YYYY" + d + "'month'=MM" + d + "'day'=dd"
	switch kind {
	case "daily":
		format, duration = daily, (24 * time.Hour).Milliseconds()
	case "hourly":
		format, duration = daily+d+"'hour'=HH", time.Hour.Milliseconds()
	}
	p, err := parsePattern(strings.TrimSuffix(format, d))
	if err != nil {
		return nil, fmt.Errorf("path.format: %w", err)
	}
	b := &byTime{pattern: p, zone: s.zone, duration: max(duration, 1)}
	switch pick(extractors(), v.String("timestamp.extractor")) {
	case "Record":
		b.extract = recordTime
	case "RecordField":
		f := newFieldReader(v.String("timestamp.field"), s.schemaCache)
		b.extract = func(r *connectors.Record, _ int64) (int64, error) {
			found, err := f.read(r.Value)
			if err != nil {
				return 0, fmt.Errorf("timestamp.field %s: %w", f.name, err)
			}
			at, err := found.time()
			if err != nil {
				return 0, fmt.Errorf("timestamp.field %s: %w", f.name, err)
			}
			return at, nil
		}
	default:
		b.extract = func(_ *connectors.Record, now int64) (int64, error) { return now, nil }
	}
	return b, nil
}

func recordTime(r *connectors.Record, _ int64) (int64, error) {
	if r.Timestamp == connectors.NoTimestamp {
		return 0, errors.New("it has no timestamp, and timestamp.extractor=Record wants one")
	}
	return r.Timestamp, nil
}

func (p *byTime) appendPath(dst []byte, _ int32, r *connectors.Record, now int64) ([]byte, int64, error) {
	at, err := p.extract(r, now)
	if err != nil {
		return dst, 0, err
	}
	t := time.UnixMilli(at).In(p.zone)
	_, offset := t.Zone()
	local := at + int64(offset)*1000
	bucket := local - (local%p.duration+p.duration)%p.duration
	if p.path == nil || bucket != p.bucket || offset != p.offset {
		// The fields of the local time are those of the same time in a zone of that offset.
		of := time.UnixMilli(bucket - int64(offset)*1000).In(p.fixed(t, offset))
		p.bucket, p.offset, p.path = bucket, offset, p.pattern.append(p.path[:0], of)
	}
	return append(dst, p.path...), at, nil
}

// fixed returns a zone that is always as the zone is at that time: flooring must not cross a change of the clocks.
func (p *byTime) fixed(t time.Time, offset int) *time.Location {
	if p.zone == time.UTC {
		return time.UTC
	}
	name := p.zone.String()
	if short, _ := t.Zone(); !strings.ContainsAny(short, "+-") && !p.pattern.zoneID() {
		name = short
	}
	return time.FixedZone(name, offset)
}

// zoneID reports whether the pattern shows the id of the zone, and not a short name.
func (p *pattern) zoneID() bool {
	for _, part := range p.parts {
		if part.letter == 'Z' && part.count > 2 {
			return true
		}
	}
	return false
}

// Names of Debezium's types for times, which its connectors use unless told otherwise.
const (
	debeziumMicros = "io.debezium.time.MicroTimestamp"
	debeziumNanos  = "io.debezium.time.NanoTimestamp"
	debeziumDate   = "io.debezium.time.Date"
	day            = 24 * 60 * 60 * 1000
)

// time returns a field as milliseconds since the epoch: a number of them, a logical type of Connect's or Debezium's, or
// text as ISO 8601 says.
func (f field) time() (int64, error) {
	if f.bytes == nil {
		return 0, errors.New("it is null")
	}
	if f.schema == nil {
		if f.bytes[0] == '"' {
			text, err := connectors.AppendJSONText(nil, f.bytes)
			if err != nil {
				return 0, err
			}
			return parseISO(string(text))
		}
		ms, err := strconv.ParseFloat(string(f.bytes), 64)
		if err != nil {
			return 0, fmt.Errorf("%s is no time", f.bytes)
		}
		return int64(ms), nil
	}
	switch f.schema.Type {
	case connectors.Int8, connectors.Int16, connectors.Int32, connectors.Int64:
		i, _, err := connectors.ReadInt(f.bytes)
		switch f.schema.Name {
		case debeziumMicros:
			i = floorDiv(i, 1000)
		case debeziumNanos:
			i = floorDiv(i, 1_000_000)
		case debeziumDate, connectors.DateName:
			i *= day
		}
		return i, err
	case connectors.String:
		text, _, err := connectors.ReadBytes(f.bytes)
		if err != nil {
			return 0, err
		}
		return parseISO(string(text))
	}
	return 0, fmt.Errorf("a %s is no time", f.schema.Type)
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// parseISO reads a date or a date and time as ISO 8601 says; without a zone it is UTC.
func parseISO(text string) (int64, error) {
	for _, layout := range []string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", "2006-01-02T15:04Z07:00",
		"2006-01-02T15:04", "2006-01-02T15", "2006-01-02", "2006-01", "2006"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UnixMilli(), nil
		}
	}
	return 0, fmt.Errorf("%.40q is no time as ISO 8601 says", text)
}
