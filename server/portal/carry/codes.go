package carry

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/reel"
	"github.com/qrgate/qrgate/sync/wire"
)

// maxCodes is more than a kiosk shows at once.
const maxCodes = reel.MaxPieces * 2 * reel.Piece

// codes takes a bundle in that was read from a kiosk's screen, a code a line.
func (p *Pages) codes(w http.ResponseWriter, r *http.Request, v *page.View) error {
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	form := page.NewForm(url.Values{})
	d := data{Form: form}
	pictures, err := p.pictures(r, form)
	if err != nil {
		return err
	}
	codes := append(strings.Fields(f.Values.Get("carry.codes")), pictures...)
	whole, seen, of := assemble(codes)
	if whole == nil {
		// They need not be read again.
		form.Values.Set("carry.codes", strings.Join(codes, "\n"))
	}
	switch {
	case whole == nil && !form.OK() && of == 0: // it is said what is wrong with the pictures
	case of == 0:
		form.Fail("carry.codes", "carry.codes.none")
	case whole == nil:
		form.Fail("carry.codes", "carry.codes.missing", "n", of-seen, "of", of)
	default:
		form.Wrong = nil // of a picture that was not needed
		if err := p.carry(r.Context(), v, whole, "carry.codes", &d); err != nil {
			return err
		}
	}
	return p.show(w, r, v, d)
}

// assemble returns the last bundle that codes make, or how much of it there is.
func assemble(codes []string) (whole []byte, seen, of int) {
	var reader reel.Reader
	for _, text := range codes {
		made, err := reader.Add(text)
		if err != nil {
			continue // another code that was in the picture
		}
		if n, all := reader.Seen(); all > 0 {
			seen, of = n, all
		}
		if made != nil {
			whole, seen, of = made, 1, 1
		}
	}
	return whole, seen, of
}

// maxShort is what goes back as codes beside receipts: a quarter of a minute before a
// camera. A long list of void cards goes by stick.
const maxShort = 16 << 10

// A Left is what is too long for codes.
type Left struct {
	List   bool // of void cards
	Events int
}

// Short returns what of b goes back as codes, and what is left for a stick. The list of
// void cards, of which a part is of no use, comes before events.
func (b Beside) Short() (Beside, Left) {
	room := max(0, maxShort-len(b.Keys)-len(b.Settings)-len(b.Newest))
	fits := func(n int) bool {
		if n > room {
			return false
		}
		room -= n
		return true
	}
	list := 0
	for _, part := range b.List {
		list += len(part)
	}
	left := Left{List: !fits(list)}
	if left.List {
		b.List = nil
	}
	var events [][]byte
	for _, e := range b.Events {
		if fits(len(e)) {
			events = append(events, e)
		}
	}
	left.Events = len(b.Events) - len(events)
	b.Events = events
	return b, left
}

// drawn draws what the server holds of a kiosk as codes for its camera.
func (p *Pages) drawn(w http.ResponseWriter, r *http.Request, v *page.View) error {
	kiosk := r.URL.Query().Get("may")
	if !wire.ValidKiosk(kiosk) {
		return qrgate.ErrNotFound
	}
	all, err := p.intake.Owed(r.Context(), kiosk)
	if errors.Is(err, qrgate.ErrRevoked) {
		return qrgate.ErrNotFound
	}
	if err != nil {
		return err
	}
	beside, err := p.intake.Beside(kiosk)
	if err != nil {
		return err
	}
	short, _ := beside.Short()
	var bundle, picture bytes.Buffer
	if err := deliver.WriteBundle(&bundle, kiosk, Each(Bundle(all, short))); err != nil {
		return fmt.Errorf("carry: %w", err)
	}
	if bundle.Len() > reel.MaxPieces*reel.Piece {
		return fmt.Errorf("carry: receipts of %d bytes: %w", bundle.Len(), qrgate.ErrInvalid)
	}
	if err := reel.Draw(&picture, reel.Cut(bundle.Bytes())); err != nil {
		return fmt.Errorf("carry: %w", err)
	}
	w.Header().Set("Content-Type", "image/gif")
	w.Header().Set("Cache-Control", "no-store")
	_, err = w.Write(picture.Bytes())
	return err
}
