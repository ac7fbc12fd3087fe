package fleet

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	judge "github.com/qrgate/qrgate/server/fleet"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
)

const (
	// endedShown is how many ended alarms the page lists.
	endedShown = 100
	// openShown bounds those that last.
	openShown = 500
	// maxAddress bounds an address of the web.
	maxAddress = 500
)

// A subscriptionRow is one of the viewer's own.
type subscriptionRow struct {
	ID, Scope, Way, Secret string
	Grave                  bool
}

// alarms shows what is wrong everywhere that the viewer may know of.
func (p *Pages) alarms(w http.ResponseWriter, r *http.Request, v *page.View) error {
	return p.showAlarms(w, r, v, http.StatusOK, page.NewForm(nil))
}

func (p *Pages) showAlarms(w http.ResponseWriter, r *http.Request, v *page.View, status int, form *page.Form) error {
	ctx := r.Context()
	s, err := p.board.get(ctx)
	if err != nil {
		return err
	}
	now := p.f.Now()
	open, err := p.Fleet.Open(ctx)
	if err != nil {
		return err
	}
	ended, err := p.Fleet.Ended(ctx, endedShown)
	if err != nil {
		return err
	}
	mutes, err := p.Fleet.Mutes(ctx, now)
	if err != nil {
		return err
	}
	keeps := len(v.Scopes(keepers...)) > 0
	mine := within(v.Places(lookers...))
	kiosks := make(map[int64]*judge.Kiosk, len(s.kiosks))
	for _, k := range s.kiosks {
		kiosks[k.No] = k
	}
	slices.SortFunc(open, func(a, b judge.Alarm) int {
		// What somebody has in hand comes last.
		if a.Acked.IsZero() != b.Acked.IsZero() {
			if a.Acked.IsZero() {
				return -1
			}
			return 1
		}
		return judge.Compare(a, b)
	})
	rows := func(alarms []judge.Alarm) (all []alarmRow, more int) {
		for i := range alarms {
			a := &alarms[i]
			k := kiosks[a.No]
			if a.No != 0 && (k == nil || !mine(&k.Place)) || a.No == 0 && !keeps {
				continue
			}
			if len(all) == openShown {
				more++
				continue
			}
			row := p.alarmRow(v.Lang, a, mutes, now, keeps)
			if k != nil {
				row.Place = k.Place.Name
			}
			all = append(all, row)
		}
		return all, more
	}
	d := map[string]any{"Form": form, "Keeper": keeps, "HasMail": p.Mail, "Posts": keeps && p.Secret != nil}
	d["Open"], d["More"] = rows(open)
	d["Ended"], _ = rows(ended)
	type muteRow struct{ Kiosk, Place, Kind, Until string }
	var muted []muteRow
	for _, m := range mutes {
		if k := kiosks[m.No]; k != nil && mine(&k.Place) {
			row := muteRow{m.Kiosk, k.Place.Name, v.T("fleet.mute.any"), clockText(m.Until)}
			if m.Kind != "" {
				row.Kind = v.T("fleet.alarm." + string(m.Kind))
			}
			muted = append(muted, row)
		}
	}
	d["Mutes"] = muted
	own, err := p.Fleet.SubscriptionsOf(ctx, v.Who.Account.ID)
	if err != nil {
		return err
	}
	var subs []subscriptionRow
	for _, sub := range own {
		row := subscriptionRow{ID: sub.ID, Scope: p.scopeName(v, sub.Scope), Way: v.T("fleet.way.mail"), Grave: sub.Grave}
		if sub.Address != "" {
			row.Way = hostOf(sub.Address)
			if p.Secret != nil {
				row.Secret = string(p.Secret(sub.ID))
			}
		}
		subs = append(subs, row)
	}
	d["Subscriptions"] = subs
	var scopes []option
	for _, scope := range v.Scopes(lookers...) {
		scopes = append(scopes, option{scope.String(), p.scopeName(v, scope)})
	}
	d["Scopes"] = scopes
	return v.RenderStatus(w, status, "fleet_alarms", d)
}

// hostOf returns what a page shows of an address: its path may be a secret.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "?"
	}
	return u.Host
}

func (p *Pages) scopeName(v *page.View, s qrgate.Scope) string {
	switch s.Kind {
	case qrgate.InSector:
		return page.SectorName(v.Lang, s.ID)
	case qrgate.InArea:
		return page.AreaName(v.Lang, s.ID)
	case qrgate.InOrganisation:
		return v.T("fleet.scope.organisation")
	}
	return v.T("fleet.scope.all")
}

// kindOf reads a kind of alarm that a kiosk may have.
func kindOf(s string) (judge.Kind, bool) {
	k := judge.Kind(s)
	return k, slices.Contains(judge.Kinds(), k)
}

