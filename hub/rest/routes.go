package rest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// args are the values of a path's variable segments, decoded.
type args []string

type handler func(w http.ResponseWriter, r *http.Request, a args) error

// route is one method and path; a segment "*" stands for any.
type route struct {
	method string
	path   []string
	handle handler
}

type matched struct {
	handle handler
	args   args
}

// table lists all routes.
func (a *API) table(metrics http.Handler) []route {
	get, post, put, patch, del := http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete
	routes := []struct {
		method, path string
		handle       handler
	}{
		{get, "/", a.about},
		{get, "/health", a.health},
		{get, "/metrics", func(w http.ResponseWriter, r *http.Request, _ args) error { metrics.ServeHTTP(w, r); return nil }},

		{get, "/connectors", a.listConnectors},
		{post, "/connectors", a.createConnector},
		{get, "/connectors/*", a.getConnector},
		{del, "/connectors/*", a.deleteConnector},
		{get, "/connectors/*/config", a.getConfig},
		{put, "/connectors/*/config", a.putConfig},
		{patch, "/connectors/*/config", a.patchConfig},
		{get, "/connectors/*/status", a.getStatus},
		{put, "/connectors/*/pause", a.pause},
		{put, "/connectors/*/resume", a.resume},
		{put, "/connectors/*/stop", a.stop},
		{post, "/connectors/*/restart", a.restart},
		{get, "/connectors/*/tasks", a.getTasks},
		{get, "/connectors/*/tasks/*/status", a.getTaskStatus},
		{post, "/connectors/*/tasks/*/restart", a.restartTask},
		{get, "/connectors/*/offsets", a.getOffsets},
		{patch, "/connectors/*/offsets", a.patchOffsets},
		{del, "/connectors/*/offsets", a.deleteOffsets},
		{get, "/connectors/*/topics", a.getTopics},
		{put, "/connectors/*/topics/reset", a.resetTopics},

		{post, "/api/v1/connectors/*/snapshot", a.askSnapshot},
		{post, "/api/v1/connectors/*/snapshot/*", a.askSnapshot},

		{get, "/connector-plugins", a.listPlugins},
		{get, "/connector-plugins/*/config", a.pluginConfig},
		{put, "/connector-plugins/*/config/validate", a.validate},

		{get, "/admin/loggers", a.listLoggers},
		{get, "/admin/loggers/*", a.getLogger},
		{put, "/admin/loggers/*", a.putLogger},
	}
	out := make([]route, len(routes))
	for i, r := range routes {
		out[i] = route{r.method, segments(r.path), r.handle}
	}
	return out
}

// segments splits a path; a slash at its end does not count, because real clients send one.
func segments(path string) []string {
	path = strings.Trim(path, "/")
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

// match finds the route of a request. Segments are decoded one by one, so that a name may hold an encoded slash. If
// only the method is wrong, it returns those that are right.
func (a *API) match(r *http.Request) (matched, string) {
	have := segments(r.URL.EscapedPath())
	var allowed []string
	for _, route := range a.routes {
		values, ok := route.take(have)
		if !ok {
			continue
		}
		if route.method == r.Method || route.method == http.MethodGet && r.Method == http.MethodHead {
			return matched{route.handle, values}, ""
		}
		allowed = append(allowed, route.method, http.MethodOptions)
		if route.method == http.MethodGet {
			allowed = append(allowed, http.MethodHead)
		}
	}
	slices.Sort(allowed)
	return matched{}, strings.Join(slices.Compact(allowed), ", ")
}

// take returns the values of the variable segments if the path is of the route.
func (r route) take(have []string) (args, bool) {
	if len(have) != len(r.path) {
		return nil, false
	}
	var values args
	for i, want := range r.path {
		decoded, err := url.PathUnescape(have[i])
		if err != nil || want != "*" && decoded != want {
			return nil, false
		}
		if want == "*" {
			values = append(values, decoded)
		}
	}
	return values, true
}
