// Package config has the pages on which kiosks are configured.
//
//	GET  /thiet-bi/cau-hinh               what is said of all, groups, places; how far each kiosk is
//	GET  /thiet-bi/cau-hinh/lop/{layer}   a layer: what it says, its versions
//	GET  /thiet-bi/{kiosk}/cau-hinh       a kiosk: what counts and who says it, its own layer
//
// The promise: nobody changes what they have not seen as a difference, nothing is
// saved that a kiosk which it reaches could not run with, and what was typed is still
// there when somebody else was faster or something is wrong.
//
// Operators and administrators say everything; the owner of a place says what harms
// nobody there: the help line, and how loud it is.
package config

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/qrgate/qrgate/server/fleet/configs"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	kept "github.com/qrgate/qrgate/server/store/configs"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/wire"
)

//go:embed pages
var files embed.FS

// Pages is the pages of configuration.
type Pages struct {
	f   *page.Frame
	reg *register.Register
	*kept.Configs
}

// New returns the pages of configuration in f.
func New(f *page.Frame, reg *register.Register, c *kept.Configs) *Pages {
	f.Add(files, "pages/*.html")
	return &Pages{f, reg, c}
}

var (
	keepers = []qrgate.Role{qrgate.Operator, qrgate.Administrator}
	owners  = []qrgate.Role{qrgate.Owner}
	lookers = []qrgate.Role{qrgate.Owner, qrgate.Staff}
)

// Routes returns the pages' rows of the table.
func (p *Pages) Routes() []page.Route {
	keep := page.Only(keepers...)
	with := page.Only(append(slices.Clone(keepers), lookers...)...)
	return []page.Route{
		{Pattern: "GET /thiet-bi/cau-hinh", Allow: keep, Menu: "menu.configs", Handler: p.home},
		{Pattern: "POST /thiet-bi/cau-hinh/nhom", Allow: keep, Handler: p.addGroup},
		{Pattern: "POST /thiet-bi/cau-hinh/nhom/{no}", Allow: keep, Handler: p.changeGroup},
		{Pattern: "GET /thiet-bi/cau-hinh/lop/{layer}", Allow: with, Handler: p.layer},
		{Pattern: "POST /thiet-bi/cau-hinh/lop/{layer}", Allow: with, Handler: p.change},
		{Pattern: "GET /thiet-bi/{kiosk}/cau-hinh", Allow: with, Handler: p.kiosk},
		{Pattern: "POST /thiet-bi/{kiosk}/cau-hinh", Allow: keep, Handler: p.change},
		{Pattern: "POST /thiet-bi/{kiosk}/cau-hinh/nhom", Allow: keep, Handler: p.join},
		{Pattern: "POST /thiet-bi/{kiosk}/cau-hinh/gui-lai", Allow: keep, Handler: p.again},
	}
}

// A subject is a layer as a page is about it.
type subject struct {
	ID    configs.LayerID
	Path  string // of its page
	Kind  string // all, group, place, kiosk
	Name  string // of the group, place or kiosk; "" of all
	Group int64
	Place *qrgate.Place // of a place's layer, and of a kiosk's if it stands at one that is registered
	Kiosk *kept.Kiosk

	May   func(configs.Setting) bool // whether the viewer may say a setting here
	Keeps bool                       // the viewer looks after kiosks
}

// Changes reports whether the viewer may say anything.
func (s subject) Changes() bool { return slices.ContainsFunc(configs.All(), s.May) }

const (
	slugAll   = "tat-ca"
	slugGroup = "nhom-"
	slugPlace = "dia-diem-"
)

func pathOf(id configs.LayerID) string {
	const under = "/thiet-bi/cau-hinh/lop/"
	if g, ok := id.Group(); ok {
		return under + slugGroup + strconv.FormatInt(g, 10)
	}
	if no, ok := id.Place(); ok {
		return under + slugPlace + strconv.FormatUint(uint64(no), 10)
	}
	if k, ok := id.Kiosk(); ok {
		return "/thiet-bi/" + k + "/cau-hinh"
	}
	return under + slugAll
}

// subject returns what a request is about, if the viewer may look at it.
func (p *Pages) subject(r *http.Request, v *page.View) (s subject, err error) {
	s.Keeps = len(v.Scopes(keepers...)) > 0
	if id := r.PathValue("kiosk"); id != "" {
		err = p.ofKiosk(r.Context(), v, id, &s)
	} else {
		err = p.ofLayer(r.Context(), v, r.PathValue("layer"), &s)
	}
	if err != nil {
		return s, err
	}
	s.Path = pathOf(s.ID)
	owns := s.Kind == "place" && v.May(s.Place, owners...)
	s.May = func(set configs.Setting) bool {
		return s.Keeps && (s.ID.OfOne() || !set.OfOne) || owns && set.Harmless
	}
	return s, nil
}

func (p *Pages) ofKiosk(ctx context.Context, v *page.View, id string, s *subject) error {
	if !wire.ValidKiosk(id) {
		return fmt.Errorf("config: kiosk: %w", qrgate.ErrNotFound)
	}
	k, err := p.Kiosk(ctx, id)
	if err != nil {
		return err
	}
	if k.PlaceNo != 0 {
		if s.Place, err = p.reg.Place(ctx, k.PlaceNo); err != nil && !errors.Is(err, qrgate.ErrNotFound) {
			return err
		}
	}
	if !s.Keeps && (s.Place == nil || !v.May(s.Place, lookers...)) {
		return fmt.Errorf("config: kiosk %q: %w", id, qrgate.ErrNotFound)
	}
	s.ID, s.Kind, s.Name, s.Kiosk, s.Group = configs.Kiosk(id), "kiosk", id, &k, k.Group
	return nil
}

