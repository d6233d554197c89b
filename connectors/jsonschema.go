package connectors

import (
	"fmt"
	"strconv"
)

// jsonTypes are the names of the types in a JSON schema, which for floats are not Connect's own.
var jsonTypes = [...]string{Int8: "int8", Int16: "int16", Int32: "int32", Int64: "int64", Float32: "float", Float64: "double",
	Boolean: "boolean", String: "string", Bytes: "bytes", Array: "array", Map: "map", Struct: "struct"}

// AppendJSONSchema appends the schema as JsonConverter writes it beside a payload:
//
//	{"type":"struct","fields":[{…,"field":"id"},…],"optional":false,"name":…,"version":…,"doc":…,
//	 "parameters":{…},"default":…}
//
// An array has "items" in place of "fields", a map "keys" and "values". Members without content are left out, but for
// "optional".
func AppendJSONSchema(dst []byte, s *Schema, o JSONOptions) ([]byte, error) {
	dst, err := o.appendSchema(dst, s, maxDepth)
	if err != nil {
		return dst, fmt.Errorf("print schema as JSON: %w", err)
	}
	return append(dst, '}'), nil
}

// appendSchema leaves the object open, so that a field's name can be its last member.
func (o JSONOptions) appendSchema(dst []byte, s *Schema, depth int) ([]byte, error) {
	if s == nil || s.Type == Invalid || int(s.Type) >= len(jsonTypes) || depth == 0 {
		return dst, fmt.Errorf("a schema is missing, has no type, or is nested deeper than %d", maxDepth)
	}
	dst = append(append(append(dst, `{"type":"`...), jsonTypes[s.Type]...), '"')
	dst, err := o.appendParts(dst, s, depth-1)
	if err != nil {
		return dst, err
	}
	dst = strconv.AppendBool(append(dst, `,"optional":`...), s.Optional)
	if s.Name != "" {
		dst = AppendJSONString(append(dst, `,"name":`...), []byte(s.Name))
	}
	if s.Version != 0 {
		dst = strconv.AppendInt(append(dst, `,"version":`...), int64(s.Version), 10)
	}
	if s.Doc != "" {
		dst = AppendJSONString(append(dst, `,"doc":`...), []byte(s.Doc))
	}
	for i, p := range s.Parameters {
		if i == 0 {
			dst = append(dst, `,"parameters":{`...)
		} else {
			dst = append(dst, ',')
		}
		dst = append(AppendJSONString(dst, []byte(p.Name)), ':')
		dst = AppendJSONString(dst, []byte(p.Value))
	}
	if len(s.Parameters) > 0 {
		dst = append(dst, '}')
	}
	if s.Default == nil || s.Default.IsNull() {
		return dst, nil
	}
	n, err := o.compile(s, depth)
	if err != nil {
		return dst, err
	}
	return n.appendDefault(append(dst, `,"default":`...), s)
}

// appendParts appends the fields of a struct, the items of an array, the keys and values of a map.
func (o JSONOptions) appendParts(dst []byte, s *Schema, depth int) ([]byte, error) {
	var err error
	switch s.Type {
	case Struct:
		dst = append(dst, `,"fields":[`...)
		for i, f := range s.Fields {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = o.appendSchema(dst, f.Schema, depth); err != nil {
				return dst, fmt.Errorf("field %s: %w", f.Name, err)
			}
			dst = append(AppendJSONString(append(dst, `,"field":`...), []byte(f.Name)), '}')
		}
		return append(dst, ']'), nil
	case Map:
		if dst, err = o.appendSchema(append(dst, `,"keys":`...), s.Key, depth); err != nil {
			return dst, fmt.Errorf("keys: %w", err)
		}
		if dst, err = o.appendSchema(append(dst, `},"values":`...), s.Elem, depth); err != nil {
			return dst, fmt.Errorf("values: %w", err)
		}
		return append(dst, '}'), nil
	case Array:
		if dst, err = o.appendSchema(append(dst, `,"items":`...), s.Elem, depth); err != nil {
			return dst, fmt.Errorf("items: %w", err)
		}
		return append(dst, '}'), nil
	}
	return dst, nil
}
