// Package pluginpb holds the messages of the wall between the hub and a connector's process, generated from
// wall.proto. Only package plugins uses it.
//
// To generate again: protoc (Debian: protobuf-compiler), protoc-gen-go v1.36.12 and protoc-gen-go-grpc v1.6.0.
package pluginpb

//go:generate protoc --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative wall.proto
