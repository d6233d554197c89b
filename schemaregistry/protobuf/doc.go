// Package protobuf is what a registry must know of Protobuf schemas: whether a text is a .proto file, how it is kept,
// and whether what was written under one schema can be read under another.
//
// Parsing and linking are the business of github.com/bufbuild/protocompile. What is kept is the file without comments
// in the form that Confluent's registry gives it (that of Wire's printer): the text of a .proto file or a serialized
// FileDescriptorProto in base64, which some clients send, are both read. Imports must be given to Parse; those of
// google/protobuf and of confluent/meta.proto and confluent/type/decimal.proto are known.
//
// # Compatibility
//
// The rules are those of Confluent's registry, and are about the binary encoding: fields are told apart by their
// numbers, and may change between types that are encoded alike.
//
//	incompatible   a message removed; a field of another kind (scalar or enum, message, map), of another group of
//	               scalars, of a message of another name, repeated or not any more if it is a number; a required field
//	               added or removed; a field removed from a oneof that stays; several fields moved into one oneof, or
//	               one into a oneof that was there
//	groups         int32 int64 uint32 uint64 bool enums | sint32 sint64 | string bytes | fixed32 sfixed32 |
//	               fixed64 sfixed64 | float | double
//
// Everything else is compatible: packages, names, order, enum values, fields that come and go.
package protobuf
