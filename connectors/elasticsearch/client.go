package elasticsearch

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	es "github.com/elastic/go-elasticsearch/v8"
	"github.com/sluicehub/sluice/connectors"
)

// client is the transport to the cluster: nodes in turn, authentication, TLS. It retries nothing; that is the lanes'
// business. It may be used from several goroutines.
type client struct {
	es        *es.Client
	transport *http.Transport
	password  string // never in an error
}

// httpError is an answer of the cluster that is not a success.
type httpError struct {
	status     int
	retryAfter string
	body       string // its beginning
}

func (e *httpError) Error() string {
	return fmt.Sprintf("Elasticsearch answered %d %s: %s", e.status, http.StatusText(e.status), e.body)
}

// newClient makes a client. It opens no connection.
func newClient(s settings) (*client, error) {
	v := s.values
	transport, err := newTransport(s)
	if err != nil {
		return nil, err
	}
	c := &client{transport: transport, password: v.Password("connection.password").Reveal()}
	c.es, err = es.NewClient(es.Config{
		Addresses: v.List("connection.url"), Username: v.String("connection.username"), Password: c.password,
		APIKey: v.Password("connection.api.key").Reveal(), Transport: transport,
		DisableRetry: true, CompressRequestBody: v.Bool("connection.compression"), PoolCompressor: true,
	})
	if err != nil {
		return nil, fmt.Errorf("make the Elasticsearch client: %w", err)
	}
	return c, nil
}

func newTransport(s settings) (*http.Transport, error) {
	v := s.values
	t := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: s.connectTimeout}).DialContext,
		TLSHandshakeTimeout: max(s.connectTimeout, s.readTimeout), ResponseHeaderTimeout: s.readTimeout,
		MaxIdleConnsPerHost: s.lanes + 1, IdleConnTimeout: s.idling,
	}
	if host := v.String("proxy.host"); host != "" {
		proxy := &url.URL{Scheme: "http", Host: net.JoinHostPort(host, strconv.Itoa(v.Int("proxy.port")))}
		if user := v.String("proxy.username"); user != "" {
			proxy.User = url.UserPassword(user, v.Password("proxy.password").Reveal())
		}
		t.Proxy = http.ProxyURL(proxy)
	}
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: v.String("elastic.https.ssl.endpoint.identification.algorithm") == ""}
	if path := v.String("elastic.https.ssl.truststore.location"); path != "" {
		pem, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("elastic.https.ssl.truststore.location: %w", err)
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("elastic.https.ssl.truststore.location: %s holds no certificate in PEM; a Java keystore is converted by: keytool -exportcert -rfc -keystore FILE -alias NAME", path)
		}
		if t.TLSClientConfig.InsecureSkipVerify { // names are not compared, but the chain is
			t.TLSClientConfig.VerifyConnection = verifyChain(t.TLSClientConfig.RootCAs)
		}
	}
	if path := v.String("elastic.https.ssl.keystore.location"); path != "" {
		cert, err := tls.LoadX509KeyPair(path, path)
		if err != nil {
			return nil, fmt.Errorf("elastic.https.ssl.keystore.location: %w; it must hold the certificate and its key in PEM", err)
		}
		t.TLSClientConfig.Certificates = []tls.Certificate{cert}
	}
	return t, nil
}

// verifyChain checks a server's certificate against the roots, whatever its name.
func verifyChain(roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
		for _, c := range state.PeerCertificates[1:] {
			o.Intermediates.AddCert(c)
		}
		_, err := state.PeerCertificates[0].Verify(o)
		return err
	}
}

func (c *client) close() { c.transport.CloseIdleConnections() }

