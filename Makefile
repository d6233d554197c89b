# make build    bin/sluice, one static binary
# make demo     PostgreSQL -> sluice -> S3 and Elasticsearch, all real, on this machine
# make test     everything that must hold before a change goes in; installs what it needs
# make lint     formatting, vet, staticcheck (these three: make style) and the architecture rules
# make bench    throughput, latency and memory against real servers
# make bench-registry   what the schema registry answers a second, and how long a start over a long history takes
# make bench-log        what the log does a second and how soon, beside a real Kafka in the same run
# make fuzz     every fuzz target for FUZZTIME
# make torture  the log's crash model with SEEDS random runs, the kill tests, ROUNDS times each, and franz-go's tests with many records
# make setup    what test and demo need on a Debian machine with Go

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.PHONY: build demo test lint style bench bench-log bench-registry torture fuzz setup
.DEFAULT_GOAL := build
# Without the folder's name in what is compiled, another clone finds it in Go's cache.
export GOFLAGS := $(shell go env GOFLAGS) -trimpath

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.7.0
SERVICES := go run ./integration/services/cmd/services
FUZZTIME ?= 10s
ROUNDS ?= 50
SEEDS ?= 100000
ROWS ?= 1000000
BENCH ?=

build:
	CGO_ENABLED=0 go build -ldflags '-s -w -X main.version=$(VERSION)' -o bin/sluice ./cmd/sluice

demo:
	@./integration/setup.sh demo
	@$(MAKE) --no-print-directory build
	$(SERVICES) run postgres s3 elasticsearch -- go run ./integration/demo

test:
	FUZZTIME=$(FUZZTIME) go run ./integration/suite test

lint: style
	go test -run '^TestArchitecture' ./integration

style:
	@unformatted=$$(gofmt -l .); \
	if [ -n "$$unformatted" ]; then echo "not formatted, run gofmt -w:"; echo "$$unformatted"; exit 1; fi
	go vet ./... && go -C integration/sarama vet
	go run $(STATICCHECK) ./...

bench: build
	SLUICE_TEST_ELASTICSEARCH_JVM=-XX:+TieredCompilation $(SERVICES) run postgres s3 elasticsearch mysql -- go run ./integration/bench -rows $(ROWS) $(BENCH)

bench-registry: build
	go run ./integration/benchregistry $(BENCH)

bench-log: build
	go run ./integration/benchlog $(BENCH)

torture: build
	SLUICE_TEST_SEEDS=$(SEEDS) go test -count 1 -run 'Crash|TransactionsAreWhole|Damage' -timeout 0 ./log/...
	SLUICE_TORTURE=1 SLUICE_TEST_ROUNDS=$(ROUNDS) $(SERVICES) run -- go test -count 1 -run 'Kill|ClientsOwnTests' -v -timeout 0 ./integration/...

fuzz:
	FUZZTIME=$(FUZZTIME) go run ./integration/suite fuzz

setup:
	@./integration/setup.sh
