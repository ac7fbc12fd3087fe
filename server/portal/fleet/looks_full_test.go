//go:build full

package fleet_test

import (
	"testing"
	"time"

	judge "github.com/qrgate/qrgate/server/fleet"
	"github.com/qrgate/qrgate/server/portal/pagetest"
)

func TestLooks(t *testing.T) {
	w := newWorld(t)
	fill := func(l pagetest.Look) {
		if l[0] != "fleet" {
			return
		}
		now := time.Now()
		w.beat(market, true, sick(now), now)
		w.history(market)
		for _, a := range []struct {
			kind  judge.Kind
			value int64
			about string
		}{{judge.HasScanner, 0, "serial-1: babbling"}, {judge.IsHot, 83_900, ""}, {judge.HasPower, 0, "under-voltage"}, {judge.IsBehind, 3_120, ""}, {judge.IsMoved, 0, ""}} {
			w.alarm(market, a.kind, now.Add(-45*time.Minute), a.value, a.about)
		}
		w.town(60)
	}
	w.Looks(t, fill, []pagetest.Look{
		{"fleet-empty", "foreign", "/thiet-bi"}, {"kiosk-new", "admin", "/thiet-bi/" + nobody},
		{"fleet", "admin", "/thiet-bi"}, {"fleet-alarmed", "commune", "/thiet-bi?trang=canh-bao&khu=19753@2025-07-01"},
		{"kiosk", "admin", "/thiet-bi/" + market}, {"kiosk-owner", "owner", "/thiet-bi/" + market + "?ky=14n"},
		{"alarms", "admin", "/thiet-bi/canh-bao"}, {"alarms-owner", "owner", "/thiet-bi/canh-bao"},
	}...)
}
