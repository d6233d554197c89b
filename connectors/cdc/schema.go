package cdc

import (
	"strconv"

	"github.com/sluicehub/sluice/connectors"
)

// Names of Debezium's logical types.
const (
	JSONName                 = "io.debezium.data.Json"
	XMLName                  = "io.debezium.data.Xml"
	UUIDName                 = "io.debezium.data.Uuid"
	EnumName                 = "io.debezium.data.Enum"
	EnumSetName              = "io.debezium.data.EnumSet"
	BitsName                 = "io.debezium.data.Bits"
	TsvectorName             = "io.debezium.data.Tsvector"
	LtreeName                = "io.debezium.data.Ltree"
	VariableScaleDecimalName = "io.debezium.data.VariableScaleDecimal"
	DoubleVectorName         = "io.debezium.data.DoubleVector"
	FloatVectorName          = "io.debezium.data.FloatVector"
	PointName                = "io.debezium.data.geometry.Point"
	GeometryName             = "io.debezium.data.geometry.Geometry"
	GeographyName            = "io.debezium.data.geometry.Geography"

	DateName           = "io.debezium.time.Date"
	TimeName           = "io.debezium.time.Time"
	MicroTimeName      = "io.debezium.time.MicroTime"
	NanoTimeName       = "io.debezium.time.NanoTime"
	TimestampName      = "io.debezium.time.Timestamp"
	MicroTimestampName = "io.debezium.time.MicroTimestamp"
	NanoTimestampName  = "io.debezium.time.NanoTimestamp"
	ZonedTimestampName = "io.debezium.time.ZonedTimestamp"
	ZonedTimeName      = "io.debezium.time.ZonedTime"
	IsoDateName        = "io.debezium.time.IsoDate"
	IsoTimeName        = "io.debezium.time.IsoTime"
	IsoTimestampName   = "io.debezium.time.IsoTimestamp"
	MicroDurationName  = "io.debezium.time.MicroDuration"
	IntervalName       = "io.debezium.time.Interval"
	YearName           = "io.debezium.time.Year"
)

// Logical returns the required schema of a logical type of version 1 without parameters.
func Logical(t connectors.Type, name string) *connectors.Schema {
	return &connectors.Schema{Type: t, Name: name, Version: 1}
}

// Enum returns the schema of an enumeration; allowed are its labels separated by commas.
func Enum(name, allowed string) *connectors.Schema {
	s := Logical(connectors.String, name)
	s.Parameters = []connectors.Parameter{{Name: "allowed", Value: allowed}}
	return s
}

// Bits returns the schema of a bit string of that many bits: little-endian bytes.
func Bits(length int) *connectors.Schema {
	s := Logical(connectors.Bytes, BitsName)
	s.Parameters = []connectors.Parameter{{Name: "length", Value: strconv.Itoa(length)}}
	return s
}

// Decimal returns the schema of Connect's Decimal. A precision of 0 is unknown and is not written.
func Decimal(precision, scale int) *connectors.Schema {
	s := Logical(connectors.Bytes, connectors.DecimalName)
	s.Parameters = []connectors.Parameter{{Name: "scale", Value: strconv.Itoa(scale)}}
	if precision > 0 {
		s.Parameters = append(s.Parameters, connectors.Parameter{Name: "connect.decimal.precision", Value: strconv.Itoa(precision)})
	}
	return s
}

// VariableScaleDecimal returns the schema of a decimal number that brings its own scale.
func VariableScaleDecimal() *connectors.Schema {
	return &connectors.Schema{Type: connectors.Struct, Name: VariableScaleDecimalName, Version: 1, Doc: "Variable scaled decimal",
		Fields: []connectors.Field{{Name: "scale", Schema: connectors.Int32Schema}, {Name: "value", Schema: connectors.BytesSchema}}}
}

// Point returns the schema of a point in the plane.
func Point() *connectors.Schema {
	return &connectors.Schema{Type: connectors.Struct, Name: PointName, Version: 1, Doc: "Geometry (POINT)",
		Fields: []connectors.Field{
			{Name: "x", Schema: connectors.Float64Schema}, {Name: "y", Schema: connectors.Float64Schema},
			{Name: "wkb", Schema: connectors.OptionalBytesSchema}, {Name: "srid", Schema: connectors.OptionalInt32Schema}}}
}

// Geometry returns the schema of a geometry (GeometryName) or geography (GeographyName) as well-known binary.
func Geometry(name string) *connectors.Schema {
	doc := "Geometry"
	if name == GeographyName {
		doc = "Geography"
	}
	return &connectors.Schema{Type: connectors.Struct, Name: name, Version: 1, Doc: doc,
		Fields: []connectors.Field{{Name: "wkb", Schema: connectors.BytesSchema}, {Name: "srid", Schema: connectors.OptionalInt32Schema}}}
}

// Array returns the schema of an array; its elements may be null.
func Array(elem *connectors.Schema) *connectors.Schema {
	return &connectors.Schema{Type: connectors.Array, Elem: elem.AsOptional()}
}

// WithDefault returns a copy of s with a default value.
func WithDefault(s *connectors.Schema, v connectors.Value) *connectors.Schema {
	c := *s
	c.Default = &v
	return &c
}
