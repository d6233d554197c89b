package schemaregistry

import _ "embed"

// openAPI describes the API in OpenAPI 3. Its test holds it against the routes, and schemathesis (integration) against
// the answers.
//
//go:embed openapi.json
var openAPI []byte

func (c *call) openAPI() (any, error) { return text(openAPI), nil }
