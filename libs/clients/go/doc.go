// Package sesior reaches SESIOR from Go: sessions, watches and broadcasts over gRPC. See README.md.
package sesior

//go:generate ./generate
