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
