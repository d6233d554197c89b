package rest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/sluicehub/sluice/connectors"
)

// askSnapshot asks a running source for a snapshot of tables, or stops, pauses or resumes it. The body is the data of
// Debezium's signal of that name; it may be empty where the signal needs none.
func (a *API) askSnapshot(w http.ResponseWriter, r *http.Request, of args) error {
	kind := "execute-snapshot"
	if len(of) > 1 {
		switch of[1] {
		case "stop", "pause", "resume":
			kind = of[1] + "-snapshot"
		default:
			return badRequest("A snapshot can be asked for, and then stop, pause or resume; there is no %q.", of[1])
		}
	}
	data, err := readBody(r)
	if err != nil && r.ContentLength != 0 {
		return err
	}
	if data = bytes.TrimSpace(data); len(data) > 0 && (data[0] != '{' || !json.Valid(data)) {
		return badRequest("The body of the request must be a JSON object: the data of a signal %s.", kind)
	}
	id := "rest-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	if err := a.hub.Signal(r.Context(), of[0], connectors.Signal{ID: id, Type: kind, Data: string(data)}); err != nil {
		return err
	}
	writeJSON(w, http.StatusAccepted, struct {
		ID   string `json:"id"`
		Type string `json:"type"`
	}{id, kind})
	return nil
}
