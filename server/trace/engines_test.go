//go:build !full

package trace_test

var engines = []engine{sqlite}
