package config

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/qrgate/qrgate/server/fleet/configs"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	kept "github.com/qrgate/qrgate/server/store/configs"
)

// groupOf reads which group kiosks are to be in; 0 is none.
func groupOf(f *page.Form) (int64, error) {
	group, err := strconv.ParseInt(f.Values.Get("group"), 10, 64)
	if err != nil || group < 0 {
		return 0, fmt.Errorf("config: group: %w", qrgate.ErrInvalid)
	}
	return group, nil
}

// unfit returns the kiosks that what is said of a group does not suit.
func (p *Pages) unfit(ctx context.Context, v *page.View, group int64, kiosks []kept.Kiosk) ([]problem, error) {
	layer, said := configs.LayerID(""), configs.Settings(nil)
	if group != 0 {
		newest, err := p.Version(ctx, configs.Group(group), 0)
		if err != nil {
			return nil, err
		}
		layer, said = configs.Group(group), newest.Settings
	}
	var all []problem
	for _, k := range kiosks {
		k.Group = group
		if _, err := k.With(layer, said).Document(); err != nil && !errors.Is(err, configs.ErrUnsaid) {
			all = append(all, problem{k.ID, blame(v, err)})
		}
	}
	return all, nil
}

// joinMany puts the kiosks that are chosen on the page of all into a group, or every one
// that the page has found, if each of them can be in it.
func (p *Pages) joinMany(w http.ResponseWriter, r *http.Request, v *page.View, f *page.Form) error {
	group, err := groupOf(f)
	if err != nil {
		return err
	}
	d, err := p.homeOf(r, v, f.Values, f)
	if err != nil {
		return err
	}
	chosen := d.chosen
	if f.Values.Get("step") == "all" {
		chosen = d.every
	}
	kiosks, code := chosen(f)
	if f.OK() {
		if d.Problems, err = p.unfit(r.Context(), v, group, kiosks); err != nil {
			return err
		}
	}
	if !f.OK() || len(d.Problems) > 0 {
		return v.RenderStatus(w, code, "config_home", d)
	}
	var ids []string
	for _, k := range kiosks {
		ids = append(ids, k.ID)
	}
	if err := p.Join(r.Context(), group, ids, v.Who.Account.ID); err != nil {
		return err
	}
	done := "config.joined"
	if group == 0 {
		done = "config.left"
	}
	return v.Go(w, "/thiet-bi/cau-hinh", done, "n", page.Number(len(ids)))
}

// chosen returns the kiosks that are ticked, whatever the page finds by now, and the
// answer's code if they are not taken.
func (d *homePage) chosen(f *page.Form) ([]kept.Kiosk, int) {
	ticked := slices.Compact(slices.Sorted(slices.Values(f.Values["kiosk"])))
	var kiosks []kept.Kiosk
	for _, k := range d.all {
		if _, is := slices.BinarySearch(ticked, k.ID); is {
			kiosks = append(kiosks, k)
		}
	}
	switch {
	case len(ticked) == 0:
		f.Fail("kiosk", "config.join.none")
	case len(kiosks) < len(ticked):
		f.Fail("kiosk", "config.join.gone")
		return nil, http.StatusConflict
	}
	return kiosks, http.StatusUnprocessableEntity
}

// every is chosen for all that the page finds, which may be others by now than those that
// somebody saw: kiosks come, go, and take their settings.
func (d *homePage) every(f *page.Form) ([]kept.Kiosk, int) {
	if f.Values.Get("found") != strconv.Itoa(d.Found()) {
		f.Fail("kiosk", "config.join.changed", "n", page.Number(d.Found()))
		return nil, http.StatusConflict
	}
	var kiosks []kept.Kiosk
	for _, l := range d.found {
		kiosks = append(kiosks, l.Kiosk)
	}
	if len(kiosks) == 0 {
		f.Fail("kiosk", "config.join.none")
	}
	return kiosks, http.StatusUnprocessableEntity
}

// changeGroup renames a group, or removes it if every kiosk of it runs without what is
// said of it.
func (p *Pages) changeGroup(w http.ResponseWriter, r *http.Request, v *page.View) error {
	id, err := strconv.ParseInt(r.PathValue("no"), 10, 64)
	if err != nil || id <= 0 {
		return qrgate.ErrNotFound
	}
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	if f.Values.Get("step") == "remove" {
		return p.removeGroup(w, r, v, id)
	}
	name := f.Text("config_group", 60, true)
	if f.OK() {
		err := p.RenameGroup(r.Context(), id, name, v.Who.Account.ID)
		if err == nil {
			return v.Go(w, pathOf(configs.Group(id)), "config.group.renamed", "name", name)
		}
		if !errors.Is(err, qrgate.ErrConflict) {
			return err
		}
		f.Fail("config_group", "config.group.taken")
	}
	return p.showHome(w, r, v, http.StatusUnprocessableEntity, f)
}

func (p *Pages) removeGroup(w http.ResponseWriter, r *http.Request, v *page.View, id int64) error {
	kiosks, err := p.Kiosks(r.Context())
	if err != nil {
		return err
	}
	f := page.NewForm(nil)
	for _, k := range kiosks {
		if k.Group != id {
			continue
		}
		k.Group = 0
		if _, err := k.With("", nil).Document(); err != nil && !errors.Is(err, configs.ErrUnsaid) {
			f.Fail("config_group", "config.group.needed", "kiosk", k.ID)
			return p.showHome(w, r, v, http.StatusUnprocessableEntity, f)
		}
	}
	if err := p.RemoveGroup(r.Context(), id, v.Who.Account.ID); err != nil {
		return err
	}
	return v.Go(w, "/thiet-bi/cau-hinh", "config.group.removed")
}
