package card

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/qrgate/qrgate/server/issue"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/print"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// A printForm asks how cards are to be printed.
type printForm struct {
	Action  string
	Form    *page.Form
	Layouts []option
	Names   []option
}

func newPrintForm(v *page.View, action string, form *page.Form) printForm {
	p := printForm{Action: action, Form: form}
	for _, l := range print.Layouts {
		p.Layouts = append(p.Layouts, option{string(l), v.T("card.layout." + string(l))})
	}
	for _, n := range names {
		p.Names = append(p.Names, option{n, v.T("card.names." + n)})
	}
	if form.Values.Get("card.layout") == "" {
		form.Values.Set("card.layout", string(print.CardDuplex))
	}
	if form.Values.Get("card.names") == "" {
		form.Values.Set("card.names", names[0])
	}
	return p
}

// names are how a card may name its holder.
var names = []string{"name", "initials", "none"}

// named returns how a card names its holder.
func named(how, name string) string {
	switch how {
	case "name":
		return name
	case "initials":
		var b strings.Builder
		for _, w := range strings.Fields(name) {
			if r, _ := utf8.DecodeRuneInString(w); unicode.IsLetter(r) {
				b.WriteRune(unicode.ToUpper(r))
				b.WriteString(". ")
			}
		}
		return strings.TrimSpace(b.String())
	}
	return ""
}

// A batchPage is the page of cards that were issued together.
type batchPage struct {
	*register.Batch
	Where string
	Print printForm
}

func (p *Pages) showBatch(w http.ResponseWriter, r *http.Request, v *page.View) error {
	b, err := p.batch(r, v)
	if err != nil {
		return err
	}
	return p.renderBatch(w, r, v, b, page.NewForm(nil), http.StatusOK)
}

func (p *Pages) renderBatch(w http.ResponseWriter, r *http.Request, v *page.View, b *register.Batch, form *page.Form, status int) error {
	where, err := p.officeName(r, b.Office)
	if err != nil {
		return err
	}
	return v.RenderStatus(w, status, "card_batch", batchPage{b, where, newPrintForm(v, "/the/dot/"+b.ID+"/in", form)})
}

// readPrint reads how cards are to be printed.
func readPrint(form *page.Form) (print.Layout, string) {
	var layouts []string
	for _, l := range print.Layouts {
		layouts = append(layouts, string(l))
	}
	return print.Layout(form.Choice("card.layout", true, layouts...)), form.Choice("card.names", true, names...)
}

func (p *Pages) printBatch(w http.ResponseWriter, r *http.Request, v *page.View) error {
	b, err := p.batch(r, v)
	if err != nil {
		return err
	}
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	layout, how := readPrint(form)
	if !form.OK() {
		return p.renderBatch(w, r, v, b, form, http.StatusUnprocessableEntity)
	}
	return p.start(w, r, v, layout, how, b.Cards, "batch "+b.ID, "/the/dot/"+b.ID, func(ctx context.Context) ([]pass.OwnCard, error) {
		return p.cards.Own(ctx, b.ID)
	}, func(ctx context.Context, yield func(*register.Card) error) error {
		return p.cards.EachCard(ctx, b.ID, yield)
	})
}

func (p *Pages) printCard(w http.ResponseWriter, r *http.Request, v *page.View) error {
	c, err := p.card(r, v)
	if err != nil {
		return err
	}
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	layout, how := readPrint(form)
	if !form.OK() {
		return p.renderCard(w, r, v, c, form, http.StatusUnprocessableEntity)
	}
	if !c.Revoked.IsZero() {
		return qrgate.ErrConflict
	}
	return p.start(w, r, v, layout, how, 1, fmt.Sprintf("card %d", c.Number), cardPath(c.Number), func(context.Context) ([]pass.OwnCard, error) {
		return []pass.OwnCard{c.Own(0)}, nil
	}, func(_ context.Context, yield func(*register.Card) error) error {
		return yield(c)
	})
}

// start prints cards while the viewer waits, or does something else.
func (p *Pages) start(w http.ResponseWriter, r *http.Request, v *page.View, layout print.Layout, how string, total int, object, back string,
	own func(context.Context) ([]pass.OwnCard, error), each func(context.Context, func(*register.Card) error) error) error {
	account := v.Who.Account.ID
	// Who has printed whose names is asked one day.
	if err := p.reg.Looked(r.Context(), account, "print cards", object); err != nil {
		return err
	}
	deck := print.Deck{
		Layout: layout, Title: v.T("card.file.title"), Printed: p.f.Now().In(qrgate.Zone),
		HelpLine: p.o.HelpLine, Controller: p.o.Controller, RetentionDays: p.o.RetentionDays,
	}
	j, err := p.jobs.start(account, back, total, func(ctx context.Context, j *job) error {
		sign, err := p.signed(ctx, j, account, object, own)
		if err != nil {
			return err
		}
		return print.Cards(j, deck, p.faces(ctx, j, func(yield func(*register.Card) error) error { return each(ctx, yield) }, how, sign))
	})
	if err != nil {
		return err
	}
	return v.Go(w, "/the/viec/"+j.id, "")
}

