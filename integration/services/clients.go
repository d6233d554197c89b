package services

import (
	"context"
	"os/exec"
	"path/filepath"
)

// kafkaPythonVersion is the newest one; it has no dependencies.
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

// FetchKafkaPython installs the kafka-python client into a virtual environment
// of the cache unless it is there, and returns the path of a Python that can
// import it.
func FetchKafkaPython(ctx context.Context) (string, error) {
	// A virtual environment holds its own path in a few scripts, but its
	// Python is a link and finds the rest by where it lies, so it can be moved.
	dir, err := fetched(ctx, "kafka-python-"+kafkaPythonVersion, func(ctx context.Context, dir string) error {
		if err := tool(ctx, nil, mendVenv, "python3", "-m", "venv", dir); err != nil {
			return err
		}
		return tool(ctx, nil, mendVenv, filepath.Join(dir, "bin", "python"), "-m", "pip", "install",
			"--quiet", "--no-input", "kafka-python=="+kafkaPythonVersion)
	})
	return filepath.Join(dir, "bin", "python"), err
}
