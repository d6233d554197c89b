package integration

import (
	"bytes"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// composeFile is docker-compose.yml as far as it is used, and no further: a key
// that is not here is a mistake until it is added.
type composeFile struct {
	Name     string
	Services map[string]composeService
	Configs  map[string]struct{ Content string }
	Volumes  map[string]struct{}
}

type composeService struct {
	Image, Build string
	Command      []string
	Entrypoint   []string
	Environment  map[string]string
	Volumes      []string
	Ports        []string
	Configs      []struct{ Source, Target string }
	DependsOn    map[string]struct{ Condition string } `yaml:"depends_on"`
	Healthcheck  *struct {
		Test              []string
		Interval, Timeout string
		Retries           int
	}
}

func readCompose(t *testing.T) composeFile {
	t.Helper()
	b, err := os.ReadFile("../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	var c composeFile
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestComposeHangsTogether(t *testing.T) {
	t.Parallel()
	c := readCompose(t)
	for name, s := range c.Services {
		if (s.Image == "") == (s.Build == "") {
			t.Errorf("%s: want either an image or a build", name)
		}
		if _, tag, _ := strings.Cut(s.Image, ":"); s.Image != "" && (tag == "" || tag == "latest") {
			t.Errorf("%s: image %s has no version", name, s.Image)
		}
		for other, want := range s.DependsOn {
			on, ok := c.Services[other]
			if !ok || want.Condition == "service_healthy" && on.Healthcheck == nil {
				t.Errorf("%s waits for %s, which is not there or has no health check", name, other)
			}
		}
		for _, config := range s.Configs {
			if c.Configs[config.Source].Content == "" {
				t.Errorf("%s: config %s has no content", name, config.Source)
			}
		}
		for _, v := range s.Volumes {
			source, _, _ := strings.Cut(v, ":")
			if _, named := c.Volumes[source]; named {
				continue
			}
			if _, err := os.Stat(filepath.Join("..", source)); err != nil {
				t.Errorf("%s: volume %s: %v", name, v, err)
			}
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s: port %s is open to the network", name, p)
			}
		}
	}
}

// TestComposeFeedsTheExamples holds what sluice is started with against the
// files it is to run.
func TestComposeFeedsTheExamples(t *testing.T) {
	t.Parallel()
	sluice := readCompose(t).Services["sluice"]
	if !slices.Contains(sluice.Volumes, "./configs/examples:/etc/sluice:ro") {
		t.Fatalf("the examples are not in /etc/sluice: %q", sluice.Volumes)
	}
	variable := regexp.MustCompile(`\$\{env:([^}]+)\}`)
	used := map[string]bool{}
	files := 0
	for _, arg := range sluice.Command {
		_, file, ok := strings.Cut(arg, "/etc/sluice/")
		if !ok {
			continue
		}
		files++
		b, err := os.ReadFile(path.Join("../configs/examples", file))
		if err != nil {
			t.Error(err)
		}
		for _, m := range variable.FindAllSubmatch(b, -1) {
			used[string(m[1])] = true
			if sluice.Environment[string(m[1])] == "" {
				t.Errorf("%s takes %s from the environment, which is not set", file, m[1])
			}
		}
	}
	if files != 4 {
		t.Errorf("%d files are used, want the worker's and three connectors", files)
	}
	for name := range sluice.Environment {
		if !used[name] {
			t.Errorf("%s is set and no file takes it", name)
		}
	}
}

func TestDockerfileBuildsAStaticBinary(t *testing.T) {
	t.Parallel()
	docker, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(module)
	if version == nil {
		t.Fatal("go.mod names no Go version")
	}
	for _, want := range []string{
		"FROM golang:" + string(version[1]) + "-", "CGO_ENABLED=0 go build", "./cmd/sluice", "\nFROM scratch\n", "\nUSER 65532:65532\n",
	} {
		if !strings.Contains(string(docker), want) {
			t.Errorf("Dockerfile lacks %q", want)
		}
	}
}
