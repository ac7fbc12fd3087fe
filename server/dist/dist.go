// Package dist holds what is installed beside the server's program: its unit, the
// settings that a new server begins with, alert rules for Prometheus and a
// dashboard for Grafana. It is Go only so that tests can read them.
package dist

import _ "embed" // for what follows

// Alerts are the alert rules, as promtool reads them.
//
//go:embed alerts.yml
var Alerts []byte

// Dashboard is a dashboard as Grafana imports it.
//
//go:embed grafana.json
var Dashboard []byte
