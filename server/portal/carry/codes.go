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
	whole, seen, of := assemble(strings.Fields(f.Values.Get("carry.codes")))
	switch {
	case of == 0:
		form.Fail("carry.codes", "carry.codes.none")
	case whole == nil:
		form.Fail("carry.codes", "carry.codes.missing", "n", of-seen, "of", of)
	default:
		if err := p.carry(r.Context(), v, whole, "carry.codes", &d); err != nil {
			return err
		}
	}
	return show(w, v, d)
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
	var bundle, picture bytes.Buffer
	if err := deliver.WriteBundle(&bundle, kiosk, Each(all)); err != nil {
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
