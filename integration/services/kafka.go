package services

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// kafkaVersion is the one that kafka.xml names.
const kafkaVersion = "4.3.0"

//go:embed kafka.xml
var kafkaProject []byte

//go:embed kafka-log4j2.xml
var kafkaLog4j []byte

// kafkaCluster is any base64url form of 16 bytes; it need not be unique.
const kafkaCluster = "c2x1aWNlLXRlc3Qta2Fma2"

// Kafka is a single Apache Kafka broker in KRaft mode. Topics are not made by
// themselves.
type Kafka struct {
	*Server
	// Bootstrap is its HOST:PORT, without authentication.
	Bootstrap string
	// Secured is the HOST:PORT of its listener with TLS and passwords; "" if it
	// has none. See KafkaOptions.Users.
	Secured string
	// CA is the file of the certificate that is behind the listener's, in PEM.
	CA string
}

// KafkaOptions choose how a broker is started.
type KafkaOptions struct {
	// Settings are added to server.properties, above those set here.
	Settings map[string]string
	// Users are names with their passwords. With any, there is a listener with
	// SASL_SSL besides the open one, with the mechanisms PLAIN, SCRAM-SHA-256
	// and SCRAM-SHA-512 for all of them.
	Users map[string]string
}

// FetchKafka downloads the broker, Connect and the command-line tools unless
// the cache has them, and returns the folder with the jars.
func FetchKafka(ctx context.Context) (string, error) {
	dir, err := fetched(ctx, "kafka-"+kafkaVersion, func(ctx context.Context, dir string) error {
		err := errors.Join(
			os.WriteFile(filepath.Join(dir, "pom.xml"), kafkaProject, 0o644),
			os.WriteFile(filepath.Join(dir, "log4j2.xml"), kafkaLog4j, 0o644),
		)
		if err != nil {
			return err
		}
		return maven(ctx, dir, "copy-dependencies", "-DoutputDirectory="+filepath.Join(dir, "libs"))
	})
	return filepath.Join(dir, "libs"), err
}

// KafkaTool returns a command that runs one of Kafka's own tools by its class,
// as org.apache.kafka.tools.TopicCommand. They work against any broker.
func KafkaTool(ctx context.Context, class string, args ...string) (*exec.Cmd, error) {
	classes, err := kafkaClasses(ctx)
	if err != nil {
		return nil, err
	}
	return kafkaTool(ctx, classes, class, args...)
}

func kafkaTool(ctx context.Context, classes, class string, args ...string) (*exec.Cmd, error) {
	java, err := kafkaJava(ctx, classes)
	if err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, java[0], append(append(java[1:], "-Xmx256m", class), args...)...), nil
}

// kafkaClasses returns the option that lets a JVM take Kafka's classes, as far
// as a broker needs them, from an archive in the cache and not from the jars. A
// broker starts with two thirds of the processor time then, a tool with half. A
// JVM that the archive does not suit does without.
func kafkaClasses(ctx context.Context) (string, error) {
	dir, err := fetched(ctx, "kafka-"+kafkaVersion+"-classes", func(ctx context.Context, dir string) error {
		k, err := startKafka(ctx, "-XX:ArchiveClassesAtExit="+filepath.Join(dir, "archive"), KafkaOptions{})
		if err != nil {
			return err
		}
		return k.Close()
	})
	return "-XX:SharedArchiveFile=" + filepath.Join(dir, "archive"), err
}

// kafkaJava is the beginning of a command that runs a class of Kafka's. What
// runs here does not live long enough for the second compiler to pay.
func kafkaJava(ctx context.Context, classes string) ([]string, error) {
	libs, err := FetchKafka(ctx)
	if err != nil {
		return nil, err
	}
	home, err := javaHome()
	if err != nil {
		return nil, err
	}
	log4j := filepath.Join(filepath.Dir(libs), "log4j2.xml")
	// Without -Xlog:disable a JVM says what it thinks of the archive where a tool prints its result.
	return []string{filepath.Join(home, "bin", "java"), quickStart, classes, "-Xlog:disable",
		"-Dlog4j2.configurationFile=" + log4j, "-cp", filepath.Join(libs, "*")}, nil
}

// StartKafka starts an empty broker with a heap of 1 GB. It takes about five
// seconds.
func StartKafka(ctx context.Context, o KafkaOptions) (*Kafka, error) {
	classes, err := kafkaClasses(ctx)
	if err != nil {
		return nil, err
	}
	return startKafka(ctx, classes, o)
}

