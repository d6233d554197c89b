// Package schemaregistry is a schema registry that Confluent's clients cannot tell from Confluent's: subjects,
// versions, ids, compatibility levels, modes and their HTTP API, kept in a compacted topic in Confluent's own record
// format, so that an existing registry's topic can be taken over and given back.
//
// The hub uses a Registry directly (Register, Lookup, Latest, ByID); everybody else by its Handler. What a kind of
// schema means is the business of the packages below; the registry knows a document that can be printed and compared.
package schemaregistry
