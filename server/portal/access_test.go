package portal_test

import (
	"archive/zip"
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/fleet/configs"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/pass"
)

var update = flag.Bool("update", false, "write golden files")

// What a route says to somebody.
const (
	yes    = "yes"
	signIn = "sign in"
	second = "second factor"
	no     = "no"
)

// said returns which of them an answer is. Nothing but the frame sends people to
// sign in from a page that is not about signing in.
func said(a answer) string {
	to, _, _ := strings.Cut(a.to, "?")
	switch {
	case a.status == http.StatusSeeOther && to == "/dang-nhap":
		return signIn
	case a.status == http.StatusSeeOther && to == "/dang-nhap/xac-thuc":
		return second
	case a.status == http.StatusForbidden:
		return no
	}
	return yes
}

// should returns what follows from the table.
func should(allow page.Allow, role qrgate.Role, account, withSecond bool) string {
	roles, member, anybody := allow.Roles()
	switch {
	case anybody:
		return yes
	case !account:
		return signIn
	case member:
		return yes
	case !slices.Contains(roles, role):
		return no
	case role.SecondFactor() && !withSecond:
		return second
	}
	return yes
}

// split returns the method and the path of a route; one without a method takes
// every one.
func split(r page.Route) (method, path string) {
	method, path, ok := strings.Cut(r.Pattern, " ")
	if !ok {
		return http.MethodGet, method
	}
	return method, strings.TrimSuffix(path, "{$}")
}

// fill puts values into a route's path.
func fill(path string, values map[string]string) string {
	return regexp.MustCompile(`\{[a-z]+(\.\.\.)?\}`).ReplaceAllStringFunc(path, func(name string) string {
		return url.PathEscape(values[strings.Trim(name, "{.}")])
	})
}

// nowhere fills paths with what there is not, so that whom a route lets in is told
// that, and changes nothing.
var nowhere = map[string]string{
	"no": "4000000000", "id": "nothing", "file": "a4.pdf", "code": pass.PosterCode(4_000_000_000, 1), "name": "x", "provider": "x", "version": "999", "role": "x", "pass": "4000000000", "day": "2026-01-01",
	"kiosk": "nobody-gate-9", "serial": "4000000000", "layer": "place:4000000000",
}

// Every route as everybody: what the portal answers is what the table says, and
// what the table says is in the golden file, to be read by people.
func TestEveryRouteAsEveryRole(t *testing.T) {
	t.Parallel()
	c := newTown(t)
	people := []string{"stranger", "member"}
	for _, r := range qrgate.Roles() {
		people = append(people, string(r))
	}
	account := func(who string) string {
		if _, whole := c.people[who]; whole || who == "stranger" {
			return who
		}
		return who + " 0"
	}
	cells := make([][]string, len(people))
	var wait sync.WaitGroup
	for i, who := range people {
		cells[i] = make([]string, len(c.Routes))
		wait.Go(func() {
			var browsers [2]*browser
			for n, route := range c.Routes {
				method, path := split(route)
				ended := n > 0 && strings.HasPrefix(c.Routes[n-1].Pattern, "POST") // the form before may have ended a session
				var form url.Values
				if method == http.MethodPost {
					form = url.Values{"nothing": {"x"}}
				}
				var got [2]string
				for s := range got {
					if who == "stranger" && s > 0 {
						got[s] = got[0]
						continue
					}
					name := account(who)
					if who == "stranger" {
						name = ""
					}
					if browsers[s] == nil || method != http.MethodGet || ended {
						browsers[s] = c.as(name, s > 0)
					}
					a := browsers[s].ask(method, fill(path, nowhere), form)
					got[s] = said(a)
					if _, _, anybody := route.Allow.Roles(); got[s] == second && strings.HasPrefix(path, "/tai-khoan") || got[s] != no && anybody && strings.HasPrefix(path, "/dang-nhap") {
						got[s] = yes // it is about signing in, and leads there itself
					}
					if a.status >= 500 {
						t.Errorf("%s as %s = %d; the log says %s", route.Pattern, who, a.status, &c.log)
					}
					if want := should(route.Allow, qrgate.Role(who), who != "stranger", s > 0); got[s] != want {
						t.Errorf("%s as %s, second factor %v = %q (%d to %q), want %q", route.Pattern, who, s > 0, got[s], a.status, a.to, want)
					}
				}
				if cells[i][n] = got[1]; got[0] == second {
					cells[i][n] = second
				}
			}
		})
	}
	wait.Wait()
	var out bytes.Buffer
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "route\t"+strings.Join(people, "\t"))
	for n, route := range c.Routes {
		fmt.Fprint(w, route.Pattern)
		for i := range people {
			fmt.Fprint(w, "\t", cells[i][n])
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "access.golden.txt")
	if *update {
		if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("who may do what has changed; read it, then -update (-want +got):\n%s", diff)
	}
	// Nothing of all this may have changed who is who.
	for name, id := range c.people {
		if name == "member" {
			continue
		}
		if grants, err := c.reg.Grants(t.Context(), id); err != nil || len(grants) == 0 {
			t.Errorf("%s holds %v, %v after empty forms", name, grants, err)
		}
	}
}

