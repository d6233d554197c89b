package services

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	mendMaven = "apt-get update && apt-get install -y maven"
	mendJava  = "apt-get update && apt-get install -y openjdk-17-jre-headless"
)

// dependencyPlugin is pinned, as everything that is fetched.
const dependencyPlugin = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"

// maven runs one goal of the dependency plugin in dir, without colours and
// progress lines. It writes into dir and Maven's own cache only.
func maven(ctx context.Context, dir, goal string, args ...string) error {
	all := append([]string{"-B", "-ntp", "-q", "-Dstyle.color=never", dependencyPlugin + ":" + goal}, args...)
	path, err := exec.LookPath("mvn")
	if err != nil {
		return missing("mvn", mendMaven)
	}
	cmd := exec.CommandContext(ctx, path, all...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("mvn %s: %w\n%s", strings.Join(all, " "), err, lastLines(string(out), 20))
	}
	return nil
}

// fetchJars copies what a Maven project depends on into a folder of the cache,
// unless it is there, and returns the one with the jars.
func fetchJars(ctx context.Context, name string, project []byte) (string, error) {
	dir, err := fetched(ctx, name, func(ctx context.Context, dir string) error {
		if err := os.WriteFile(filepath.Join(dir, "pom.xml"), project, 0o644); err != nil {
			return err
		}
		return maven(ctx, dir, "copy-dependencies", "-DoutputDirectory="+filepath.Join(dir, "libs"))
	})
	return filepath.Join(dir, "libs"), err
}

// javaHome finds the Java that the servers run on. Version 17 is the one that
// all of them support; another is only taken when that is not installed.
func javaHome() (string, error) {
	for _, pattern := range []string{"/usr/lib/jvm/java-17-*", "/usr/lib/jvm/*17*", "/usr/lib/jvm/java-21-*"} {
		homes, _ := filepath.Glob(pattern)
		for _, home := range homes {
			if _, err := os.Stat(filepath.Join(home, "bin", "java")); err == nil {
				return home, nil
			}
		}
	}
	if home := os.Getenv("JAVA_HOME"); home != "" {
		return home, nil
	}
	if java, err := exec.LookPath("java"); err == nil {
		if real, err := filepath.EvalSymlinks(java); err == nil {
			return filepath.Dir(filepath.Dir(real)), nil
		}
	}
	return "", missing("Java 17", mendJava)
}

// javaProgram returns a command that runs Java with the jars of a folder. A
// source file among the arguments is compiled when it starts: that takes no
// JDK, the compiler is in Debian's headless runtime, too.
func javaProgram(ctx context.Context, libs string, args ...string) (*exec.Cmd, error) {
	home, err := javaHome()
	if err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, filepath.Join(home, "bin", "java"), append([]string{"-cp", filepath.Join(libs, "*"), "-XX:+UseSerialGC"}, args...)...), nil
}
