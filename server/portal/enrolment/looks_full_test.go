//go:build full

package enrolment_test

import (
	"testing"

	"github.com/qrgate/qrgate/server/portal/pagetest"
	core "github.com/qrgate/qrgate/server/store"
)

func TestLooks(t *testing.T) {
	w := newWorld(t)
	_, old := w.enrol()
	_, now := w.enrol("enrol_replaces", old.Kiosk)
	if err := w.rows.SawClone(t.Context(), now.Kiosk); err != nil {
		t.Fatal(err)
	}
	offered, asked, contested := w.make("admin"), w.make("admin"), w.make("admin", "enrol_gate", "B2", "enrol_direction", "ra")
	_, body, _ := w.Get("admin", asked)
	w.kiosk(body).ask()
	_, body, _ = w.Get("admin", contested)
	w.kiosk(body).ask()
	w.kiosk(body).ask()
	w.Looks(t, nil,
		pagetest.Look{"choose", "admin", "/thiet-bi/them"}, pagetest.Look{"door", "admin", "/thiet-bi/them?dia_diem=1"},
		pagetest.Look{"offered", "admin", offered}, pagetest.Look{"asked", "admin", asked}, pagetest.Look{"contested", "admin", contested},
		pagetest.Look{"identity", "admin", "/thiet-bi/" + now.Kiosk + "/danh-tinh"}, pagetest.Look{"revoked", "admin", "/thiet-bi/" + old.Kiosk + "/danh-tinh"},
		pagetest.Look{"many", "admin", "/thiet-bi/them/thu-hoi"})
	err := w.Store.Write(t.Context(), func(tx core.Tx) error { // as a restore does
		_, err := tx.Exec("UPDATE meta SET restored = 1795680000000")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Looks(t, nil, pagetest.Look{"restored", "admin", "/thiet-bi/them"}, pagetest.Look{"restored-owner", "owner", "/thiet-bi/them"})
}
