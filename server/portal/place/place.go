package place

import (
	"embed"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
)

//go:embed pages assets
var files embed.FS

// Pages are the pages.
type Pages struct {
	f   *page.Frame
	reg *register.Register
	// A small sheet may ask for much memory, and so do twenty thousand rows.
	sheets *page.Turns
}

// New adds the pages' templates and files to the frame.
func New(f *page.Frame, reg *register.Register) *Pages {
	f.Add(files, "pages/*.html")
	f.Assets().Add(files, "assets")
	return &Pages{f, reg, page.NewTurns(1, 15*time.Second)}
}

// Who may do what with places. Within which scope each role is held decides
// about which.
var (
	// seers may know of places and how they stand.
	seers = []qrgate.Role{
		qrgate.Owner, qrgate.Staff, qrgate.Guard, qrgate.Organiser, qrgate.Inspector,
		qrgate.SectorOfficer, qrgate.AreaOfficer, qrgate.Reporter, qrgate.Administrator,
	}
	// callers also see whom to call there: administrators and reporters do not.
	callers = []qrgate.Role{qrgate.Owner, qrgate.Staff, qrgate.Guard, qrgate.Inspector, qrgate.SectorOfficer, qrgate.AreaOfficer}
	// keepers change the places of their organisation, helpers those of others.
	keepers = []qrgate.Role{qrgate.Owner, qrgate.Staff}
	helpers = []qrgate.Role{qrgate.SectorOfficer, qrgate.AreaOfficer}
	editors = slices.Concat(keepers, helpers)
	// members are those of an organisation.
	members = []qrgate.Role{qrgate.Owner, qrgate.Staff, qrgate.Guard, qrgate.Organiser}
)

// Routes returns the pages' rows of the table.
func (s *Pages) Routes() []page.Route {
	return []page.Route{
		{Pattern: "GET /dia-diem", Allow: page.Only(seers...), Menu: "menu.places", Handler: s.list},
		{Pattern: "GET /dia-diem.xlsx", Allow: page.Only(seers...), Handler: s.exportXLSX},
		{Pattern: "GET /dia-diem.csv", Allow: page.Only(seers...), Handler: s.exportCSV},
		{Pattern: "GET /dia-diem/moi", Allow: page.Only(keepers...), Handler: s.newForm},
		{Pattern: "POST /dia-diem/moi", Allow: page.Only(keepers...), Handler: s.add},
		{Pattern: "GET /dia-diem/{no}", Allow: page.Only(seers...), Handler: s.show},
		{Pattern: "POST /dia-diem/{no}", Allow: page.Only(editors...), Handler: s.save},
		{Pattern: "GET /dia-diem/{no}/xoa", Allow: page.Only(keepers...), Handler: s.askDelete},
		{Pattern: "POST /dia-diem/{no}/xoa", Allow: page.Only(keepers...), Handler: s.delete},
		{Pattern: "POST /dia-diem/{no}/khoi-phuc", Allow: page.Only(keepers...), Handler: s.undelete},
		{Pattern: "GET /dia-diem/nhap", Allow: page.Only(keepers...), Handler: s.importForm},
		{Pattern: "POST /dia-diem/nhap", Allow: page.Only(keepers...), Handler: s.upload, MaxBody: maxSheet + 64<<10},
		{Pattern: "GET /dia-diem/nhap.xlsx", Allow: page.Only(keepers...), Handler: s.sheetForm},
		{Pattern: "GET /nhap-dia-diem/{id}", Allow: page.Only(keepers...), Handler: s.report},
		{Pattern: "POST /nhap-dia-diem/{id}", Allow: page.Only(keepers...), Handler: s.takeIn},
		{Pattern: "GET /dia-danh", Allow: page.Anybody(), Handler: s.names, Bare: true},
		{Pattern: "GET /ban-do.svg", Allow: page.Anybody(), Handler: s.drawMap, Bare: true},

		{Pattern: "GET /to-chuc", Allow: page.Only(members...), Menu: "menu.organisation", Handler: s.organisation},
		{Pattern: "POST /to-chuc", Allow: page.Only(qrgate.Owner), Handler: s.changeOrganisation},
		{Pattern: "POST /to-chuc/roi", Allow: page.Only(members...), Handler: s.leave},
		{Pattern: "GET /to-chuc/moi", Allow: page.Member(), Handler: s.newOrganisation},
		{Pattern: "POST /to-chuc/moi", Allow: page.Member(), Handler: s.addOrganisation},
		{Pattern: "GET /loi-moi", Allow: page.Anybody(), Handler: s.invitation},
		{Pattern: "POST /loi-moi", Allow: page.Anybody(), Handler: s.accept},
	}
}

// place returns the place of the request's path, if the viewer may know of it.
func (s *Pages) place(r *http.Request, v *page.View) (*qrgate.Place, error) {
	no, err := strconv.ParseUint(r.PathValue("no"), 10, 32)
	if err != nil {
		return nil, qrgate.ErrNotFound
	}
	p, err := s.reg.Place(r.Context(), uint32(no))
	if err != nil {
		return nil, err
	}
	if !v.May(p, seers...) {
		return nil, qrgate.ErrNotFound
	}
	return p, nil
}

// An option is one line of a list to choose from.
type option struct {
	Value, Text string
	Sector      string // that is usual for a kind
}

func inLang(lang text.Lang, vi, en string) string {
	if lang == text.English {
		return en
	}
	return vi
}

func (s *Pages) sectors(lang text.Lang) []option {
	var all []option
	for _, sector := range qrgate.SectorsOn(s.f.Now()) {
		all = append(all, option{Value: sector.ID, Text: inLang(lang, sector.Name, sector.English)})
	}
	return all
}

func kinds(lang text.Lang) []option {
	var all []option
	for _, k := range qrgate.PlaceKinds() {
		all = append(all, option{Value: k.ID, Text: inLang(lang, k.Name, k.English), Sector: k.Sector})
	}
	return all
}

func values(options []option) []string {
	all := make([]string, len(options))
	for i, o := range options {
		all[i] = o.Value
	}
	return all
}

func kindName(lang text.Lang, id string) string {
	k, err := qrgate.FindPlaceKind(id)
	if err != nil {
		return id
	}
	return inLang(lang, k.Name, k.English)
}

func lookup(id string) (area.Unit, bool) {
	parsed, err := area.ParseID(id)
	if err != nil {
		return area.Unit{}, false
	}
	return area.Lookup(parsed)
}

// mine returns the organisations for which the viewer holds one of the roles.
func (s *Pages) mine(r *http.Request, v *page.View, roles ...qrgate.Role) ([]register.Organisation, error) {
	all, err := s.reg.Organisations(r.Context(), v.Who.Account.ID)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(o register.Organisation) bool {
		return !slices.Contains(v.Scopes(roles...), qrgate.Scope{Kind: qrgate.InOrganisation, ID: o.ID})
	}), nil
}
