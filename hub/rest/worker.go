package rest

import (
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluicehub/sluice/configs"
)

func (a *API) about(w http.ResponseWriter, _ *http.Request, _ args) error {
	version, cluster := a.hub.About()
	writeJSON(w, http.StatusOK, struct {
		Version string `json:"version"`
		Commit  string `json:"commit"`
		Cluster string `json:"kafka_cluster_id"`
	}{version, version, cluster})
	return nil
}

// health answers 200 only when the hub takes requests.
func (a *API) health(w http.ResponseWriter, _ *http.Request, _ args) error {
	type body struct {
		Status  string `json:"status"`
		Message string `json:"message"`
	}
	switch ready, err := a.hub.Ready(); {
	case ready:
		writeJSON(w, http.StatusOK, body{"healthy", "Worker has completed startup and is ready to handle requests."})
	case err != nil:
		writeJSON(w, http.StatusInternalServerError, body{"unhealthy", "Worker is not able to handle requests: " + err.Error()})
	default:
		writeJSON(w, http.StatusServiceUnavailable, body{"starting", "Worker is still starting up."})
	}
	return nil
}

func (a *API) listPlugins(w http.ResponseWriter, r *http.Request, _ args) error {
	connectorsOnly := !strings.EqualFold(r.URL.Query().Get("connectorsOnly"), "false")
	list, err := a.hub.Plugins(r.Context(), connectorsOnly)
	if err != nil {
		return err
	}
	type plugin struct {
		Class   string `json:"class"`
		Type    string `json:"type"`
		Version string `json:"version,omitempty"`
	}
	out := []plugin{}
	for _, p := range list {
		out = append(out, plugin(p))
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

func (a *API) pluginConfig(w http.ResponseWriter, r *http.Request, of args) error {
	keys, err := a.hub.PluginKeys(r.Context(), of[0], r.URL.Query().Get("version"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, keys)
	return nil
}

func (a *API) validate(w http.ResponseWriter, r *http.Request, of args) error {
	given, err := readConfig(r)
	if err != nil {
		return err
	}
	config := map[string]string{}
	var nulls []configs.Problem // of a form that is being filled in
	for _, key := range slices.Sorted(maps.Keys(given)) {
		if value := given[key]; value != nil {
			config[key] = *value
		} else {
			nulls = append(nulls, configs.KeyError(key, "Null value can not be supplied as the configuration value."))
		}
	}
	infos, err := a.hub.Validate(r.Context(), of[0], config)
	if err != nil {
		return err
	}
	infos.Add(nulls...)
	writeJSON(w, http.StatusOK, infos)
	return nil
}

// level is the level of the process's log: the logger "root", the only one there is.
type level struct {
	mu      sync.Mutex
	at      *slog.LevelVar
	changed time.Time
}

type loggerBody struct {
	Level    string `json:"level"`
	Modified *int64 `json:"last_modified"`
}

// levels are log4j's names of levels, the strictest last.
var levels = []struct {
	name  string
	level slog.Level
}{{"ALL", slog.LevelDebug - 8}, {"TRACE", slog.LevelDebug - 4}, {"DEBUG", slog.LevelDebug}, {"INFO", slog.LevelInfo},
	{"WARN", slog.LevelWarn}, {"ERROR", slog.LevelError}, {"FATAL", slog.LevelError + 4}, {"OFF", slog.LevelError + 8}}

func (l *level) body() loggerBody {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := loggerBody{Level: "INFO"}
	for _, known := range levels {
		if l.at != nil && known.level <= l.at.Level() {
			out.Level = known.name
		}
	}
	if !l.changed.IsZero() {
		ms := l.changed.UnixMilli()
		out.Modified = &ms
	}
	return out
}

func (l *level) set(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, known := range levels {
		if strings.EqualFold(known.name, name) {
			if l.at != nil {
				l.at.Set(known.level)
				l.changed = time.Now()
			}
			return true
		}
	}
	return false
}

func (a *API) listLoggers(w http.ResponseWriter, _ *http.Request, _ args) error {
	writeJSON(w, http.StatusOK, map[string]loggerBody{"root": a.level.body()})
	return nil
}

func knownLogger(name string) error {
	if name != "root" {
		return &statusError{http.StatusNotFound, "Logger " + name + " not found; this worker has one, root."}
	}
	return nil
}

func (a *API) getLogger(w http.ResponseWriter, _ *http.Request, of args) error {
	if err := knownLogger(of[0]); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, a.level.body())
	return nil
}

func (a *API) putLogger(w http.ResponseWriter, r *http.Request, of args) error {
	given, err := readConfig(r)
	if err != nil {
		return err
	}
	wanted := given["level"]
	if wanted == nil {
		return badRequest("Desired 'level' parameter was not specified in request.")
	}
	if err := knownLogger(of[0]); err != nil {
		return err
	}
	if !a.level.set(*wanted) {
		return &statusError{http.StatusNotFound, "invalid log level '" + *wanted + "'."}
	}
	if r.URL.Query().Get("scope") == "cluster" {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	writeJSON(w, http.StatusOK, []string{of[0]})
	return nil
}
