//go:build !full

package fleet_test

var engines = []engine{sqlite}
