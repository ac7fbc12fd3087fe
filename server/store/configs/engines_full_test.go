//go:build full

package configs_test

import "github.com/qrgate/qrgate/sync/e2e/pgtest"

var engines = []engine{sqlite, {"postgres", pgtest.DSN}}
