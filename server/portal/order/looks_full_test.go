//go:build full

package order_test

import (
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/portal/pagetest"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/wire"
)

func TestLooks(t *testing.T) {
	w, o := newWorld(t)
	give := world{t, o}.give
	test, door := give(wire.OrderSelfTest), give(wire.OrderDoor)
	r := wire.Result{Order: test.ID, Kind: test.Kind, State: wire.OrderFailed, Reason: wire.ReasonOrder, Checks: []wire.Check{
		{Name: "scanner", Detail: "serial:/dev/ttyACM0: absent"}, {Name: "disk", OK: true, Detail: "3 MiB of the ledger in use"}, {Name: "clock", OK: true, Detail: "synced, 7 ms"},
	}}
	if err := o.Result(t.Context(), mine, &r); err != nil {
		t.Fatal(err)
	}
	if err := o.Waits(t.Context(), mine, door.ID); err != nil {
		t.Fatal(err)
	}
	beat := &wire.Beat{V: 1, Orders: &wire.OrderBeat{Direction: wire.Out, Until: time.Now().Add(time.Hour).UnixMilli(), Locked: true, Maintenance: 400}}
	if err := w.Store.SavePresences(t.Context(), []store.Presence{{Kiosk: mine, Beat: beat, Contact: time.Now()}}); err != nil {
		t.Fatal(err)
	}
	w.Post("admin", "/thiet-bi/the-lenh", card())
	w.Looks(t, nil, pagetest.Look{"orders", "admin", at}, pagetest.Look{"orders-guard", "guard", at}, pagetest.Look{"command-cards", "admin", "/thiet-bi/the-lenh"},
		pagetest.Look{"time", "", "/thiet-bi/gio?so=0102030405060708"})
}
