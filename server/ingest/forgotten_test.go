package ingest_test

import (
	"testing"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// Who is forgotten while the ingest remembers them is somebody new when they come
// again, and what their pass says of them is kept anew.
func TestForgottenPerson(t *testing.T) { each(t, testForgottenPerson) }

func testForgottenPerson(t *testing.T, w *world) {
	k := w.kiosk("kiosk-00001")
	mai := wire.Subject{Kind: pass.CCCD, Number: "046203001234", Name: "Nguyễn Thị Mai"}
	lan := wire.Subject{Kind: pass.CCCD, Number: "046203005678", Name: "Trần Thị Lan"}
	k.checkin(mai)
	k.checkin(lan)
	w.serve()
	w.deliver(k)
	was := w.rows(k.id)
	gone := w.person(was[0])
	n, err := w.store.ForgetPerson(t.Context(), gone, map[qrgate.Day]qrgate.Subject{was[0].Day: was[0].Subject}, nil)
	if n != 1 || err != nil {
		t.Fatalf("ForgetPerson() = %d, %v", n, err)
	}
	k.checkin(mai)
	k.checkin(lan)
	w.deliver(k)
	rows := w.rows(k.id)
	if rows[0].Subject != (qrgate.Subject{}) {
		t.Errorf("the first check-in is still somebody's")
	}
	anew := w.person(rows[2])
	if anew == gone {
		t.Error("who was forgotten has another check-in")
	}
	if w.person(rows[1]) != w.person(rows[3]) {
		t.Error("who was not forgotten is somebody new")
	}
	kept := w.details()
	if _, ok := kept[gone]; ok || len(kept) != 2 || kept[anew].sealed == nil {
		t.Errorf("details of %d people are kept, of the forgotten one %v, of the new one %v", len(kept), ok, kept[anew].sealed != nil)
	}
	if n, err := w.store.ForgetPerson(t.Context(), gone, nil, nil); n != 0 || err != nil {
		t.Errorf("ForgetPerson() = %d, %v of nobody", n, err)
	}
}
