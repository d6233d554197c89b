package integration

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Configurations as guides to Kafka Connect, Debezium and Confluent's connectors have them, of all ages: each is taken,
// and what has no effect here is known and named. Listed are the keys that those systems pass over as well by now.
func TestPublishedConfigurations(t *testing.T) {
	t.Parallel()
	dropped := map[string][]string{
		"elasticsearch-tls.json":       {"auto.create.indices.at.start"},
		"elasticsearch-unwrapped.json": {"transforms.unwrap.drop.deletes"},
		"s3-avro-stamped.json":         {"schema.generator.class"},
		"s3-parquet-hourly.json":       {"confluent.topic.bootstrap.servers", "schema.cache.size"},
	}
	files, err := filepath.Glob("testdata/published/*.json")
	must(t, err)
	if len(files) == 0 {
		t.Fatal("there are no files in testdata/published")
	}
	for _, f := range files {
		path, err := filepath.Abs(f)
		must(t, err)
		code, out, stderr := sluice(t, "validate", path)
		if code != 0 {
			t.Errorf("%s: exit code %d\n%s%s", f, code, out, stderr)
		}
		var unknown []string
		for line := range strings.Lines(out) {
			if _, rest, ok := strings.Cut(line, `Unknown configuration "`); ok {
				key, _, _ := strings.Cut(rest, `"`)
				unknown = append(unknown, key)
			}
		}
		slices.Sort(unknown)
		if want := dropped[filepath.Base(f)]; !slices.Equal(unknown, want) {
			t.Errorf("%s: passed over are %q, want %q", f, unknown, want)
		}
	}
	for f := range dropped {
		if _, err := os.Stat(filepath.Join("testdata/published", f)); err != nil {
			t.Error(err)
		}
	}
}
