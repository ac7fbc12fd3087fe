//go:build !full

package releases_test

var engines = []engine{sqlite}
