package visit

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// Fields of the form.
const (
	fieldKey       = "key"
	fieldPhone     = "phone"
	fieldName      = "name"
	fieldAccount   = "account"
	fieldOthers    = "others"
	fieldNames     = "names"
	fieldDirection = "direction"
)

const (
	maxOthers = 9
	maxName   = 100
)

// A poster is the place that a code means.
type poster struct {
	Code    string // as posters say it
	Version uint8
	Place   *qrgate.Place
	Address string
}

// errCode means that a code is none of ours.
var errCode = errors.New("no code of a poster")

// find returns the place that a request's code means: it may have been typed.
func (p *Pages) find(ctx context.Context, code string) (*poster, error) {
	no, version, err := pass.ParsePosterCode(strings.TrimSpace(code))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errCode, err)
	}
	place, err := p.o.Register.ShownPlace(ctx, no)
	if errors.Is(err, qrgate.ErrNotFound) {
		return nil, fmt.Errorf("%w: place %d", errCode, no)
	}
	if err != nil {
		return nil, err
	}
	return &poster{Code: pass.PosterCode(no, version), Version: version, Place: place, Address: addressOf(place, communeOf(place))}, nil
}

func communeOf(p *qrgate.Place) string {
	id, err := area.ParseID(p.AreaNow)
	if err != nil {
		return ""
	}
	u, _ := area.Lookup(id)
	return u.FullName
}

// A checkin is what the page of a poster shows. What is filled in and what is
// wrong with it are fields, because a template reads those faster than it calls.
type checkin struct {
	Code, Place, Address string // without a place on the page for when no network is there to ask
	Key                  string // of this visit
	Out                  bool   // the visitor came to check out
	Account, AccountID   string // name and id of the account that is signed in
	Back                 string // address of the page to sign in, which leads back here
	Problem              template.HTML

	Phone, Name, Names                             string
	Choices                                        template.HTML // numbers of companions
	Open                                           bool          // companions are shown
	WrongPhone, WrongName, WrongOthers, WrongNames template.HTML
}

// fill shows what was filled in.
func (c *checkin) fill(f *page.Form) {
	chosen := f.Values.Get(fieldOthers)
	c.Phone, c.Name, c.Names = f.Values.Get(fieldPhone), f.Values.Get(fieldName), f.Values.Get(fieldNames)
	c.Open = c.Names != "" || chosen != "" && chosen != "0"
	for _, w := range f.Wrong {
		says := both(w.Key, w.Args...)
		switch w.Field {
		case fieldPhone:
			c.WrongPhone = says
		case fieldName:
			c.WrongName = says
		case fieldNames:
			c.WrongNames, c.Open = says, true
		case fieldOthers:
			c.WrongOthers, c.Open = says, true
		case fieldDirection:
			c.Problem = both("visit.direction")
		}
	}
	if c.Choices = choices[chosen]; c.Choices == "" {
		c.Choices = choices["0"]
	}
}

// choices are the numbers of companions to choose from, for each that was chosen.
var choices = func() map[string]template.HTML {
	all := map[string]template.HTML{}
	for chosen := range maxOthers + 1 {
		var b strings.Builder
		for n := range maxOthers + 1 {
			selected := ""
			if n == chosen {
				selected = " selected"
			}
			fmt.Fprintf(&b, "<option%s>%d</option>", selected, n)
		}
		all[strconv.Itoa(chosen)] = template.HTML(b.String())
	}
	return all
}()

// Show answers with the page of a poster.
func (p *Pages) Show(w http.ResponseWriter, r *http.Request, v *page.View) error {
	at, err := p.find(r.Context(), r.PathValue("code"))
	if err != nil || at.Place.Deleted.IsZero() && at.Code != r.PathValue("code") {
		if err == nil { // one address for each poster, which phones keep
			http.Redirect(w, r, pass.PosterPath+at.Code, http.StatusSeeOther)
			return nil
		}
		return p.lost(w, v, err)
	}
	if !at.Place.Deleted.IsZero() {
		return p.put(w, v, http.StatusGone, "gone", at)
	}
	out := r.URL.Query().Has("ra")
	if v.Who != nil {
		return p.form(w, v, http.StatusOK, at, newKey(), page.NewForm(nil), out, "")
	}
	w.Header().Set(keepHeader, "1")
	sheet, err := p.blank(at, out)
	if err != nil {
		return err
	}
	v.Lang = text.Vietnamese
	v.Write(w, http.StatusOK, slices.Concat(sheet.before, []byte(newKey()), sheet.after))
	return nil
}

