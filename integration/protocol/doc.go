// Package protocol tests the log's Kafka protocol against Apache Kafka's: the same requests are put to both, and
// Kafka's own command-line tools are run against the log. It has no code of its own.
package protocol
