package place

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
)

// A formPage is the form of a place.
type formPage struct {
	Place         *qrgate.Place // as it is stored; nil of a new one
	Organisation  string        // name of who keeps it
	Form          *page.Form
	Organisations []register.Organisation // to choose from, if the place is new
	Kinds         []option
	Sectors       []option
	Communes      []string     // of today
	Found         []area.Match // communes to choose from
	Map           mapView
	Lines         []hoursLine
	Warnings      []warning
	Stored        []stored          // what somebody else has changed meanwhile
	Helped        []register.Behalf // who changed it that is not of the organisation
	Behalf        bool              // the viewer is not of the organisation
	Deletes       bool
	Attribution   string
}

// An hoursLine is one line of opening hours.
type hoursLine struct {
	No     int
	Name   string // what the names of its fields begin with
	Days   []dayBox
	Filled bool
}

type dayBox struct {
	Value string
	Text  string
	On    bool
}

// A stored is a field whose stored value is not what was typed.
type stored struct{ Field, Value string }

// Action returns where the form is sent.
func (p formPage) Action() string {
	if p.Place == nil {
		return "/dia-diem/moi"
	}
	return fmt.Sprintf("/dia-diem/%d", p.Place.No)
}

// Warned returns the warnings in one word, by which the form says that they were
// seen.
func (p formPage) Warned() string { return warned(p.Warnings) }

func warned(all []warning) string {
	var keys []string
	for _, w := range all {
		keys = append(keys, w.Key+fmt.Sprint(w.Args...))
	}
	return strings.Join(keys, "|")
}

// fill adds to the page what every form of a place shows.
func (s *Pages) fill(v *page.View, p *formPage) {
	p.Kinds, p.Sectors = kinds(v.Lang), s.sectors(v.Lang)
	if sector, err := qrgate.SectorNow(p.Form.Values.Get("place.sector"), s.f.Now()); err == nil {
		p.Form.Values.Set("place.sector", sector.ID)
	}
	for _, u := range area.Current() {
		p.Communes = append(p.Communes, u.FullName)
	}
	p.Map = mapOf(p.Form)
	p.Attribution = inLang(v.Lang, area.Attribution, area.AttributionEN)
	for i := range maxHours {
		line := hoursLine{No: i + 1, Name: fmt.Sprintf("place.hours%d", i+1)}
		for n, day := range week {
			text := dayNames[n]
			if v.Lang == "en" {
				text = day.String()[:3]
			}
			value := strconv.Itoa(int(day))
			on := slices.Contains(p.Form.Values[line.Name+".days"], value)
			line.Days = append(line.Days, dayBox{value, text, on})
			line.Filled = line.Filled || on
		}
		for _, what := range []string{".from", ".to", ".all"} {
			line.Filled = line.Filled || p.Form.Values.Get(line.Name+what) != ""
		}
		p.Lines = append(p.Lines, line)
	}
}

func (s *Pages) newForm(w http.ResponseWriter, r *http.Request, v *page.View) error {
	all, err := s.mine(r, v, keepers...)
	if err != nil {
		return err
	}
	p := formPage{Organisations: all, Form: page.NewForm(url.Values{"place.doors": {"1"}})}
	if len(all) == 1 {
		p.Form.Values.Set("place.org", all[0].ID)
	}
	s.fill(v, &p)
	return v.Render(w, "place_form", p)
}

func (s *Pages) add(w http.ResponseWriter, r *http.Request, v *page.View) error {
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	shown := formPage{Form: form}
	if shown.Organisations, err = s.mine(r, v, keepers...); err != nil {
		return err
	}
	if again, err := s.step(w, v, &shown); again {
		return err
	}
	p := qrgate.Place{}
	var ids []string
	for _, o := range shown.Organisations {
		ids = append(ids, o.ID)
	}
	p.Organisation = form.Choice("place.org", true, ids...)
	shown.Found = readPlace(form, &p, s.f.Now())
	if again, err := s.doubts(w, r, v, &shown, &p); again {
		return err
	}
	if err := s.reg.AddPlace(r.Context(), v.Who.Account.ID, &p); err != nil {
		return err
	}
	return v.Go(w, fmt.Sprintf("/dia-diem/%d/in", p.No), "place.added", "name", p.Name)
}

// show shows a place: its form to who may change it.
func (s *Pages) show(w http.ResponseWriter, r *http.Request, v *page.View) error {
	p, err := s.place(r, v)
	if err != nil {
		return err
	}
	if !p.Deleted.IsZero() || !v.May(p, editors...) {
		return s.details(w, r, v, p)
	}
	shown := formPage{Form: formOf(p)}
	if err := s.describe(r, v, &shown, p); err != nil {
		return err
	}
	s.fill(v, &shown)
	return v.Render(w, "place_form", shown)
}

