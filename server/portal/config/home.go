package config

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/qrgate/qrgate/server/fleet/configs"
	"github.com/qrgate/qrgate/server/portal/page"
	kept "github.com/qrgate/qrgate/server/store/configs"
	"github.com/qrgate/qrgate/sync/wire"
)

// A line is one kiosk on the page of all.
type line struct {
	kept.Kiosk
	Path, GroupName, Gate string
	Status                configs.Status
	Fault                 wire.ConfigFault
	Problem               string // why what is said of it makes no document
}

// A placeLink is a place with kiosks.
type placeLink struct {
	Path, Name string
	Kiosks     int
}

type homePage struct {
	Form     *page.Form
	Groups   []kept.Group
	Places   []placeLink
	Kiosks   []line
	More     int // that are not shown
	Counts   map[configs.Status]int
	Only     configs.Status
	Statuses []configs.Status
	Search   string
	Problems []problem

	all   []kept.Kiosk
	found []line // Kiosks and those that are not shown
}

// mostKiosks is how many are listed; who looks for another one searches.
const mostKiosks = 200

func (p *Pages) home(w http.ResponseWriter, r *http.Request, v *page.View) error {
	return p.showHome(w, r, v, http.StatusOK, page.NewForm(nil))
}

func (p *Pages) showHome(w http.ResponseWriter, r *http.Request, v *page.View, code int, f *page.Form) error {
	d, err := p.homeOf(r, v, r.URL.Query(), f)
	if err != nil {
		return err
	}
	return v.RenderStatus(w, code, "config_home", d)
}

// homeOf returns the page of what was asked for.
func (p *Pages) homeOf(r *http.Request, v *page.View, asked url.Values, f *page.Form) (*homePage, error) {
	ctx := r.Context()
	kiosks, err := p.Kiosks(ctx)
	if err != nil {
		return nil, err
	}
	docs, err := p.Documents(ctx)
	if err != nil {
		return nil, err
	}
	states, err := p.States(ctx)
	if err != nil {
		return nil, err
	}
	generation, err := p.Generation(ctx)
	if err != nil {
		return nil, err
	}
	d := &homePage{Form: f, all: kiosks, Counts: map[configs.Status]int{}, Only: configs.Status(asked.Get("trang-thai")), Search: strings.ToValidUTF8(asked.Get("tim"), "")}
	d.Statuses = configs.Statuses()
	if d.Groups, err = p.Groups(ctx); err != nil {
		return nil, err
	}
	names, places := map[int64]string{}, map[uint32]int{}
	for _, g := range d.Groups {
		names[g.ID] = g.Name
	}
	for _, k := range kiosks {
		if k.PlaceNo != 0 {
			if i, known := places[k.PlaceNo]; known {
				d.Places[i].Kiosks++
			} else {
				places[k.PlaceNo] = len(d.Places)
				d.Places = append(d.Places, placeLink{pathOf(configs.Place(k.PlaceNo)), k.Place, 1})
			}
		}
		l := lineOf(v, k, docs[k.ID], states[k.ID], generation)
		l.GroupName = names[k.Group]
		d.Counts[l.Status]++
		if d.Only != "" && l.Status != d.Only || !strings.Contains(strings.ToLower(k.ID+" "+k.Place), strings.ToLower(d.Search)) {
			continue
		}
		d.found = append(d.found, l)
	}
	d.Kiosks = d.found[:min(len(d.found), mostKiosks)]
	d.More = len(d.found) - len(d.Kiosks)
	return d, nil
}

// ManyPlaces reports whether the list of places is longer than a screen.
func (d *homePage) ManyPlaces() bool { return len(d.Places) > 12 }

// Found is how many kiosks were asked for.
func (d *homePage) Found() int { return len(d.found) }

// Ticked reports whether a kiosk was chosen in the form that is shown again.
func (d *homePage) Ticked(kiosk string) bool { return slices.Contains(d.Form.Values["kiosk"], kiosk) }

// Into reports whether the form that is shown again was about a group.
func (d *homePage) Into(group int64) bool {
	return d.Form.Values.Get("group") == strconv.FormatInt(group, 10)
}

func lineOf(v *page.View, k kept.Kiosk, doc kept.Document, is kept.State, generation uint64) line {
	l := line{Kiosk: k, Path: pathOf(configs.Kiosk(k.ID))}
	l.Status = configs.StatusOf(wire.Stamp{Generation: generation, Version: doc.Version}, is.Config)
	if l.Status == configs.StatusRefused {
		l.Fault = is.Config.Fault
	}
	if _, err := k.Document(); err != nil && !errors.Is(err, configs.ErrUnsaid) {
		l.Problem = blame(v, err)
	}
	for _, value := range k.Values() {
		if value.Key == "door.gate" {
			l.Gate = value.Value
		}
	}
	return l
}
