package schemaregistry

import "net/http"

// handler answers a call with what is sent as JSON, or with a text.
type handler func(*call) (any, error)

// endpoint is one path of the API, in which "*" stands for any segment, and what its methods do.
type endpoint struct {
	path    []string
	methods map[string]handler
}

func endpoints() []endpoint {
	const get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	return []endpoint{
		{nil, map[string]handler{get: (*call).root, post: (*call).root}},
		{[]string{"schemas"}, map[string]handler{get: (*call).listSchemas}},
		{[]string{"schemas", "types"}, map[string]handler{get: (*call).types}},
		{[]string{"schemas", "ids", "*"}, map[string]handler{get: (*call).schemaByID}},
		{[]string{"schemas", "ids", "*", "schema"}, map[string]handler{get: (*call).textByID}},
		{[]string{"schemas", "ids", "*", "subjects"}, map[string]handler{get: (*call).subjectsByID}},
		{[]string{"schemas", "ids", "*", "versions"}, map[string]handler{get: (*call).versionsByID}},
		{[]string{"schemas", "guids", "*"}, map[string]handler{get: (*call).schemaByGUID}},
		{[]string{"schemas", "guids", "*", "ids"}, map[string]handler{get: (*call).idsByGUID}},
		{[]string{"subjects"}, map[string]handler{get: (*call).listSubjects}},
		{[]string{"subjects", "*"}, map[string]handler{post: (*call).lookup, del: (*call).deleteSubject}},
		{[]string{"subjects", "*", "versions"}, map[string]handler{get: (*call).listVersions, post: (*call).register}},
		{[]string{"subjects", "*", "versions", "*"}, map[string]handler{get: (*call).version, del: (*call).deleteVersion}},
		{[]string{"subjects", "*", "versions", "*", "schema"}, map[string]handler{get: (*call).versionText}},
		{[]string{"subjects", "*", "versions", "*", "referencedby"}, map[string]handler{get: (*call).referencedBy}},
		{[]string{"subjects", "*", "versions", "*", "referencedBy"}, map[string]handler{get: (*call).referencedBy}},
		{[]string{"subjects", "*", "metadata"}, map[string]handler{get: (*call).byMetadata}},
		{[]string{"compatibility", "subjects", "*", "versions"}, map[string]handler{post: (*call).checkAll}},
		{[]string{"compatibility", "subjects", "*", "versions", "*"}, map[string]handler{post: (*call).checkOne}},
		{[]string{"config"}, map[string]handler{get: (*call).config, put: (*call).setConfig, del: (*call).deleteConfig}},
		{[]string{"config", "*"}, map[string]handler{get: (*call).config, put: (*call).setConfig, del: (*call).deleteConfig}},
		{[]string{"mode"}, map[string]handler{get: (*call).mode, put: (*call).setMode, del: (*call).deleteMode}},
		{[]string{"mode", "*"}, map[string]handler{get: (*call).mode, put: (*call).setMode, del: (*call).deleteMode}},
		{[]string{"contexts"}, map[string]handler{get: (*call).contexts}},
		{[]string{"contexts", "*"}, map[string]handler{del: (*call).deleteContext}},
	}
}

// route finds who answers, or says 404 or 405.
func (a *api) route(method string, path []string) (handler, error) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for _, e := range a.endpoints {
		if !e.matches(path) {
			continue
		}
		if h := e.methods[method]; h != nil {
			return h, nil
		}
		return nil, plain(http.StatusMethodNotAllowed)
	}
	return nil, plain(http.StatusNotFound)
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
