package services

import (
	"context"
	_ "embed"
	"os/exec"
)

// streamsVersion is the one that streams.xml names.
const streamsVersion = "4.3.0"

//go:embed streams.xml
var streamsProject []byte

// FetchKafkaStreams downloads Kafka Streams with RocksDB unless the cache has
// it, and returns the folder with the jars.
func FetchKafkaStreams(ctx context.Context) (string, error) {
	return fetchJars(ctx, "kafka-streams-"+streamsVersion, streamsProject)
}

// KafkaStreamsProgram returns a command that runs a Java program, given as its
// one source file, with the jars of Kafka Streams. It logs warnings.
func KafkaStreamsProgram(ctx context.Context, source string, args ...string) (*exec.Cmd, error) {
	libs, err := FetchKafkaStreams(ctx)
	if err != nil {
		return nil, err
	}
	return javaProgram(ctx, libs, append([]string{"-Xmx256m", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", source}, args...)...)
}
