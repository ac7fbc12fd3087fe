//go:build !full

package rights_test

var engines = []engine{sqlite}
