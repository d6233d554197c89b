package rest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/hub"
)

// The bodies of answers, with Connect's names.
type (
	taskID struct {
		Connector string `json:"connector"`
		Task      int    `json:"task"`
	}
	connectorInfo struct {
		Name   string            `json:"name"`
		Config map[string]string `json:"config"`
		Tasks  []taskID          `json:"tasks"`
		Type   connectors.Kind   `json:"type"`
	}
	connectorState struct {
		State   hub.State `json:"state"`
		Worker  string    `json:"worker_id"`
		Trace   string    `json:"trace,omitempty"`
		Version string    `json:"version,omitempty"`
	}
	taskState struct {
		ID      int       `json:"id"`
		State   hub.State `json:"state"`
		Worker  string    `json:"worker_id"`
		Trace   string    `json:"trace,omitempty"`
		Version string    `json:"version,omitempty"`
	}
	statusInfo struct {
		Name      string          `json:"name"`
		Connector connectorState  `json:"connector"`
		Tasks     []taskState     `json:"tasks"`
		Type      connectors.Kind `json:"type"`
	}
	taskInfo struct {
		ID     taskID            `json:"id"`
		Config map[string]string `json:"config"`
	}
)

func infoOf(in hub.Info) connectorInfo {
	out := connectorInfo{Name: in.Name, Config: in.Config, Tasks: []taskID{}, Type: in.Kind}
	for i := range in.Tasks {
		out.Tasks = append(out.Tasks, taskID{in.Name, i})
	}
	return out
}

func taskStateOf(task int, s hub.Status) taskState {
	return taskState{ID: task, State: s.State, Worker: s.Worker, Trace: s.Trace, Version: s.Version}
}

func statusOf(s hub.StatusReport) statusInfo {
	out := statusInfo{Name: s.Name, Connector: connectorState{s.Connector.State, s.Connector.Worker, s.Connector.Trace, s.Connector.Version},
		Tasks: []taskState{}, Type: s.Kind}
	for _, t := range s.Tasks {
		out.Tasks = append(out.Tasks, taskStateOf(t.Task, t.Status))
	}
	return out
}

func (a *API) listConnectors(w http.ResponseWriter, r *http.Request, _ args) error {
	names, err := a.hub.Connectors()
	if err != nil {
		return err
	}
	expand, ok := r.URL.Query()["expand"]
	if !ok {
		writeJSON(w, http.StatusOK, names)
		return nil
	}
	out := map[string]map[string]any{}
	for _, name := range names {
		entry := map[string]any{}
		if slices.Contains(expand, "info") {
			info, err := a.hub.Connector(r.Context(), name)
			if err != nil {
				continue // deleted meanwhile
			}
			entry["info"] = infoOf(info)
		}
		if slices.Contains(expand, "status") {
			status, err := a.hub.Status(r.Context(), name)
			if err != nil {
				continue
			}
			entry["status"] = statusOf(status)
		}
		out[name] = entry
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

func (a *API) createConnector(w http.ResponseWriter, r *http.Request, _ args) error {
	var body struct {
		Name    *string         `json:"name"`
		Config  json.RawMessage `json:"config"`
		Initial *string         `json:"initial_state"`
	}
	if err := readJSON(r, &body); err != nil {
		return err
	}
	target, err := targetOf(body.Initial)
	if err != nil {
		return err
	}
	config := map[string]string{}
	if body.Config != nil && string(body.Config) != "null" {
		given, err := decodeConfig(body.Config)
		if err != nil {
			return err
		}
		if config, err = plain(given); err != nil {
			return err
		}
	}
	name := ""
	if body.Name != nil {
		name = strings.TrimSpace(*body.Name)
	}
	info, err := a.hub.Create(r.Context(), name, config, target)
	if err != nil {
		return err
	}
	created(w, info)
	return nil
}

func created(w http.ResponseWriter, info hub.Info) {
	w.Header().Set("Location", "/connectors/"+url.PathEscape(info.Name))
	writeJSON(w, http.StatusCreated, infoOf(info))
}

// targetOf reads initial_state, which is RUNNING, PAUSED or STOPPED in upper or lower case.
func targetOf(initial *string) (hub.TargetState, error) {
	if initial == nil {
		return "", nil
	}
	switch strings.ToUpper(*initial) {
	case "RUNNING":
		return hub.Started, nil
	case "PAUSED":
		return hub.Paused, nil
	case "STOPPED":
		return hub.Stopped, nil
	}
	return "", badRequest("Invalid initial_state %q; it is one of RUNNING, PAUSED, STOPPED", *initial)
}

func (a *API) getConnector(w http.ResponseWriter, r *http.Request, of args) error {
	info, err := a.hub.Connector(r.Context(), of[0])
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, infoOf(info))
	return nil
}

func (a *API) deleteConnector(w http.ResponseWriter, r *http.Request, of args) error {
	if err := a.hub.Delete(r.Context(), of[0]); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) getConfig(w http.ResponseWriter, r *http.Request, of args) error {
	info, err := a.hub.Connector(r.Context(), of[0])
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, info.Config)
	return nil
}

