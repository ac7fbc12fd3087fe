package enrolment

import (
	"bytes"
	"net/http"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/print"
)

// guide is the printed guide: how a kiosk is built and started.
func (p *Pages) guide(w http.ResponseWriter, _ *http.Request, v *page.View) error {
	var out bytes.Buffer
	if err := print.Guide(&out, print.Manual{Portal: p.Desk.Portal, HelpLine: v.HelpLine, Printed: p.f.Now()}); err != nil {
		return err
	}
	page.Send(w, "application/pdf", "qrgate-huong-dan.pdf", out.Bytes())
	return nil
}
