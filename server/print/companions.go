package print

import (
	"fmt"
	"io"
	"time"

	"github.com/qrgate/qrgate/sync/pass"
)

var (
	companionsTitle = Text{"Có người đi cùng?", "Somebody with you?"}
	companionsDo    = Text{"Đưa thẻ trước, rồi quét mã số người đi cùng.", "Show your card first, then scan the code of how many come along."}
)

// Companions writes an A4 sheet to hang beside a kiosk as PDF: a code each for one to
// [pass.MaxCompanions] people who come along with whoever has just shown a card. The
// codes are nobody's and the same everywhere; place and date say where the sheet hangs.
func Companions(w io.Writer, place string, printed time.Time) error {
	d := &drawing{sheet: Sheet{Place: place, Printed: printed}}
	d.width, d.height = 210, 297
	const (
		band = 36.0
		row  = (297 - 2*margin - band - 10) / 3
		side = 52.0
	)
	width := d.width - 2*margin
	d.fill(brand, roundRect(margin, margin, width, band, 3))
	d.both(companionsTitle, margin+5, margin+3, width-10, band-6, 0.7,
		style{face: bold, size: 44 * pt, least: 14 * pt, colour: white}, style{size: 18 * pt, least: 9 * pt, colour: mint}, left)
	for n := 1; n <= pass.MaxCompanions; n++ {
		s, err := encode(pass.CompanionCode(n))
		if err != nil {
			return err
		}
		x, y := margin+float64((n-1)%2)*width/2, margin+band+5+float64((n-1)/2)*row
		q := s.margin(side)
		d.code(s, x+q, y+q, side)
		left0 := x + side + 2*q + 1
		d.set(fmt.Sprintf("+%d", n), left0, y+q+side/2-14, margin+float64((n-1)%2+1)*width/2-left0-1, 28, style{face: bold, size: 60 * pt, least: 20 * pt, colour: brand}, left)
	}
	// What to do stands where a sixth code would.
	x, y := margin+width/2+4, margin+band+5+2*row+6
	y = d.set(companionsDo.VI, x, y, width/2-4, 32, style{face: bold, size: 20 * pt, least: 10 * pt, colour: ink}, left) + 3
	y = d.set(companionsDo.EN, x, y, width/2-4, 20, style{size: 12 * pt, least: 8 * pt, colour: soft}, left) + 4
	where := d.sheet.edition().VI
	if place != "" {
		where = place + " · " + where
	}
	d.set(where, x, y, width/2-4, 10, style{size: 8 * pt, least: 6 * pt, colour: soft}, left)
	if err := d.writePDF(w, d.clean(companionsTitle.VI), printed); err != nil {
		return fmt.Errorf("print: companions: %w", err)
	}
	return nil
}