func startKafka(ctx context.Context, classes string, o KafkaOptions) (*Kafka, error) {
	java, err := kafkaJava(ctx, classes)
	if err != nil {
		return nil, err
	}
	dir, err := newDir("kafka", nil)
	if err != nil {
		return nil, err
	}
	ports, err := reservePorts(3)
	config := filepath.Join(dir, "server.properties")
	if err == nil {
		err = initKafka(ctx, classes, config, dir, ports, o)
	}
	if err != nil {
		return nil, errors.Join(err, discard(dir, ports))
	}
	k := &Kafka{Bootstrap: ports[0].Addr()}
	if len(o.Users) > 0 {
		k.Secured, k.CA = ports[2].Addr(), filepath.Join(dir, kafkaCA)
	}
	k.Server, err = launch(ctx, spec{
		name: "Apache Kafka", dir: dir, ports: ports,
		args:       append(java, "-Xms256m", "-Xmx1g", "kafka.Kafka", config),
		stopSignal: syscall.SIGTERM,
		ready:      k.answers,
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

// UseKafka gives the test the broker that EnvKafka names, else one of its own.
func UseKafka(tb testing.TB) *Kafka {
	tb.Helper()
	return use(tb, func(ctx context.Context) (*Kafka, error) {
		bootstrap, ok := named(EnvKafka)
		if !ok {
			return StartKafka(ctx, KafkaOptions{})
		}
		k := &Kafka{Server: &Server{}, Bootstrap: bootstrap}
		if err := k.answers(ctx); err != nil {
			return nil, fmt.Errorf("services: the broker that %s names does not answer: %w", EnvKafka, err)
		}
		return k, nil
	})
}

// Env is the environment that names this broker to other processes.
func (k *Kafka) Env() []string { return []string{EnvKafka + "=" + k.Bootstrap} }

func (k *Kafka) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(k.Bootstrap))
	if err != nil {
		return err
	}
	defer client.Close()
	brokers, err := kadm.NewClient(client).ListBrokers(ctx)
	if err == nil && len(brokers) == 0 {
		err = errors.New("no broker has joined yet")
	}
	return err
}

// initKafka writes the configuration and formats the data folder.
func initKafka(ctx context.Context, classes, config, dir string, ports []*Port, o KafkaOptions) error {
	settings := map[string]string{
		"process.roles":                  "broker,controller",
		"node.id":                        "1",
		"listeners":                      "PLAINTEXT://" + ports[0].Addr() + ",CONTROLLER://" + ports[1].Addr(),
		"advertised.listeners":           "PLAINTEXT://" + ports[0].Addr(),
		"controller.listener.names":      "CONTROLLER",
		"listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"controller.quorum.voters":       "1@" + ports[1].Addr(),
		"log.dirs":                       filepath.Join(dir, "data"),
		"auto.create.topics.enable":      "false",
		// One broker cannot hold the usual three copies, nor needs 50
		// partitions of each of its own topics.
		"offsets.topic.replication.factor":                 "1",
		"offsets.topic.num.partitions":                     "1",
		"transaction.state.log.replication.factor":         "1",
		"transaction.state.log.min.isr":                    "1",
		"transaction.state.log.num.partitions":             "1",
		"share.coordinator.state.topic.replication.factor": "1",
		"share.coordinator.state.topic.min.isr":            "1",
		"group.initial.rebalance.delay.ms":                 "0",
	}
	var scram []string
	if len(o.Users) > 0 {
		if err := certify(dir); err != nil {
			return fmt.Errorf("services: kafka: %w", err)
		}
		scram = secureKafka(settings, dir, ports[2], o.Users)
	}
	if err := os.WriteFile(config, []byte(properties(settings, o.Settings, "=")), 0o644); err != nil {
		return fmt.Errorf("services: kafka: %w", err)
	}
	format, err := kafkaTool(ctx, classes, "kafka.tools.StorageTool", append([]string{"format", "-t", kafkaCluster, "-c", config}, scram...)...)
	if err != nil {
		return err
	}
	if out, err := format.CombinedOutput(); err != nil {
		return fmt.Errorf("services: kafka: format the data folder: %w\n%s", err, lastLines(string(out), 20))
	}
	return nil
}
