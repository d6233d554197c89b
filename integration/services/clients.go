package services

import (
	"context"
	"errors"
	"os"
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

// FetchKafkaPythonTests installs kafka-python with its own tests, which its
// source distribution carries. It returns the path of a Python that can run
// them, and the folder they are run in: python -m pytest test/integration.
func FetchKafkaPythonTests(ctx context.Context) (python, dir string, err error) {
	requirement := "kafka-python[lz4,snappy,zstd,testing]==" + kafkaPythonVersion
	dir, err = fetched(ctx, "kafka-python-tests-"+kafkaPythonVersion, func(ctx context.Context, dir string) error {
		if err := installPython(ctx, dir, requirement); err != nil {
			return err
		}
		err := tool(ctx, nil, mendVenv, filepath.Join(dir, "bin", "python"), "-m", "pip", "download", "--quiet", "--no-input",
			"--no-deps", "--no-binary", ":all:", "--dest", dir, "kafka-python=="+kafkaPythonVersion)
		if err != nil {
			return err
		}
		if err := tool(ctx, nil, "apt-get install -y tar", "tar", "-xzf", filepath.Join(dir, kafkaPythonSource+".tar.gz"), "-C", dir); err != nil {
			return err
		}
		return completeKafkaPythonTests(filepath.Join(dir, kafkaPythonSource))
	})
	return filepath.Join(dir, "bin", "python"), filepath.Join(dir, kafkaPythonSource), err
}

const kafkaPythonSource = "kafka_python-" + kafkaPythonVersion

// kafkaPythonService stands for a module of the tests that the distribution
// lacks: what starts and ends servers, of which a server that runs needs
// nothing.
const kafkaPythonService = `class ExternalService:
    def __init__(self, host, port):
        pass


class SpawnedService:
    pass
`

// completeKafkaPythonTests adds what the tests import and the distribution
// lacks, and the folder of a Kafka that they look for and do not use.
func completeKafkaPythonTests(dir string) error {
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "test", "__init__.py"), nil, 0o644),
		os.WriteFile(filepath.Join(dir, "test", "service.py"), []byte(kafkaPythonService), 0o644),
		os.MkdirAll(filepath.Join(dir, "servers", kafkaVersion, "kafka-bin"), 0o755),
	)
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
	dir, err := fetched(ctx, name, func(ctx context.Context, dir string) error { return installPython(ctx, dir, requirement) })
	return filepath.Join(dir, "bin", "python"), err
}

// installPython makes a virtual environment with a package from PyPI. It holds
// its own path in a few scripts, but its Python is a link and finds the rest by
// where it lies, so it can be moved.
func installPython(ctx context.Context, dir, requirement string) error {
	if err := tool(ctx, nil, mendVenv, "python3", "-m", "venv", dir); err != nil {
		return err
	}
	return tool(ctx, nil, mendVenv, filepath.Join(dir, "bin", "python"), "-m", "pip", "install",
		"--quiet", "--no-input", requirement)
}
