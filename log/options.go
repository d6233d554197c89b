package log

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/sluicehub/sluice/log/vfs"
)

// Durability says when an append is answered.
type Durability int

const (
	// DurabilitySync answers after an fsync; the high watermark is the durable
	// end. The default. As a topic config: flush.messages=1.
	DurabilitySync Durability = iota
	// DurabilityInterval answers after the write and syncs every
	// Options.FlushInterval. A power cut loses at most that; a killed process
	// loses nothing. As a topic config: flush.ms=N.
	DurabilityInterval
	// DurabilityOS leaves syncing to the operating system.
	DurabilityOS
)

// ParseDurability reads "sync", "interval" or "os".
func ParseDurability(s string) (Durability, error) {
	for d, name := range durabilityNames() {
		if s == name {
			return Durability(d), nil
		}
	}
	return 0, fmt.Errorf("unknown durability %q: use sync, interval or os", s)
}

func (d Durability) String() string {
	if names := durabilityNames(); d >= 0 && int(d) < len(names) {
		return names[d]
	}
	return fmt.Sprintf("Durability(%d)", int(d))
}

func durabilityNames() []string { return []string{"sync", "interval", "os"} }

// Clock gives the time and wakes the background work. Under testing/synctest
// the zero Options clock is already the bubble's.
type Clock interface {
	Now() time.Time
	// After behaves as time.After.
	After(d time.Duration) <-chan time.Time
}

// Options configures a Log. Only Dir is required.
type Options struct {
	// Dir is the data directory; it is created when missing.
	Dir string
	// FS is the file system; nil means the operating system's.
	FS vfs.FS
	// Clock is the source of time; nil means the system clock.
	Clock Clock
	// Logger receives recoveries, cuts, damage and background errors; nil
	// discards them.
	Logger *slog.Logger
	// Durability of topics that do not set flush.messages or flush.ms.
	Durability Durability
	// FlushInterval of DurabilityInterval; 0 means 100 ms.
	FlushInterval time.Duration
	// RetentionInterval is how often retention is applied (Kafka's
	// log.retention.check.interval.ms); 0 means 5 minutes, negative never.
	RetentionInterval time.Duration
	// CompactionInterval is how often compacted topics are looked at (Kafka's
	// log.cleaner.backoff.ms); 0 means 15 seconds, negative never.
	CompactionInterval time.Duration
	// ProducerExpiry forgets the sequence state of producers idle for so long
	// (Kafka's producer.id.expiration.ms); 0 means 24 hours.
	ProducerExpiry time.Duration
	// TopicDefaults are defaults for topic configs that replace Kafka's, by
	// topic config name. They are reported with SourceBroker.
	TopicDefaults map[string]string
	// Vital are topics that are written above the reject mark too, as long as
	// there is any space: those that the node itself needs.
	Vital []string
	// DiskWarnPercent and DiskRejectPercent are how full the disk is, as df shows
	// it, when it is said, and when producers are refused; 0 means 90 and 98.
	DiskWarnPercent, DiskRejectPercent int
	// DiskInterval is how often the disk is looked at while nothing is appended;
	// 0 means 5 seconds, negative never.
	DiskInterval time.Duration
	// MaxOpenFiles bounds how many files are open for long, roughly; 0 means 4000.
	// What was not used for the longest time is closed and opened again.
	MaxOpenFiles int
	// MaxSyncs bounds fsync calls in flight over all partitions; 0 means 16.
	MaxSyncs int
}

// Defaults of Options.
const (
	DefaultDiskWarnPercent   = 90
	DefaultDiskRejectPercent = 98
	DefaultMaxOpenFiles      = 4000
)

type systemClock struct{}

func (systemClock) Now() time.Time                         { return time.Now() }
func (systemClock) After(d time.Duration) <-chan time.Time { return time.After(d) }

func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, fmt.Errorf("log: Options.Dir is empty")
	}
	if o.FS == nil {
		o.FS = vfs.OS()
	}
	if o.Clock == nil {
		o.Clock = systemClock{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.FlushInterval <= 0 {
		o.FlushInterval = 100 * time.Millisecond
	}
	if o.RetentionInterval == 0 {
		o.RetentionInterval = 5 * time.Minute
	}
	if o.CompactionInterval == 0 {
		o.CompactionInterval = 15 * time.Second
	}
	if o.ProducerExpiry <= 0 {
		o.ProducerExpiry = 24 * time.Hour
	}
	if o.DiskInterval == 0 {
		o.DiskInterval = 5 * time.Second
	}
	if o.DiskWarnPercent == 0 {
		o.DiskWarnPercent = DefaultDiskWarnPercent
	}
	if o.DiskRejectPercent == 0 {
		o.DiskRejectPercent = DefaultDiskRejectPercent
	}
	if o.DiskWarnPercent < 1 || o.DiskWarnPercent > o.DiskRejectPercent || o.DiskRejectPercent > 100 {
		return o, fmt.Errorf("log: DiskWarnPercent %d and DiskRejectPercent %d: want 1 to 100, the first no more than the second",
			o.DiskWarnPercent, o.DiskRejectPercent)
	}
	if o.MaxOpenFiles <= 0 {
		o.MaxOpenFiles = DefaultMaxOpenFiles
	}
	o.FS = vfs.Bounded(o.FS, o.MaxOpenFiles)
	if o.MaxSyncs <= 0 {
		o.MaxSyncs = 16
	}
	return o, nil
}
