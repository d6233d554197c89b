package schemaregistry

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicehub/sluice/schemaregistry/access"
)

// maxBody is the size of a request's body: more than a record of the topic can hold. What goes beyond is read and
// thrown away up to maxDrained, because a client that is still writing does not listen.
const (
	maxBody    = 5 << 20
	maxDrained = 64 << 20
)

// The content types of Confluent's API, the one preferred first.
var contentTypes = [...]string{"application/vnd.schemaregistry.v1+json", "application/vnd.schemaregistry+json", "application/json"}

// Users tells which connectors there are, for what uses a schema.
type Users func(context.Context) ([]User, error)

// Handler returns the HTTP API: Confluent's, and ours under /api/v1/registry. Timeouts and TLS are the server's
// business. users may be nil.
func (r *Registry) Handler(users Users) http.Handler { return &api{r, endpoints(), ours(), users} }

// api serves a registry.
type api struct {
	registry  *Registry
	endpoints []endpoint
	ours      []endpoint
	users     Users
}

// call is one request on its way through the API.
type call struct {
	*http.Request
	registry *Registry
	id       string // of the request
	who      string
	path     []string // its segments, unescaped
	query    url.Values
	users    Users
	full     bool   // the client understands members that Confluent's API has had since 8.0
	body     []byte // what has been read of it
}

// text is an answer that is sent as it is, not as JSON.
type text []byte

// ServeHTTP answers a request.
func (a *api) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	id := req.Header.Get(requestHeader)
	if id == "" {
		id = requestID()
	}
	w.Header().Set(requestHeader, id)
	kind, ok := acceptable(req.Header.Values("Accept"))
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Vary", "Accept")
	if !ok {
		a.refuse(w, req, plain(http.StatusNotAcceptable))
		return
	}
	body, err := a.handle(req, id)
	if err != nil {
		a.refuse(w, req, err)
		return
	}
	switch b := body.(type) {
	case nil:
		w.WriteHeader(http.StatusNoContent)
	case text:
		err = send(w, b)
	case *relayed:
		err = b.send(w)
	default:
		err = send(w, marshal(b))
	}
	if err != nil {
		a.registry.opts.Logger.Debug("schema registry: client gone", "path", req.URL.Path, "err", err)
	}
}

