// Package release has the pages at which operators bring a version of the program to
// the kiosks, watch how far it is, and stop it; and the files that kiosks fetch.
//
//	GET  /thiet-bi/phien-ban       what is on its way, what was released, who runs what
//	GET  /thiet-bi/phien-ban/dua   the form for a roll-out
//	POST /thiet-bi/phien-ban/dua   begins it
//	POST /thiet-bi/phien-ban/dot   pauses, resumes, stops it, or goes on at once
//	GET  /cap-nhat/...             the repository: no sign-in, for what it holds is signed
//
// The promise: what the page says of a roll-out is what the server acts by, and a
// change that somebody else was quicker with is not made twice. What a release is and
// when it stops is package fleet/releases' matter.
package release

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/fleet/releases"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/configs"
	kept "github.com/qrgate/qrgate/server/store/releases"
	"github.com/qrgate/qrgate/sync/release"
	"github.com/qrgate/qrgate/sync/wire"
)

//go:embed pages
var files embed.FS

// Options are what the pages are about.
type Options struct {
	Site *releases.Site
	Kept *kept.Releases
	Wake func() // told when a roll-out has changed; nil is nobody

	// Groups are those of kiosks; nil is none.
	Groups func(ctx context.Context) ([]configs.Group, error)

	Log *slog.Logger
}

// Pages are the pages and the repository.
type Pages struct {
	o   Options
	now func() time.Time
}

// New returns the pages in f.
func New(f *page.Frame, o Options) *Pages {
	f.Add(files, "pages/*.html")
	if o.Groups == nil {
		o.Groups = func(context.Context) ([]configs.Group, error) { return nil, nil }
	}
	if o.Wake == nil {
		o.Wake = func() {}
	}
	return &Pages{o, f.Now}
}

const at = "/thiet-bi/phien-ban"

// Routes returns the pages' rows of the table.
func (p *Pages) Routes() []page.Route {
	only := page.Only(qrgate.Operator, qrgate.Administrator)
	return []page.Route{
		{Pattern: "GET " + at, Allow: only, Menu: "menu.releases", Handler: p.show},
		{Pattern: "GET " + at + "/dua", Allow: only, Handler: p.form},
		{Pattern: "POST " + at + "/dua", Allow: only, Handler: p.begin},
		{Pattern: "POST " + at + "/dot", Allow: only, Handler: p.change},
		{Pattern: "GET " + release.Path + "{file...}", Allow: page.Anybody(), Bare: true, Handler: p.file},
	}
}

// file serves the repository.
func (p *Pages) file(w http.ResponseWriter, r *http.Request, _ *page.View) error {
	err := p.o.Site.Serve(w, r, r.PathValue("file"))
	if errors.Is(err, fs.ErrNotExist) {
		return qrgate.ErrNotFound
	}
	return err
}

// A label says a state with a sign, words and a colour.
type label struct{ Sign, Key, Class string }

var stateLabels = map[releases.State]label{
	releases.Running: {"▶", "release.state.running", "good"},
	releases.Paused:  {"⏸", "release.state.paused", "warn"},
	releases.Stopped: {"■", "release.state.stopped", "bad"},
	releases.Done:    {"✓", "release.state.done", "good"},
}

// wheres are where kiosks can be, as the page lists them.
var wheres = []struct {
	where releases.Where
	name  string
	label label
}{
	{releases.Returned, "returned", label{"✕", "release.where.returned", "bad"}},
	{releases.Silent, "silent", label{"✕", "release.where.silent", "bad"}},
	{releases.Refused, "refused", label{"✕", "release.where.refused", "bad"}},
	{releases.Trying, "trying", label{"…", "release.where.trying", "warn"}},
	{releases.Loaded, "loaded", label{"…", "release.where.loaded", "off"}},
	{releases.Loading, "loading", label{"…", "release.where.loading", "off"}},
	{releases.Told, "told", label{"…", "release.where.told", "off"}},
	{releases.Has, "has", label{"✓", "release.where.has", "good"}},
	{releases.Later, "later", label{"–", "release.where.later", "off"}},
	{releases.Outside, "outside", label{"–", "release.where.outside", "off"}},
	{releases.Unable, "unable", label{"–", "release.where.unable", "off"}},
}

