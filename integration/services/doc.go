// Package services fetches and starts the real servers that the tests, the
// demo and the benchmarks talk to: PostgreSQL, an S3 server, Elasticsearch and
// Apache Kafka. Nothing in it imitates a server.
//
// Two ways to have one:
//
//   - StartPostgres, StartS3, StartElasticsearch and StartKafka start a server
//     of the caller's own. It may be stopped, killed with SIGKILL and restarted
//     on the same port and data.
//   - UsePostgres, UseS3, UseElasticsearch and UseKafka give a test the server
//     that an environment variable names (SLUICE_TEST_POSTGRES_URL and so on,
//     see env.go), and start an own one for that test when none is named.
//     `go run ./integration/services/cmd/services run -- CMD` sets them all.
//
// What has to be fetched is kept in the folder that CacheDir names, shared by
// all processes of the machine; see cache.go. A server ends with the process
// that started it, also when that is killed; see watch.go. Ports are chosen
// free; see port.go. A missing prerequisite is an error that names the command
// that mends it, never a skipped test.
//
// A further server is one more file: a Start function that fills a spec for
// launch, and helpers.
package services
