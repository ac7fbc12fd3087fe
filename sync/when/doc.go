// Package when is what is known about a time.
package when
