// Package oracle compares package schemaregistry/avro with Apache Avro for Java: Oracle.java answers the same questions
// about texts and pairs of schemas, which a seeded generator makes up. Both must agree on every one of them: accepted or
// not, the printed and the canonical text, the fingerprint, and each incompatibility with its kind, location and message.
//
//	SLUICE_TEST_PAIRS=200000 SLUICE_TEST_TEXTS=50000 SLUICE_TEST_SEED=7 go test ./integration/oracle
//
// asks more questions than a test run does (20,000 pairs and 5,000 texts, each also with something changed), or others.
package oracle
