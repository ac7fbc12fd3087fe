//go:build !full

package ingest_test

var engines = []engine{sqlite}
