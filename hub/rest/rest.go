// Package rest is Kafka Connect's REST API in front of the hub: its paths, status codes, bodies and messages, as of
// Connect 4.x, so that the tools people have go on working. What it decides is only HTTP; everything else is the
// hub's.
//
// Deviations that a client may see: a body that is not JSON or has members Connect does not know gets 400 and says
// where it is wrong (Connect answers 500), and answers to validation carry warnings.
package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sluicehub/sluice/hub"
)

// Options are what the API needs besides the hub.
type Options struct {
	Log *slog.Logger
	// Level is the level of the process's log, shown and changed under /admin/loggers; nil: there is none to change.
	Level *slog.LevelVar
	// Collectors are further metrics for /metrics: of the log, of the registry.
	Collectors []prometheus.Collector
	// Timeout is how long a request may take; 0 is Connect's 90 s.
	Timeout time.Duration
}

// API is the handler of all requests.
type API struct {
	hub     *hub.Hub
	log     *slog.Logger
	level   level
	routes  []route
	timeout time.Duration
}

// New returns the handler of all requests.
func New(h *hub.Hub, o Options) *API {
	a := &API{hub: h, log: o.Log, timeout: o.Timeout, level: level{at: o.Level}}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if a.timeout == 0 {
		a.timeout = 90 * time.Second
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(append([]prometheus.Collector{collector{h}}, o.Collectors...)...)
	metrics := promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
	a.routes = a.table(metrics)
	return a
}

// NewServer returns a server for the handler with limits that keep slow and greedy clients from harming others.
func NewServer(handler http.Handler) *http.Server {
	return &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute,
		WriteTimeout: 3 * time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
}

// maxBody bounds the body of a request.
const maxBody = 4 << 20

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	match, allowed := a.match(r)
	switch {
	case match.handle != nil:
	case allowed != "":
		w.Header().Set("Allow", allowed)
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusOK)
			return
		}
		writeError(w, http.StatusMethodNotAllowed, "HTTP 405 Method Not Allowed")
		return
	default:
		writeError(w, http.StatusNotFound, "HTTP 404 Not Found")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), a.timeout)
	defer cancel()
	r = r.WithContext(ctx)
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := match.handle(w, r, match.args); err != nil {
		a.fail(w, r, err)
	}
}

// status is an error with the HTTP status it is answered with.
type statusError struct {
	code    int
	message string
}

func (e *statusError) Error() string { return e.message }

// fail answers a request that failed.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	code, message := http.StatusInternalServerError, err.Error()
	var s *statusError
	var refused *hub.RequestError
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &s):
		code = s.code
	case errors.As(err, &refused):
		code = faultCodes[refused.Fault]
	case errors.As(err, &large):
		code, message = http.StatusRequestEntityTooLarge, "The body of the request is larger than 4 MiB."
	case errors.Is(err, context.DeadlineExceeded):
		message = "Request timed out. " + message
	}
	if code == http.StatusInternalServerError {
		a.log.Error("a request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	writeError(w, code, message)
}

var faultCodes = map[hub.Fault]int{
	hub.NotFound:  http.StatusNotFound,
	hub.Conflict:  http.StatusConflict,
	hub.Invalid:   http.StatusBadRequest,
	hub.Forbidden: http.StatusForbidden,
	// Clients of Connect retry a 409 while a worker starts.
	hub.Unavailable: http.StatusConflict,
}

func writeError(w http.ResponseWriter, code int, message string) {
	writeJSON(w, code, struct {
		Code    int    `json:"error_code"`
		Message string `json:"message"`
	}{code, message})
}

func writeJSON(w http.ResponseWriter, code int, body any) {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false) // as Connect: "a->b", not "a-\u003eb"
	if err := enc.Encode(body); err != nil {
		code = http.StatusInternalServerError
		text.Reset()
		text.WriteString(`{"error_code":500,"message":"the answer could not be written as JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	w.Write(bytes.TrimSuffix(text.Bytes(), []byte{'\n'})) // an error means that the client has gone
}
