package s3

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluicehub/sluice/configs"
)

// Groups of keys, as forms and reference pages show them.
const (
	groupConnector   = "Connector"
	groupS3          = "S3"
	groupFormat      = "Format"
	groupPartitioner = "Partitioner"
	groupStorage     = "Storage"
	groupReliability = "Reliability"
)

// choice is one of the classes that a key may name. Users write the Java class, or the short name.
type choice struct{ name, class string }

func formats() []choice {
	return []choice{
		{"json", "io.confluent.connect.s3.format.json.JsonFormat"},
		{"avro", "io.confluent.connect.s3.format.avro.AvroFormat"},
		{"parquet", "io.confluent.connect.s3.format.parquet.ParquetFormat"},
		{"bytes", "io.confluent.connect.s3.format.bytearray.ByteArrayFormat"},
	}
}

func partitioners() []choice {
	const in = "io.confluent.connect.storage.partitioner."
	return []choice{{"default", in + "DefaultPartitioner"}, {"field", in + "FieldPartitioner"},
		{"time", in + "TimeBasedPartitioner"}, {"daily", in + "DailyPartitioner"}, {"hourly", in + "HourlyPartitioner"}}
}

func extractors() []choice {
	const in = "io.confluent.connect.storage.partitioner.TimeBasedPartitioner$"
	return []choice{{"Wallclock", in + "WallclockTimestampExtractor"}, {"Record", in + "RecordTimestampExtractor"},
		{"RecordField", in + "RecordFieldTimestampExtractor"}}
}

// pick returns the short name of the choice that a value means, "" if none. Older packages of the same classes, and
// the class without its package, mean the same.
func pick(choices []choice, value string) string {
	last := value[strings.LastIndexAny(value, ".$")+1:]
	for _, c := range choices {
		simple := c.class[strings.LastIndexAny(c.class, ".$")+1:]
		if strings.EqualFold(value, c.name) || strings.EqualFold(last, simple) {
			return c.name
		}
	}
	return ""
}

func oneOf(choices []choice) func(string) error {
	return func(value string) error {
		if value == "" || pick(choices, value) != "" {
			return nil
		}
		var all []string
		for _, c := range choices {
			all = append(all, c.class+" ("+c.name+")")
		}
		return fmt.Errorf("must be one of %s", strings.Join(all, ", "))
	}
}

func recommend(choices []choice) func(configs.Values) []string {
	return func(configs.Values) (all []string) {
		for _, c := range choices {
			all = append(all, c.class)
		}
		return all
	}
}

func zoneCheck(name string) error {
	if _, err := loadZone(name); err != nil {
		return fmt.Errorf("must be the name of a time zone, such as UTC or Europe/Rome")
	}
	return nil
}

func loadZone(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	return time.LoadLocation(name)
}

func newDefinition() *configs.Definition {
	return &configs.Definition{
		Keys: slices.Concat(connectorKeys(), formatKeys(), partitionerKeys(), bucketKeys(), credentialKeys(), reliabilityKeys()),
		Rules: []configs.Rule{
			configs.Requires("aws.access.key.id", "aws.secret.access.key"),
			configs.Requires("aws.secret.access.key", "aws.access.key.id"),
			configs.Requires("aws.session.token", "aws.access.key.id", "aws.secret.access.key"),
			configs.Check("Compression of whole files is for JSON and bytes; Avro and Parquet compress inside.",
				[]string{"format.class", "s3.compression.type"}, checkCompression),
			configs.Check("The Field partitioner needs the fields, the TimeBased one a pattern and a duration.",
				[]string{"partitioner.class", "partition.field.name", "path.format", "partition.duration.ms", "locale"}, checkPartitioner),
			configs.Check("rotate.interval.ms needs a time that comes with the records.",
				[]string{"partitioner.class", "rotate.interval.ms"}, checkRotation),
			configs.Check("Tombstones have nothing to be written but their keys.",
				[]string{"behavior.on.null.values", "store.kafka.keys"}, checkNulls),
			configs.Check("Amazon's accelerated endpoint wants the bucket in the host name.",
				[]string{"s3.wan.mode", "s3.path.style.access.enabled"}, checkAcceleration),
			configs.Check("Server-side encryption is of one kind.",
				[]string{"s3.ssea.name", "s3.sse.kms.key.id", "s3.sse.customer.key"}, checkEncryption),
			configs.Check("AwsAssumeRoleCredentialsProvider needs a role.", []string{providerKey + "class", providerKey + "sts.role.arn"}, checkCredentials),
		},
	}
}

