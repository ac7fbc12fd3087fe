//go:build full

package trace_test

import "github.com/qrgate/qrgate/sync/e2e/pgtest"

var engines = []engine{sqlite, {"postgres", pgtest.DSN}}

// inStore is how many check-ins the province has that is put into a store.
const inStore = 200_000
