//go:build !full

package enrolment_test

var engines = []engine{sqlite}
