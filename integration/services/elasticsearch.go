package services

import (
	"archive/zip"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// elasticsearchArtifact is the real server in a reduced distribution: it has no
// data streams, no painless, and answers GET / with 405.
const (
	elasticsearchVersion  = "8.19.0"
	elasticsearchArtifact = "org.elasticsearch.distribution.integ-test-zip:elasticsearch:" + elasticsearchVersion + ":zip"
)

// quickStart keeps the JVM from compiling a second time, for speed: a start costs 9 seconds of processor time then, and
// 20 otherwise. A measurement takes the other, by elasticsearchJVM.
const quickStart = "-XX:TieredStopAtLevel=1"

// untouchedHeap takes memory when it is used, not all of it at the start, which is another second.
const untouchedHeap = "-XX:-AlwaysPreTouch"

// elasticsearchJVM names JVM options that stand in for these two.
const elasticsearchJVM = "SLUICE_TEST_ELASTICSEARCH_JVM"

// Elasticsearch is a single node of Elasticsearch 8 without authentication.
type Elasticsearch struct {
	*Server
	// URL is its base, without a slash at the end.
	URL string
}

// ElasticsearchOptions choose how an Elasticsearch is started.
type ElasticsearchOptions struct {
	// Settings are added to elasticsearch.yml, above those set here.
	Settings map[string]string
}

// FetchElasticsearch downloads and unpacks the distribution unless the cache
// has it, and returns its folder.
func FetchElasticsearch(ctx context.Context) (string, error) {
	dir, err := fetched(ctx, "elasticsearch-"+elasticsearchVersion, func(ctx context.Context, dir string) error {
		if err := maven(ctx, dir, "copy", "-Dartifact="+elasticsearchArtifact, "-DoutputDirectory="+dir); err != nil {
			return err
		}
		archive := filepath.Join(dir, "elasticsearch-"+elasticsearchVersion+".zip")
		if err := unzip(archive, dir); err != nil {
			return err
		}
		return os.Remove(archive)
	})
	return filepath.Join(dir, "elasticsearch-"+elasticsearchVersion), err
}

// StartElasticsearch starts an empty node with a heap of 1 GB. It takes about
// six seconds.
func StartElasticsearch(ctx context.Context, o ElasticsearchOptions) (*Elasticsearch, error) {
	dist, err := FetchElasticsearch(ctx)
	if err != nil {
		return nil, err
	}
	java, err := javaHome()
	if err != nil {
		return nil, err
	}
	cred, err := account("nobody", "useradd --system nobody")
	if err != nil {
		return nil, err
	}
	dir, err := newDir("elasticsearch", cred)
	if err != nil {
		return nil, err
	}
	ports, err := reservePorts(2)
	if err == nil {
		err = initElasticsearch(dist, dir, cred, ports, o)
	}
	if err != nil {
		return nil, errors.Join(err, discard(dir, ports))
	}
	e := &Elasticsearch{URL: "http://" + ports[0].Addr()}
	e.Server, err = launch(ctx, spec{
		name: "Elasticsearch", dir: dir, cred: cred, ports: ports,
		args: []string{filepath.Join(dir, "home", "bin", "elasticsearch")},
		env: []string{
			"ES_JAVA_HOME=" + java, "ES_JAVA_OPTS=-Xms1g -Xmx1g " + cmp.Or(os.Getenv(elasticsearchJVM), quickStart+" "+untouchedHeap), "CLI_JAVA_OPTS=" + quickStart, "HOME=" + dir, "ES_TMPDIR=" + filepath.Join(dir, "tmp"),
			// Set for other programs, it would be taken as an option here.
			"JAVA_TOOL_OPTIONS=",
		},
		stopSignal: syscall.SIGTERM,
		ready:      e.answers,
	})
	if err != nil {
		return nil, err
	}
	return e, nil
}

// UseElasticsearch gives the test the server that EnvElasticsearch names, else
// one of its own.
func UseElasticsearch(tb testing.TB) *Elasticsearch {
	tb.Helper()
	return use(tb, func(ctx context.Context) (*Elasticsearch, error) {
		base, ok := named(EnvElasticsearch)
		if !ok {
			return StartElasticsearch(ctx, ElasticsearchOptions{})
		}
		e := &Elasticsearch{Server: &Server{}, URL: strings.TrimSuffix(base, "/")}
		if err := e.answers(ctx); err != nil {
			return nil, fmt.Errorf("services: the server that %s names does not answer: %w", EnvElasticsearch, err)
		}
		return e, nil
	})
}

// Env is the environment that names this server to other processes.
func (e *Elasticsearch) Env() []string { return []string{EnvElasticsearch + "=" + e.URL} }

// Do sends a request with a JSON body (none if empty) and returns the answer's
// body. A status of 400 or above is an error that carries it.
func (e *Elasticsearch) Do(ctx context.Context, method, path, body string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, e.URL+path, strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("services: elasticsearch: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("services: elasticsearch: %w", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("services: elasticsearch: %s %s: %w", method, path, err)
	}
	if resp.StatusCode >= 400 {
		return nil, fmt.Errorf("services: elasticsearch: %s %s: %s: %s", method, path, resp.Status, b)
	}
	return b, nil
}

// answers asks for a node that takes writes; GET / is not served.
func (e *Elasticsearch) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err := e.Do(ctx, http.MethodGet, "/_cluster/health?wait_for_status=yellow&timeout=5s", "")
	return err
}

