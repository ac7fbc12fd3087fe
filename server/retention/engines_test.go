//go:build !full

package retention_test

var engines = []engine{sqlite}
