package event

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/issue"
	"github.com/qrgate/qrgate/server/mail"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/print"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/events"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// A link's code is the number of a pass, its issue and ten bytes that only this
// server can make: nobody finds another's by counting.
const linkBytes = 4 + 1 + 10

var linkCoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func (p *Pages) code(number uint32, issue uint8) string {
	b := append(binary.BigEndian.AppendUint32(nil, number), issue)
	mac := hmac.New(sha256.New, p.o.Links)
	mac.Write(b)
	return linkCoding.EncodeToString(mac.Sum(b)[:linkBytes])
}

// link returns the address of a guest's pass.
func (p *Pages) link(g *events.Guest) string { return p.f.Base() + "/ve/" + p.code(g.Number, g.Issue) }

// follow returns the guest whom a link's code is of. A code of an older issue is of
// nobody.
func (p *Pages) follow(r *http.Request) (*events.Guest, error) {
	code := r.PathValue("pass")
	b, err := linkCoding.DecodeString(code)
	if err != nil || len(b) != linkBytes {
		return nil, qrgate.ErrNotFound
	}
	number, issue := binary.BigEndian.Uint32(b), b[4]
	if !hmac.Equal([]byte(code), []byte(p.code(number, issue))) {
		return nil, qrgate.ErrNotFound
	}
	g, err := p.events.Guest(r.Context(), number)
	if err == nil && g.Issue != issue {
		err = qrgate.ErrNotFound
	}
	return g, err
}

// A passPage is what a guest sees on a telephone.
type passPage struct {
	*events.Event
	Opens    time.Time
	Number   uint32
	Category string
	Gates    string
	Image    string // address of the code
	Void     bool   // the invitation was taken back or the event called off
	Over     bool
	Address  string
}

// pass shows a guest's pass. Whoever has the link sees it, so it names nobody.
func (p *Pages) pass(w http.ResponseWriter, r *http.Request, v *page.View) error {
	g, err := p.follow(r)
	if err != nil {
		return err
	}
	e, err := p.events.Event(r.Context(), g.Event)
	if err != nil {
		return err
	}
	data := passPage{
		Event: e, Opens: e.Starts.Add(-e.Early), Category: names(v, e)[g.Category], Number: g.Number,
		Void: !g.Cancelled.IsZero() || !e.Cancelled.IsZero(), Over: e.Ends.Before(p.f.Now()),
	}
	for _, c := range e.Categories {
		if c.No == g.Category {
			data.Gates = strings.Join(c.Gates, ", ")
		}
	}
	if place, err := p.reg.Place(r.Context(), e.Place); err == nil {
		data.Address = page.Address(place)
	}
	data.Image = "/ve/" + p.code(g.Number, g.Issue) + "/ma.png"
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Robots-Tag", "noindex")
	w.Header().Set("Referrer-Policy", "no-referrer")
	return v.Render(w, "event_pass", data)
}

// image answers with the code of a pass that opens a door.
func (p *Pages) image(w http.ResponseWriter, r *http.Request, _ *page.View) error {
	g, err := p.follow(r)
	if err != nil {
		return err
	}
	e, err := p.events.Event(r.Context(), g.Event)
	if err != nil {
		return err
	}
	if !g.Cancelled.IsZero() || !e.Cancelled.IsZero() || e.Ends.Before(p.f.Now()) {
		return qrgate.ErrNotFound
	}
	texts, err := p.sign(r.Context(), "", []pass.OwnCard{g.Pass(e, 0)}, e)
	if err != nil {
		return err
	}
	if texts[0] == "" {
		return qrgate.ErrNotFound // taken back just now
	}
	var b bytes.Buffer
	if err := print.Code(&b, texts[0]); err != nil {
		return fmt.Errorf("event: code of a pass: %w", err)
	}
	w.Header().Set("Content-Type", "image/png")
	w.Header().Set("Cache-Control", "no-store")
	_, err = w.Write(b.Bytes())
	return err
}

// patience is how long a page waits for whoever signs.
const patience = 20 * time.Second

// sign has passes of an event signed.
func (p *Pages) sign(ctx context.Context, by string, passes []pass.OwnCard, e *events.Event) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	texts, err := p.o.Sign(ctx, issue.Request{Purpose: wire.ForEvent, By: by, Object: fmt.Sprintf("event %d", e.No), Passes: passes})
	if errors.Is(err, context.DeadlineExceeded) {
		err = page.Busy{Err: err, After: patience}
	}
	if err != nil {
		return nil, fmt.Errorf("event: sign: %w", err)
	}
	return texts, nil
}

// maxLetters is how many letters go at a time: the mail holds a bounded number.
const maxLetters = 500

