package s3

import (
	"fmt"

	"github.com/sluicehub/sluice/connectors"
)

// compatible says whether values of a schema go into a file of another by schema.compatibility, and what converts them.
//
//	NONE            only if the schemas are equal
//	BACKWARD, FULL  if the record's version is not later than the file's, and its values can be converted
//	FORWARD         if the record's version is not earlier, and its values can be converted
func compatible(mode string, file, record *connectors.Schema) (bool, *projection) {
	if file.Equal(record) {
		return true, nil
	}
	if mode == "NONE" || file == nil || record == nil || file.Version == 0 || record.Version == 0 {
		return false, nil
	}
	if mode == "FORWARD" && record.Version < file.Version || mode != "FORWARD" && record.Version > file.Version {
		return false, nil
	}
	if projectable(record, file) != nil {
		return false, nil
	}
	return true, &projection{from: record, to: file}
}

// projection converts encoded values from one schema to another, as Connect's SchemaProjector does: fields go by their
// names, absent ones take their default, surplus ones are left out, numbers widen.
type projection struct {
	from, to *connectors.Schema
	buf      []byte
}

// convert returns the converted value, valid until the next call.
func (p *projection) convert(src []byte) ([]byte, error) {
	v, _, err := connectors.ReadValue(p.from, src)
	if err != nil {
		return nil, err
	}
	if p.buf, err = connectors.AppendValue(p.buf[:0], p.to, project(p.from, p.to, v)); err != nil {
		return nil, fmt.Errorf("convert to the schema of the file: %w", err)
	}
	return p.buf, nil
}

// projectable says why values of a schema cannot be converted to another, nil if they can.
func projectable(from, to *connectors.Schema) error {
	if from.Optional && !to.Optional && to.Default == nil {
		return fmt.Errorf("null where %s is required", to.Type)
	}
	if from.Name != to.Name && (from.Type != connectors.Struct || to.Type != connectors.Struct) {
		return fmt.Errorf("%s is not %s", from.Name, to.Name)
	}
	if from.Type != to.Type {
		if rank(from.Type) == 0 || rank(to.Type) < rank(from.Type) {
			return fmt.Errorf("%s does not become %s", from.Type, to.Type)
		}
		return nil
	}
	for _, p := range from.Parameters {
		if from.Type != connectors.Struct && to.Parameter(p.Name) != p.Value {
			return fmt.Errorf("the parameter %s differs", p.Name)
		}
	}
	switch from.Type {
	case connectors.Struct:
		return projectableFields(from, to)
	case connectors.Map:
		if err := projectable(from.Key, to.Key); err != nil {
			return err
		}
		return projectable(from.Elem, to.Elem)
	case connectors.Array:
		return projectable(from.Elem, to.Elem)
	}
	return nil
}

func projectableFields(from, to *connectors.Schema) error {
	if from.Name != to.Name {
		return fmt.Errorf("%s is not %s", from.Name, to.Name)
	}
	for _, f := range to.Fields {
		i := from.FieldIndex(f.Name)
		if i < 0 {
			if f.Schema.Optional || f.Schema.Default != nil {
				continue
			}
			return fmt.Errorf("the required field %s is missing", f.Name)
		}
		if err := projectable(from.Fields[i].Schema, f.Schema); err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
	}
	return nil
}

// rank orders the numbers that widen one into the next, 0 for what does not.
func rank(t connectors.Type) int {
	if t >= connectors.Int8 && t <= connectors.Float64 {
		return int(t)
	}
	return 0
}

func project(from, to *connectors.Schema, v connectors.Value) connectors.Value {
	if v.IsNull() {
		return absent(to)
	}
	switch from.Type {
	case connectors.Int8, connectors.Int16, connectors.Int32, connectors.Int64:
		if to.Type == connectors.Float32 || to.Type == connectors.Float64 {
			return connectors.FloatValue(to.Type, float64(v.Int()))
		}
		return connectors.IntValue(to.Type, v.Int())
	case connectors.Float32, connectors.Float64:
		return connectors.FloatValue(to.Type, v.Float())
	case connectors.Struct:
		list := make([]connectors.Value, len(to.Fields))
		for i, f := range to.Fields {
			if j := from.FieldIndex(f.Name); j >= 0 {
				list[i] = project(from.Fields[j].Schema, f.Schema, v.List()[j])
			} else {
				list[i] = absent(f.Schema)
			}
		}
		return connectors.ListValue(connectors.Struct, list)
	case connectors.Array, connectors.Map:
		list := make([]connectors.Value, len(v.List()))
		for i, item := range v.List() {
			if from.Type == connectors.Map && i%2 == 0 {
				list[i] = project(from.Key, to.Key, item)
			} else {
				list[i] = project(from.Elem, to.Elem, item)
			}
		}
		return connectors.ListValue(from.Type, list)
	}
	return v
}

// absent is the value of a field that is not there.
func absent(s *connectors.Schema) connectors.Value {
	if s.Default != nil {
		return *s.Default
	}
	return connectors.Null()
}
