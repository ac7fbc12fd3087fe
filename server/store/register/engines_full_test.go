//go:build full

package register_test

import "github.com/qrgate/qrgate/sync/e2e/pgtest"

var engines = []engine{sqlite, {"postgres", pgtest.DSN}}
