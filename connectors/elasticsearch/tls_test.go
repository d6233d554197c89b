package elasticsearch

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sluicehub/sluice/connectors"
)

// Keys about TLS.
const (
	keyTruststore         = httpsPrefix + "ssl.truststore.location"
	keyTruststorePassword = httpsPrefix + "ssl.truststore.password"
	keyKeystore           = httpsPrefix + "ssl.keystore.location"
	keyKeystorePassword   = httpsPrefix + "ssl.keystore.password"
	keyKeyPassword        = httpsPrefix + "ssl.key.password"
	keyIdentification     = httpsPrefix + "ssl.endpoint.identification.algorithm"
)

func stored(name string) string { return filepath.Join("..", "tlsstore", "testdata", name) }

// behindTLS puts what ends TLS in front of the world's server, with the certificate of 127.0.0.1 in tlsstore/testdata. It
// may want one of its clients, too.
func behindTLS(w *world, wantsClient bool) *httptest.Server {
	target, err := url.Parse(w.server.URL)
	if err != nil {
		w.t.Fatal(err)
	}
	front := httptest.NewUnstartedServer(httputil.NewSingleHostReverseProxy(target))
	cert, err := tls.LoadX509KeyPair(stored("server.pem"), stored("server.pem"))
	if err != nil {
		w.t.Fatal(err)
	}
	front.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	if wantsClient {
		ca, err := os.ReadFile(stored("ca.pem"))
		if err != nil {
			w.t.Fatal(err)
		}
		front.TLS.ClientAuth, front.TLS.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		front.TLS.ClientCAs.AppendCertsFromPEM(ca)
	}
	front.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes fail on purpose
	front.StartTLS()
	w.t.Cleanup(front.Close)
	return front
}

func overTLS(t *testing.T, w *world) {
	const password = "store-secret"
	open, closed := behindTLS(w, false), behindTLS(w, true)
	pem := []string{keyTruststore, stored("ca.pem")}
	localhost := strings.Replace(open.URL, "127.0.0.1", "localhost", 1)
	for _, c := range []struct {
		name, url string
		pairs     []string
		says      string // of the error; empty: documents arrive
	}{
		{"PEM", open.URL, pem, ""},
		{"PEM, client", closed.URL, append([]string{keyKeystore, stored("client.pem")}, pem...), ""},
		{"JKS, client", closed.URL, []string{"elastic.security.protocol", "SSL",
			keyTruststore, stored("trust.jks"), keyTruststorePassword, password, "elastic.https.ssl.truststore.type", "JKS",
			keyKeystore, stored("client.jks"), keyKeystorePassword, password, keyKeyPassword, "key-secret", "elastic.https.ssl.keystore.type", "JKS"}, ""},
		{"PKCS#12, client", closed.URL, []string{"elastic.security.protocol", "SSL",
			keyTruststore, stored("trust.p12"), keyTruststorePassword, password, "elastic.https.ssl.truststore.type", "PKCS12",
			keyKeystore, stored("client.p12"), keyKeystorePassword, password, "elastic.https.ssl.keystore.type", "PKCS12"}, ""},
		{"any name", localhost, append([]string{keyIdentification, ""}, pem...), ""},
		{"a wrong name", localhost, pem, "certificate"},
		{"nobody trusted", open.URL, nil, "certificate"},
		{"any name, nobody trusted", open.URL, []string{keyIdentification, ""}, "certificate"},
		{"no client", closed.URL, pem, "certificate required"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, w.server)
			w.url = c.url
			topic := w.topic("orders")
			config := w.config(c.pairs...)
			problems := New().Validate(t.Context(), config)
			if c.says == "" {
				r := start(t, config, topic)
				r.put(topic, 0, record("1", `{"n":1}`))
				r.flushTo(topic, 1)
				w.expect(topic, "1", `{"n":1}`)
				if len(problems) > 0 {
					t.Errorf("validate: %v", problems)
				}
				return
			}
			if len(problems) != 1 || problems[0].Key != "connection.url" || !strings.Contains(problems[0].Message, c.says) {
				t.Errorf("validate: %v", problems)
			}
			r := newRun(t)
			if err := r.task.Start(t.Context(), r.options(config)); connectors.ClassOf(err) != connectors.ClassEnvironment || !contains(err, c.says) {
				t.Errorf("start: %v", err)
			}
			if err := r.task.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestStoresThatCannotBeUsed(t *testing.T) {
	empty, noise := filepath.Join(t.TempDir(), "empty.pem"), filepath.Join(t.TempDir(), "noise")
	for path, content := range map[string]string{empty: "-----BEGIN CERTIFICATE-----\n", noise: "\x30\x03noise"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name  string
		pairs []string
		key   string
		says  string
	}{
		{"no file", []string{keyTruststore, stored("nowhere.jks")}, keyTruststore, "no such file"},
		{"no certificate", []string{keyTruststore, empty}, keyTruststore, "no certificate"},
		{"noise", []string{keyTruststore, noise}, keyTruststore, "PKCS#12"},
		{"JKS, wrong password", []string{keyTruststore, stored("trust.jks"), keyTruststorePassword, "wrong-battery"}, keyTruststore, keyTruststorePassword},
		{"PKCS#12, wrong password", []string{keyTruststore, stored("trust.p12"), keyTruststorePassword, "wrong-battery"}, keyTruststore, keyTruststorePassword},
		{"a keystore as truststore", []string{keyTruststore, stored("client.jks"), keyTruststorePassword, "store-secret"}, keyTruststore, "keytool -importcert"},
		{"no key", []string{keyKeystore, stored("ca.pem")}, keyKeystore, "its key"},
		{"a truststore as keystore", []string{keyKeystore, stored("trust.jks"), keyKeystorePassword, "store-secret"}, keyKeystore, "no private key"},
		{"JKS, wrong password of the key", []string{keyKeystore, stored("client.jks"), keyKeystorePassword, "store-secret"}, keyKeystore, keyKeyPassword},
		{"PKCS#12, no password", []string{keyKeystore, stored("client.p12")}, keyKeystore, keyKeystorePassword},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := map[string]string{"connection.url": "https://127.0.0.1:1"}
			for i := 0; i < len(c.pairs); i += 2 {
				config[c.pairs[i]] = c.pairs[i+1]
			}
			problems := New().Validate(t.Context(), config)
			if len(problems) != 1 || problems[0].Key != c.key || !strings.Contains(problems[0].Message, c.says) || strings.Contains(problems[0].Message, "wrong-battery") {
				t.Errorf("validate: %v", problems)
			}
			r := newRun(t)
			if err := r.task.Start(t.Context(), r.options(config)); connectors.ClassOf(err) != connectors.ClassConfig || !contains(err, c.key, c.says) {
				t.Errorf("start: %v", err)
			}
		})
	}
}