// send writes a body with its length: net/http finds that itself only if it is less than its buffer of 2 KB.
func send(w http.ResponseWriter, body []byte) error {
	if len(body) >= 2<<10 {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	_, err := w.Write(body)
	return err
}

// requestHeader names a request, in the one spelling that net/http does not have to turn into its own.
const requestHeader = "X-Request-Id"

// requestID returns a random UUID (version 4 of RFC 9562). It is no secret.
func requestID() string {
	var b hash
	binary.NativeEndian.PutUint64(b[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(b[8:], rand.Uint64())
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return b.String()
}

func (a *api) handle(req *http.Request, id string) (any, error) {
	path, err := segments(req.URL)
	if err != nil {
		return nil, plain(http.StatusBadRequest)
	}
	endpoints := a.endpoints
	if len(path) > 3 && slices.Equal(path[:3], []string{"api", "v1", "registry"}) {
		endpoints, path = a.ours, path[3:]
	}
	c := &call{Request: req, registry: a.registry, id: id, users: a.users, path: path, query: req.URL.Query(),
		full: a.registry.opts.Extended || strings.EqualFold(req.Header.Get("Confluent-Accept-Unknown-Properties"), "true")}
	if asked := req.Header.Get(forwardHeader); asked == "" {
		c.mayForward()
	} else if !a.registry.isMeant(asked) {
		return nil, plain(http.StatusMisdirectedRequest)
	}
	c.leaveContext()
	does, notFound := route(endpoints, req.Method, c.path)
	if does.needs != nobody {
		if c.who, err = a.registry.opts.Access.Authenticate(req); err != nil {
			return nil, unauthorized(err)
		}
	}
	if notFound != nil {
		return nil, notFound
	}
	if req.Method == http.MethodPost || req.Method == http.MethodPut {
		if !readable(req.Header.Get("Content-Type")) {
			return nil, plain(http.StatusUnsupportedMediaType)
		}
	}
	if !c.isFixed() && !c.isRegistration() {
		a.registry.store.follow(c.Context())
	}
	c.leaveAlias()
	name := c.named()
	if does.needs == anybody || does.needs == nobody || does.needs == access.Read && name == "" { // what holds for all is no secret
		return c.answered(does)
	}
	if err := c.need(does.needs, name); err != nil {
		return nil, err
	}
	return c.answered(does)
}

// leaveContext turns a path that begins with /contexts/C into the one without, in which names have the context.
func (c *call) leaveContext() {
	if len(c.path) < 3 || c.path[0] != "contexts" {
		return
	}
	context := contextOf(":." + strings.TrimLeft(strings.TrimSuffix(c.path[1], ":"), ":.") + ":")
	c.path = c.path[2:]
	switch at, settings := nameAt(c.path); {
	case at < len(c.path) && namesContext(c.path[at]):
	case at < len(c.path):
		c.path[at] = joinSubject(context, c.path[at])
	case settings && context != defaultContext:
		c.path = append(c.path, joinSubject(context, ""))
	}
	whole := ":" + context + ":"
	for _, name := range [...]string{"subjectPrefix", "subject"} {
		if value := c.query.Get(name); !namesContext(value) {
			c.query.Set(name, whole+value)
		}
	}
}

// nameAt returns the index of the segment of a path that is a subject, if it is there, and whether it may be a context.
func nameAt(path []string) (at int, settings bool) {
	switch {
	case path[0] == "subjects":
		return 1, false
	case path[0] == "config", path[0] == "mode":
		return 1, true
	case path[0] == "compatibility":
		return 2, false
	}
	return len(path), false
}

// leaveAlias replaces the alias of a subject by the subject, where schemas are concerned; settings are the alias's own.
func (c *call) leaveAlias() {
	c.view(func(st *state) {
		if len(c.path) > 0 {
			if at, settings := nameAt(c.path); at < len(c.path) && !settings {
				c.path[at] = st.aliased(shortest(c.path[at]))
			}
		}
		if name := c.query.Get("subject"); name != "" {
			c.query.Set("subject", st.aliased(shortest(name)))
		}
	})
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
	if e.Status == http.StatusUnauthorized {
		w.Header().Add("WWW-Authenticate", `Basic realm="schema registry", charset="UTF-8"`)
		w.Header().Add("WWW-Authenticate", "Bearer")
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
	switch all {
	case "", contentTypes[0]: // of almost all clients
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
	body, err := io.ReadAll(io.LimitReader(c.Body, maxBody+1))
	switch {
	case err == nil && len(body) > maxBody:
		_, _ = io.CopyN(io.Discard, c.Body, maxDrained)
		return answer(42209, "The body is larger than %d bytes", maxBody)
	case err != nil:
		return &Error{Status: http.StatusBadRequest, Code: http.StatusBadRequest, Message: "Reading the body: " + err.Error(), Err: err}
	}
	c.body = body
	if b := bytes.TrimSpace(body); len(b) == 0 || bytes.Equal(b, []byte("null")) {
		return &Error{Status: http.StatusUnprocessableEntity, Code: http.StatusUnprocessableEntity, Message: "The body must not be null"}
	}
	if err := json.Unmarshal(body, into); err != nil {
		return &Error{Status: http.StatusBadRequest, Code: http.StatusBadRequest, Message: "The body is not the JSON that is wanted here: " + unlike(err), Err: err}
	}
	return nil
}

// unlike says what is wrong with a JSON text, without the names of Go's types.
func unlike(err error) string {
	var other *json.UnmarshalTypeError
	switch {
	case !errors.As(err, &other):
		return err.Error()
	case other.Field == "":
		return "it must be an object, not " + other.Value
	}
	return fmt.Sprintf("the member %q must not be %s", other.Field, other.Value)
}

// flag returns a boolean query parameter: as in JAX-RS, everything but "true" is false.
func (c *call) flag(name string) bool { return strings.EqualFold(c.query.Get(name), "true") }

// page cuts a list by the query's offset and limit. A limit that is no number above 0, or beyond most (if that is not
// 0), is most.
func page[T any](c *call, list []T, most int) []T {
	if n, err := strconv.Atoi(c.query.Get("offset")); err == nil && n > 0 {
		list = list[min(n, len(list)):]
	}
	limit := most
	if n, err := strconv.Atoi(c.query.Get("limit")); err == nil && n > 0 && (most == 0 || n < most) {
		limit = n
	}
	if limit > 0 {
		list = list[:min(limit, len(list))]
	}
	if list == nil {
		list = []T{}
	}
	return list
}
