//go:build !full

package casebook_test

var engines = []engine{sqlite}
