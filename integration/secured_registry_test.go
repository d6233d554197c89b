package integration

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/integration/worker"
	"golang.org/x/crypto/bcrypt"
)

// registryClient returns a client that trusts the CA of package tlsstore's test data, and shows a certificate if that is
// asked for.
func registryClient(t *testing.T, withCertificate bool) *http.Client {
	t.Helper()
	stores := filepath.Join("..", "connectors", "tlsstore", "testdata")
	ca, err := os.ReadFile(filepath.Join(stores, "ca.pem"))
	must(t, err)
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AppendCertsFromPEM(ca)
	if withCertificate {
		pair, err := tls.LoadX509KeyPair(filepath.Join(stores, "client.pem"), filepath.Join(stores, "client.pem"))
		must(t, err)
		config.Certificates = []tls.Certificate{pair}
	}
	transport := &http.Transport{TLSClientConfig: config}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// The registry behind TLS, with a password, a token and a certificate, and what each may do.
func TestSecuredRegistry(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	hash, err := bcrypt.GenerateFromPassword([]byte("alice-hush"), bcrypt.MinCost)
	must(t, err)
	stores, err := filepath.Abs(filepath.Join("..", "connectors", "tlsstore", "testdata"))
	must(t, err)
	w := startWorker(t, worker.Options{Settings: map[string]string{
		"sluice.registry.auth.basic.file":         file("users", "alice:"+string(hash)+"\n"),
		"sluice.registry.auth.tokens.file":        file("tokens", "ci:ci-hush\n"),
		"sluice.registry.ssl.client.auth":         "requested",
		"sluice.registry.ssl.truststore.location": filepath.Join(stores, "ca.pem"),
		"sluice.registry.ssl.keystore.location":   filepath.Join(stores, "server.pem"),
		"sluice.registry.permissions.file":        file("permissions", "alice all *\nci read *\nclient write,read orders-*\n"),
	}})
	url := strings.Replace(w.Registry, "http://", "https://", 1)
	plain, shown := registryClient(t, false), registryClient(t, true)
	type caller struct {
		client   *http.Client
		identify func(*http.Request)
	}
	alice := caller{plain, func(r *http.Request) { r.SetBasicAuth("alice", "alice-hush") }}
	ci := caller{plain, func(r *http.Request) { r.Header.Set("Authorization", "Bearer ci-hush") }}
	certified := caller{shown, func(*http.Request) {}}
	const register = `{"schema":"\"string\""}`
	for i, c := range []struct {
		by           caller
		method, path string
		body         string
		status       int
	}{
		{caller{plain, func(*http.Request) {}}, "GET", "/subjects", "", 401},
		{caller{plain, func(r *http.Request) { r.SetBasicAuth("alice", "wrong-hush") }}, "GET", "/subjects", "", 401},
		{alice, "POST", "/subjects/any/versions", register, 200},
		{ci, "GET", "/subjects/any/versions/1", "", 200},
		{ci, "POST", "/subjects/any/versions", register, 403},
		{certified, "POST", "/subjects/orders-value/versions", register, 200},
		{certified, "GET", "/subjects/any/versions", "", 403},
		{certified, "DELETE", "/subjects/orders-value", "", 403},
		{alice, "DELETE", "/subjects/orders-value", "", 200},
	} {
		req, err := http.NewRequestWithContext(deadline(t), c.method, url+c.path, strings.NewReader(c.body))
		must(t, err)
		c.by.identify(req)
		resp, err := c.by.client.Do(req)
		must(t, err)
		body, err := io.ReadAll(resp.Body)
		must(t, err)
		must(t, resp.Body.Close())
		if resp.StatusCode != c.status {
			t.Errorf("request %d, %s %s: %d %s, want %d", i, c.method, c.path, resp.StatusCode, body, c.status)
		}
	}
	if _, _, err := worker.Do(deadline(t), http.MethodGet, w.Registry+"/subjects", nil); err == nil {
		// Go answers plain HTTP on a TLS port with 400.
		status, _, _ := worker.Do(deadline(t), http.MethodGet, w.Registry+"/subjects", nil)
		if status != http.StatusBadRequest {
			t.Errorf("plain HTTP was answered %d", status)
		}
	}
	must(t, w.Stop())
	noSecret(t, "the log", w.Log())
}

// Two registries behind TLS on one log: what one is asked to write the other writes, for the same caller.
func TestSecuredRegistriesForward(t *testing.T) {
	t.Parallel()
	stores, err := filepath.Abs(filepath.Join("..", "connectors", "tlsstore", "testdata"))
	must(t, err)
	tokens, permissions := filepath.Join(t.TempDir(), "tokens"), filepath.Join(t.TempDir(), "permissions")
	must(t, os.WriteFile(tokens, []byte("ci:ci-hush\n"), 0o600))
	must(t, os.WriteFile(permissions, []byte("ci read,write orders-*\n"), 0o600))
	settings := func(more ...string) map[string]string {
		all := map[string]string{"sluice.registry.auth.tokens.file": tokens, "sluice.registry.permissions.file": permissions,
			"sluice.registry.ssl.truststore.location": filepath.Join(stores, "ca.pem"), "sluice.registry.ssl.keystore.location": filepath.Join(stores, "server.pem")}
		for i := 0; i < len(more); i += 2 {
			all[more[i]] = more[i+1]
		}
		return all
	}
	first := startWorker(t, worker.Options{Settings: settings()})
	second := startWorker(t, worker.Options{Settings: settings("bootstrap.servers", first.Kafka, "group.id", "other", "config.storage.topic", "other-configs",
		"offset.storage.topic", "other-offsets", "status.storage.topic", "other-status", "leader.eligibility", "false")})
	client := registryClient(t, false)
	for i, c := range []struct {
		at      *worker.Worker
		subject string
		status  int
	}{{second, "orders-1", 500}, {first, "orders-2", 200}, {second, "orders-3", 200}, {second, "other", 403}} {
		url := strings.Replace(c.at.Registry, "http://", "https://", 1) + "/subjects/" + c.subject + "/versions"
		req, err := http.NewRequestWithContext(deadline(t), http.MethodPost, url, strings.NewReader(`{"schema":"\"string\""}`))
		must(t, err)
		req.Header.Set("Authorization", "Bearer ci-hush")
		resp, err := client.Do(req)
		must(t, err)
		body, err := io.ReadAll(resp.Body)
		must(t, err)
		must(t, resp.Body.Close())
		if resp.StatusCode != c.status || c.status == 500 && !strings.Contains(string(body), "50004") {
			t.Errorf("request %d: %d %s, want %d", i, resp.StatusCode, body, c.status)
		}
	}
	must(t, second.Stop())
	must(t, first.Stop())
	noSecret(t, "the log", first.Log()+second.Log())
}

// A registry that others can reach does not start without a word about who they are.
func TestOpenRegistryMustBeWanted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		settings map[string]string
		says     string
	}{
		"nobody is asked":  {map[string]string{"sluice.registry.listener": "0.0.0.0:0"}, "sluice.registry.insecure=true"},
		"no such file":     {map[string]string{"sluice.registry.auth.tokens.file": "/nowhere/tokens"}, "/nowhere/tokens"},
		"no certificate":   {map[string]string{"sluice.registry.ssl.client.auth": "required"}, "sluice.registry.ssl.keystore.location"},
		"nobody is known":  {map[string]string{"sluice.registry.permissions.file": os.DevNull}, "permissions.file"},
		"no such keystore": {map[string]string{"sluice.registry.ssl.keystore.location": "/nowhere/store"}, "/nowhere/store"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorker(t, worker.Options{Settings: c.settings})
			must(t, w.Begin())
			code, err := w.Exit(deadline(t))
			if err != nil || code == 0 || !strings.Contains(w.Log(), c.says) {
				t.Errorf("exit %d (%v), want %q in\n%s", code, err, c.says, w.Log())
			}
		})
	}
	startWorker(t, worker.Options{Settings: map[string]string{"sluice.registry.listener": "0.0.0.0:0", "sluice.registry.insecure": "true"}})
}
