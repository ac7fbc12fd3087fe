// Package pass is the text inside codes.
package pass
