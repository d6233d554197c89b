package protocol

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/log/broker"
)

// TestKafkasOwnTools runs the command-line tools that come with Kafka, one after the other.
func TestKafkasOwnTools(t *testing.T) {
	t.Parallel()
	addr := startBroker(t, broker.Options{})
	offsets := filepath.Join(t.TempDir(), "offsets.json")
	must(t, os.WriteFile(offsets, []byte(`{"version":1,"partitions":[{"topic":"tools","partition":0,"offset":3}]}`), 0o600))
	const tools = "org.apache.kafka.tools."
	const topic, groups, configs = tools + "TopicCommand", tools + "consumer.group.ConsumerGroupCommand", "kafka.admin.ConfigCommand"
	kafka := services.StartKafkaTools(deadline(t), t)
	var records strings.Builder
	for i := range 20 {
		fmt.Fprintf(&records, "k%d:v%d\n", i, i)
	}
	for _, step := range []struct {
		class, args, stdin string
		want               []string // regular expressions
	}{
		{topic, "--create --topic tools --partitions 1 --replication-factor 3 --config retention.ms=99999999", "", []string{`Created topic tools`}},
		{tools + "ConsoleProducer", "--topic tools --reader-property parse.key=true --reader-property key.separator=:", records.String(), nil},
		{tools + "consumer.ConsoleConsumer", "--topic tools --from-beginning --max-messages 5 --group readers", "", []string{`v0\nv1\nv2\nv3\nv4\n`}},
		{groups, "--describe --group readers", "", []string{`readers +tools +0 +5 +20 +15 `}},
		{groups, "--group readers --reset-offsets --to-latest --topic tools --execute", "", []string{`readers +tools +0 +20`}},
		{groups, "--group readers --delete", "", []string{`successful`}},
		{tools + "DeleteRecordsCommand", "--offset-json-file " + offsets, "", []string{`partition: tools-0\tlow_watermark: 3`}},
		{tools + "GetOffsetShell", "--topic tools --time earliest", "", []string{`(?m)^tools:0:3$`}},
		{tools + "LogDirsCommand", "--describe --topic-list tools", "", []string{`"partition":"tools-0","size":[1-9]`, `"error":null`}},
		{configs, "--entity-type topics --entity-name tools --alter --add-config segment.ms=123456", "", []string{`Completed updating config`}},
		{configs, "--entity-type brokers --entity-default --alter --add-config log.retention.ms=77777777", "", []string{`Completed updating default config for brokers`}},
		{configs, "--entity-type groups --entity-name readers --alter --add-config consumer.heartbeat.interval.ms=6000", "", []string{`Completed updating config for group readers`}},
		{topic, "--describe --topic tools", "", []string{`PartitionCount: 1\tReplicationFactor: 1\t`, `retention.ms=99999999`, `segment.ms=123456`}},
	} {
		out, err := kafka.Run(step.class, step.stdin, append([]string{"--bootstrap-server", addr}, strings.Fields(step.args)...)...)
		must(t, err)
		for _, want := range step.want {
			if !regexp.MustCompile(want).MatchString(out) {
				t.Errorf("%s %s: no %q in\n%s", step.class, step.args, want, out)
			}
		}
	}
}
