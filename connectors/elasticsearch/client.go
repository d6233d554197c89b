package elasticsearch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"
	"github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/klauspost/compress/gzip"

	"github.com/sluicehub/sluice/connectors/tlsstore"
)

// client is the transport to the cluster: nodes in turn, authentication, TLS. It retries nothing; that is the lanes'
// business. It may be used from several goroutines.
type client struct {
	es        *elastictransport.Client
	transport *http.Transport
	address   string // for errors, without a password
	patience  time.Duration
	compress  bool
}

// httpError is an answer of the cluster that is not a success.
type httpError struct {
	status     int
	retryAfter string
	body       string // its beginning
}

func (e *httpError) Error() string {
	if e.status == http.StatusProxyAuthRequired {
		return "the proxy answered 407 " + http.StatusText(e.status)
	}
	if e.body == "" {
		return fmt.Sprintf("Elasticsearch answered %d %s", e.status, http.StatusText(e.status))
	}
	return fmt.Sprintf("Elasticsearch answered %d %s: %s", e.status, http.StatusText(e.status), e.body)
}

// failure returns the *httpError that an answer is, or nil if it is a success.
func failure(status int, header http.Header, body io.Reader) error {
	if status < 300 {
		return nil
	}
	if to, err := url.Parse(header.Get("Location")); err == nil && status < 400 {
		return &httpError{status: status, body: "it leads to " + to.Redacted()}
	}
	begin, _ := io.ReadAll(io.LimitReader(body, 2000))
	return &httpError{status, header.Get("Retry-After"), strings.TrimSpace(string(begin))}
}

// isElasticsearch tells an answer of the cluster from one of something in front of it.
func (e *httpError) isElasticsearch() bool { return strings.HasPrefix(e.body, `{"error"`) }

// newClient makes a client. It opens no connection.
func newClient(s settings) (*client, error) {
	v := s.values
	transport, err := newTransport(s)
	if err != nil {
		return nil, err
	}
	c := &client{transport: transport, address: addresses(v.List("connection.url")), patience: s.readTimeout, compress: v.Bool("connection.compression")}
	// This is go-elasticsearch's transport. Its client on top of that, which nobody needs here, brings a typed API of
	// some 850 packages into the program.
	options := []elastictransport.Option{elastictransport.WithTransport(tracked{transport}), elastictransport.WithDisableRetry(),
		elastictransport.WithUserAgent("sluice/" + version)}
	if user := v.String("connection.username"); user != "" {
		options = append(options, elastictransport.WithBasicAuth(user, v.Password("connection.password").Reveal()))
	}
	if key := v.Password("connection.api.key").Reveal(); key != "" {
		options = append(options, elastictransport.WithAPIKey(key))
	}
	var urls []*url.URL
	for _, text := range v.List("connection.url") {
		u, err := url.Parse(strings.TrimRight(text, "/"))
		if err != nil {
			// The error repeats the address, with what secret may be in it.
			return nil, fmt.Errorf("connection.url: the Elasticsearch client does not take %s", c.address)
		}
		urls = append(urls, u)
	}
	if c.es, err = elastictransport.NewClient(append(options, elastictransport.WithURLs(urls...))...); err != nil {
		return nil, fmt.Errorf("connection.url: the Elasticsearch client does not take %s", c.address)
	}
	return c, nil
}

// addresses lists addresses without the passwords that may be in them (I8).
func addresses(urls []string) string {
	shown := make([]string, len(urls))
	for i, text := range urls {
		shown[i] = "an address that cannot be parsed"
		if u, err := url.Parse(text); err == nil {
			shown[i] = u.Redacted()
		}
	}
	return strings.Join(shown, ", ")
}

func newTransport(s settings) (*http.Transport, error) {
	v := s.values
	t := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: s.connectTimeout}).DialContext,
		MaxIdleConnsPerHost: s.lanes + 1, IdleConnTimeout: s.idling, WriteBufferSize: 64 << 10,
		DisableCompression: !v.Bool("connection.compression"),
	}
	if host := v.String("proxy.host"); host != "" {
		proxy := &url.URL{Scheme: "http", Host: net.JoinHostPort(host, strconv.Itoa(v.Int("proxy.port")))}
		if user := v.String("proxy.username"); user != "" {
			proxy.User = url.UserPassword(user, v.Password("proxy.password").Reveal())
		}
		t.Proxy = http.ProxyURL(proxy)
		// An answer of the proxy itself to CONNECT would otherwise lose its status.
		t.OnProxyConnectResponse = func(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
			return failure(resp.StatusCode, resp.Header, http.NoBody)
		}
	}
	var err error
	if t.TLSClientConfig, err = tlsstore.Config(v, httpsPrefix); err != nil {
		return nil, err
	}
	return t, nil
}

// errSilence is in the error of a request during which nothing moved.
var errSilence = errors.New("nothing came")

func (c *client) silence() error {
	return fmt.Errorf("%s: %w for read.timeout.ms=%d", c.address, errSilence, c.patience.Milliseconds())
}

func (c *client) close() { c.transport.CloseIdleConnections() }

