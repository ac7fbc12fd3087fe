//go:build full

package trace_test

import "github.com/qrgate/qrgate/server/store/blank"

var engines = []engine{sqlite, {"postgres", blank.Postgres}}

// inStore is how many check-ins the province has that is put into a store, in so
// many days, and tracedInStore how many of its people are traced, beside those of
// outbreaks.
const (
	inStore       = 200_000
	daysInStore   = 12
	tracedInStore = 5
)
