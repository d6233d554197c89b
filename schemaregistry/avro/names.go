package avro

import "github.com/sluicehub/sluice/connectors"

// Names that Confluent's AvroData gives to what Avro has no word for. They are part of the data of its users.
const (
	connectNamespace = "io.confluent.connect.avro"
	defaultName      = connectNamespace + ".ConnectDefault" // of a struct without a name
	unionName        = connectNamespace + ".Union"          // of a struct that stands for a union, one field a branch
	mapEntryName     = "MapEntry"                           // of the records that stand for a map's entries

	connectNameProp       = "connect.name"
	connectDocProp        = "connect.doc"
	connectVersionProp    = "connect.version"
	connectDefaultProp    = "connect.default"
	connectParametersProp = "connect.parameters"
	connectTypeProp       = "connect.type"          // int8, int16
	connectInternalProp   = "connect.internal.type" // MapEntry
	logicalTypeProp       = "logicalType"
	precisionParameter    = "connect.decimal.precision"
	defaultPrecision      = 64
	avroPropPrefix        = "avro." // parameters that are properties too

	recordDocParameter   = connectNamespace + ".record.doc"
	fieldDocPrefix       = connectNamespace + ".field.doc."
	enumDocPrefix        = connectNamespace + ".enum.doc."
	enumDefaultPrefix    = connectNamespace + ".enum.default."
	enumParameter        = connectNamespace + ".Enum"
	defaultFlagParameter = connectNamespace + ".field.default" // the default was Avro's, not Connect's
)

// maxDepth is the nesting that package connectors encodes and decodes.
const maxDepth = 64

// maxNodes bounds the size of a Connect schema with everything written out: sharing makes a small text stand for a
// huge one.
const maxNodes = 1 << 17

// logicalTypes are Connect's own logical types that Avro has, too.
var logicalTypes = [...]struct {
	connect string
	avro    string
	of      connectors.Type
	as      Type
}{
	{connectors.DateName, "date", connectors.Int32, Int},
	{connectors.TimeName, "time-millis", connectors.Int32, Int},
	{connectors.TimestampName, "timestamp-millis", connectors.Int64, Long},
}
