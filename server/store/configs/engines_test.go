//go:build !full

package configs_test

var engines = []engine{sqlite}