// describe adds to the page what is known of a place beside what its form says.
func (s *Pages) describe(r *http.Request, v *page.View, shown *formPage, p *qrgate.Place) error {
	o, err := s.reg.Organisation(r.Context(), p.Organisation)
	if err != nil {
		return err
	}
	shown.Place, shown.Organisation = p, o.Name
	shown.Deletes, shown.Behalf = v.May(p, keepers...), !v.May(p, keepers...)
	shown.Helped, err = s.reg.OnBehalf(r.Context(), p.No, 3)
	return err
}

func (s *Pages) save(w http.ResponseWriter, r *http.Request, v *page.View) error {
	p, err := s.place(r, v)
	if err != nil {
		return err
	}
	if !v.May(p, editors...) {
		return qrgate.ErrForbidden
	}
	if !p.Deleted.IsZero() {
		return qrgate.ErrConflict
	}
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	shown := formPage{Form: form}
	if err := s.describe(r, v, &shown, p); err != nil {
		return err
	}
	if again, err := s.step(w, v, &shown); again {
		return err
	}
	now := *p
	now.Version = form.Int("version", 1, 1<<30)
	shown.Found = readPlace(form, &now, s.f.Now())
	if again, err := s.doubts(w, r, v, &shown, &now); again {
		return err
	}
	err = s.reg.SavePlace(r.Context(), v.Who.Account.ID, &now, s.behalf(v, p))
	if errors.Is(err, qrgate.ErrConflict) {
		return s.conflict(w, r, v, &shown)
	}
	if err != nil {
		return err
	}
	return v.Go(w, "/dia-diem", "place.saved", "name", now.Name)
}

// behalf returns as what the viewer changes a place of another organisation.
func (s *Pages) behalf(v *page.View, p *qrgate.Place) qrgate.Role {
	if v.May(p, keepers...) {
		return ""
	}
	for _, role := range helpers {
		if v.May(p, role) {
			return role
		}
	}
	return ""
}

// step answers a form that was not sent to be saved: the map was hit, or a
// commune is looked for.
func (s *Pages) step(w http.ResponseWriter, v *page.View, shown *formPage) (again bool, err error) {
	form := shown.Form
	at, pressed, ok := hit(form)
	switch {
	case ok:
		setPoint(form.Values, &at)
		if u, ok := area.At(at.Lat, at.Lon); ok && form.Values.Get("place.commune") == "" {
			form.Values.Set("place.area", u.ID.String())
			form.Values.Set("place.commune", u.Label())
		}
		s.warnOfPoint(v, shown, &at)
	case pressed:
		form.Fail("place.lat", "place.map.keys")
	case form.Values.Get("do") == "find":
		shown.Found = readCommune(form, &qrgate.Place{})
	default:
		return false, nil
	}
	s.fill(v, shown)
	return true, v.Render(w, "place_form", *shown)
}

// warnOfPoint warns of a point that lies outside the commune that is named.
func (s *Pages) warnOfPoint(v *page.View, shown *formPage, at *qrgate.Point) {
	named := communeNow(shown.Form)
	if at == nil || named == "" {
		return
	}
	lies, metres, ok := area.Nearest(at.Lat, at.Lon)
	switch {
	case !ok || metres > 5000:
		shown.Warnings = append(shown.Warnings, warning{"place.warn.far", nil})
	case lies.ID.String() != named:
		shown.Warnings = append(shown.Warnings, warning{"place.warn.commune", []any{"lies", page.AreaName(v.Lang, lies.ID.String()), "named", page.AreaName(v.Lang, named)}})
	}
}

// doubts shows the form again if something in it is wrong, or may be: what may
// be right passes the second time.
func (s *Pages) doubts(w http.ResponseWriter, r *http.Request, v *page.View, shown *formPage, p *qrgate.Place) (again bool, err error) {
	if shown.Form.OK() {
		s.warnOfPoint(v, shown, p.At)
		same, err := s.reg.SameName(r.Context(), p)
		if err != nil {
			return true, err
		}
		if same != 0 {
			shown.Warnings = append(shown.Warnings, warning{"place.warn.same", []any{"no", same}})
		}
		if warned(shown.Warnings) == shown.Form.Values.Get("warned") || len(shown.Warnings) == 0 {
			return false, nil
		}
	}
	s.fill(v, shown)
	return true, v.RenderStatus(w, http.StatusUnprocessableEntity, "place_form", *shown)
}