// signed has cards signed, all before one is drawn: either all are within the quotas or
// nothing is printed. It waits for whoever signs.
func (p *Pages) signed(ctx context.Context, j *job, account, object string, own func(context.Context) ([]pass.OwnCard, error)) (func(*register.Card) (string, error), error) {
	cards, err := own(ctx)
	if err != nil {
		return nil, err
	}
	j.signing.Store(true)
	defer j.signing.Store(false)
	texts, err := p.o.Sign(ctx, issue.Request{Purpose: wire.ForCard, By: account, Object: object, Passes: cards})
	if err != nil {
		return nil, err
	}
	of := make(map[pass.OwnCard]string, len(cards))
	for i, c := range cards {
		of[c] = texts[i]
	}
	return func(c *register.Card) (string, error) { return of[c.Own(0)], nil }, nil
}

// errStopped ends a reading whose reader wants no more.
var errStopped = errors.New("stopped")

// faces returns what cards say, as they are read from the register and signed.
func (p *Pages) faces(ctx context.Context, j *job, each func(func(*register.Card) error) error, how string, sign func(*register.Card) (string, error)) iter.Seq2[*print.Card, error] {
	return func(yield func(*print.Card, error) bool) {
		err := each(func(c *register.Card) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			text, err := sign(c)
			if err != nil {
				return err
			}
			if text == "" {
				return nil // replaced or revoked since the job began
			}
			face := &print.Card{Text: text, Code: pass.TypedCode(c.Number), Kind: kindText(c), Until: dateOf(c.Last), Number: fmt.Sprint(c.Number)}
			if c.Issue > 1 {
				face.Number += fmt.Sprintf(" · %d", c.Issue)
			}
			if c.Holder != nil {
				face.Name = named(how, c.Holder.Details.Name)
			}
			if !yield(face, nil) {
				return errStopped
			}
			j.done.Add(1)
			return nil
		})
		if err != nil && !errors.Is(err, errStopped) {
			yield(nil, err)
		}
	}
}

// kindText says in both languages what kind a card is of.
func kindText(c *register.Card) print.Text {
	key := "card.kind." + c.Kind.String()
	say := func(lang text.Lang) string {
		if c.Kind == pass.Family && c.People > 0 {
			return text.Of(lang, "card.family.of", "n", int(c.People))
		}
		return text.Of(lang, key)
	}
	return print.Text{VI: say(text.Vietnamese), EN: say(text.English)}
}

// job returns the job of the request's path, if it is the viewer's.
func (p *Pages) job(r *http.Request, v *page.View) (*job, error) {
	j := p.jobs.find(r.PathValue("id"))
	if j == nil || j.account != v.Who.Account.ID {
		return nil, qrgate.ErrNotFound
	}
	return j, nil
}

// A jobPage shows how far a job is. Without script it is asked for again and again.
type jobPage struct {
	ID          string
	Back        string
	Done, Total int
	Ready       bool
	Failed      bool
	Why         string // key of what is to be said of a failure
	Signing     bool   // it waits for signatures
	Size        string
}

func (p *Pages) jobPage(j *job) jobPage {
	ready, failed, size := j.state()
	return jobPage{
		ID: j.id, Back: j.back, Done: int(j.done.Load()), Total: j.total, Ready: ready, Failed: failed, Why: j.why(),
		Signing: j.signing.Load(), Size: megabytes(size),
	}
}

func megabytes(n int64) string {
	if n < 100_000 {
		return fmt.Sprintf("%d kB", (n+999)/1000)
	}
	return strings.Replace(fmt.Sprintf("%.1f MB", float64(n)/1e6), ".", ",", 1)
}

func (p *Pages) showJob(w http.ResponseWriter, r *http.Request, v *page.View) error {
	j, err := p.job(r, v)
	if err != nil {
		return err
	}
	return v.Render(w, "card_job", p.jobPage(j))
}

// progress answers with how far a job is, for the page's script.
func (p *Pages) progress(w http.ResponseWriter, r *http.Request, v *page.View) error {
	j, err := p.job(r, v)
	if err != nil {
		return err
	}
	data := p.jobPage(j)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(w).Encode(map[string]any{"done": data.Done, "total": data.Total, "signing": data.Signing, "over": data.Ready || data.Failed})
}

// fetch answers with the file.
func (p *Pages) fetch(w http.ResponseWriter, r *http.Request, v *page.View) error {
	j, err := p.job(r, v)
	if err != nil {
		return err
	}
	file, size := j.file()
	if file == nil {
		return qrgate.ErrNotFound
	}
	h := w.Header()
	h.Set("Content-Type", "application/pdf")
	h.Set("Content-Disposition", `attachment; filename="the-qr-`+p.f.Now().In(qrgate.Zone).Format("2006-01-02")+`.pdf"`)
	h.Set("Cache-Control", "no-store")
	http.ServeContent(w, r, "", time.Time{}, newReader(file, size))
	return nil
}
