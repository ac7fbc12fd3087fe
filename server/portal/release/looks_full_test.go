//go:build full

package release_test

import (
	"fmt"
	"testing"

	"github.com/qrgate/qrgate/server/fleet/releases"
	"github.com/qrgate/qrgate/server/portal/pagetest"
	signed "github.com/qrgate/qrgate/sync/release"
	"github.com/qrgate/qrgate/sync/wire"
)

func TestLooks(t *testing.T) {
	w := newWorld(t)
	w.publish("1.4.0", "1.5.0")
	w.kiosk("gate-0001", func(k *releases.Kiosk) { k.Running = "1.5.0" })
	w.kiosk("gate-0002", func(k *releases.Kiosk) {
		k.Stage, k.Version, k.Reason = wire.UpdateReturned, "1.5.0", signed.Crashed
	})
	w.kiosk("gate-0003", func(k *releases.Kiosk) { k.Stage, k.Version, k.Loaded = wire.UpdateLoading, "1.5.0", 40 })
	w.kiosk("gate-0004", func(k *releases.Kiosk) { k.Launcher = "" })
	group := w.group("Bệnh viện", "gate-0001", "gate-0002", "gate-0003")
	w.Post("admin", at+"/dua", form("ban", "1.4.0", "nhip", "can-than", "cho", "12", "loi", "7"))
	w.Post("admin", at+"/dua", form("ban", "1.5.0", "nhom", fmt.Sprint(group), "nhip", "thuong", "cho", "12", "loi", "7"))
	w.Looks(t, nil, pagetest.Look{"releases", "admin", at}, pagetest.Look{"offer", "admin", at + "/dua?ban=1.4.0"})
}
