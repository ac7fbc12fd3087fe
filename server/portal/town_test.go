package portal_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/portal"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/signin"
	"github.com/qrgate/qrgate/server/store/events"
	"github.com/qrgate/qrgate/server/store/register"
)

// A side is one of two halves of a town that must not see each other: another
// organisation, another sector, another commune.
type side struct {
	name         string // what all that belongs to it is called, and nothing else
	sector, area string
	organisation string
	place, gone  *qrgate.Place // gone was deleted
	difficulty   string        // id of one that was reported about place
	upload       string        // id of a sheet of places that its owner has sent
	picture      string        // id of a picture of its introduction
	event        uint32        // at place
	guest        uint32        // whose pass it is
	kiosk        string        // at place
}

// A town is a whole portal with two sides and people in every role.
type town struct {
	*world
	market, clinic *side
	url            string
	door           *httptest.Server  // signs people in without asking
	people         map[string]string // ids of accounts, by name
	hash           string            // of password
}

// password is everybody's.
const password = "con trâu là đầu cơ nghiệp"

func newTown(t *testing.T) *town {
	t.Helper()
	w := newWorld(t, portal.Options{Base: "http://qr.example.vn", Controller: "Sở Y tế"})
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	c := &town{
		world: w, url: server.URL, people: map[string]string{},
		market: &side{name: "Bằng Lăng", sector: "trade", area: "19753@2025-07-01"},
		clinic: &side{name: "Phượng Vĩ", sector: "health", area: "19789@2025-07-01"},
	}
	var err error
	c.hash, err = signin.NewHasher(signin.HashOptions{Params: signin.Params{Time: 1, MemoryKiB: 64, Threads: 1}}).Hash(t.Context(), password)
	c.must(err)
	// Another frame over the same register has the same sessions.
	c.door = httptest.NewServer(page.New(page.Options{Register: w.reg, Log: slog.New(slog.DiscardHandler)}).Handler([]page.Route{
		{Pattern: "POST /{account}", Allow: page.Anybody(), Handler: func(rw http.ResponseWriter, r *http.Request, v *page.View) error {
			return v.SignIn(r, r.PathValue("account"), r.FormValue("second") != "", false)
		}},
	}))
	t.Cleanup(c.door.Close)
	for i, s := range []*side{c.market, c.clinic} {
		c.settle(i, s)
	}
	c.account("member")
	return c
}

// settle gives a side its organisation, places, and an account for each role that
// may be held there: "owner 0", "reporter 1". A role that is not held in parts is
// held by one account: "reporter".
func (c *town) settle(i int, s *side) {
	c.t.Helper()
	ctx := c.t.Context()
	c.account(fmt.Sprint("owner ", i))
	owner := c.people[fmt.Sprint("owner ", i)]
	o := register.Organisation{Name: "Ban quản lý " + s.name, Sector: s.sector, Phone: "+84905123456"}
	c.must(c.reg.AddOrganisation(ctx, owner, &o))
	s.organisation = o.ID
	s.place, s.gone = c.build(s, "Nhà "+s.name), c.build(s, "Kho cũ "+s.name)
	c.must(c.reg.DeletePlace(ctx, owner, s.gone.No, s.gone.Version))
	c.must(c.reg.MakePosters(ctx, owner, &register.Poster{Place: s.place.No, Template: 1, Name: s.place.Name, Address: "Huế"}))
	d := register.Difficulty{Page: "/", Category: register.Categories()[0], Place: s.place.No, Text: "Không in được ở " + s.name}
	c.must(c.reg.AddDifficulty(ctx, &d, []byte(s.name)))
	s.difficulty = d.ID
	in := register.Introduction{Place: s.place.No, About: "Chào mừng đến " + s.name}
	c.must(c.reg.SaveIntroduction(ctx, owner, &in))
	p := register.Picture{Place: s.place.No, Title: "Ảnh " + s.name, Width: 400, Height: 300, JPEG: grey(400, 300)}
	c.must(c.reg.AddPicture(ctx, owner, &p))
	s.picture = p.ID
	all := events.New(c.store, c.vault, time.Now)
	e := events.Event{
		Organisation: o.ID, Place: s.place.No, Name: "Hội " + s.name, Starts: time.Now().Add(time.Hour), Ends: time.Now().Add(2 * time.Hour),
		Categories: []events.Category{{No: 1, Kind: events.Delegate}},
	}
	c.must(all.Add(ctx, owner, &e))
	g := events.Guest{Category: 1, Details: events.Details{Name: "Khách của " + s.name, Phone: "+84905123456"}}
	c.must(all.Invite(ctx, owner, e.No, []*events.Guest{&g}))
	s.event, s.guest = e.No, g.Number
	s.kiosk = fmt.Sprintf("gate-of-side-%d", i)
	public, _, err := ed25519.GenerateKey(nil)
	c.must(err)
	c.must(c.store.AddKiosk(ctx, qrgate.Kiosk{ID: s.kiosk, Place: s.place.Name, PlaceNo: s.place.No, Public: public, State: qrgate.KioskActive, Added: time.Now()}))
	s.upload, err = c.reg.AddUpload(ctx, owner, s.name+".xlsx", []byte(`{"Organisation":"`+s.organisation+`"}`))
	c.must(err)
	for _, r := range qrgate.Roles() {
		if r == qrgate.Owner {
			continue
		}
		for _, scope := range []qrgate.Scope{{Kind: qrgate.InOrganisation, ID: s.organisation}, {Kind: qrgate.InSector, ID: s.sector}, {Kind: qrgate.InArea, ID: s.area}, qrgate.All} {
			g := qrgate.Grant{Role: r, Scope: scope}
			name := fmt.Sprint(r, " ", i)
			if scope == qrgate.All {
				name = string(r)
			}
			if _, has := c.people[name]; !has && g.Check() == nil {
				c.account(name, g)
				break
			}
		}
	}
}