// keepHeader tells the service worker that a page was made for nobody in
// particular and may be kept on the phone.
const keepHeader = "Qrgate-Keep"

// form answers with the form, as it is filled in.
func (p *Pages) form(w http.ResponseWriter, v *page.View, status int, at *poster, key string, f *page.Form, out bool, problem string) error {
	c := newCheckin(at, key)
	c.Out = out
	if v.Who != nil {
		c.Account, c.AccountID = v.Who.Account.Display, v.Who.Account.ID
	}
	if problem != "" {
		c.Problem = both(problem)
	}
	c.fill(f)
	return p.put(w, v, status, "checkin", c)
}

func newCheckin(at *poster, key string) *checkin {
	return &checkin{Code: at.Code, Place: at.Place.Name, Address: at.Address, Key: key, Back: "/dang-nhap?ve=" + url.QueryEscape(pass.PosterPath+at.Code)}
}

// lost answers for a code that means no place.
func (p *Pages) lost(w http.ResponseWriter, v *page.View, err error) error {
	if !errors.Is(err, errCode) {
		return err
	}
	return p.put(w, v, http.StatusNotFound, "code", codePage{Wrong: true})
}

// A codePage asks for a poster's code.
type codePage struct {
	Wrong bool
	Typed string
}

// Typed leads from a code that was typed to its page.
func (p *Pages) Typed(w http.ResponseWriter, r *http.Request, v *page.View) error {
	typed := r.URL.Query().Get("ma")
	if strings.TrimSpace(typed) == "" {
		return p.put(w, v, http.StatusOK, "code", codePage{})
	}
	// People paste the whole address, too.
	if i := strings.LastIndex(strings.ToLower(typed), pass.PosterPath); i >= 0 {
		typed = typed[i+len(pass.PosterPath):]
	}
	no, version, err := pass.ParsePosterCode(strings.TrimSpace(typed))
	if err != nil {
		if len(typed) > 40 {
			typed = ""
		}
		return p.put(w, v, http.StatusNotFound, "code", codePage{Wrong: true, Typed: strings.ToValidUTF8(typed, "")})
	}
	http.Redirect(w, r, pass.PosterPath+pass.PosterCode(no, version), http.StatusSeeOther)
	return nil
}

func newKey() string {
	var key [16]byte
	rand.Read(key[:])
	return base64.RawURLEncoding.EncodeToString(key[:])
}

// keyOf reads the key of a visit. Whoever sends none gets one, and no protection
// from sending twice.
func keyOf(s string) (key [16]byte) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != len(key) || [16]byte(b) == key {
		rand.Read(key[:])
		return key
	}
	return [16]byte(b)
}

// Take writes down what the form says.
func (p *Pages) Take(w http.ResponseWriter, r *http.Request, v *page.View) error {
	at, err := p.find(r.Context(), r.PathValue("code"))
	if err != nil {
		return p.lost(w, v, err)
	}
	if !at.Place.Deleted.IsZero() {
		return p.put(w, v, http.StatusGone, "gone", at)
	}
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	key := f.Values.Get(fieldKey)
	if len(key) > 64 {
		key = newKey()
	}
	out := f.Values.Get(fieldDirection) == "out"
	visit, err := p.read(r.Context(), v, at, f)
	if err != nil {
		return err
	}
	if !f.OK() {
		problem := ""
		if v.Who != nil && f.Values.Get(fieldAccount) != "" && !meant(v, f) {
			problem = "visit.another"
		}
		return p.form(w, v, http.StatusUnprocessableEntity, at, key, f, out, problem)
	}
	visit.Key = keyOf(key)
	receipt, err := p.record(r.Context(), v, visit)
	var busy *refused
	switch {
	case err == nil:
		http.Redirect(w, r, p.donePath(at, visit, receipt), http.StatusSeeOther)
		return nil
	case errors.As(err, &busy):
		w.Header().Set("Retry-After", strconv.Itoa(busy.seconds()))
		return p.form(w, v, busy.status, at, key, f, out, busy.text)
	case errors.Is(err, qrgate.ErrConflict): // the page was used for another visit
		return p.form(w, v, http.StatusConflict, at, newKey(), f, out, "visit.again")
	case errors.Is(err, qrgate.ErrInvalid):
		f.Fail(fieldName, "wrong.letters")
		return p.form(w, v, http.StatusUnprocessableEntity, at, key, f, out, "")
	}
	return err
}

// meant reports whether a form is of whoever is signed in: of that account, or of an
// earlier release's page, which did not say of which. Somebody else may have signed in on a
// shared phone since a visit began to wait there.
func meant(v *page.View, f *page.Form) bool {
	account := f.Values.Get(fieldAccount)
	return v.Who != nil && (account == "1" || account == v.Who.Account.ID)
}

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