func (a *API) putConfig(w http.ResponseWriter, r *http.Request, of args) error {
	given, err := readConfig(r)
	if err != nil {
		return err
	}
	config, err := plain(given)
	if err != nil {
		return err
	}
	info, made, err := a.hub.PutConfig(r.Context(), of[0], config)
	if err != nil {
		return err
	}
	if made {
		created(w, info)
		return nil
	}
	writeJSON(w, http.StatusOK, infoOf(info))
	return nil
}

func (a *API) patchConfig(w http.ResponseWriter, r *http.Request, of args) error {
	patch, err := readConfig(r)
	if err != nil {
		return err
	}
	info, err := a.hub.PatchConfig(r.Context(), of[0], patch)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, infoOf(info))
	return nil
}

func (a *API) getStatus(w http.ResponseWriter, r *http.Request, of args) error {
	status, err := a.hub.Status(r.Context(), of[0])
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, statusOf(status))
	return nil
}

func (a *API) pause(w http.ResponseWriter, r *http.Request, of args) error {
	return a.target(w, r, of[0], hub.Paused, http.StatusAccepted)
}

func (a *API) resume(w http.ResponseWriter, r *http.Request, of args) error {
	return a.target(w, r, of[0], hub.Started, http.StatusAccepted)
}

func (a *API) stop(w http.ResponseWriter, r *http.Request, of args) error {
	return a.target(w, r, of[0], hub.Stopped, http.StatusNoContent)
}

func (a *API) target(w http.ResponseWriter, r *http.Request, name string, target hub.TargetState, code int) error {
	if err := a.hub.SetTarget(r.Context(), name, target); err != nil {
		return err
	}
	w.WriteHeader(code)
	return nil
}

func (a *API) restart(w http.ResponseWriter, r *http.Request, of args) error {
	query := r.URL.Query()
	includeTasks := strings.EqualFold(query.Get("includeTasks"), "true")
	onlyFailed := strings.EqualFold(query.Get("onlyFailed"), "true")
	status, err := a.hub.Restart(r.Context(), of[0], includeTasks, onlyFailed)
	if err != nil {
		return err
	}
	if !includeTasks && !onlyFailed {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	writeJSON(w, http.StatusAccepted, statusOf(status))
	return nil
}

func (a *API) getTasks(w http.ResponseWriter, _ *http.Request, of args) error {
	list, err := a.hub.TaskConfigs(of[0])
	if err != nil {
		return err
	}
	out := []taskInfo{}
	for i, config := range list {
		out = append(out, taskInfo{taskID{of[0], i}, config})
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

// taskNumber reads the number of a task in a path.
func taskNumber(text string) (int, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, &statusError{http.StatusNotFound, "HTTP 404 Not Found"}
	}
	return int(n), nil
}

func (a *API) getTaskStatus(w http.ResponseWriter, _ *http.Request, of args) error {
	task, err := taskNumber(of[1])
	if err != nil {
		return err
	}
	status, err := a.hub.TaskStatus(of[0], task)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, taskStateOf(task, status))
	return nil
}

func (a *API) restartTask(w http.ResponseWriter, _ *http.Request, of args) error {
	task, err := taskNumber(of[1])
	if err != nil {
		return err
	}
	if err := a.hub.RestartTask(of[0], task); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// offsetsBody is the shape of offsets in requests and answers.
type offsetsBody struct {
	Offsets []connectors.SourceOffset `json:"offsets"`
}

func (a *API) getOffsets(w http.ResponseWriter, r *http.Request, of args) error {
	offsets, err := a.hub.Offsets(r.Context(), of[0])
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, offsetsBody{offsets})
	return nil
}

type messageBody struct {
	Message string `json:"message"`
}

func (a *API) patchOffsets(w http.ResponseWriter, r *http.Request, of args) error {
	var body offsetsBody
	if err := readJSON(r, &body); err != nil {
		return err
	}
	for i, o := range body.Offsets {
		if string(o.Offset) == "null" {
			body.Offsets[i].Offset = nil
		}
		if len(o.Partition) == 0 || o.Partition[0] != '{' {
			return badRequest("The partition of a connector's offset is a JSON object")
		}
		if offset := body.Offsets[i].Offset; offset != nil && offset[0] != '{' {
			return badRequest("The offset of a connector is a JSON object, or null to reset it")
		}
	}
	message, err := a.hub.AlterOffsets(r.Context(), of[0], body.Offsets)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, messageBody{message})
	return nil
}

func (a *API) deleteOffsets(w http.ResponseWriter, r *http.Request, of args) error {
	message, err := a.hub.ResetOffsets(r.Context(), of[0])
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, messageBody{message})
	return nil
}

func (a *API) getTopics(w http.ResponseWriter, _ *http.Request, of args) error {
	topics, err := a.hub.Topics(of[0])
	if err != nil {
		return err
	}
	type list struct {
		Topics []string `json:"topics"`
	}
	writeJSON(w, http.StatusOK, map[string]list{of[0]: {topics}})
	return nil
}

func (a *API) resetTopics(w http.ResponseWriter, _ *http.Request, of args) error {
	if err := a.hub.ResetTopics(of[0]); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}
