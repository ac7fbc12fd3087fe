//go:build full

package fleet_test

import "github.com/qrgate/qrgate/server/store/blank"

var engines = []engine{sqlite, {"postgres", blank.Postgres}}
