//go:build !full

package register_test

var engines = []engine{sqlite}
