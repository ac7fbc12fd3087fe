//go:build !full

package rooms_test

var engines = []engine{sqlite}
