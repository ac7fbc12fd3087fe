//go:build full

package configs_test

import "github.com/qrgate/qrgate/server/store/blank"

var engines = []engine{sqlite, {"postgres", blank.Postgres}}