// forwarder is an HTTP proxy that wants a password. It brings everything to one server, whatever address it is given.
type forwarder struct {
	target              *url.URL
	forwarded, tunneled atomic.Int64
}

func (f *forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Proxy-Authorization") != "Basic dXNlcjpwYXNzLXNlY3JldA==" { // user:pass-secret
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	if r.Method != http.MethodConnect {
		f.forwarded.Add(1)
		httputil.NewSingleHostReverseProxy(f.target).ServeHTTP(w, r)
		return
	}
	f.tunneled.Add(1)
	server, err := net.Dial("tcp", f.target.Host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer server.Close()
	w.WriteHeader(http.StatusOK)
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer client.Close()
	go func() {
		io.Copy(server, buffered)
		server.Close()
	}()
	io.Copy(client, server)
}

// throughProxy reaches a server whose address nobody answers at, but the proxy knows a way.
func throughProxy(t *testing.T, w *world) {
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			w := newWorld(t, w.server)
			target := w.server.URL
			if scheme == "https" {
				target = behindTLS(w, false).URL
			}
			parsed, err := url.Parse(target)
			if err != nil {
				t.Fatal(err)
			}
			f := &forwarder{target: parsed}
			front := httptest.NewServer(f)
			t.Cleanup(front.Close)
			host, port, err := net.SplitHostPort(strings.TrimPrefix(front.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			w.url = scheme + "://127.0.0.1:1"
			topic := w.topic("orders")
			config := w.config("proxy.host", host, "proxy.port", port, "proxy.username", "user", "proxy.password", "pass-secret", keyTruststore, stored("ca.pem"))
			if problems := New().Validate(t.Context(), config); len(problems) > 0 {
				t.Errorf("validate: %v", problems)
			}
			r := start(t, config, topic)
			r.put(topic, 0, record("1", `{"n":1}`))
			r.flushTo(topic, 1)
			w.expect(topic, "1", `{"n":1}`)
			if tunneled := f.tunneled.Load() > 0; tunneled != (scheme == "https") || tunneled == (f.forwarded.Load() > 0) {
				t.Errorf("%d tunnels, %d requests forwarded", f.tunneled.Load(), f.forwarded.Load())
			}

			config["proxy.password"] = "wrong-battery"
			problems := New().Validate(t.Context(), config)
			if len(problems) != 1 || problems[0].Key != "proxy.username" || strings.Contains(problems[0].Message, "wrong-battery") {
				t.Errorf("validate with a wrong password: %v", problems)
			}
			refused := newRun(t)
			err = refused.task.Start(t.Context(), refused.options(config))
			if connectors.ClassOf(err) != connectors.ClassEnvironment || !contains(err, "407", "remedy", "proxy.password") || contains(err, "wrong-battery") {
				t.Errorf("start with a wrong password: %v", err)
			}
			if err := refused.task.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
