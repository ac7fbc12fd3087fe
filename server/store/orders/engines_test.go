//go:build !full

package orders_test

var engines = []engine{sqlite}