type stage struct {
	Share      int
	Here, Past bool
}

type count struct {
	label
	Name string
	N    int
	Here bool
}

// A rollout is one as the page shows it.
type rollout struct {
	releases.Rollout
	Label  label
	Shown  []stage
	Counts []count
	Has    int
	Of     int
	Reason string // key
	To     string // name of the group that it is for, "" for all
	Live   bool   // something can be done about it
	Next   bool
}

// Hours is how long a stage lasts at least.
func (r rollout) Hours() int { return int(r.Hold.Hours()) }

type row struct {
	releases.Kiosk
	Label   label
	Why     string // key
	Percent int
}

type line struct {
	kept.Published
	Running int
	Offer   bool
}

type pager struct {
	Before, After string
	From, To, All int
}

type data struct {
	Now      *rollout
	Past     []rollout
	Lines    []line
	Rows     []row
	Pager    pager
	Asked    string
	Wheres   []count
	Ends     time.Time // of the list
	EndsSoon bool
	None     bool
}

const (
	perPage = 50
	soon    = 30 * 24 * time.Hour
)

func (p *Pages) show(w http.ResponseWriter, r *http.Request, v *page.View) error {
	ctx := r.Context()
	now := p.now()
	listed, ends, err := p.o.Site.Releases()
	if err != nil {
		return err
	}
	published, err := p.o.Kept.Published(ctx)
	if err != nil {
		return err
	}
	rollouts, err := p.o.Kept.Rollouts(ctx)
	if err != nil {
		return err
	}
	kiosks, err := p.o.Kept.Kiosks(ctx)
	if err != nil {
		return err
	}
	d := data{Ends: ends, EndsSoon: !ends.IsZero() && ends.Sub(now) < soon, None: len(published) == 0, Asked: r.URL.Query().Get("xem")}
	arches := func(version string) []string {
		i := slices.IndexFunc(listed, func(l releases.Release) bool { return l.Version == version })
		if i < 0 {
			return nil
		}
		return listed[i].Arches
	}
	groups, err := p.o.Groups(ctx)
	if err != nil {
		return err
	}
	for i, one := range rollouts {
		shown := rolloutOf(one, one.Count(kiosks, arches(one.Version), now))
		if one.Group != 0 {
			shown.To = v.T("release.group.removed")
		}
		for _, g := range groups {
			if g.ID == one.Group {
				shown.To = g.Name
			}
		}
		if i == 0 {
			d.Now = &shown
			continue
		}
		d.Past = append(d.Past, shown)
	}
	d.Past = d.Past[:min(len(d.Past), 10)]
	for _, one := range published {
		l := line{Published: one, Offer: one.Withdrawn.IsZero() && !(d.Now != nil && d.Now.Version == one.Version && d.Now.Live)}
		for _, k := range kiosks {
			if k.Running == one.Version {
				l.Running++
			}
		}
		d.Lines = append(d.Lines, l)
	}
	d.rows(rollouts, kiosks, arches, now, r.URL.Query())
	return v.Render(w, "release", d)
}

func rolloutOf(r releases.Rollout, f releases.Figures) rollout {
	s := rollout{Rollout: r, Label: stateLabels[r.State], Has: f[releases.Has], Of: f.Of()}
	s.Live = r.State == releases.Running || r.State == releases.Paused || r.State == releases.Done
	s.Next = r.State == releases.Running && !r.Last()
	if r.State == releases.Stopped && slices.Contains([]string{releases.ByErrors, releases.ByPerson, releases.ByNewer}, r.Reason) {
		s.Reason = "release.stopped." + r.Reason
	}
	for i, share := range r.Stages {
		s.Shown = append(s.Shown, stage{share, i == r.Stage, i < r.Stage || r.State == releases.Done})
	}
	for _, w := range wheres {
		if n := f[w.where]; n > 0 {
			s.Counts = append(s.Counts, count{label: w.label, Name: w.name, N: n})
		}
	}
	return s
}

