package services

import (
	"context"
	_ "embed"
	"os/exec"
)

// avroVersion is the one that avro.xml names.
const avroVersion = "1.12.0"

//go:embed avro.xml
var avroProject []byte

// FetchAvro downloads Apache Avro for Java unless the cache has it, and returns
// the folder with the jars.
func FetchAvro(ctx context.Context) (string, error) {
	return fetchJars(ctx, "avro-java-"+avroVersion, avroProject)
}

// AvroProgram returns a command that runs a Java program, given as its one
// source file, with Avro's jars.
func AvroProgram(ctx context.Context, source string) (*exec.Cmd, error) {
	libs, err := FetchAvro(ctx)
	if err != nil {
		return nil, err
	}
	return javaProgram(ctx, libs, "-Xmx512m", "-Xss4m", source)
}
