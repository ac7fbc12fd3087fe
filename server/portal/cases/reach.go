package cases

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"

	"github.com/qrgate/qrgate/server/mail"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/print"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/casebook"
	"github.com/qrgate/qrgate/server/trace"
)

// A Gateway sends short text messages to telephones.
type Gateway interface {
	// Text sends a message to a telephone in E.164.
	Text(ctx context.Context, phone, words string) error
}

// A MailGateway is a [Gateway] that takes messages as e-mail, as the operators of
// networks offer it: the telephone stands in the address.
type MailGateway struct {
	Mail Mailer
	// Address has {phone} where the telephone goes, without its plus:
	// {phone}@sms.example.vn.
	Address string
	Subject string // some gateways know their customers by it
}

// Text sends a message.
func (g MailGateway) Text(_ context.Context, phone, words string) error {
	digits := strings.TrimPrefix(phone, "+")
	if digits == "" || strings.Trim(digits, "0123456789") != "" || !strings.Contains(g.Address, "{phone}") {
		return fmt.Errorf("cases: text message: %w", qrgate.ErrInvalid)
	}
	subject := g.Subject
	if subject == "" {
		subject = "SMS"
	}
	return g.Mail.Send(mail.Message{To: strings.ReplaceAll(g.Address, "{phone}", digits), Subject: subject, Text: words})
}

// notify tells a contact by e-mail or text message that they should call. It says
// nothing of anybody's health: who reads it on somebody's screen learns nothing.
func (p *Pages) notify(w http.ResponseWriter, r *http.Request, v *page.View) error {
	h, ref, call, err := p.oneContact(r, v)
	if err != nil {
		return err
	}
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	n, err := version(form)
	if err != nil {
		return err
	}
	by := casebook.Channel(form.Choice("cases.by", true, string(casebook.ByEmail), string(casebook.BySMS)))
	to := ""
	if by == casebook.ByEmail {
		to = form.Email("cases.email", true)
	}
	if !form.OK() {
		return p.renderContact(w, r, v, h, ref, call, form, "notify", http.StatusUnprocessableEntity)
	}
	// Kept before it is sent: of two officers at once one sends.
	if err := p.book.Called(r.Context(), v.Who.Account.ID, h.ID, ref, n, casebook.Attempt{Status: casebook.Notified, Channel: by}); err != nil {
		return err
	}
	switch err := p.send(r.Context(), v, h, ref, by, to); {
	case errors.Is(err, errNoWay):
		form.Fail("cases.by", "cases.notify.no_way")
	case errors.Is(err, mail.ErrAddress):
		form.Fail("cases.email", "wrong.email")
	case err != nil:
		p.o.Log.Warn("notice not sent", "case", h.Number, "by", string(by), "err", reason(err))
		form.Fail("cases.by", "cases.notify.failed")
	default:
		return v.Go(w, h.Path("tiep-xuc", ref.String()), "cases.notified")
	}
	// What was kept is no longer true.
	back := casebook.Attempt{Status: call.Status, Channel: by, Note: v.T("cases.notify.not_sent")}
	if err := p.book.Called(r.Context(), v.Who.Account.ID, h.ID, ref, n+1, back); err != nil {
		return err
	}
	h, ref, call, err = p.oneContact(r, v)
	if err != nil {
		return err
	}
	return p.renderContact(w, r, v, h, ref, call, form, "notify", http.StatusUnprocessableEntity)
}

// errNoWay means that a contact has no telephone, or this server no gateway.
var errNoWay = errors.New("cases: no way to send")

// reason is an error as it may be logged: gateways repeat addresses.
func reason(err error) string {
	switch {
	case errors.Is(err, mail.ErrFull):
		return "full"
	case errors.Is(err, mail.ErrAddress), errors.Is(err, mail.ErrMessage):
		return "message"
	}
	return "gateway"
}

func (p *Pages) send(ctx context.Context, v *page.View, h *head, ref casebook.Ref, by casebook.Channel, to string) error {
	code := ref.Code()
	if by == casebook.ByEmail {
		if p.o.Mail == nil {
			return errNoWay
		}
		return p.o.Mail.Send(mail.Message{To: to, Subject: inBoth("cases.mail.subject", " / "), Text: p.letter(code)})
	}
	cards, err := p.book.Cards(ctx, v.Who.Account.ID, h.ID, ref)
	if err != nil {
		return err
	}
	phone := cards[0].Phone
	if phone == "" {
		phone = cards[0].GuardianPhone
	}
	if p.o.Text == nil || phone == "" {
		return errNoWay
	}
	// In the language of who gets it, not of the officer's pages.
	return p.o.Text.Text(ctx, phone, text.Of(text.Vietnamese, "cases.sms.text", "line", p.o.HelpLine, "code", code))
}

// inBoth says a text in both languages, for whoever reads it.
func inBoth(key, between string, args ...any) string {
	return text.Of(text.Vietnamese, key, args...) + between + text.Of(text.English, key, args...)
}

// letter is what an e-mail says.
func (p *Pages) letter(code string) string {
	var all []string
	for _, lang := range text.Langs() {
		all = append(all, text.Of(lang, "cases.mail.hello"), text.Of(lang, "cases.mail.text", "line", p.o.HelpLine, "code", code))
	}
	return strings.Join(append(all, p.o.Office), "\n\n") + "\n"
}

// maxLetters is how many letters one file holds: who has more prints again, for
// those that have letters are no longer on the list.
const maxLetters = 500

