package s3

import (
	"strings"
	"time"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// settings are the configuration as the task uses it.
type settings struct {
	bucket, region, url string
	pathStyle           bool

	naming
	flushSize        int64
	rotateInterval   time.Duration // 0: off. Set only if the partitioner knows a time
	scheduleInterval time.Duration // 0: off
	onPathChange     bool
	zone             *time.Location
	maxOpenFiles     int
	compatibility    string

	nulls       string
	reportNulls bool
	tombstones  string
	storeKeys   bool
	storeHeader bool

	partSize    int64
	memory      int64
	conditional bool

	schemaCache int
}

// byClock reports whether it depends on the clock where files end. Then what a replay would write is found out from
// what is there already (see rotation.adopt), and objects are never overwritten unseen.
func (s *settings) byClock() bool { return s.scheduleInterval > 0 || s.rotateInterval > 0 }

// endpointKey is the key that says where the server is.
func (s *settings) endpointKey() string {
	if s.url != "" {
		return "store.url"
	}
	return "s3.region"
}

func (s *settings) endpoint() string {
	if s.url != "" {
		return "store.url=" + s.url
	}
	return "s3.region=" + s.region
}

// newSettings reads the settings from values in which no problem was found.
func newSettings(v configs.Values, config map[string]string) (*settings, error) {
	s := &settings{
		bucket: v.String("s3.bucket.name"), region: v.String("s3.region"), url: v.String("store.url"),
		pathStyle: v.Bool("s3.path.style.access.enabled"),
		naming: naming{topicsDir: v.String("topics.dir"), delim: v.String("directory.delim"), fileDelim: v.String("file.delim"),
			pad: v.Int("filename.offset.zero.pad.width")},
		flushSize:        v.Long("flush.size"),
		scheduleInterval: max(v.Duration("rotate.schedule.interval.ms"), 0),
		onPathChange:     v.Bool("rotate.file.on.partition.change"),
		maxOpenFiles:     v.Int("partitioner.max.open.files"),
		compatibility:    v.String("schema.compatibility"),
		nulls:            v.String("behavior.on.null.values"),
		tombstones:       v.String("tombstone.encoded.partition"),
		storeKeys:        v.Bool("store.kafka.keys"),
		storeHeader:      v.Bool("store.kafka.headers"),
		partSize:         v.Long("s3.part.size"),
		memory:           v.Long("s3.buffer.memory.bytes"),
		conditional:      v.Bool("enable.conditional.writes"),
		schemaCache:      v.Int("schemas.cache.config"),
	}
	switch pick(partitioners(), v.String("partitioner.class")) {
	case "time", "daily", "hourly":
		s.rotateInterval = max(v.Duration("rotate.interval.ms"), 0)
	}
	s.reportNulls = v.Bool("report.null.values.to.dlq") && strings.TrimSpace(config["errors.deadletterqueue.topic.name"]) != "" &&
		strings.EqualFold(strings.TrimSpace(config["errors.tolerance"]), "all")
	var err error
	if s.zone, err = loadZone(v.String("timezone")); err != nil {
		return nil, &connectors.Error{Op: "load the time zone " + v.String("timezone"), Class: connectors.ClassConfig, Err: err}
	}
	return s, nil
}
