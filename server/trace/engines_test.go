//go:build !full

package trace_test

var engines = []engine{sqlite}

// inStore is how many check-ins the province has that is put into a store, in so
// many days, and tracedInStore how many of its people are traced, beside those of
// outbreaks.
const (
	inStore       = 4_000
	daysInStore   = 6
	tracedInStore = 1
)
