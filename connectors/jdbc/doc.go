// Package jdbc is the sink to relational databases, with the keys and the behaviour of the JDBC sinks of Confluent, Aiven
// and Debezium.
package jdbc