// rows fills in the list of kiosks, worst first, as far as it was asked for.
func (d *data) rows(rollouts []releases.Rollout, kiosks []releases.Kiosk, arches func(string) []string, now time.Time, q url.Values) {
	var newest releases.Rollout
	if len(rollouts) > 0 {
		newest = rollouts[0]
	}
	var found []row
	for _, w := range wheres {
		n := 0
		for _, k := range kiosks {
			if len(rollouts) > 0 && newest.Where(k, arches(newest.Version), now) != w.where || len(rollouts) == 0 && w.where != releases.Unable {
				continue
			}
			n++
			if d.Asked != "" && d.Asked != w.name {
				continue
			}
			one := row{Kiosk: k, Label: w.label}
			if w.where == releases.Returned || w.where == releases.Refused || w.where == releases.Loading {
				one.Why = whyKey(k.Reason)
			}
			if w.where == releases.Loading {
				one.Percent = k.Loaded
			}
			if len(rollouts) == 0 {
				one.Label = label{}
			}
			found = append(found, one)
		}
		if n > 0 && len(rollouts) > 0 {
			d.Wheres = append(d.Wheres, count{label: w.label, Name: w.name, N: n, Here: d.Asked == w.name})
		}
	}
	no, _ := strconv.Atoi(q.Get("trang"))
	no = min(max(no, 1), len(found)/perPage+1)
	from := min((no-1)*perPage, len(found))
	to := min(from+perPage, len(found))
	d.Rows = found[from:to]
	d.Pager = pager{From: from + 1, To: to, All: len(found)}
	address := func(n int) string {
		u := url.Values{"trang": {strconv.Itoa(n)}}
		if d.Asked != "" {
			u.Set("xem", d.Asked)
		}
		return at + "?" + u.Encode()
	}
	if from > 0 {
		d.Pager.Before = address(no - 1)
	}
	if to < len(found) {
		d.Pager.After = address(no + 1)
	}
}

// reasons are those that have a text.
var reasons = []release.Reason{
	release.Crashed, release.NoHealth, release.Damaged, release.Unsigned, release.Expired, release.Older, release.Unlisted,
	release.NoRoom, release.Unfit, release.Unreached, release.NoRoot,
}

func whyKey(r release.Reason) string {
	switch {
	case r == "":
		return ""
	case slices.Contains(reasons, r):
		return "release.why." + string(r)
	}
	return "release.why.other"
}

// paces are how a release may spread, by the name in the form.
var paces = []struct {
	name   string
	stages []int
}{
	{"can-than", []int{2, 10, 30, 100}},
	{"thuong", []int{10, 50, 100}},
	{"nhanh", []int{100}},
}

type offer struct {
	Version kept.Published
	Form    *page.Form
	Kiosks  int
	Under   bool // another one is on its way
	Groups  []configs.Group
}

// group returns the group that was chosen, 0 for all.
func (o offer) group(f *page.Form) int64 {
	chosen := f.Values.Get("nhom")
	if chosen == "" {
		return 0
	}
	for _, g := range o.Groups {
		if strconv.FormatInt(g.ID, 10) == chosen {
			return g.ID
		}
	}
	f.Fail("nhom", "release.wrong.group")
	return 0
}

// Paces returns the names of the paces.
func (offer) Paces() []string {
	var names []string
	for _, one := range paces {
		names = append(names, one.name)
	}
	return names
}

// offered returns what a form is about.
func (p *Pages) offered(r *http.Request, version string) (offer, error) {
	all, err := p.o.Kept.Published(r.Context())
	if err != nil {
		return offer{}, err
	}
	i := slices.IndexFunc(all, func(one kept.Published) bool { return one.Version == version && one.Withdrawn.IsZero() })
	if i < 0 {
		return offer{}, qrgate.ErrNotFound
	}
	d := offer{Version: all[i]}
	if d.Groups, err = p.o.Groups(r.Context()); err != nil {
		return d, err
	}
	kiosks, err := p.o.Kept.Kiosks(r.Context())
	if err != nil {
		return d, err
	}
	for _, k := range kiosks {
		if k.Launcher != "" && slices.Contains(d.Version.Arches, k.Arch) && release.Compare(k.Running, version) < 0 {
			d.Kiosks++
		}
	}
	rollouts, err := p.o.Kept.Rollouts(r.Context())
	d.Under = slices.ContainsFunc(rollouts, func(o releases.Rollout) bool { return o.State == releases.Running || o.State == releases.Paused })
	return d, err
}

