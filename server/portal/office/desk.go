package office

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/pass"
)

// deskRoles are those of people who answer difficulties.
var deskRoles = []qrgate.Role{qrgate.SectorOfficer, qrgate.AreaOfficer, qrgate.Administrator}

func isNotFound(err error) bool  { return errors.Is(err, qrgate.ErrNotFound) }
func isMalformed(err error) bool { return errors.Is(err, pass.ErrMalformed) }

// A tab is a state with how many difficulties are in it.
type tab struct {
	State register.DifficultyState
	Path  string
	Count int
	Here  bool
}

func (o *Office) difficulties(w http.ResponseWriter, r *http.Request, v *page.View) error {
	q := register.DifficultyQuery{Within: v.Places(deskRoles...), State: register.DifficultyOpen, Page: pageNo(r), Size: perPage}
	if s := register.DifficultyState(r.URL.Query().Get("tinh_trang")); slices.Contains(register.DifficultyStates(), s) {
		q.State = s
	}
	if c := register.Category(r.URL.Query().Get("loai")); slices.Contains(register.Categories(), c) {
		q.Category = c
	}
	list, total, err := o.reg.Difficulties(r.Context(), q)
	if err != nil {
		return err
	}
	counts, err := o.reg.CountDifficulties(r.Context(), q.Within, q.From, q.To)
	if err != nil {
		return err
	}
	var tabs []tab
	for _, s := range register.DifficultyStates() {
		t := tab{State: s, Here: s == q.State, Path: r.URL.Path + "?" + url.Values{"tinh_trang": {string(s)}, "loai": {string(q.Category)}}.Encode()}
		for _, c := range counts {
			if c.State == s && (q.Category == "" || c.Category == q.Category) {
				t.Count += c.Count
			}
		}
		tabs = append(tabs, t)
	}
	var categories []option
	for _, c := range register.Categories() {
		categories = append(categories, option{string(c), v.T("difficulty.category." + string(c))})
	}
	return v.Render(w, "difficulties", struct {
		List       []register.Difficulty
		Tabs       []tab
		State      register.DifficultyState
		Category   register.Category
		Categories []option
		Pager      pager
	}{list, tabs, q.State, q.Category, categories, newPager(r, len(list), total)})
}

// A deskCase is a difficulty on the desk.
type deskCase struct {
	*register.Difficulty
	Sender       string // as they are called, empty for a stranger
	SectorName   string
	AreaName     string
	Seen         string // see seenOf
	Form         *page.Form
	Sectors      []option
	ChangedSince bool // what was typed is shown again
}

// seenOf says how far a difficulty had come when a page showed it.
func seenOf(d *register.Difficulty) string {
	at := int64(0)
	if !d.Answered.IsZero() {
		at = d.Answered.UnixMilli()
	}
	return fmt.Sprintf("%s %s %d", d.State, d.Sector, at)
}

// find returns the difficulty that a request is about, if its routing leads to
// the viewer.
func (o *Office) find(r *http.Request, v *page.View) (*register.Difficulty, error) {
	d, err := o.reg.Difficulty(r.Context(), page.ID(r))
	if err == nil && !v.Places(deskRoles...).Holds(d) {
		err = qrgate.ErrNotFound
	}
	return d, err
}

func (o *Office) show(w http.ResponseWriter, r *http.Request, v *page.View, status int, d *register.Difficulty, f *page.Form, since bool) error {
	c := deskCase{
		Difficulty: d, SectorName: page.SectorName(v.Lang, d.Sector), AreaName: page.AreaName(v.Lang, d.Area), Seen: seenOf(d), Form: f,
		Sectors: o.sectors(v.Lang), ChangedSince: since,
	}
	c.Sectors = slices.DeleteFunc(c.Sectors, func(s option) bool { return s.Value == d.Sector })
	if d.Account != "" {
		who, err := o.reg.Account(r.Context(), d.Account)
		if err != nil && !isNotFound(err) { // it may be deleted
			return err
		}
		if err == nil {
			c.Sender = who.Display
		}
	}
	return v.RenderStatus(w, status, "difficulty", c)
}

func (o *Office) difficulty(w http.ResponseWriter, r *http.Request, v *page.View) error {
	d, err := o.find(r, v)
	if err != nil {
		return err
	}
	return o.show(w, r, v, http.StatusOK, d, page.NewForm(url.Values{"difficulty_answer": {d.Answer}}), false)
}

// handle reads a form about a difficulty with read and does do, unless somebody
// else has done something with it since the page was made: then the page is
// shown again with what was typed.
func (o *Office) handle(w http.ResponseWriter, r *http.Request, v *page.View, read func(*page.Form) string, do func(d *register.Difficulty, value string) error, notice string) error {
	d, err := o.find(r, v)
	if err != nil {
		return err
	}
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	value := read(f)
	if !f.OK() {
		return o.show(w, r, v, http.StatusUnprocessableEntity, d, f, false)
	}
	err = qrgate.ErrConflict
	if f.Values.Get("seen") == seenOf(d) {
		err = do(d, value)
	}
	if errors.Is(err, qrgate.ErrConflict) {
		if d, err = o.find(r, v); err != nil {
			return err
		}
		return o.show(w, r, v, http.StatusConflict, d, f, true)
	}
	if err != nil {
		return err
	}
	return v.Go(w, "/vuong-mac/danh-sach", notice)
}

func (o *Office) answer(w http.ResponseWriter, r *http.Request, v *page.View) error {
	return o.handle(w, r, v, func(f *page.Form) string { return f.Lines("difficulty_answer", maxText, true) },
		func(d *register.Difficulty, text string) error {
			return o.reg.AnswerDifficulty(r.Context(), v.Who.Account.ID, d, text)
		}, "difficulty.answered")
}

func (o *Office) passOn(w http.ResponseWriter, r *http.Request, v *page.View) error {
	return o.handle(w, r, v, func(f *page.Form) string { return f.Choice("difficulty_sector", true, values(o.sectors(v.Lang))...) },
		func(d *register.Difficulty, sector string) error {
			return o.reg.PassDifficulty(r.Context(), v.Who.Account.ID, d, sector)
		}, "difficulty.passed")
}

func (o *Office) close(w http.ResponseWriter, r *http.Request, v *page.View) error {
	return o.handle(w, r, v, func(*page.Form) string { return "" },
		func(d *register.Difficulty, _ string) error {
			return o.reg.CloseDifficulty(r.Context(), v.Who.Account.ID, d)
		}, "difficulty.closed")
}
