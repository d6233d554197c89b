// Package plugins is the wall between the hub and its connectors: every configured connector runs in a process of its
// own, reached with go-plugin over gRPC.
//
// A connector's main calls Serve. The hub has a Dir: it lists and finds connectors, and Launch starts one; the Child
// it returns is the connector again, with the interfaces of package connectors, so the hub runs a task in a child
// with the same code as one in process. DESIGN.md says how, and what happens when either side fails.
package plugins
