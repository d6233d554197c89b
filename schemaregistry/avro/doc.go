// Package avro is what Sluice knows of Avro schemas: reading their text as Java's parser does, printing it as
// Confluent's registry stores it, telling whether two schemas are compatible as Java's SchemaCompatibility does, and
// mapping to and from Connect's model as Confluent's AvroData does.
//
//	text ── Parse ──▶ Schema ── String ──▶ text            what a registry stores
//	                    │ ▲
//	          ToConnect │ │ FromConnect                     what converters need
//	                    ▼ │
//	             connectors.Schema
//
// The binary encoding of a value under FromConnect(s) is the encoding that package connectors defines for s, byte for
// byte, so data that a source wrote is never converted. A schema that somebody else wrote may lay its values out
// differently (enums, fixed, other unions); NewTranscoder compiles what is to be done then, and says if it is nothing.
//
// A Schema is immutable once Parse or FromConnect returned it, and every function here may be called from several
// goroutines at once. Text is limited in size and nesting, so a hostile schema answers an error quickly.
//
// hamba/avro is not used for any of this: its parser, printer and compatibility checker differ from Java's in ways
// that a registry's users see. The tests use it as an independent reader of the bytes.
package avro