// conflict shows what was typed beside what somebody else has stored meanwhile.
// Sent again, it replaces that.
func (s *Pages) conflict(w http.ResponseWriter, r *http.Request, v *page.View, shown *formPage) error {
	p, err := s.reg.Place(r.Context(), shown.Place.No)
	if err != nil {
		return err
	}
	if !p.Deleted.IsZero() {
		return qrgate.ErrConflict
	}
	shown.Place = p
	theirs := formOf(p)
	for _, field := range []string{
		"place.name", "place.kind", "place.sector", "place.commune", "place.street", "place.lat", "place.lon", "place.person",
		"place.phone1", "place.phone2", "place.phone3", "place.email", "place.capacity", "place.doors",
	} {
		value := theirs.Values.Get(field)
		if value == strings.TrimSpace(shown.Form.Values.Get(field)) {
			continue
		}
		switch field {
		case "place.kind":
			value = kindName(v.Lang, value)
		case "place.sector":
			value = page.SectorName(v.Lang, value)
		}
		shown.Stored = append(shown.Stored, stored{field, value})
	}
	shown.Form.Values.Set("version", strconv.Itoa(p.Version))
	s.fill(v, shown)
	return v.RenderStatus(w, http.StatusConflict, "place_form", *shown)
}

// A detailsPage is a place as somebody sees it who does not change it.
type detailsPage struct {
	Place        *qrgate.Place
	Organisation string
	Kind, Sector string
	Address      string
	Hours        string
	Phones       []string // as they are shown
	Calls        bool     // the viewer sees whom to call
	Undo         bool     // the viewer may take it back
	Until        time.Time
}

func (s *Pages) details(w http.ResponseWriter, r *http.Request, v *page.View, p *qrgate.Place) error {
	o, err := s.reg.Organisation(r.Context(), p.Organisation)
	if err != nil {
		return err
	}
	shown := detailsPage{
		Place: p, Organisation: o.Name, Kind: kindName(v.Lang, p.Kind), Sector: page.SectorName(v.Lang, p.Sector), Address: page.Address(p),
		Hours: writeHours(v.Lang, p.Hours), Calls: v.May(p, callers...), Undo: s.undoable(v, p), Until: p.Deleted.Add(qrgate.UndoFor),
	}
	for _, phone := range p.Phones {
		shown.Phones = append(shown.Phones, page.ShowPhone(phone))
	}
	if !shown.Calls {
		seen := *p
		seen.Person, seen.Phones, seen.Email = "", nil, ""
		shown.Place, shown.Phones = &seen, nil
	}
	return v.Render(w, "place_details", shown)
}

// undoable reports whether the viewer may take a deleted place back.
func (s *Pages) undoable(v *page.View, p *qrgate.Place) bool {
	return !p.Deleted.IsZero() && v.May(p, keepers...) && s.f.Now().Before(p.Deleted.Add(qrgate.UndoFor))
}

// kept returns the place of the request's path if the viewer keeps it.
func (s *Pages) kept(r *http.Request, v *page.View) (*qrgate.Place, error) {
	p, err := s.place(r, v)
	if err == nil && !v.May(p, keepers...) {
		err = qrgate.ErrForbidden
	}
	return p, err
}

func (s *Pages) askDelete(w http.ResponseWriter, r *http.Request, v *page.View) error {
	p, err := s.kept(r, v)
	if err != nil {
		return err
	}
	if !p.Deleted.IsZero() {
		return v.Go(w, fmt.Sprintf("/dia-diem/%d", p.No), "")
	}
	return v.Render(w, "place_delete", map[string]any{"Place": p, "Address": page.Address(p), "Until": s.f.Now().Add(qrgate.UndoFor)})
}

func (s *Pages) delete(w http.ResponseWriter, r *http.Request, v *page.View) error {
	p, err := s.kept(r, v)
	if err != nil {
		return err
	}
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	version := form.Int("version", 1, 1<<30)
	if !form.OK() {
		return qrgate.ErrInvalid
	}
	if p.Deleted.IsZero() { // an impatient second press is no conflict
		if err := s.reg.DeletePlace(r.Context(), v.Who.Account.ID, p.No, version); err != nil {
			return err
		}
	}
	return v.Go(w, fmt.Sprintf("/dia-diem/%d", p.No), "place.deleted", "name", p.Name)
}

func (s *Pages) undelete(w http.ResponseWriter, r *http.Request, v *page.View) error {
	p, err := s.kept(r, v)
	if err != nil {
		return err
	}
	if !p.Deleted.IsZero() {
		if err := s.reg.UndeletePlace(r.Context(), v.Who.Account.ID, p.No); err != nil {
			return err
		}
	}
	return v.Go(w, fmt.Sprintf("/dia-diem/%d", p.No), "place.undeleted", "name", p.Name)
}