// covering says whether somebody's scope holds what belongs to side n of the town.
func covering(who string, n int) bool {
	_, half, parted := strings.Cut(who, " ")
	return !parted || half == fmt.Sprint(n)
}

// Whoever may use a route, but not for this place, is told that there is no such
// place: of every route about one place, introduction, difficulty or sheet.
func TestOtherScopesDoNotExist(t *testing.T) {
	t.Parallel()
	c := newTown(t)
	public := []string{"/gt/{no}", "/anh/{id}", "/p/{code}", "/p/{code}/xong", "/p/{code}/gui", "/icon/{name}", "/huong-dan/{role}", "/ve/{pass}", "/ve/{pass}/ma.png", "/cap-nhat/{file...}"}
	gone := func(b *browser, method, path string, a answer) bool {
		for _, sheets := range []string{"/nhap-dia-diem/", "/tien-do/danh-sach/nhap/"} {
			if strings.HasPrefix(path, sheets) { // they do not last: one that was is as one that never was
				never := b.ask(method, sheets+"nothing", nil)
				return a.status == never.status && a.to == never.to
			}
		}
		return a.status == http.StatusNotFound
	}
	asked := 0
	for who := range c.people {
		role, _, _ := strings.Cut(who, " ")
		for n, s := range []*side{c.market, c.clinic} {
			if covering(who, n) {
				continue
			}
			b := c.as(who, true)
			for _, route := range c.Routes {
				method, path := split(route)
				if !strings.Contains(path, "{") || slices.Contains(public, path) || should(route.Allow, qrgate.Role(role), true, true) != yes {
					continue
				}
				values := map[string]string{"no": fmt.Sprint(s.place.No), "id": s.difficulty, "file": "a4.pdf", "version": "1", "provider": "x", "role": "x", "code": "x", "pass": fmt.Sprint(s.guest),
					"kiosk": s.kiosk, "layer": string(configs.Place(s.place.No)), "serial": "1"}
				switch {
				case strings.HasPrefix(path, "/nhap-dia-diem/"):
					values["id"] = s.upload
				case strings.Contains(path, "/anh/"):
					values["id"] = s.picture
				}
				for _, place := range []*qrgate.Place{s.place, s.gone} {
					if values["no"] = fmt.Sprint(place.No); strings.HasPrefix(path, "/su-kien/") {
						values["no"] = fmt.Sprint(s.event)
					}
					var form url.Values
					if method == http.MethodPost {
						form = url.Values{"version": {fmt.Sprint(place.Version)}, "organisation": {s.organisation}, "name": {"taken"}, "sure": {"1"}}
					}
					a := b.ask(method, fill(path, values), form)
					if asked++; !gone(b, method, path, a) {
						t.Errorf("%s %s as %s = %d to %q, want 404", method, fill(path, values), who, a.status, a.to)
					}
					if bytes.Contains(a.body, []byte(s.name)) {
						t.Errorf("%s %s as %s tells of %q", method, fill(path, values), who, s.name)
					}
				}
			}
		}
	}
	if asked < 200 {
		t.Errorf("only %d requests were made", asked)
	}
	for _, s := range []*side{c.market, c.clinic} {
		if p, err := c.reg.Place(t.Context(), s.place.No); err != nil || p.Version != s.place.Version {
			t.Errorf("the place of %s = %+v, %v: somebody changed it", s.name, p, err)
		}
	}
}

// contents returns what an answer says, also if it is a packed sheet, without
// what differs each time.
func contents(t *testing.T, a answer) string {
	t.Helper()
	text := string(a.body)
	if z, err := zip.NewReader(bytes.NewReader(a.body), int64(len(a.body))); err == nil {
		text = ""
		slices.SortFunc(z.File, func(a, b *zip.File) int { return strings.Compare(a.Name, b.Name) })
		for _, f := range z.File {
			if strings.HasPrefix(f.Name, "docProps/") {
				continue
			}
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			part, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			text += f.Name + "\n" + string(part) + "\n"
		}
	}
	return volatile.ReplaceAllString(text, "·")
}