func connectorKeys() []configs.Key {
	return []configs.Key{
		{Name: "format.class", Type: configs.Class, Required: true, Importance: configs.High, Group: groupConnector, Width: configs.WidthLong,
			Example: formats()[0].class, Check: oneOf(formats()), Recommend: recommend(formats()),
			Doc: "Format of the value files: a class of Confluent's sink, or json, avro, parquet, bytes."},
		{Name: "flush.size", Type: configs.Int, Required: true, Min: "1", Importance: configs.High, Group: groupConnector, Unit: "records", Example: "10000",
			Doc: "Number of records of a topic partition, over all its output paths, after which its files are finished."},
		{Name: "rotate.interval.ms", Type: configs.Long, Default: "-1", Min: "-1", Importance: configs.High, Group: groupConnector, Unit: "ms",
			Doc: "Time between the first record of a file and the first one that goes into the next, by the records' own time. Needs a partitioner " +
				"by time. A partition without new records finishes its file after this time too. -1 is off."},
		{Name: "rotate.schedule.interval.ms", Type: configs.Long, Default: "-1", Min: "-1", Importance: configs.Medium, Group: groupConnector, Unit: "ms",
			Doc: "Files are finished at the multiples of this time since midnight in the time zone, by the clock. -1 is off."},
		{Name: "rotate.file.on.partition.change", Type: configs.Boolean, Default: "true", Importance: configs.Low, Group: groupConnector,
			Doc: "With rotate.interval.ms: a record of another output path than the one before finishes the files. Set it to false if records come late."},
		{Name: "schema.compatibility", Type: configs.String, Default: "NONE", Enum: []string{"NONE", "BACKWARD", "FORWARD", "FULL"},
			Importance: configs.High, Group: groupConnector,
			Doc: "NONE: a record with another schema begins a new file. BACKWARD, FULL: only one with a later version does, others are " +
				"converted to the file's schema. FORWARD: only one with an earlier version does."},
		{Name: "behavior.on.null.values", Type: configs.String, Default: "fail", Enum: []string{"fail", "ignore", "write"},
			Importance: configs.Low, Group: groupConnector, Dependents: []string{"store.kafka.keys"},
			Doc: "What to do with records without a value, such as the tombstones after deletes. write keeps their keys in files of their own."},
		{Name: "report.null.values.to.dlq", Type: configs.Boolean, Default: "true", Importance: configs.Low, Group: groupConnector,
			Doc: "Ignored records without a value go to the dead-letter topic, if there is one."},
		{Name: "tombstone.encoded.partition", Type: configs.String, Default: "tombstone", Importance: configs.Low, Group: groupConnector,
			Doc: "Output path of the keys of records without a value."},
		{Name: "store.kafka.keys", Type: configs.Boolean, Default: "false", Importance: configs.Low, Group: groupConnector,
			Doc: "Write the keys to a file beside each value file, in the same order."},
		{Name: "store.kafka.headers", Type: configs.Boolean, Default: "false", Importance: configs.Low, Group: groupConnector,
			Doc: "Write the headers to a file beside each value file, in the same order."},
		{Name: "keys.format.class", Type: configs.Class, Default: formats()[1].class, Importance: configs.Low, Group: groupConnector,
			Check: oneOf(formats()), Recommend: recommend(formats()), Doc: "Format of the key files."},
		{Name: "headers.format.class", Type: configs.Class, Default: formats()[1].class, Importance: configs.Low, Group: groupConnector,
			Check: oneOf(formats()), Recommend: recommend(formats()), Doc: "Format of the header files."},
		{Name: "schemas.cache.config", Type: configs.Int, Default: "1000", Min: "1", Importance: configs.Low, Group: groupConnector, Unit: "schemas",
			Doc: "Number of schemas for which the compiled writers are kept."},
	}
}

// parquetCodecs are the values of parquet.codec.
func parquetCodecs() []string {
	return []string{"none", "uncompressed", "snappy", "gzip", "zstd", "brotli", "lz4", "lz4_raw"}
}

func checkParquetCodec(name string) error {
	switch name = strings.ToLower(name); {
	case slices.Contains(parquetCodecs(), name):
		return nil
	case name == "lzo":
		return errors.New("lzo is not supported, because its library is under the GPL; lz4 and snappy are as fast")
	}
	return errors.New("must be one of " + strings.Join(parquetCodecs(), ", "))
}

