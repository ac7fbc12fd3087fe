//go:build !full

package progress_test

var engines = []engine{{"sqlite", sqlite}}