// volatile is what differs between two answers that say the same: minutes, keys, when a
// PDF was made.
var volatile = regexp.MustCompile(`\d\d/\d\d/\d{4} \d\d:\d\d|\d{4}-\d\d-\d\dT[0-9:+.Z]+|\b\d\d:\d\d(:\d\d)?\b|\bD:\d{14}\b|[A-Za-z0-9_-]{20,}`)

// Lists, exports and counts of one scope say nothing of another, and not a letter
// changes in them when there is more of the other.
func TestOtherScopesAreNotCounted(t *testing.T) {
	t.Parallel()
	c := newTown(t)
	searches := []string{"", "?trang_thai=deleted&xep=newest", "?q=" + url.QueryEscape(c.market.name), "?q=" + url.QueryEscape(c.clinic.name), "?q=" + fmt.Sprint(c.clinic.place.No),
		"?to_chuc=" + c.clinic.organisation + "&to-chuc=" + c.clinic.organisation + "&ma=" + c.clinic.organisation, "?nganh=" + c.clinic.sector, "?khu=" + c.market.area}
	type page struct{ who, path string }
	look := func() map[page]string {
		all := map[page]string{}
		for who := range c.people {
			role, half, parted := strings.Cut(who, " ")
			if !parted && who != "member" {
				continue
			}
			b := c.as(who, true)
			for _, route := range c.Routes {
				method, path := split(route)
				if method != http.MethodGet || strings.Contains(path, "{") || should(route.Allow, qrgate.Role(role), true, true) != yes {
					continue
				}
				if _, _, anybody := route.Allow.Roles(); anybody && path != "/" || strings.HasPrefix(path, "/tai-khoan") {
					continue // the same for all, or about nobody else
				}
				asked := searches
				if !strings.HasPrefix(path, "/dia-diem") && !strings.HasPrefix(path, "/bao-cao") && !strings.HasPrefix(path, "/mau") {
					asked = searches[:1]
				}
				for _, search := range asked {
					a := b.ask(method, path+search, nil)
					text := contents(t, a)
					all[page{who, path + search}] = text
					for n, s := range []*side{c.market, c.clinic} {
						shown := strings.ReplaceAll(text, `value="`+s.name+`"`, "") // what was searched for
						if fmt.Sprint(n) != half && strings.Contains(shown, s.name) {
							t.Errorf("%s as %s tells of %q", path+search, who, s.name)
						}
					}
				}
			}
		}
		return all
	}
	before := look()
	// Whoever sees one side must not notice what is new on the other.
	for n, s := range []*side{c.clinic, c.market} {
		for i := range 3 {
			p := c.build(s, fmt.Sprintf("Nhà mới %d %s", i, s.name))
			owner := c.people[fmt.Sprint("owner ", 1-n)]
			c.must(c.reg.MakePosters(t.Context(), owner, &register.Poster{Place: p.No, Template: 1, Name: p.Name, Address: "Huế"}))
			d := register.Difficulty{Page: "/", Category: register.Categories()[0], Place: p.No, Text: "Không in được ở " + s.name}
			c.must(c.reg.AddDifficulty(t.Context(), &d, fmt.Append(nil, s.name, i)))
			in := register.Introduction{Place: p.No, About: "Chào mừng đến " + s.name}
			c.must(c.reg.SaveIntroduction(t.Context(), owner, &in))
			c.must(c.reg.ShowIntroduction(t.Context(), owner, p.No, true))
		}
		changed := 0
		after := look()
		for at, text := range after {
			if strings.HasSuffix(at.who, fmt.Sprint(" ", n)) || at.who == "member" {
				if diff := cmp.Diff(before[at], text); diff != "" {
					t.Errorf("%s as %s has changed by what is none of theirs:\n%.2000s", at.path, at.who, diff)
				}
			} else if before[at] != text {
				changed++
			}
		}
		if changed < 10 {
			t.Errorf("only %d pages show what is new in their own scope", changed)
		}
		before = after
	}
}