func formatKeys() []configs.Key {
	unused := func(name, def, why string) configs.Key {
		return configs.Key{Name: name, Type: configs.Boolean, Default: def, Importance: configs.Low, Group: groupFormat, Notice: name + " has no effect here: " + why, Doc: why}
	}
	return []configs.Key{
		{Name: "s3.compression.type", Type: configs.String, Default: "none", Enum: []string{"none", "gzip"}, Importance: configs.Low, Group: groupFormat,
			Dependents: []string{"s3.compression.level"}, Doc: "Compression of JSON and bytes files."},
		{Name: "s3.compression.level", Type: configs.Int, Default: "-1", Min: "-1", Max: "9", Importance: configs.Low, Group: groupFormat,
			Doc: "Level of gzip, 1 is fast and 9 small. -1 is its default."},
		{Name: "avro.codec", Type: configs.String, Default: "null", Enum: []string{"null", "deflate", "snappy", "bzip2", "zstandard"}, Importance: configs.Low,
			Group: groupFormat, Doc: "Compression of the blocks of Avro files."},
		{Name: "parquet.codec", Type: configs.String, Default: "snappy", Check: checkParquetCodec, Recommend: func(configs.Values) []string { return parquetCodecs() },
			Importance: configs.Low, Group: groupFormat, Doc: "Compression of the pages of Parquet files: none, snappy, gzip, zstd, brotli or lz4. " +
				"lz4 writes the codec LZ4_RAW, which took the place of LZ4."},
		{Name: "json.decimal.format", Type: configs.String, Default: "BASE64", Enum: []string{"BASE64", "NUMERIC"}, Importance: configs.Low, Group: groupFormat,
			Doc: "How JSON files show decimals: their bytes in base64, or numbers."},
		{Name: "format.bytearray.extension", Type: configs.String, Default: ".bin", Importance: configs.Low, Group: groupFormat, Doc: "Extension of bytes files."},
		{Name: "format.bytearray.separator", Type: configs.String, Importance: configs.Low, Group: groupFormat, Example: `\n`,
			Doc: "What follows each value in a bytes file; \\n, \\r, \\t, \\\\ and \\0 stand for themselves. A line feed, if it is not given."},
		unused("enhanced.avro.schema.support", "true", "names, versions and enums of Connect schemas are always kept in Avro schemas"),
		unused("connect.meta.data", "true", "Avro schemas always carry Connect's own properties"),
		unused("allow.optional.map.keys", "false", "maps with optional keys are always written"),
	}
}

func partitionerKeys() []configs.Key {
	return []configs.Key{
		{Name: "partitioner.class", Type: configs.Class, Default: partitioners()[0].class, Importance: configs.High, Group: groupPartitioner,
			Check: oneOf(partitioners()), Recommend: recommend(partitioners()), Width: configs.WidthLong,
			Dependents: []string{"partition.field.name", "path.format", "partition.duration.ms", "timestamp.extractor"},
			Doc:        "How records are laid out in directories: a class of Confluent's, or default, field, time, daily, hourly."},
		{Name: "partition.field.name", Type: configs.List, Importance: configs.Medium, Group: groupPartitioner, Example: "region,customer.country",
			Doc: "Fields of the value whose contents make the path, for the Field partitioner. A dot goes into a nested struct."},
		{Name: "partition.field.format.path", Type: configs.Boolean, Default: "true", Importance: configs.Low, Group: groupPartitioner,
			Doc: "Name the fields in the path (name=value), or only their contents."},
		{Name: "path.format", Type: configs.String, Importance: configs.Medium, Group: groupPartitioner, Width: configs.WidthLong,
			Example: "'year'=YYYY/'month'=MM/'day'=dd/'hour'=HH", Check: checkPattern,
			Doc: "Pattern of the path for the TimeBased partitioner, in Joda-Time's letters. Daily and Hourly have their own."},
		{Name: "partition.duration.ms", Type: configs.Long, Default: "-1", Importance: configs.Medium, Group: groupPartitioner, Unit: "ms",
			Doc: "Time that one path of the TimeBased partitioner covers."},
		{Name: "locale", Type: configs.String, Importance: configs.Medium, Group: groupPartitioner, Example: "en-US",
			Doc: "Language of month and day names in the path. Names are English; patterns of numbers work with any."},
		{Name: "timezone", Type: configs.String, Importance: configs.Medium, Group: groupPartitioner, Example: "Europe/Rome", Check: zoneCheck,
			Doc: "Time zone of paths and of rotate.schedule.interval.ms. UTC, if it is not given."},
		{Name: "timestamp.extractor", Type: configs.Class, Default: "Wallclock", Importance: configs.Medium, Group: groupPartitioner,
			Check: oneOf(extractors()), Recommend: recommend(extractors()), Dependents: []string{"timestamp.field"},
			Doc: "Time of a record: Wallclock (when it is written), Record (its timestamp) or RecordField (a field of its value)."},
		{Name: "timestamp.field", Type: configs.String, Default: "timestamp", Importance: configs.Medium, Group: groupPartitioner,
			Doc: "Field of the value that holds the time, for RecordField. A dot goes into a nested struct."},
		{Name: "partitioner.max.open.files", Type: configs.Int, Default: "-1", Importance: configs.Low, Group: groupPartitioner, Unit: "files",
			Doc: "Number of output paths that a topic partition may have open; one more finishes them all. -1 is no limit."},
		{Name: "s3.schema.partition.affix.type", Type: configs.String, Default: "NONE", Enum: []string{"NONE", "PREFIX", "SUFFIX"}, Importance: configs.Low,
			Group: groupPartitioner, Doc: "Put the schema's name into the path, before or after the rest, as schema_name=NAME."},
	}
}
