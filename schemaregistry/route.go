package schemaregistry

import (
	"net/http"

	"github.com/sluicehub/sluice/schemaregistry/access"
)

// handler answers a call with what is sent as JSON, or with a text.
type handler func(*call) (any, error)

// action is what a method does with a path, and what one must be allowed to do with the subject in it. What anybody who
// is known may ask for is answered with what they may read.
type action struct {
	handle handler
	needs  access.Operation
}

const (
	anybody access.Operation = ""
	// nobody is asked who they are by what watches whether the registry is alive.
	nobody access.Operation = "-"
)

// endpoint is one path of the API, in which "*" stands for any segment, and what its methods do.
type endpoint struct {
	path    []string
	methods map[string]action
}

func endpoints() []endpoint {
	const get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	return []endpoint{
		{nil, map[string]action{get: {(*call).root, anybody}, post: {(*call).root, anybody}}},
		{[]string{"schemas"}, map[string]action{get: {(*call).listSchemas, anybody}}},
		{[]string{"schemas", "types"}, map[string]action{get: {(*call).types, anybody}}},
		{[]string{"schemas", "ids", "*"}, map[string]action{get: {(*call).schemaByID, anybody}}},
		{[]string{"schemas", "ids", "*", "schema"}, map[string]action{get: {(*call).textByID, anybody}}},
		{[]string{"schemas", "ids", "*", "subjects"}, map[string]action{get: {(*call).subjectsByID, anybody}}},
		{[]string{"schemas", "ids", "*", "versions"}, map[string]action{get: {(*call).versionsByID, anybody}}},
		{[]string{"schemas", "guids", "*"}, map[string]action{get: {(*call).schemaByGUID, anybody}}},
		{[]string{"schemas", "guids", "*", "ids"}, map[string]action{get: {(*call).idsByGUID, anybody}}},
		{[]string{"subjects"}, map[string]action{get: {(*call).listSubjects, anybody}}},
		{[]string{"subjects", "*"}, map[string]action{post: {(*call).lookup, access.Read}, del: {(*call).deleteSubject, access.Delete}}},
		{[]string{"subjects", "*", "versions"}, map[string]action{get: {(*call).listVersions, access.Read}, post: {(*call).register, access.Write}}},
		{[]string{"subjects", "*", "versions", "*"}, map[string]action{get: {(*call).version, access.Read}, del: {(*call).deleteVersion, access.Delete}}},
		{[]string{"subjects", "*", "versions", "*", "schema"}, map[string]action{get: {(*call).versionText, access.Read}}},
		{[]string{"subjects", "*", "versions", "*", "referencedby"}, map[string]action{get: {(*call).referencedBy, access.Read}}},
		{[]string{"subjects", "*", "versions", "*", "referencedBy"}, map[string]action{get: {(*call).referencedBy, access.Read}}},
		{[]string{"subjects", "*", "metadata"}, map[string]action{get: {(*call).byMetadata, access.Read}}},
		{[]string{"compatibility", "subjects", "*", "versions"}, map[string]action{post: {(*call).checkAll, access.Read}}},
		{[]string{"compatibility", "subjects", "*", "versions", "*"}, map[string]action{post: {(*call).checkOne, access.Read}}},
		{[]string{"config"}, map[string]action{get: {(*call).config, access.Read}, put: {(*call).setConfig, access.Config}, del: {(*call).deleteConfig, access.Config}}},
		{[]string{"config", "*"}, map[string]action{get: {(*call).config, access.Read}, put: {(*call).setConfig, access.Config}, del: {(*call).deleteConfig, access.Config}}},
		{[]string{"mode"}, map[string]action{get: {(*call).mode, access.Read}, put: {(*call).setMode, access.Config}, del: {(*call).deleteMode, access.Config}}},
		{[]string{"mode", "*"}, map[string]action{get: {(*call).mode, access.Read}, put: {(*call).setMode, access.Config}, del: {(*call).deleteMode, access.Config}}},
		{[]string{"contexts"}, map[string]action{get: {(*call).contexts, anybody}}},
		{[]string{"v1", "metadata", "id"}, map[string]action{get: {(*call).clusters, anybody}}},
		{[]string{"v1", "metadata", "version"}, map[string]action{get: {(*call).release, anybody}}},
		{[]string{"v1", "metadata", "deployment"}, map[string]action{get: {(*call).deployment, anybody}}},
		{[]string{"_health"}, map[string]action{get: {(*call).health, nobody}}},            // Karapace's
		{[]string{"master_available"}, map[string]action{get: {(*call).writable, nobody}}}, // Karapace's
		{[]string{"status", "ready"}, map[string]action{get: {(*call).health, nobody}}},    // Redpanda's
		{[]string{"openapi.json"}, map[string]action{get: {(*call).openAPI, nobody}}},
		{[]string{"contexts", "*"}, map[string]action{del: {(*call).deleteContext, anybody}}},
	}
}

// route finds who answers, or says 404 or 405.
func route(endpoints []endpoint, method string, path []string) (action, error) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for _, e := range endpoints {
		if !e.matches(path) {
			continue
		}
		if does, ok := e.methods[method]; ok {
			return does, nil
		}
		return action{}, plain(http.StatusMethodNotAllowed)
	}
	return action{}, plain(http.StatusNotFound)
}

func (e endpoint) matches(path []string) bool {
	if len(path) != len(e.path) {
		return false
	}
	for i, p := range e.path {
		if p != "*" && p != path[i] {
			return false
		}
	}
	return true
}
