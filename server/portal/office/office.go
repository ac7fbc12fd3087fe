package office

import (
	"embed"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/signin"
	"github.com/qrgate/qrgate/server/store/register"
)

//go:embed pages
var pages embed.FS

// An Office is the pages.
type Office struct {
	f       *page.Frame
	reg     *register.Register
	reports *signin.Limiter
	shots   map[string]string // addresses of the guide's pictures by role and step
}

// Difficulties that one sender, and one network, may send: at once, and one more
// in each such time. Whole schools are one network.
var (
	reportsBySender  = signin.Rate{Burst: 5, Every: 2 * time.Minute}
	reportsByNetwork = signin.Rate{Burst: 60, Every: 10 * time.Second}
)

// New returns the pages over what reg holds.
func New(f *page.Frame, reg *register.Register) *Office {
	f.Add(pages, "pages/*.html")
	return &Office{
		f: f, reg: reg,
		reports: signin.NewLimiter(signin.LimitOptions{Account: reportsBySender, Network: reportsByNetwork}),
		shots:   addShots(f),
	}
}

// Routes returns the pages and what is sent from them.
func (o *Office) Routes() []page.Route {
	anybody, member := page.Anybody(), page.Member()
	desk := page.Only(deskRoles...)
	administrator := page.Only(qrgate.Administrator)
	audit := page.Only(append([]qrgate.Role{qrgate.Administrator}, auditRoles...)...)
	return []page.Route{
		{Pattern: "GET /{$}", Allow: anybody, Menu: "menu.home", Handler: o.home},

		{Pattern: "GET /vuong-mac", Allow: anybody, Handler: o.newReport},
		{Pattern: "POST /vuong-mac", Allow: anybody, Handler: o.report},
		{Pattern: "GET /vuong-mac/da-gui", Allow: anybody, Handler: o.reported},
		{Pattern: "GET /vuong-mac/tra-loi", Allow: anybody, Handler: o.reply},
		{Pattern: "GET /vuong-mac/cua-toi", Allow: member, Handler: o.mine},
		{Pattern: "GET /vuong-mac/danh-sach", Allow: desk, Menu: "menu.difficulties", Handler: o.difficulties},
		{Pattern: "GET /vuong-mac/{id}", Allow: desk, Handler: o.difficulty},
		{Pattern: "POST /vuong-mac/{id}/tra-loi", Allow: desk, Handler: o.answer},
		{Pattern: "POST /vuong-mac/{id}/chuyen", Allow: desk, Handler: o.passOn},
		{Pattern: "POST /vuong-mac/{id}/dong", Allow: desk, Handler: o.close},

		{Pattern: "GET /nguoi-dung", Allow: administrator, Menu: "menu.accounts", Handler: o.people},
		{Pattern: "GET /nguoi-dung/{id}", Allow: administrator, Handler: o.person},
		{Pattern: "GET /nguoi-dung/{id}/vai-tro", Allow: administrator, Handler: o.chooseRole},
		{Pattern: "POST /nguoi-dung/{id}/vai-tro", Allow: administrator, Handler: o.giveRole},
		{Pattern: "POST /nguoi-dung/{id}/thu-hoi", Allow: administrator, Handler: o.takeRole},
		{Pattern: "POST /nguoi-dung/{id}/khoa", Allow: administrator, Handler: o.block},
		{Pattern: "POST /nguoi-dung/{id}/mo-khoa", Allow: administrator, Handler: o.unblock},

		{Pattern: "GET /hiep-hoi", Allow: administrator, Menu: "menu.associations", Handler: o.associations},
		{Pattern: "GET /hiep-hoi/{id}", Allow: administrator, Handler: o.association},
		{Pattern: "POST /hiep-hoi/{id}", Allow: administrator, Handler: o.setMember},

		{Pattern: "GET /nhat-ky-he-thong", Allow: audit, Menu: "menu.audit", Handler: o.audit},
		{Pattern: "POST /nhat-ky-he-thong/tai-ve", Allow: audit, Handler: o.exportAudit},

		{Pattern: "GET /huong-dan", Allow: anybody, Menu: "menu.guide", Handler: o.guide},
		{Pattern: "GET /huong-dan/{role}", Allow: anybody, Handler: o.guideOf},
	}
}

// perPage is how many rows a page of a list has.
const perPage = 25

// A pager leads from one page of a list to the others.
type pager struct {
	Before, After string
	From, To, All int
}

// pageNo reads the number of a list's page, which people see from 1, from 0.
func pageNo(r *http.Request) int {
	n, err := strconv.Atoi(r.URL.Query().Get("trang"))
	if err != nil || n < 1 || n > 1_000_000 {
		return 0
	}
	return n - 1
}

// newPager returns the pager of the page that r asked for, which shows n of all.
func newPager(r *http.Request, n, all int) pager {
	no := pageNo(r)
	p := pager{From: min(no*perPage+1, all), To: no*perPage + n, All: all}
	to := func(no int) string {
		q := r.URL.Query()
		q.Set("trang", strconv.Itoa(no+1))
		return r.URL.Path + "?" + q.Encode()
	}
	if no > 0 {
		p.Before = to(min(no, (all+perPage-1)/perPage) - 1)
	}
	if p.To < all && n > 0 {
		p.After = to(no + 1)
	}
	if p.Before != "" && no*perPage >= all { // beyond the end
		p.From, p.To = 0, 0
	}
	return p
}

// An option is one of a list to choose from.
type option struct{ Value, Text string }

func (o *Office) sectors(lang text.Lang) (all []option) {
	for _, s := range qrgate.SectorsOn(o.f.Now()) {
		all = append(all, option{s.ID, page.SectorName(lang, s.ID)})
	}
	return all
}

// unitName returns what an area is called.
func unitName(lang text.Lang, u area.Unit) string {
	if lang == text.English && u.FullNameEN != "" {
		return u.FullNameEN
	}
	return u.Label()
}

// fields returns the values of a query for a form that shows them.
func fields(r *http.Request, names ...string) url.Values {
	v := url.Values{}
	for _, name := range names {
		v.Set(name, r.URL.Query().Get(name))
	}
	return v
}
