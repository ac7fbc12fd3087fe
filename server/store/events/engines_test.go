//go:build !full

package events_test

var engines = []engine{sqlite}