// send mails invitations to those who have got none.
func (p *Pages) send(w http.ResponseWriter, r *http.Request, v *page.View) error {
	e, err := p.event(r, v, mayOpen)
	if err != nil {
		return err
	}
	switch {
	case p.o.Mail == nil:
		return v.Go(w, path(e.No)+"/khach", "event.no_mail")
	case !e.Cancelled.IsZero():
		return qrgate.ErrConflict
	}
	silent := func(string, string) bool { return false }
	if p.o.Silent != nil {
		if silent, err = p.o.Silent(r.Context()); err != nil {
			return err
		}
	}
	var to []*events.Guest
	err = p.events.Guests(r.Context(), e.No, func(g *events.Guest) error {
		if g.Cancelled.IsZero() && g.Sent.IsZero() && g.Details.Email != "" && len(to) < maxLetters && !silent(g.Details.Name, g.Details.Phone) {
			to = append(to, g)
		}
		return nil
	})
	if err != nil {
		return err
	}
	var sent []uint32
	for _, g := range to {
		err = p.o.Mail.Send(p.letter(e, g))
		if errors.Is(err, mail.ErrFull) {
			break
		}
		if err != nil { // an address that is none; the page still shows it as not sent
			p.o.Log.Warn("invitation not taken", "event", e.No, "pass", g.Number, "err", err)
			continue
		}
		sent = append(sent, g.Number)
	}
	if len(sent) > 0 {
		if err := p.events.Sent(r.Context(), v.Who.Account.ID, e.No, sent...); err != nil {
			return err
		}
	}
	return v.Go(w, path(e.No)+"/khach", "event.sent", "n", len(sent))
}

// letter is an invitation in both languages.
func (p *Pages) letter(e *events.Event, g *events.Guest) mail.Message {
	args := []any{
		"name", e.Name, "place", e.PlaceName, "at", e.Starts.In(qrgate.Zone).Format("15:04 02/01/2006"),
		"guest", g.Details.Name, "link", p.link(g),
	}
	var parts []string
	for _, lang := range text.Langs() {
		for _, part := range []string{"hello", "what", "pass", "how"} {
			parts = append(parts, text.Of(lang, "event.letter."+part, args...))
		}
	}
	return mail.Message{
		To: g.Details.Email, Subject: text.Of(text.Vietnamese, "event.letter.subject", args...) + " / " + text.Of(text.English, "event.letter.subject", args...),
		Text: strings.Join(append(parts, p.o.HelpLine), "\n\n") + "\n",
		Bulk: true,
	}
}

// print answers with the passes of all guests as a PDF.
func (p *Pages) print(w http.ResponseWriter, r *http.Request, v *page.View) error {
	e, err := p.event(r, v, mayOpen)
	if err != nil {
		return err
	}
	if !e.Cancelled.IsZero() {
		return qrgate.ErrConflict
	}
	done, err := p.turns.Take(r.Context())
	if err != nil {
		return err
	}
	defer done()
	if err := p.reg.Looked(r.Context(), v.Who.Account.ID, "print passes", fmt.Sprintf("event %d", e.No)); err != nil {
		return err
	}
	signed, err := p.signedGuests(r, v, e)
	switch {
	case errors.Is(err, issue.ErrBatchQuota):
		return v.Go(w, path(e.No)+"/khach", "event.quota.batch")
	case errors.Is(err, issue.ErrDayQuota):
		return v.Go(w, path(e.No)+"/khach", "event.quota.day")
	case err != nil:
		return err
	}
	deck := print.Deck{
		Layout: print.CardDuplex, Title: e.Name, Printed: p.f.Now().In(qrgate.Zone),
		HelpLine: p.o.HelpLine, Controller: p.o.Controller, RetentionDays: p.o.RetentionDays,
	}
	file, err := page.Unnamed()
	if err != nil {
		return err
	}
	defer file.Close()
	if err := print.Cards(file, deck, p.faces(r, e, signed)); err != nil {
		return err
	}
	done()
	w.Header().Set("Content-Type", "application/pdf")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="ve-su-kien-%d.pdf"`, e.No))
	w.Header().Set("Cache-Control", "no-store")
	http.ServeContent(w, r, "", time.Time{}, file)
	return nil
}

var errStopped = errors.New("stopped")

// signedGuests returns the texts of an event's passes.
func (p *Pages) signedGuests(r *http.Request, v *page.View, e *events.Event) (map[pass.OwnCard]string, error) {
	var passes []pass.OwnCard
	err := p.events.Guests(r.Context(), e.No, func(g *events.Guest) error {
		if g.Cancelled.IsZero() {
			passes = append(passes, g.Pass(e, 0))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	texts, err := p.sign(r.Context(), v.Who.Account.ID, passes, e)
	if err != nil {
		return nil, err
	}
	signed := make(map[pass.OwnCard]string, len(passes))
	for i, c := range passes {
		signed[c] = texts[i]
	}
	return signed, nil
}

// faces returns what passes say.
func (p *Pages) faces(r *http.Request, e *events.Event, signed map[pass.OwnCard]string) iter.Seq2[*print.Card, error] {
	called := map[uint8]print.Text{}
	for _, c := range e.Categories {
		called[c.No] = print.Text{VI: c.Name, EN: c.Name}
		if c.Name == "" {
			key := "event.kind." + string(c.Kind)
			called[c.No] = print.Text{VI: text.Of(text.Vietnamese, key), EN: text.Of(text.English, key)}
		}
	}
	return func(yield func(*print.Card, error) bool) {
		err := p.events.Guests(r.Context(), e.No, func(g *events.Guest) error {
			if !g.Cancelled.IsZero() {
				return nil
			}
			text := signed[g.Pass(e, 0)]
			if text == "" {
				return nil // taken back or replaced since
			}
			face := &print.Card{Text: text, Kind: called[g.Category], Until: e.Ends, Number: fmt.Sprint(g.Number), Name: g.Details.Name}
			if !yield(face, nil) {
				return errStopped
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStopped) {
			yield(nil, err)
		}
	}
}