// grey returns a picture of nothing.
func grey(width, height int) []byte {
	var out bytes.Buffer
	jpeg.Encode(&out, image.NewGray(image.Rect(0, 0, width, height)), nil) // into memory
	return out.Bytes()
}

func (c *town) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// named returns another made-up name each time.
func (c *town) named() string {
	n := len(c.people)
	family := []string{"Nguyễn Thị", "Trần Văn", "Lê Thị", "Phạm Văn", "Hồ Thị", "Đặng Văn", "Tôn Nữ"}
	given := []string{"Hoa", "Bình", "Cúc", "Dũng", "Hạnh", "Khôi", "Lan", "Minh", "Nga", "Phúc", "Quỳnh"}
	return family[n%len(family)] + " " + given[n%len(given)]
}

func (c *town) account(name string, grants ...qrgate.Grant) {
	c.t.Helper()
	a := register.Account{Name: strings.ReplaceAll(name, " ", "."), Display: c.named(), Password: c.hash}
	c.must(c.reg.AddAccount(c.t.Context(), "", &a, grants...))
	c.people[name] = a.ID
}

func (c *town) build(s *side, name string) *qrgate.Place {
	c.t.Helper()
	p := &qrgate.Place{
		Organisation: s.organisation, Name: name, Sector: s.sector, Kind: "market", Area: s.area, AreaNow: s.area, Street: "2 Trần Hưng Đạo",
		Person: "Người của " + s.name, Phones: []string{"+84905123456"}, Email: "a@example.vn", Doors: 1,
		Hours: []qrgate.Hours{{Days: qrgate.EveryDay, Open: 300, Close: 1140}},
	}
	c.must(c.reg.AddPlace(c.t.Context(), "", p))
	return p
}

// A browser is somebody's. It follows nothing by itself.
type browser struct {
	*town
	http.Client
}

// as returns a browser in which an account has signed in; nobody for "".
func (c *town) as(account string, second bool) *browser {
	c.t.Helper()
	jar, err := cookiejar.New(nil)
	c.must(err)
	b := &browser{c, http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if account == "" {
		return b
	}
	form := url.Values{}
	if second {
		form.Set("second", "1")
	}
	r, err := b.PostForm(c.door.URL+"/"+c.people[account], form)
	c.must(err)
	r.Body.Close()
	at, err := url.Parse(c.url)
	c.must(err)
	jar.SetCookies(at, r.Cookies())
	return b
}

// An answer is what a browser got.
type answer struct {
	status int
	to     string
	header http.Header
	body   []byte
}

// ask sends a request with a form, which may be nil, and reads the answer. A
// stream never ends: its beginning is enough.
func (b *browser) ask(method, path string, form url.Values) answer {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, strings.NewReader(form.Encode()))
	b.must(err)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return b.send(r)
}

func (b *browser) send(r *http.Request) answer {
	b.t.Helper()
	resp, err := b.Do(r)
	b.must(err)
	defer resp.Body.Close()
	var body bytes.Buffer
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		_, err = io.Copy(&body, resp.Body)
		b.must(err)
	}
	return answer{resp.StatusCode, strings.TrimPrefix(resp.Header.Get("Location"), b.url), resp.Header, body.Bytes()}
}
