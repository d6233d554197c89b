package schemaregistry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// forwardHeader is on a request that one node forwards to another: the id of the peer that it is meant for, or a boolean
// if it comes from a Confluent registry. It is not forwarded again.
const forwardHeader = "X-Forward"

// forwardTime is how long a node has for what is forwarded to it: one that does not answer is succeeded.
const forwardTime = 10 * time.Second

// elsewhere is the error of a change that another node is to make.
type elsewhere struct{ peer }

func (e *elsewhere) Error() string { return "another node writes: " + e.url }

type forwardableKey struct{}

// isForwardable reports whether who waits for a change is a caller that another node would know as well.
func isForwardable(ctx context.Context) bool { return ctx.Value(forwardableKey{}) != nil }

// mayForward notes that the call may be forwarded. A caller that is known by a certificate cannot be: only the one who
// has its key can show it.
func (c *call) mayForward() {
	if c.Method == http.MethodGet || c.Method == http.MethodHead {
		return // it changes nothing
	}
	if c.registry.opts.Access == nil || c.Header.Get("Authorization") != "" {
		c.Request = c.WithContext(context.WithValue(c.Context(), forwardableKey{}, true))
	}
}

// isMeant reports whether a forwarded request is for this node. Where a registry was another may have begun since, on
// another cluster perhaps.
func (r *Registry) isMeant(asked string) bool {
	return asked == r.store.self.id || strings.EqualFold(asked, "true") || strings.EqualFold(asked, "false")
}

// isRegistration reports whether the call registers a schema. If that is not there already, it catches up in its turn.
func (c *call) isRegistration() bool {
	return c.Method == http.MethodPost && len(c.path) == 3 && c.path[0] == "subjects" && c.path[2] == "versions"
}

// isFixed reports whether the call asks for what an id means, which never changes once this node knows it.
func (c *call) isFixed() bool {
	p := c.path
	return len(p) >= 3 && p[0] == "schemas" && (p[1] == "ids" || p[1] == "guids") && (len(p) == 3 || p[3] == "schema")
}

// answered has the call answered: here, or by the node that writes.
func (c *call) answered(does action) (any, error) {
	body, err := does.handle(c)
	var e *Error
	if c.isFixed() && errors.As(err, &e) && e.Status == http.StatusNotFound {
		c.registry.store.follow(c.Context()) // it may be new
		body, err = does.handle(c)
	}
	var away *elsewhere
	if !errors.As(err, &away) {
		return body, err
	}
	answer, sent, err := c.forward(away.peer)
	switch {
	case err == nil:
		c.registry.store.follow(c.Context()) // who has been told of a version is to find it here, too
		return answer, nil
	case c.registry.opts.NeverWrites || sent && c.Method == http.MethodDelete:
		return nil, notForwarded(fmt.Errorf("to %s: %w", away.url, err))
	}
	// The peer is gone, or somebody else. All but a deletion may be done twice.
	c.registry.opts.Logger.Warn("schema registry does itself what it could not forward", "to", away.url, "err", err)
	c.Request = c.WithContext(context.WithValue(c.Context(), forwardableKey{}, nil))
	c.Body = io.NopCloser(bytes.NewReader(c.body))
	return does.handle(c)
}

// relayed is another node's answer.
type relayed struct {
	status int
	kind   string // content type
	body   []byte
}

func (r *relayed) send(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", r.kind)
	w.WriteHeader(r.status)
	_, err := w.Write(r.body)
	return err
}

// passed are the headers that go with a forwarded request.
var passed = [...]string{"Authorization", "Content-Type", "Accept", "Confluent-Accept-Unknown-Properties", "Confluent-Client-Version"}

// forward has another node answer the call. An error says that it did not; sent, that it may have done it all the same.
func (c *call) forward(to peer) (answer *relayed, sent bool, err error) {
	url := strings.TrimSuffix(to.url, "/") + c.URL.EscapedPath()
	if c.URL.RawQuery != "" {
		url += "?" + c.URL.RawQuery
	}
	ctx, cancel := context.WithTimeout(c.Context(), min(forwardTime, c.registry.opts.Timeout))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, c.Method, url, bytes.NewReader(c.body))
	if err != nil {
		return nil, false, err
	}
	for _, name := range passed {
		if values := c.Header.Values(name); len(values) > 0 {
			req.Header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
		}
	}
	req.Header.Set(requestHeader, c.id)
	req.Header.Set(forwardHeader, to.id)
	resp, err := c.registry.opts.Peers.Do(req)
	if err != nil {
		var network *net.OpError
		return nil, !errors.As(err, &network) || network.Op != "dial", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDrained))
	switch {
	case err != nil:
		return nil, true, err
	case resp.StatusCode == http.StatusMisdirectedRequest:
		return nil, false, errors.New("another registry answers there")
	}
	return &relayed{resp.StatusCode, resp.Header.Get("Content-Type"), body}, true, nil
}
