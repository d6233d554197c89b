package services

import (
	"context"
	"os/exec"
	"path/filepath"
)

// kafkaPythonVersion is the newest one; it depends on nothing but the codecs.
const kafkaPythonVersion = "3.0.12"

const mendVenv = "apt-get update && apt-get install -y python3-venv"

// Kcat is the path of kcat, the command-line client on librdkafka.
func Kcat() (string, error) {
	path, err := exec.LookPath("kcat")
	if err != nil {
		return "", missing("kcat", "apt-get update && apt-get install -y kcat")
	}
	return path, nil
}

// confluentKafkaVersion is the newest one.
const confluentKafkaVersion = "2.16.0"

// schemathesisVersion is the newest one.
const schemathesisVersion = "4.32.5"

// FetchKafkaPython installs the kafka-python client, with all codecs, into a
// virtual environment of the cache unless it is there, and returns the path of a
// Python that can import it.
func FetchKafkaPython(ctx context.Context) (string, error) {
	return fetchPython(ctx, "kafka-python-codecs-"+kafkaPythonVersion, "kafka-python[lz4,snappy,zstd]=="+kafkaPythonVersion)
}

// FetchConfluentKafkaPython does the same for confluent-kafka with what its
// serializers need.
func FetchConfluentKafkaPython(ctx context.Context) (string, error) {
	return fetchPython(ctx, "confluent-kafka-python-"+confluentKafkaVersion,
		"confluent-kafka[avro,json,protobuf,schemaregistry]=="+confluentKafkaVersion)
}

// FetchSchemathesis does the same for schemathesis, which tries an HTTP API with
// all that its OpenAPI document allows and does not. It is run as a module:
// python -m schemathesis.cli.
func FetchSchemathesis(ctx context.Context) (string, error) {
	return fetchPython(ctx, "schemathesis-"+schemathesisVersion, "schemathesis=="+schemathesisVersion)
}

// fetchPython installs a package from PyPI into a virtual environment.
func fetchPython(ctx context.Context, name, requirement string) (string, error) {
	// A virtual environment holds its own path in a few scripts, but its
	// Python is a link and finds the rest by where it lies, so it can be moved.
	dir, err := fetched(ctx, name, func(ctx context.Context, dir string) error {
		if err := tool(ctx, nil, mendVenv, "python3", "-m", "venv", dir); err != nil {
			return err
		}
		return tool(ctx, nil, mendVenv, filepath.Join(dir, "bin", "python"), "-m", "pip", "install",
			"--quiet", "--no-input", requirement)
	})
	return filepath.Join(dir, "bin", "python"), err
}
