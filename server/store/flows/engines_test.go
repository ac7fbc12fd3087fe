//go:build !full

package flows_test

var engines = []engine{sqlite}