// letters prints a letter to one contact, or to all who are still to be called and
// have no telephone.
func (p *Pages) letters(w http.ResponseWriter, r *http.Request, v *page.View) error {
	h, err := p.seen(r, v)
	if err != nil {
		return err
	}
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	ctx, me := r.Context(), v.Who.Account.ID
	done, err := p.files.Take(ctx)
	if err != nil {
		return err
	}
	defer done()
	list, err := p.book.Calls(ctx, me, h.ID)
	if err != nil {
		return err
	}
	one := casebook.Ref{}
	if code := form.Values.Get("ai"); code != "" {
		if one, err = casebook.ParseRef(code); err != nil {
			return qrgate.ErrNotFound
		}
	}
	var calls []casebook.Call
	for _, c := range list {
		if c.Ref == one || one == (casebook.Ref{}) && (c.Status == casebook.ToCall || c.Status == casebook.NotReached) {
			calls = append(calls, c)
		}
	}
	if one != (casebook.Ref{}) && len(calls) == 0 {
		return qrgate.ErrNotFound
	}
	calls, cards, err := p.lettersTo(ctx, me, h, calls, one == (casebook.Ref{}))
	if err != nil {
		return err
	}
	if len(calls) == 0 {
		return v.Go(w, h.Path("goi"), "cases.letters.none")
	}
	where := map[casebook.Ref]*trace.Shared{}
	names := spots{}
	if form.Values.Get("noi") == "1" {
		run, err := p.book.Run(ctx, me, h.ID, 0)
		if err != nil {
			return err
		}
		for _, m := range metIn(run) {
			switch {
			case m.c != nil && len(m.c.Shared) > 0:
				where[m.ref] = &m.c.Shared[0]
			case len(m.stays) > 0:
				s := trace.Shared{Stay: *m.stays[0]}
				s.Within.Earliest = m.stays[0].In.Earliest
				where[m.ref] = &s
			}
		}
		for _, s := range where {
			if _, err := p.name(ctx, v, names, s.Stay.At); err != nil {
				return err
			}
		}
	}
	test := form.Values.Get("xet-nghiem") == "1"
	// Written down first: a letter that nobody knows of must not lie on a printer.
	noted, whose := calls[:0:0], cards[:0:0]
	for i, c := range calls {
		a := casebook.Attempt{Status: casebook.Notified, Channel: casebook.ByLetter}
		err := p.book.Called(ctx, me, h.ID, c.Ref, c.Version, a)
		if errors.Is(err, casebook.ErrChanged) && one == (casebook.Ref{}) {
			continue // another officer is at it; those before have their letters all the same
		}
		if err != nil {
			return err
		}
		noted, whose = append(noted, c), append(whose, cards[i])
	}
	if len(noted) == 0 {
		return v.Go(w, h.Path("goi"), "cases.letters.none")
	}
	k := print.Letters{Office: p.o.Office, Return: p.o.Return, HelpLine: p.o.HelpLine, Title: h.Number, Written: p.f.Now().In(qrgate.Zone)}
	var out bytes.Buffer
	if err := print.Notices(&out, k, p.written(noted, whose, where, names, test)); err != nil {
		return err
	}
	done()
	page.Send(w, "application/pdf", "thu-"+h.Number+".pdf", out.Bytes())
	return nil
}

// lettersTo returns whom to write and what is known of them: of a whole list those
// without a telephone who have an address.
func (p *Pages) lettersTo(ctx context.Context, by string, h *head, calls []casebook.Call, silent bool) ([]casebook.Call, []casebook.Card, error) {
	var to []casebook.Call
	var all []casebook.Card
	for first := 0; first < len(calls) && len(to) < maxLetters; first += casebook.MaxCards {
		some := calls[first:min(first+casebook.MaxCards, len(calls))]
		refs := make([]casebook.Ref, len(some))
		for i := range some {
			refs[i] = some[i].Ref
		}
		cards, err := p.book.Cards(ctx, by, h.ID, refs...)
		if err != nil {
			return nil, nil, err
		}
		for i := range some {
			// A letter that no postman can bring would take them off the list of those to call.
			lost := cards[i].Name == "" || knownOf(&cards[i]).Where() == ""
			if silent && (cards[i].Phone != "" || cards[i].GuardianPhone != "" || lost) || len(to) == maxLetters {
				continue
			}
			to, all = append(to, some[i]), append(all, cards[i])
		}
	}
	return to, all, nil
}

func (p *Pages) written(calls []casebook.Call, cards []casebook.Card, where map[casebook.Ref]*trace.Shared, names spots, test bool) iter.Seq2[*print.Letter, error] {
	return func(yield func(*print.Letter, error) bool) {
		for i := range calls {
			k := knownOf(&cards[i])
			l := &print.Letter{Name: k.Name, Code: calls[i].Ref.Code(), Test: test}
			if k.Guardian != "" {
				l.Name, l.Child = k.Guardian, true
			}
			for _, line := range []string{k.Street, k.Commune} {
				if line != "" {
					l.Address = append(l.Address, line)
				}
			}
			if len(l.Address) == 0 && k.Address != "" {
				l.Address = []string{k.Address}
			}
			if s := where[calls[i].Ref]; s != nil {
				l.Place, l.Day = names[s.Stay.At].Name, moment(s.Within.Earliest)
			}
			if !yield(l, nil) {
				return
			}
		}
	}
}

// note writes down what somebody has done with persons of a case.
func (p *Pages) note(ctx context.Context, by, action, id, note string) error {
	err := p.o.Store.Write(ctx, func(t store.Tx) error { return t.Audit(by, action, "case "+id, note) })
	if err != nil {
		return fmt.Errorf("cases: %s: %w", action, err)
	}
	return nil
}

func upper(s string) string { return strings.ToUpper(s) }