func (p *Pages) form(w http.ResponseWriter, r *http.Request, v *page.View) error {
	d, err := p.offered(r, r.URL.Query().Get("ban"))
	if err != nil {
		return err
	}
	d.Form = page.NewForm(url.Values{"nhip": {"can-than"}, "cho": {"24"}, "loi": {"5"}})
	return v.Render(w, "offer", d)
}

func (p *Pages) begin(w http.ResponseWriter, r *http.Request, v *page.View) error {
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	d, err := p.offered(r, f.Values.Get("ban"))
	if err != nil {
		return err
	}
	d.Form = f
	names := d.Paces()
	pace := f.Choice("nhip", true, names...)
	hours, share := f.Int("cho", 0, 720), f.Int("loi", 1, 100)
	pilots, group := pilotsOf(f), d.group(f)
	if !f.OK() {
		return v.RenderStatus(w, http.StatusUnprocessableEntity, "offer", d)
	}
	stages := paces[slices.Index(names, pace)].stages
	if len(pilots) > 0 {
		stages = append([]int{0}, stages...)
	}
	_, err = p.o.Kept.Begin(r.Context(), v.Who.Account.ID, releases.Rollout{
		Version: d.Version.Version, Stages: stages, Pilots: pilots, Group: group, Hold: time.Duration(hours) * time.Hour, Errors: share, AtOnce: f.Values.Get("ngay") == "1",
	})
	if err != nil {
		return err
	}
	p.o.Wake()
	p.o.Log.Info("roll-out begun", "version", d.Version.Version)
	return v.Go(w, at, "release.begun", "version", d.Version.Version)
}

// pilotsOf reads which kiosks are to have it first.
func pilotsOf(f *page.Form) []string {
	all := strings.Fields(strings.ReplaceAll(f.Lines("truoc", 4000, false), ",", " "))
	slices.Sort(all)
	all = slices.Compact(all)
	if len(all) > kept.MaxPilots {
		f.Fail("truoc", "release.wrong.pilots", "most", kept.MaxPilots)
		return nil
	}
	for _, id := range all {
		if !wire.ValidKiosk(id) {
			f.Fail("truoc", "release.wrong.pilot", "kiosk", id)
			return nil
		}
	}
	return all
}

// changes are what can be done about a roll-out, and the notice of it.
var changes = map[string]releases.State{"tam-dung": releases.Paused, "tiep-tuc": releases.Running, "dung-han": releases.Stopped}

func (p *Pages) change(w http.ResponseWriter, r *http.Request, v *page.View) error {
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	no, errNo := strconv.ParseInt(f.Values.Get("dot"), 10, 64)
	edition, errEdition := strconv.ParseInt(f.Values.Get("lan"), 10, 64)
	if errNo != nil || errEdition != nil {
		return qrgate.ErrInvalid
	}
	all, err := p.o.Kept.Rollouts(r.Context())
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(o releases.Rollout) bool { return o.No == no })
	if i < 0 {
		return qrgate.ErrNotFound
	}
	seen := all[i]
	if seen.Edition != edition {
		return qrgate.ErrConflict // it is not any more what was seen
	}
	what := f.Values.Get("viec")
	if what == "dot-sau" {
		err = p.o.Kept.Ahead(r.Context(), v.Who.Account.ID, seen)
	} else if to, ok := changes[what]; ok {
		err = p.o.Kept.Change(r.Context(), v.Who.Account.ID, seen, to)
	} else {
		err = qrgate.ErrInvalid
	}
	if err != nil {
		return err
	}
	p.o.Wake()
	p.o.Log.Info("roll-out changed", "version", seen.Version, "what", what)
	return v.Go(w, at, "release.did."+what, "version", seen.Version)
}