// do sends a request and reads the answer into into. A status of 400 and above is an *httpError.
func (c *client) do(ctx context.Context, method, path, contentType string, body []byte, into *bytes.Buffer) error {
	req, err := http.NewRequestWithContext(ctx, method, path, nil)
	if err != nil {
		return err
	}
	if body != nil {
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.es.Perform(req)
	if err != nil {
		return c.scrub(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 400 {
		begin, _ := io.ReadAll(io.LimitReader(resp.Body, 2000))
		return &httpError{resp.StatusCode, resp.Header.Get("Retry-After"), strings.TrimSpace(string(begin))}
	}
	if into == nil {
		_, err = io.Copy(io.Discard, resp.Body)
	} else {
		into.Reset()
		_, err = into.ReadFrom(resp.Body)
	}
	return err
}

// scrub takes the password out of an error, where an address may have carried it (I8).
func (c *client) scrub(err error) error {
	if c.password == "" || !strings.Contains(err.Error(), c.password) {
		return err
	}
	return errors.New(strings.ReplaceAll(err.Error(), c.password, "********"))
}

const jsonType = "application/json"

// health asks whether the cluster answers and lets us in.
func (c *client) health(ctx context.Context) error {
	return c.do(ctx, http.MethodGet, "/_cluster/health?filter_path=status", jsonType, nil, nil)
}

func (c *client) indexExists(ctx context.Context, index string) (bool, error) {
	err := c.do(ctx, http.MethodHead, "/"+url.PathEscape(index), jsonType, nil, nil)
	var he *httpError
	if errors.As(err, &he) && he.status == http.StatusNotFound {
		return false, nil
	}
	return err == nil, err
}

// createIndex makes an index, with a mapping if it is not nil. That somebody else has just made it is a success.
func (c *client) createIndex(ctx context.Context, index string, mapping []byte) error {
	var body []byte
	if mapping != nil {
		body = append(append([]byte(`{"mappings":`), mapping...), '}')
	}
	err := c.do(ctx, http.MethodPut, "/"+url.PathEscape(index), jsonType, body, nil)
	var he *httpError
	if errors.As(err, &he) && strings.Contains(he.body, "resource_already_exists_exception") {
		return nil
	}
	return err
}

// hasMapping reports whether an index knows any field.
func (c *client) hasMapping(ctx context.Context, index string) (bool, error) {
	var answer bytes.Buffer
	err := c.do(ctx, http.MethodGet, "/"+url.PathEscape(index)+"/_mapping?filter_path=*.mappings.properties", jsonType, nil, &answer)
	return bytes.Contains(answer.Bytes(), []byte(`"properties"`)), err
}

func (c *client) putMapping(ctx context.Context, index string, mapping []byte) error {
	return c.do(ctx, http.MethodPut, "/"+url.PathEscape(index)+"/_mapping", jsonType, mapping, nil)
}

// bulk sends operations. The answer is kept small: errors comes first in it, then a status per operation.
func (c *client) bulk(ctx context.Context, body []byte, answer *bytes.Buffer) error {
	return c.do(ctx, http.MethodPost, "/_bulk?filter_path=errors,items.*.status,items.*.error", "application/x-ndjson", body, answer)
}

// classed says what an error of the cluster means to the hub.
func classed(op string, err error) error {
	var ce *connectors.Error
	if err == nil || errors.As(err, &ce) {
		return err
	}
	e := &connectors.Error{Op: op, Class: connectors.ClassEnvironment, Retriable: true, Err: err}
	var he *httpError
	switch {
	case errors.As(err, &he) && he.status == http.StatusUnauthorized:
		e.Remedy = "check connection.username and connection.password, or connection.api.key"
	case errors.As(err, &he) && he.status == http.StatusForbidden && strings.Contains(he.body, "cluster_block_exception"):
		e.Remedy = "the index is blocked for writes (often a full disk): free space, then PUT INDEX/_settings {\"index.blocks.read_only_allow_delete\": null}"
	case errors.As(err, &he) && he.status == http.StatusForbidden:
		e.Remedy = "give the user the privileges create_index, index and delete on the indices it writes to"
	case errors.As(err, &he) && he.status == http.StatusBadRequest:
		e.Class, e.Retriable = connectors.ClassConfig, false
	}
	return e
}
