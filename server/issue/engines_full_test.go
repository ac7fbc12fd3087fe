//go:build full

package issue_test

import "github.com/qrgate/qrgate/sync/e2e/pgtest"

var engines = []engine{sqlite, {"postgres", pgtest.DSN}}