func (p *Pages) ofLayer(ctx context.Context, v *page.View, slug string, s *subject) error {
	unknown := fmt.Errorf("config: layer: %w", qrgate.ErrNotFound)
	if no, ok := strings.CutPrefix(slug, slugPlace); ok {
		n, err := strconv.ParseUint(no, 10, 32)
		if err != nil {
			return unknown
		}
		place, err := p.reg.Place(ctx, uint32(n))
		if err != nil {
			return err
		}
		if !place.Deleted.IsZero() || !s.Keeps && !v.May(place, lookers...) {
			return unknown
		}
		s.ID, s.Kind, s.Name, s.Place = configs.Place(place.No), "place", place.Name, place
		return nil
	}
	if !s.Keeps {
		return unknown
	}
	if slug == slugAll {
		s.ID, s.Kind = configs.Everywhere, "all"
		return nil
	}
	groups, err := p.Groups(ctx)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if slug == slugGroup+strconv.FormatInt(g.ID, 10) {
			s.ID, s.Kind, s.Name, s.Group = configs.Group(g.ID), "group", g.Name, g.ID
			return nil
		}
	}
	return unknown
}

// reached returns the kiosks of which a layer is said.
func (p *Pages) reached(ctx context.Context, id configs.LayerID) ([]kept.Kiosk, error) {
	all, err := p.Kiosks(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(k kept.Kiosk) bool { return !k.Of(id) }), nil
}

// addGroup makes a group of kiosks.
func (p *Pages) addGroup(w http.ResponseWriter, r *http.Request, v *page.View) error {
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	if f.Values.Get("step") != "" {
		return p.joinMany(w, r, v, f)
	}
	name := f.Text("config_group", 60, true)
	if f.OK() {
		id, err := p.AddGroup(r.Context(), name, v.Who.Account.ID)
		switch {
		case err == nil:
			return v.Go(w, pathOf(configs.Group(id)), "config.group.added", "name", name)
		case !errors.Is(err, qrgate.ErrConflict):
			return err
		}
		f.Fail("config_group", "config.group.taken")
	}
	return p.showHome(w, r, v, http.StatusUnprocessableEntity, f)
}

// join puts a kiosk into a group.
func (p *Pages) join(w http.ResponseWriter, r *http.Request, v *page.View) error {
	s, err := p.subject(r, v)
	if err != nil {
		return err
	}
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	group, err := groupOf(f)
	if err != nil {
		return err
	}
	problems, err := p.unfit(r.Context(), v, group, []kept.Kiosk{*s.Kiosk})
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return p.showLayer(w, r, v, http.StatusUnprocessableEntity, s, shown{Problems: problems})
	}
	if err := p.Join(r.Context(), group, []string{s.Name}, v.Who.Account.ID); err != nil {
		return err
	}
	return v.Go(w, s.Path, "config.group.joined")
}

// again has a kiosk try once more what it has refused.
func (p *Pages) again(w http.ResponseWriter, r *http.Request, v *page.View) error {
	s, err := p.subject(r, v)
	if err != nil {
		return err
	}
	if err := p.Again(r.Context(), s.Name, v.Who.Account.ID); err != nil {
		return err
	}
	return v.Go(w, s.Path, "config.again.sent")
}

// A problem is a kiosk that could not run with a change, and why.
type problem struct{ Kiosk, Why string }

// blame says in words why a document cannot be made.
func blame(v *page.View, err error) string { return blamed(v, err.Error()) }

func blamed(v *page.View, err string) string {
	var why []string
	for _, set := range configs.Blamed(err) {
		why = append(why, v.T("config.wrong."+set.Key))
	}
	if len(why) == 0 {
		return v.T("config.wrong")
	}
	return strings.Join(why, " ")
}

// valuesOf reads what a form says of a layer; what cannot be read is noted in it.
// Settings that the viewer may not say stay as they are in before.
func valuesOf(f *page.Form, s subject, before configs.Settings) configs.Settings {
	said := configs.Settings{}
	for key, value := range before {
		said[key] = value
	}
	for _, set := range configs.All() {
		if !s.May(set) {
			continue
		}
		typed := strings.Join(f.Values[set.Key], ",")
		value, ok := set.Read(typed)
		if !ok {
			key, args := "config.wrong.value", []any(nil)
			if set.Kind == configs.Number || set.Kind == configs.Seconds {
				key, args = "wrong.number", []any{"least", strconv.Itoa(set.Least), "most", strconv.Itoa(set.Most)}
			} else if set.Kind == configs.Text {
				key, args = "config.wrong.text", []any{"most", strconv.Itoa(set.Most)}
			} else if set.Kind == configs.Hours {
				key = "config.wrong.hours"
			}
			f.Fail(set.Key, key, args...)
			continue
		}
		delete(said, set.Key)
		if value != "" {
			said[set.Key] = value
		}
	}
	return said
}

// formOf returns a form that shows what a layer says.
func formOf(said configs.Settings) *page.Form {
	values := url.Values{}
	for key, value := range said {
		if set, ok := configs.Of(key); ok && set.Kind == configs.Passes {
			values[key] = strings.Split(value, ",")
		} else {
			values.Set(key, value)
		}
	}
	return page.NewForm(values)
}
