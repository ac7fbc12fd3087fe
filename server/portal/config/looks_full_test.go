//go:build full

package config_test

import (
	"testing"

	"github.com/qrgate/qrgate/server/fleet/configs"
	"github.com/qrgate/qrgate/server/portal/pagetest"
	"github.com/qrgate/qrgate/sync/wire"
)

func TestLooks(t *testing.T) {
	w := newWorld(t)
	if _, err := w.AddGroup(t.Context(), "Cổng dùng camera", "admin"); err != nil {
		t.Fatal(err)
	}
	w.must(w.Join(t.Context(), 1, []string{gate1}, "admin"))
	w.save(configs.Group(1), 0, configs.Settings{"screen.companions": "yes"})
	w.save(configs.Everywhere, 1, configs.Settings{"door.help_line": "19001075", "sound.volume": "60", "sound.quiet": "22:00-06:00"})
	w.refresh()
	w.tells(gate2, &wire.ConfigBeat{Wanted: w.stamp(2), Running: w.stamp(2)})
	w.save(configs.Kiosk(gate1), 1, configs.Settings{"door.gate": "A1", "door.direction": "in", "server.url": "tls://khong-co.example.vn:8883"})
	w.refresh()
	w.tells(gate1, &wire.ConfigBeat{Wanted: w.stamp(3), Running: w.stamp(2), Refused: w.stamp(3), Fault: wire.ConfigNoAnswer, Detail: "nobody answered at tls://khong-co.example.vn:8883 within 3m0s"})
	w.Looks(t, nil,
		pagetest.Look{"home", "admin", "/thiet-bi/cau-hinh"},
		pagetest.Look{"all", "admin", everywhere},
		pagetest.Look{"back", "admin", everywhere + "?ban=1"},
		pagetest.Look{"refused", "admin", "/thiet-bi/" + gate1 + "/cau-hinh"},
		pagetest.Look{"unsaid", "admin", "/thiet-bi/" + gate4 + "/cau-hinh"},
		pagetest.Look{"owner", "owner", "/thiet-bi/cau-hinh/lop/dia-diem-1"},
		pagetest.Look{"owner-kiosk", "owner", "/thiet-bi/" + gate2 + "/cau-hinh"},
	)
}
