// Package jsonschema is what a registry must know of JSON Schema: whether a text is one (drafts 4 to 2020-12), how it
// is kept, and whether what was written under one schema can be read under another.
//
// The text is kept as it was sent, without its white space. Validity, references and the meaning of keywords are the
// business of github.com/santhosh-tekuri/jsonschema; what is compared is its compiled tree. Nothing is ever fetched:
// what a schema refers to must be given to Parse.
//
// # Compatibility
//
// The rules are those of Confluent's registry: a change is compatible if all that was valid stays valid, keyword by
// keyword. For properties and tuples it matters what a schema says of those that it does not name, its content model:
// an open one allows any, a closed one none (additionalProperties: false), a partially open one those that a schema or
// a pattern covers. A property can be added to a closed model, because nobody can have written it, and removed from an
// open one, because it stays allowed; not the other way round. The lenient policy also takes for compatible what breaks
// only writers who used undeclared properties.
package jsonschema
