//go:build !full

package void_test

var engines = []engine{sqlite}
