package connectors

// Type is the type of a value in Connect's data model.
type Type uint8

// The types of Connect's data model, under Connect's names. Invalid is the zero Type and belongs to no schema;
// as the type of a decoded Value it says null.
const (
	Invalid Type = iota
	Int8
	Int16
	Int32
	Int64
	Float32
	Float64
	Boolean
	String
	Bytes
	Array
	Map
	Struct
)

var typeNames = [...]string{"null", "int8", "int16", "int32", "int64", "float32", "float64", "boolean", "string", "bytes", "array", "map", "struct"}

// String returns the name that Connect's Java API and documentation use ("int8", "float64", "struct", …).
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return "invalid"
}

// Schema describes a value in Connect's data model: what users' JSON, transforms and logical types are defined on.
//
// A Schema is immutable once a record carries it: it may be shared between records, batches and goroutines, and
// two records with the same schema should carry the same pointer, because compiled encoders and printers are
// cached by it. Equal compares by content.
type Schema struct {
	Type     Type
	Optional bool   // null is allowed
	Default  *Value // nil: none
	Name     string // logical or record name, "" for none
	Version  int    // 0: none
	Doc      string
	// Parameters are the string pairs of a logical type ("scale" of a Decimal), in the order they are printed.
	Parameters []Parameter

	Key    *Schema // of a Map
	Elem   *Schema // of an Array or a Map
	Fields []Field // of a Struct, in order; names are unique
}

// Parameter is one named parameter of a schema.
type Parameter struct{ Name, Value string }

// Field is one member of a Struct schema.
type Field struct {
	Name   string
	Schema *Schema
}

// FieldIndex returns the position of the field of that name in a Struct schema, or -1.
func (s *Schema) FieldIndex(name string) int {
	for i := range s.Fields {
		if s.Fields[i].Name == name {
			return i
		}
	}
	return -1
}

// Parameter returns the value of the named parameter, or "".
func (s *Schema) Parameter(name string) string {
	for _, p := range s.Parameters {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// Equal reports whether s and o describe the same data: types, optionality, defaults, names, versions, docs,
// parameters (in any order) and fields. Two nil schemas are equal.
func (s *Schema) Equal(o *Schema) bool {
	if s == o {
		return true
	}
	if s == nil || o == nil {
		return false
	}
	if s.Type != o.Type || s.Optional != o.Optional || s.Name != o.Name || s.Version != o.Version || s.Doc != o.Doc ||
		len(s.Parameters) != len(o.Parameters) || len(s.Fields) != len(o.Fields) {
		return false
	}
	if (s.Default == nil) != (o.Default == nil) || s.Default != nil && !s.Default.Equal(*o.Default) {
		return false
	}
	for _, p := range s.Parameters {
		if !o.hasParameter(p) {
			return false
		}
	}
	for i := range s.Fields {
		if s.Fields[i].Name != o.Fields[i].Name || !s.Fields[i].Schema.Equal(o.Fields[i].Schema) {
			return false
		}
	}
	return s.Key.Equal(o.Key) && s.Elem.Equal(o.Elem)
}

func (s *Schema) hasParameter(p Parameter) bool {
	for _, q := range s.Parameters {
		if q == p {
			return true
		}
	}
	return false
}

// AsOptional returns s if null is allowed already, else a copy of it that allows null.
func (s *Schema) AsOptional() *Schema {
	if s.Optional {
		return s
	}
	c := *s
	c.Optional = true
	return &c
}

// Names of Connect's own logical types. Their encodings: Decimal is Bytes, the unscaled value in big-endian two's
// complement, with the parameter "scale"; Date is Int32, days since 1970-01-01; Time is Int32, milliseconds since
// midnight; Timestamp is Int64, milliseconds since 1970-01-01T00:00:00Z.
const (
	DecimalName   = "org.apache.kafka.connect.data.Decimal"
	DateName      = "org.apache.kafka.connect.data.Date"
	TimeName      = "org.apache.kafka.connect.data.Time"
	TimestampName = "org.apache.kafka.connect.data.Timestamp"
)

// Required schemas of the plain types, and their optional twins.
var (
	BooleanSchema = &Schema{Type: Boolean}
	Int8Schema    = &Schema{Type: Int8}
	Int16Schema   = &Schema{Type: Int16}
	Int32Schema   = &Schema{Type: Int32}
	Int64Schema   = &Schema{Type: Int64}
	Float32Schema = &Schema{Type: Float32}
	Float64Schema = &Schema{Type: Float64}
	StringSchema  = &Schema{Type: String}
	BytesSchema   = &Schema{Type: Bytes}

	OptionalBooleanSchema = &Schema{Type: Boolean, Optional: true}
	OptionalInt32Schema   = &Schema{Type: Int32, Optional: true}
	OptionalInt64Schema   = &Schema{Type: Int64, Optional: true}
	OptionalFloat64Schema = &Schema{Type: Float64, Optional: true}
	OptionalStringSchema  = &Schema{Type: String, Optional: true}
	OptionalBytesSchema   = &Schema{Type: Bytes, Optional: true}
)
