// Package cdc holds what every database source shares, and nothing that knows one database: Debezium's envelope,
// source block and side topics, its logical types, the include and exclude lists, the rules that hide or cut
// the values of single columns, topic naming, the plan of a snapshot and how far it has come, signals, and
// incremental snapshots.
//
// Names, versions and field orders of schemas here are visible to users (JSON with schemas, Avro subjects), and
// are those of Debezium 3.5.
//
// The append functions write the layout of connectors/encoding.go straight from a database's text or numbers; none
// of them allocates besides growing dst, unless it says so.
package cdc
