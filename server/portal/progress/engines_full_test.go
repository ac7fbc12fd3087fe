//go:build full

package progress_test

import "github.com/qrgate/qrgate/sync/e2e/pgtest"

var engines = []engine{{"sqlite", sqlite}, {"postgres", pgtest.DSN}}
