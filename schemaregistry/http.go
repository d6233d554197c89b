package schemaregistry

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// maxBody is the size of a request's body: more than a record of the topic can hold.
const maxBody = 4 << 20

// The content types of Confluent's API, the one preferred first.
var contentTypes = [...]string{"application/vnd.schemaregistry.v1+json", "application/vnd.schemaregistry+json", "application/json"}

// Handler returns the HTTP API. Timeouts and authentication are the server's business.
func (r *Registry) Handler() http.Handler { return &api{r, endpoints()} }

// api serves a registry.
type api struct {
	registry  *Registry
	endpoints []endpoint
}

// call is one request on its way through the API.
type call struct {
	*http.Request
	registry *Registry
	path     []string // its segments, unescaped
	query    url.Values
	full     bool // the client understands members that Confluent's API has had since 8.0
}

// text is an answer that is sent as it is, not as JSON.
type text string

// ServeHTTP answers a request.
func (a *api) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	id := req.Header.Get("X-Request-ID")
	if id == "" {
		id = rand.Text()
	}
	w.Header().Set("X-Request-ID", id)
	kind, ok := acceptable(req.Header.Values("Accept"))
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Vary", "Accept")
	if !ok {
		a.refuse(w, req, plain(http.StatusNotAcceptable))
		return
	}
	req.Body = http.MaxBytesReader(w, req.Body, maxBody)
	body, err := a.handle(req)
	if err != nil {
		a.refuse(w, req, err)
		return
	}
	switch b := body.(type) {
	case text:
		_, err = io.WriteString(w, string(b))
	default:
		_, err = w.Write(marshal(b))
	}
	if err != nil {
		a.registry.opts.Logger.Debug("schema registry: client gone", "path", req.URL.Path, "err", err)
	}
}

func (a *api) handle(req *http.Request) (any, error) {
	path, err := segments(req.URL)
	if err != nil {
		return nil, plain(http.StatusBadRequest)
	}
	c := &call{Request: req, registry: a.registry, path: path, query: req.URL.Query(),
		full: strings.EqualFold(req.Header.Get("Confluent-Accept-Unknown-Properties"), "true")}
	handler, err := a.route(req.Method, path)
	if err != nil {
		return nil, err
	}
	if req.Method == http.MethodPost || req.Method == http.MethodPut {
		if !readable(req.Header.Get("Content-Type")) {
			return nil, plain(http.StatusUnsupportedMediaType)
		}
	}
	return handler(c)
}

// refuse answers with an error. What is our fault is logged, what is the client's is not.
func (a *api) refuse(w http.ResponseWriter, req *http.Request, err error) {
	var e *Error
	if !errors.As(err, &e) {
		e = storeError("answering", err)
	}
	if e.Status >= 500 {
		a.registry.opts.Logger.Error("schema registry", "method", req.Method, "path", req.URL.Path, "status", e.Status, "err", err)
	} else {
		a.registry.opts.Logger.Debug("schema registry refuses", slog.String("method", req.Method), "path", req.URL.Path, "status", e.Status, "err", err)
	}
	w.WriteHeader(e.Status)
	_, _ = w.Write(marshal(struct {
		Code    int    `json:"error_code"`
		Message string `json:"message"`
	}{e.Code, e.Message}))
}

// segments splits the path before it unescapes it: a subject may contain an escaped slash. A slash at the end does not
// count.
func segments(u *url.URL) ([]string, error) {
	path := strings.TrimSuffix(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	if path == "" {
		return nil, nil
	}
	list := strings.Split(path, "/")
	for i := range list {
		var err error
		if list[i], err = url.PathUnescape(list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// acceptable chooses the content type of the answer.
func acceptable(accept []string) (string, bool) {
	all := strings.Join(accept, ",")
	if all == "" {
		return contentTypes[0], true
	}
	best, weight := "", 0.0
	for _, item := range strings.Split(all, ",") {
		kind, params, err := mime.ParseMediaType(item)
		if err != nil {
			continue
		}
		q := 1.0
		if p, ok := params["q"]; ok {
			if q, err = strconv.ParseFloat(p, 64); err != nil {
				continue
			}
		}
		for _, t := range contentTypes {
			if (kind == t || kind == "*/*" || kind == "application/*") && q > weight {
				best, weight = t, q
			}
		}
	}
	if best == "" {
		return contentTypes[0], false
	}
	return best, true
}

// readable reports whether a body of that content type is JSON, or what curl calls its data when nobody tells it.
func readable(header string) bool {
	if header == "" {
		return true
	}
	kind, _, err := mime.ParseMediaType(header)
	if err != nil {
		return false
	}
	for _, t := range contentTypes {
		if kind == t {
			return true
		}
	}
	return kind == "application/octet-stream"
}

// decode reads the body as JSON.
func (c *call) decode(into any) error {
	body, err := io.ReadAll(c.Body)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return &Error{Status: http.StatusRequestEntityTooLarge, Code: http.StatusRequestEntityTooLarge, Message: fmt.Sprintf("The body is larger than %d bytes", large.Limit)}
	case err != nil:
		return &Error{Status: http.StatusBadRequest, Code: http.StatusBadRequest, Message: "Reading the body: " + err.Error(), Err: err}
	}
	if err := json.Unmarshal(body, into); err != nil {
		return &Error{Status: http.StatusBadRequest, Code: http.StatusBadRequest, Message: "The body is not the JSON that is wanted here: " + err.Error(), Err: err}
	}
	return nil
}

// flag returns a boolean query parameter: as in JAX-RS, everything but "true" is false.
func (c *call) flag(name string) bool { return strings.EqualFold(c.query.Get(name), "true") }

// page cuts a list by the query's offset and limit.
func page[T any](c *call, list []T) []T {
	if n, err := strconv.Atoi(c.query.Get("offset")); err == nil && n > 0 {
		list = list[min(n, len(list)):]
	}
	if n, err := strconv.Atoi(c.query.Get("limit")); err == nil && n > 0 {
		list = list[:min(n, len(list))]
	}
	if list == nil {
		list = []T{}
	}
	return list
}
