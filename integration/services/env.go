package services

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// Environment variables that name a running server, for tests to use instead of
// starting one. `services run` and `services up` set them all.
const (
	// EnvPostgres is a URL with user and, if needed, password of a superuser of
	// a PostgreSQL with wal_level=logical: postgres://postgres@127.0.0.1:5432/postgres
	EnvPostgres = "SLUICE_TEST_POSTGRES_URL"
	// EnvMySQL and EnvMariaDB are URLs of servers with a binary log of rows,
	// with a user that may do everything: mysql://sluice:sluice@127.0.0.1:3306
	EnvMySQL   = "SLUICE_TEST_MYSQL_URL"
	EnvMariaDB = "SLUICE_TEST_MARIADB_URL"
	// EnvS3 is the base URL of an S3 server that takes path-style addresses:
	// http://127.0.0.1:7070
	EnvS3 = "SLUICE_TEST_S3_URL"
	// EnvS3AccessKey and EnvS3SecretKey are its keys.
	EnvS3AccessKey = "SLUICE_TEST_S3_ACCESS_KEY"
	EnvS3SecretKey = "SLUICE_TEST_S3_SECRET_KEY"
	// EnvElasticsearch is the base URL of an Elasticsearch 8 without
	// authentication: http://127.0.0.1:9200
	EnvElasticsearch = "SLUICE_TEST_ELASTICSEARCH_URL"
	// EnvKafka is the HOST:PORT of an Apache Kafka broker without
	// authentication: 127.0.0.1:9092
	EnvKafka = "SLUICE_TEST_KAFKA_BOOTSTRAP"
)

// WriteExports writes the variables as lines that a POSIX shell can source.
func WriteExports(w io.Writer, env []string) error {
	for _, e := range slices.Sorted(slices.Values(env)) {
		name, value, _ := strings.Cut(e, "=")
		quoted := "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
		if _, err := fmt.Fprintf(w, "export %s=%s\n", name, quoted); err != nil {
			return fmt.Errorf("services: write environment: %w", err)
		}
	}
	return nil
}

// named returns what the variable holds, and whether it names a server.
func named(variable string) (string, bool) {
	v := strings.TrimSpace(os.Getenv(variable))
	return v, v != ""
}
