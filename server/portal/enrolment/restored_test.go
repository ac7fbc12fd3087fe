package enrolment_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	core "github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/pairing"
	"github.com/qrgate/qrgate/sync/wire"
)

// After a restore no kiosk comes in, by a new code or by one from before, until an
// operator has said that it may.
func TestEnrolmentIsClosedAfterARestore(t *testing.T) {
	w := newWorld(t)
	at := w.make("admin")
	_, body, _ := w.Get("admin", at)
	asked := w.kiosk(body)
	asked.ask()
	other := w.make("admin", "enrol_gate", "A2")
	_, body, _ = w.Get("admin", other)
	late := w.kiosk(body)

	err := w.Store.Write(t.Context(), func(tx core.Tx) error { // as a restore does
		_, err := tx.Exec("UPDATE meta SET restored = 1")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"enrol_place": {"1"}, "enrol_gate": {"A3"}, "enrol_direction": {"vao"}}
	if status, body, _ := w.Post("owner", "/thiet-bi/them", form); status != http.StatusConflict || !strings.Contains(body, "Chưa nhận thiết bị mới") || strings.Contains(body, "nhận thiết bị mới</button>") {
		t.Errorf("a new code = %d:\n%s", status, body)
	}
	if a := late.ask(); a.State != wire.EnrolEnded || !a.Closed {
		t.Errorf("a code from before is answered %+v", a)
	}
	words := url.Values{"words": {pairing.Words(asked.code, asked.public())}}
	if status, _, _ := w.Post("admin", at+"/xac-nhan", words); status != http.StatusConflict {
		t.Errorf("agreeing to a code from before = %d", status)
	}
	if status, _, _ := w.Post("owner", "/thiet-bi/them/xac-nhan", nil); status != http.StatusForbidden {
		t.Errorf("the owner of a place confirms = %d", status)
	}

	if _, body, _ := w.Get("admin", "/thiet-bi/them"); !strings.Contains(body, "nhận thiết bị mới</button>") {
		t.Errorf("no button:\n%s", body)
	}
	if status, _, _ := w.Post("admin", "/thiet-bi/them/xac-nhan", nil); status != http.StatusSeeOther {
		t.Errorf("confirm = %d", status)
	}
	w.make("owner", "enrol_gate", "A3")
	if a := late.ask(); a.State != wire.EnrolWait {
		t.Errorf("after the confirmation a code is answered %+v", a)
	}
	if status, _, _ := w.Post("admin", at+"/xac-nhan", words); status != http.StatusSeeOther {
		t.Errorf("agreeing after the confirmation = %d", status)
	}
}