// do sends a request and reads the answer into into. A status of 300 and above is an *httpError. When it returns, body
// is no longer looked at. It fails when for read.timeout.ms nothing moves in either direction.
func (c *client) do(ctx context.Context, r request, into *bytes.Buffer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	patience := time.AfterFunc(c.patience, func() {
		cancel(c.silence())
	})
	defer patience.Stop()
	req, err := http.NewRequestWithContext(ctx, r.method, r.path, nil)
	if err != nil {
		return err
	}
	if r.body != nil {
		body := &requestBody{Reader: *bytes.NewReader(r.body), moved: func() { patience.Reset(c.patience) }, closed: make(chan struct{})}
		// The transport may still be sending when the answer is there.
		defer body.released(cancel)
		req.Body, req.ContentLength = body, int64(len(r.body))
		req.Header.Set("Content-Type", r.contentType)
		if r.encoding != "" {
			req.Header.Set("Content-Encoding", r.encoding)
		}
	}
	err = c.exchange(req, into, func() { patience.Reset(c.patience) })
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// request is what do sends. The path is escaped.
type request struct {
	method, path          string
	contentType, encoding string
	body                  []byte // nil: none
}

// exchange sends a request and reads the answer, saying whenever some of it came.
func (c *client) exchange(req *http.Request, into *bytes.Buffer, moved func()) error {
	resp, err := c.es.Perform(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	moved()
	if err := failure(resp.StatusCode, resp.Header, resp.Body); err != nil {
		return err
	}
	if into == nil {
		into = new(bytes.Buffer)
	}
	into.Reset()
	_, err = into.ReadFrom(movedReader{resp.Body, moved})
	return err
}

// movedReader says when something was read.
type movedReader struct {
	io.Reader
	moved func()
}

func (r movedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.moved()
	return n, err
}

// requestBody says when some of it was taken, and when nobody looks at it any more. The transport promises to close a
// body also when it fails.
type requestBody struct {
	bytes.Reader
	moved  func()
	begun  bool // the transport has it
	once   sync.Once
	closed chan struct{}
}

// tracked is the transport that says of a body that it has it.
type tracked struct{ *http.Transport }

func (t tracked) RoundTrip(req *http.Request) (*http.Response, error) {
	if body, ok := req.Body.(*requestBody); ok {
		body.begun = true
	}
	return t.Transport.RoundTrip(req)
}

// released ends the request and waits until the transport lets go of its body.
func (b *requestBody) released(cancel context.CancelCauseFunc) {
	cancel(nil)
	if b.begun {
		<-b.closed
	}
}

func (b *requestBody) Read(p []byte) (int, error) {
	b.moved()
	return b.Reader.Read(p)
}

func (b *requestBody) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{b})
}

func (b *requestBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

const jsonType = "application/json"

// health asks whether the cluster answers and lets us in. Not to be allowed to see its health is no trouble.
func (c *client) health(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.patience, c.silence())
	defer cancel()
	resp, err := esapi.ClusterHealthRequest{FilterPath: []string{"status"}}.Do(ctx, c.es)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusForbidden {
		return nil
	}
	return failure(resp.StatusCode, resp.Header, resp.Body)
}

func (c *client) indexExists(ctx context.Context, index string) (bool, error) {
	err := c.do(ctx, request{method: http.MethodHead, path: "/" + url.PathEscape(index)}, nil)
	var he *httpError
	if errors.As(err, &he) && he.status == http.StatusNotFound {
		return false, nil
	}
	return err == nil, err
}

// createIndex makes an index, with a mapping if it is not nil. It reports false if somebody else has just made it.
func (c *client) createIndex(ctx context.Context, index string, mapping []byte) (created bool, err error) {
	var body []byte
	if mapping != nil {
		body = append(append([]byte(`{"mappings":`), mapping...), '}')
	}
	err = c.do(ctx, request{method: http.MethodPut, path: "/" + url.PathEscape(index), contentType: jsonType, body: body}, nil)
	var he *httpError
	if errors.As(err, &he) && strings.Contains(he.body, "resource_already_exists_exception") {
		return false, nil
	}
	return err == nil, err
}

// hasMapping reports whether an index knows any field.
func (c *client) hasMapping(ctx context.Context, index string) (bool, error) {
	var answer bytes.Buffer
	err := c.do(ctx, request{method: http.MethodGet, path: "/" + url.PathEscape(index) + "/_mapping?filter_path=*.mappings.properties"}, &answer)
	return bytes.Contains(answer.Bytes(), []byte(`"properties"`)), err
}

func (c *client) putMapping(ctx context.Context, index string, mapping []byte) error {
	return c.do(ctx, request{method: http.MethodPut, path: "/" + url.PathEscape(index) + "/_mapping", contentType: jsonType, body: mapping}, nil)
}

// exchange is the memory of one lane's requests.
type exchange struct {
	answer     bytes.Buffer
	compressed bytes.Buffer
	gzip       *gzip.Writer
}

// bulk sends operations. The answer is kept small: errors comes first in it, then a status per operation.
func (c *client) bulk(ctx context.Context, body []byte, x *exchange) error {
	r := request{method: http.MethodPost, path: "/_bulk?filter_path=errors,items.*.status,items.*.error", contentType: "application/x-ndjson", body: body}
	if c.compress {
		if x.gzip == nil {
			x.gzip = gzip.NewWriter(nil)
		}
		x.compressed.Reset()
		x.gzip.Reset(&x.compressed)
		if _, err := x.gzip.Write(body); err != nil {
			return err
		}
		if err := x.gzip.Close(); err != nil {
			return err
		}
		r.body, r.encoding = x.compressed.Bytes(), "gzip"
	}
	return c.do(ctx, r, &x.answer)
}
