//go:build !full

package issue_test

var engines = []engine{sqlite}
