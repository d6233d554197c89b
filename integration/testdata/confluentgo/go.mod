module confluentgo

go 1.26

require github.com/confluentinc/confluent-kafka-go/v2 v2.13.0

require (
	github.com/google/uuid v1.6.0 // indirect
	golang.org/x/oauth2 v0.18.0 // indirect
)