// acknowledge notes that the viewer has an alarm in hand.
func (p *Pages) acknowledge(w http.ResponseWriter, r *http.Request, v *page.View) error {
	if _, err := page.ReadForm(r); err != nil {
		return err
	}
	back := page.Back(r, "/thiet-bi/canh-bao")
	if r.FormValue("kiosk") == "" && r.FormValue("loai") == string(judge.Outage) {
		if err := p.Fleet.Acknowledge(r.Context(), v.Who.Account.ID, nil, judge.Outage); err != nil {
			return err
		}
		return v.Go(w, back, "fleet.ack.done")
	}
	kind, ok := kindOf(r.FormValue("loai"))
	if !ok {
		return qrgate.ErrInvalid
	}
	k, keeps, err := p.find(r.Context(), v, r.FormValue("kiosk"))
	if err == nil && !keeps {
		err = qrgate.ErrForbidden
	}
	if err == nil {
		err = p.Fleet.Acknowledge(r.Context(), v.Who.Account.ID, k, kind)
	}
	if err != nil {
		return err
	}
	p.board.forget()
	return v.Go(w, back, "fleet.ack.done")
}

// mostHours bounds a mute: what is to be silent for longer is to be mended.
const mostHours = 24 * 30

// mute makes that nobody is told of a kiosk's alarms for some hours.
func (p *Pages) mute(w http.ResponseWriter, r *http.Request, v *page.View) error {
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	kind, ok := kindOf(r.FormValue("loai"))
	hours := f.Int("gio", 0, mostHours)
	if !ok && r.FormValue("loai") != "" || !f.OK() {
		return qrgate.ErrInvalid
	}
	if r.FormValue("loai") == "" {
		kind = ""
	}
	k, keeps, err := p.find(r.Context(), v, r.FormValue("kiosk"))
	if err == nil && !keeps {
		err = qrgate.ErrForbidden
	}
	if err == nil {
		err = p.Fleet.Mute(r.Context(), v.Who.Account.ID, k, kind, p.f.Now().Add(time.Duration(hours)*time.Hour))
	}
	if err != nil {
		return err
	}
	p.board.forget()
	notice := "fleet.mute.done"
	if hours == 0 {
		notice = "fleet.unmute.done"
	}
	return v.Go(w, page.Back(r, "/thiet-bi/canh-bao"), notice)
}

// subscribe makes that the viewer is told of alarms within one of their scopes.
func (p *Pages) subscribe(w http.ResponseWriter, r *http.Request, v *page.View) error {
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	var mine []string
	for _, s := range v.Scopes(lookers...) {
		mine = append(mine, s.String())
	}
	chosen := f.Choice("pham_vi", true, mine...)
	way := f.Choice("cach", true, "thu", "web")
	s := judge.Subscription{Account: v.Who.Account.ID, Grave: r.FormValue("nang") == "1"}
	switch way {
	case "thu":
		if !p.Mail || v.Who.Account.Email == "" || !v.Who.Account.Confirmed {
			f.Fail("cach", "fleet.wrong.mail")
		}
	case "web":
		if len(v.Scopes(keepers...)) == 0 || p.Secret == nil {
			return qrgate.ErrForbidden
		}
		s.Address = f.Text("dia_chi", maxAddress, true)
		if s.Address != "" && !webAddress(s.Address) {
			f.Fail("dia_chi", "fleet.wrong.address")
		}
	}
	if !f.OK() {
		return p.showAlarms(w, r, v, http.StatusUnprocessableEntity, f)
	}
	if s.Scope, err = qrgate.ParseScope(chosen); err != nil {
		return err
	}
	if err := p.Fleet.Subscribe(r.Context(), &s); err != nil {
		return err
	}
	return v.Go(w, "/thiet-bi/canh-bao#dang-ky", "fleet.subscribed")
}

// webAddress reports whether messages may be sent to an address: over TLS, or to this
// machine.
func webAddress(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || strings.ContainsAny(s, " \"<>") {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "127.0.0.1" || u.Hostname() == "localhost")
}

// unsubscribe ends one of the viewer's subscriptions.
func (p *Pages) unsubscribe(w http.ResponseWriter, r *http.Request, v *page.View) error {
	if _, err := page.ReadForm(r); err != nil {
		return err
	}
	id := r.FormValue("ma")
	if len(id) > 64 || strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		return qrgate.ErrNotFound
	}
	if err := p.Fleet.Unsubscribe(r.Context(), v.Who.Account.ID, id); err != nil {
		return err
	}
	return v.Go(w, "/thiet-bi/canh-bao#dang-ky", "fleet.unsubscribed")
}
