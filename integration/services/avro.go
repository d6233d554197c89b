package services

import (
	"context"
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
)

// avroVersion is the one that avro.xml names.
const avroVersion = "1.12.0"

//go:embed avro.xml
var avroProject []byte

// FetchAvro downloads Apache Avro for Java unless the cache has it, and returns
// the folder with the jars.
func FetchAvro(ctx context.Context) (string, error) {
	dir, err := fetched(ctx, "avro-java-"+avroVersion, func(ctx context.Context, dir string) error {
		if err := os.WriteFile(filepath.Join(dir, "pom.xml"), avroProject, 0o644); err != nil {
			return err
		}
		return maven(ctx, dir, "copy-dependencies", "-DoutputDirectory="+filepath.Join(dir, "libs"))
	})
	return filepath.Join(dir, "libs"), err
}

// AvroProgram returns a command that runs a Java program, given as its one
// source file, with Avro's jars. Java compiles it when it starts: that takes no
// JDK, the compiler is in Debian's headless runtime, too.
func AvroProgram(ctx context.Context, source string) (*exec.Cmd, error) {
	libs, err := FetchAvro(ctx)
	if err != nil {
		return nil, err
	}
	home, err := javaHome()
	if err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, filepath.Join(home, "bin", "java"), "-Xmx512m", "-Xss4m", "-XX:+UseSerialGC",
		"-cp", filepath.Join(libs, "*"), source), nil
}