// read makes a visit of a form, or notes in it what is wrong.
func (p *Pages) read(ctx context.Context, v *page.View, at *poster, f *page.Form) (ingest.Visit, error) {
	visit := ingest.Visit{
		Place: store.Where{Name: at.Place.Name, No: at.Place.No}, Poster: at.Version, Direction: wire.In,
	}
	if f.Choice(fieldDirection, true, "in", "out") == "out" {
		visit.Direction = wire.Out
	}
	first := ingest.Visitor{Kind: pass.Phone, Level: qrgate.Stated}
	if meant(v, f) {
		outside, err := p.o.Register.Outsides(ctx, v.Who.Account.ID)
		if err != nil {
			return visit, err
		}
		first = ingest.Visitor{Kind: pass.Account, Number: "qrgate/" + v.Who.Account.ID, Name: v.Who.Account.Display, Level: qrgate.Stated}
		if len(outside) > 0 { // linked to another system, which has checked who it is
			first.Level = qrgate.Checked
		}
		if e164.MatchString(v.Who.Account.Phone) {
			first.Phone = v.Who.Account.Phone
		}
	} else {
		if first.Number = f.Phone(fieldPhone, true); first.Number != "" && !e164.MatchString(first.Number) {
			f.Fail(fieldPhone, "wrong.phone")
		}
		first.Name = f.Text(fieldName, maxName, true)
	}
	visit.People = []ingest.Visitor{first}
	number := f.Int(fieldOthers, 0, maxOthers)
	seen := map[string]bool{nameKey(first.Name): true}
	named := 0
	for name := range strings.SplitSeq(f.Lines(fieldNames, maxOthers*(maxName+1), false), "\n") {
		name = strings.Join(strings.Fields(name), " ")
		if name == "" {
			continue
		}
		if named++; len([]rune(name)) > maxName || named > maxOthers {
			f.Fail(fieldNames, "wrong.long", "most", maxName)
			break
		}
		// Two of one name can only be counted.
		if key := nameKey(name); !seen[key] {
			seen[key] = true
			visit.People = append(visit.People, ingest.Visitor{Kind: first.Kind, Name: name})
		}
	}
	visit.Unnamed = max(number, named) - (len(visit.People) - 1)
	return visit, nil
}

func nameKey(name string) string { return strings.ToLower(strings.Join(strings.Fields(name), " ")) }

// A refused visit was not taken, and may come again.
type refused struct {
	status int
	text   string
	after  time.Duration
}

func (r *refused) Error() string { return "visit: " + r.text }

func (r *refused) seconds() int { return max(1, int((r.after+time.Second-1)/time.Second)) }

// record writes a visit down within its limits.
func (p *Pages) record(ctx context.Context, v *page.View, visit ingest.Visit) (ingest.Receipt, error) {
	now := p.o.Frame.Now()
	if _, wait := p.limits.Try(now, visit.People[0].Number, v.Address()); wait > 0 {
		return ingest.Receipt{}, &refused{http.StatusTooManyRequests, "visit.too_many", wait}
	}
	said, err := saidOf(&visit)
	if err != nil {
		return ingest.Receipt{}, err
	}
	visit.Body = visit.Digest(said)
	ctx, cancel := context.WithTimeout(ctx, visitTimeout)
	defer cancel()
	receipt, err := p.o.Desk.Visit(ctx, visit)
	if errors.Is(err, ingest.ErrBusy) || errors.Is(err, context.DeadlineExceeded) {
		return receipt, &refused{http.StatusServiceUnavailable, "visit.busy", 3 * time.Second}
	}
	return receipt, err
}

// saidOf returns what must be the same when a visit comes again. Whoever goes back
// to a form that was sent and enters somebody else means another visit, and must
// not be told that it is recorded. What an account is called may change meanwhile.
func saidOf(v *ingest.Visit) ([]byte, error) {
	first := v.People[0]
	if first.Kind == pass.Account {
		first.Name = ""
	}
	said := []string{first.Number, nameKey(first.Name), strconv.Itoa(v.Unnamed)}
	for _, p := range v.People[1:] {
		said = append(said, nameKey(p.Name))
	}
	b, err := json.Marshal(said)
	if err != nil {
		return nil, fmt.Errorf("visit: %w", err)
	}
	return b, nil
}

// InBoth returns a text in both languages: of something wrong.
func inBoth(w page.Wrong) (vi, en string) {
	return text.Of(text.Vietnamese, w.Key, w.Args...), text.Of(text.English, w.Key, w.Args...)
}
