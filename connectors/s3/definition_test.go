package s3

import (
	"strings"
	"testing"

	"github.com/sluicehub/sluice/configs"
)

func TestDefinition(t *testing.T) {
	if err := newDefinition().Verify(); err != nil {
		t.Error(err)
	}
	for _, k := range newDefinition().Keys {
		if k.Doc == "" || k.Group == "" {
			t.Errorf("key %s has no doc or group", k.Name)
		}
	}
}

func TestExampleIsValid(t *testing.T) {
	file, problems := configs.Load("../../configs/examples/s3-orders.properties")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	config := map[string]string{}
	for key, value := range file.Config {
		config[key] = strings.NewReplacer("${env:S3_BUCKET}", "bucket", "${env:S3_URL}", "http://127.0.0.1:9000", "${env:S3_ACCESS_KEY}", "key",
			"${env:S3_SECRET_KEY}", "secret").Replace(value)
	}
	_, problems = newDefinition().Parse(config)
	for _, p := range problems {
		known := map[string]bool{"name": true, "connector.class": true, "tasks.max": true, "topics": true} // the hub's own
		if p.IsError() || !known[p.Key] {
			t.Error(p)
		}
	}
}

func TestRules(t *testing.T) {
	for _, c := range []struct {
		config []string
		key    string // of the error, or of the warning behind "warning "; "" is valid
	}{
		{nil, ""},
		{[]string{"format.class", "io.confluent.connect.s3.format.avro.AvroFormat", "s3.compression.type", "gzip"}, "warning s3.compression.type"},
		{[]string{"format.class", "io.confluent.connect.s3.format.orc.OrcFormat"}, "format.class"},
		{[]string{"partitioner.class", "io.confluent.connect.storage.partitioner.FieldPartitioner"}, "partition.field.name"},
		{[]string{"partitioner.class", "TimeBasedPartitioner", "partition.duration.ms", "1"}, "path.format"},
		{[]string{"partitioner.class", "TimeBasedPartitioner", "path.format", "YYYY"}, "partition.duration.ms"},
		{[]string{"path.format", "'open"}, "path.format"},
		{[]string{"partitioner.class", "time", "partition.duration.ms", "1", "path.format", "MMM", "locale", "de-DE"}, "locale"},
		{[]string{"timezone", "Mars/Olympus"}, "timezone"},
		{[]string{"rotate.interval.ms", "1000"}, "warning rotate.interval.ms"},
		{[]string{"behavior.on.null.values", "write"}, "behavior.on.null.values"},
		{[]string{"behavior.on.null.values", "Write", "store.kafka.keys", "true"}, ""},
		{[]string{"s3.part.size", "1000"}, "s3.part.size"},
		{[]string{"flush.size", "0"}, "flush.size"},
		{[]string{"aws.access.key.id", "a"}, "aws.secret.access.key"},
		{[]string{"s3.sse.kms.key.id", "k"}, "s3.sse.kms.key.id"},
		{[]string{"s3.sse.customer.key", "c2hvcnQ="}, "s3.sse.customer.key"},
		{[]string{"s3.wan.mode", "true"}, "s3.wan.mode"},
		{[]string{"store.url", "127.0.0.1:9000"}, "store.url"},
		{[]string{"storage.class", "STANDARD_IA"}, "storage.class"},
		{[]string{"retry.backoff.ms", "5000"}, "warning retry.backoff.ms"},
		{[]string{"flush.sizes", "1"}, "warning flush.sizes"},
		{[]string{"avro.codec", "lzo"}, "avro.codec"}, {[]string{"avro.codec", "bzip2"}, ""},
		{[]string{"parquet.codec", "lzo"}, "parquet.codec"}, {[]string{"parquet.codec", "LZ4"}, ""}, {[]string{"parquet.codec", "fast"}, "parquet.codec"},
		{[]string{"timestamp.extractor", "io.confluent.connect.storage.partitioner.TimeBasedPartitioner$RecordFieldTimestampExtractor"}, ""},
		{[]string{"s3.credentials.provider.class", "io.confluent.connect.s3.auth.AwsAssumeRoleCredentialsProvider", "s3.credentials.provider.sts.role.arn", "r"}, ""},
		{[]string{"s3.credentials.provider.class", "io.confluent.connect.s3.auth.AwsAssumeRoleCredentialsProvider"}, "s3.credentials.provider.sts.role.arn"},
		{[]string{"s3.credentials.provider.class", "com.amazonaws.auth.SystemPropertiesCredentialsProvider"}, "s3.credentials.provider.class"},
		{[]string{"s3.credentials.provider.class", "com.example.MyProvider"}, "s3.credentials.provider.class"},
	} {
		_, problems := newDefinition().Parse(baseConfig(c.config...))
		got := ""
		for _, p := range problems {
			if got = p.Key; !p.IsError() {
				got = "warning " + p.Key
			}
			if strings.Contains(p.Message, "c2hvcnQ=") {
				t.Errorf("%q shows a secret", p)
			}
		}
		if got != c.key || len(problems) > 1 {
			t.Errorf("%q: %v, want %q", c.config, problems, c.key)
		}
	}
}
