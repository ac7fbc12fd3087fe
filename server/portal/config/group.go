package config

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/qrgate/qrgate/server/fleet/configs"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
)

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