// Forms that name somebody else's organisation, places or people change nothing
// there, whatever their fields say.
func TestOtherScopesInForms(t *testing.T) {
	t.Parallel()
	c := newTown(t)
	mine, theirs := c.market, c.clinic
	place := url.Values{
		"place.name": {"Nhà lạ"}, "place.kind": {"market"}, "place.sector": {theirs.sector}, "place.commune": {"Phường Phú Xuân"}, "place.area": {mine.area},
		"place.person": {"A"}, "place.phone1": {"0905123456"}, "place.org": {theirs.organisation}, "version": {"1"},
	}
	with := func(pairs ...string) url.Values {
		form := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			form.Add(pairs[i], pairs[i+1])
		}
		return form
	}
	no := fmt.Sprint(theirs.place.No)
	tests := []struct {
		who, path string
		form      url.Values
	}{
		{"owner 0", "/dia-diem/moi", place},
		{"staff 0", "/dia-diem/moi", place},
		{"owner 0", "/dia-diem/in", with("loai", "a4", "place", no)},
		{"owner 0", "/dia-diem/in", with("loai", "a4", "place", no, "to-chuc", theirs.organisation)},
		{"owner 0", "/dia-diem/in", with("loai", "a4", "place", no, "place", fmt.Sprint(mine.place.No))},
		{"owner 0", "/to-chuc", with("ma", theirs.organisation, "do", "save", "org.name", "x", "org.sector", "trade", "org.phone", "0905123456")},
		{"owner 0", "/to-chuc", with("ma", theirs.organisation, "do", "invite", "org.role", "owner")},
		{"owner 0", "/to-chuc", with("ma", theirs.organisation, "do", "roles", "account", c.people["owner 0"], "role", "owner")},
		{"owner 0", "/to-chuc", with("ma", mine.organisation, "do", "roles", "account", c.people["owner 1"], "role", "owner")},
		{"owner 0", "/to-chuc", with("ma", mine.organisation, "do", "roles", "account", c.people["member"], "role", "staff")},
		{"owner 0", "/to-chuc", with("ma", mine.organisation, "do", "roles", "account", c.people["staff 0"], "role", "administrator")},
		{"owner 0", "/to-chuc", with("ma", theirs.organisation, "do", "transfer", "account", c.people["staff 1"], "sure", "1")},
		{"owner 0", "/to-chuc", with("ma", mine.organisation, "do", "transfer", "account", c.people["staff 1"], "sure", "1")},
		{"owner 0", "/to-chuc", with("ma", theirs.organisation, "do", "remove", "account", c.people["staff 1"], "sure", "1")},
		{"staff 0", "/to-chuc", with("ma", mine.organisation, "do", "roles", "account", c.people["staff 0"], "role", "owner")},
		{"staff 0", "/to-chuc/roi", with("ma", theirs.organisation, "sure", "1")},
		{"clerk 0", "/ho-tro/ma-mot-lan", with("account_name", "owner.1")},
		{"clerk 0", "/ho-tro/ma-mot-lan", with("account_name", "administrator")},
		{"clerk 0", "/ho-tro/ma-mot-lan", with("account_name", "area_officer.0")},
		{"area_officer 0", "/ho-tro/ma-mot-lan", with("account_name", "owner.1")},
		{"area_officer 0", "/ho-tro/ma-mot-lan", with("account_name", "administrator")},
		{"sector_officer 0", "/vuong-mac/" + theirs.difficulty + "/chuyen", with("sector", mine.sector)},
	}
	for _, tt := range tests {
		a := c.as(tt.who, true).ask(http.MethodPost, tt.path, tt.form)
		if a.status < 400 || a.status >= 500 {
			t.Errorf("POST %s %v as %s = %d to %q %.300s, want it refused", tt.path, tt.form, tt.who, a.status, a.to, contents(t, a))
		}
		if bytes.Contains(a.body, []byte(theirs.name)) {
			t.Errorf("POST %s %v as %s tells of %q", tt.path, tt.form, tt.who, theirs.name)
		}
	}
	for who, id := range c.people {
		grants, err := c.reg.Grants(t.Context(), id)
		want := 1
		if who == "member" {
			want = 0
		}
		if err != nil || len(grants) != want || want == 1 && !strings.HasPrefix(who, string(grants[0].Role)) {
			t.Errorf("%s holds %v, %v after others' forms", who, grants, err)
		}
	}
	o, err := c.reg.Organisation(t.Context(), theirs.organisation)
	if err != nil || o.Name != "Ban quản lý "+theirs.name {
		t.Errorf("the other organisation = %+v, %v", o, err)
	}
	if _, total, err := c.reg.Places(t.Context(), register.Query{Within: register.Within{All: true}, Size: 10}); err != nil || total != 2 {
		t.Errorf("%d places, %v, want the two that were there", total, err)
	}
	// The same form is taken within one's own scope.
	place.Set("place.org", mine.organisation)
	if a := c.as("owner 0", true).ask(http.MethodPost, "/dia-diem/moi", place); a.status != http.StatusSeeOther {
		t.Errorf("a place of one's own = %d %s", a.status, contents(t, a))
	}
}