// NewPrefix returns a prefix for index names of the test. When the test ends,
// all indices and aliases with it are removed.
func (e *Elasticsearch) NewPrefix(tb testing.TB) string {
	tb.Helper()
	prefix := uniqueName("t", "-") + "-"
	tb.Cleanup(func() {
		if e.watch != nil && e.PID() == 0 {
			return // the test ended the server and did not start it again
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := e.removeIndices(ctx, prefix); err != nil {
			tb.Errorf("remove indices %s*: %v", prefix, err)
		}
	})
	return prefix
}

// removeIndices deletes by name, because the server refuses patterns.
func (e *Elasticsearch) removeIndices(ctx context.Context, prefix string) error {
	b, err := e.Do(ctx, http.MethodGet, "/_cat/indices/"+prefix+"*?h=index&expand_wildcards=all", "")
	if err != nil {
		return err
	}
	for _, name := range strings.Fields(string(b)) {
		if _, err := e.Do(ctx, http.MethodDelete, "/"+url.PathEscape(name), ""); err != nil {
			return err
		}
	}
	return nil
}

// initElasticsearch lays out the server's folder. The program is copied, since
// the cache may lie where its user cannot read.
func initElasticsearch(dist, dir string, cred *syscall.Credential, ports []*Port, o ElasticsearchOptions) error {
	home := filepath.Join(dir, "home")
	if err := os.CopyFS(home, os.DirFS(dist)); err != nil {
		return fmt.Errorf("services: elasticsearch: %w", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "tmp"), 0o755); err != nil {
		return fmt.Errorf("services: elasticsearch: %w", err)
	}
	settings := map[string]string{
		"discovery.type":         "single-node",
		"network.host":           "127.0.0.1",
		"http.port":              strconv.Itoa(ports[0].Number),
		"transport.port":         strconv.Itoa(ports[1].Number),
		"xpack.security.enabled": "false",
		// A nearly full disk is nothing to do with the tests.
		"cluster.routing.allocation.disk.threshold_enabled": "false",
		"path.data": filepath.Join(dir, "data"),
		"path.logs": filepath.Join(dir, "logs"),
	}
	conf := properties(settings, o.Settings, ": ")
	if err := os.WriteFile(filepath.Join(home, "config", "elasticsearch.yml"), []byte(conf), 0o644); err != nil {
		return fmt.Errorf("services: elasticsearch: %w", err)
	}
	return giveTo(cred, dir)
}

// unzip unpacks the archive into dir. Programs, which are what lies in a bin
// folder, are made executable: this archive does not say so.
func unzip(archive, dir string) error {
	z, err := zip.OpenReader(archive)
	if err != nil {
		return fmt.Errorf("open %s: %w", archive, err)
	}
	defer z.Close()
	if err := os.CopyFS(dir, z); err != nil {
		return fmt.Errorf("unpack %s: %w", archive, err)
	}
	for _, f := range z.File {
		if !strings.Contains(f.Name, "/bin/") || strings.HasSuffix(f.Name, "/") {
			continue
		}
		if err := os.Chmod(filepath.Join(dir, filepath.FromSlash(f.Name)), 0o755); err != nil {
			return fmt.Errorf("unpack %s: %w", archive, err)
		}
	}
	return nil
}
