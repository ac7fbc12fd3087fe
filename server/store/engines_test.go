//go:build !full

package store_test

var engines = []engine{sqlite}
