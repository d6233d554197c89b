package transforms

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// schemaChangeTypes are the kinds of schema changes; DATABASE is one of no table.
func schemaChangeTypes() []string { return []string{"CREATE", "ALTER", "DROP", "TRUNCATE", "DATABASE"} }

func schemaChangeFilterDefinition() *configs.Definition {
	return &configs.Definition{Keys: []configs.Key{{Name: "schema.change.event.exclude.list", Type: configs.String, Required: true, Importance: configs.High,
		Example: "TRUNCATE,DROP", Check: checkSchemaChangeTypes, Doc: "Kinds of schema changes that go, of " + strings.Join(schemaChangeTypes(), ", ") + " (of no table)."}}}
}

func checkSchemaChangeTypes(list string) error {
	if len(names(list)) == 0 {
		return fmt.Errorf("is empty")
	}
	for _, name := range names(list) {
		if !slices.Contains(schemaChangeTypes(), name) {
			return fmt.Errorf("%q is none of %s", name, strings.Join(schemaChangeTypes(), ", "))
		}
	}
	return nil
}

// schemaChangeFilter is Debezium's SchemaChangeEventFilter: records of some kinds of schema changes go, and those that
// have no list of changes.
type schemaChangeFilter struct{ exclude []string }

func newSchemaChangeFilter(v configs.Values, _ side, _ *arena) (transform, error) {
	return schemaChangeFilter{names(v.String("schema.change.event.exclude.list"))}, nil
}

func (t schemaChangeFilter) apply(r *connectors.Record) (bool, error) {
	s := r.Value.Schema
	if isNull(r.Value) || s == nil || s.Type != connectors.Struct || !strings.HasSuffix(s.Name, ".SchemaChangeValue") && !strings.HasSuffix(s.Name, ".SchemaChangeKey") {
		return true, nil
	}
	at := s.FieldIndex("tableChanges")
	if at < 0 || s.Fields[at].Schema.Type != connectors.Array || s.Fields[at].Schema.Elem.Type != connectors.Struct {
		return false, fmt.Errorf("%s has no list tableChanges", s.Name)
	}
	kind := s.Fields[at].Schema.Elem.FieldIndex("type")
	if kind < 0 {
		return false, fmt.Errorf("%s has tableChanges without a type", s.Name)
	}
	v, _, err := connectors.ReadValue(s, r.Value.Bytes) // schema changes are rare
	if err != nil {
		return false, err
	}
	changes := v.List()[at]
	if changes.IsNull() {
		return false, nil
	}
	name := "DATABASE"
	if list := changes.List(); len(list) > 0 {
		name = list[0].List()[kind].Text()
	}
	if !slices.Contains(schemaChangeTypes(), name) {
		return false, fmt.Errorf("the schema change is of the unknown type %q", name)
	}
	return !slices.Contains(t.exclude, name), nil
}
