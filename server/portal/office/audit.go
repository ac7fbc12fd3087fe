package office

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
)

// auditRoles are those of people who read every audit row. An administrator reads
// what they did themselves, and settings.
var auditRoles = []qrgate.Role{qrgate.Auditor, qrgate.Protection}

// settings are the actions of which every administrator knows: they change what
// holds for everybody.
var settings = []string{
	"give role", "take role", "block account", "unblock account",
	"add token", "revoke token", "set template",
	"add kiosk", "move kiosk", "revoke kiosk", "give order", "open door", "make command cards",
	"order done", "order refused", "order expired", "order unknown", "order failed",
	"command card done", "command card refused", "command card expired", "command card unknown", "command card failed",
	"change configuration", "add group of kiosks", "move kiosk to group", "send configuration again",
	"verify backup", "restore backup",
}

// auditFields are those of the form that asks, which is also sent to export.
var auditFields = []string{"hanh_dong", "doi_tuong", "nguoi", "tu", "den"}

// auditFor is how far back the page looks if nobody says.
const auditFor = 30

// auditQuery reads which rows are asked for. A form that is wrong asks for none.
func (o *Office) auditQuery(r *http.Request, v *page.View, f *page.Form) (q register.AuditQuery, err error) {
	today := qrgate.DayOf(o.f.Now())
	from, to := readDay(f, "tu", today-auditFor), readDay(f, "den", today)
	q = register.AuditQuery{Action: f.Text("hanh_dong", 60, false), Object: f.Text("doi_tuong", 80, false), From: from.Start(), To: (to + 1).Start()}
	if who := f.Text("nguoi", 80, false); who != "" {
		q.Actor = who
		if name, bad := register.UserName(who); bad == nil {
			a, err := o.reg.AccountNamed(r.Context(), name)
			if err != nil && !isNotFound(err) {
				return q, err
			}
			if err == nil {
				q.Actor = a.ID
			}
		}
	}
	if len(v.Scopes(auditRoles...)) == 0 {
		q.Own, q.Settings = v.Who.Account.ID, settings
	}
	return q, nil
}

// readDay reads a date as browsers send it; without one it fills in otherwise.
func readDay(f *page.Form, field string, otherwise qrgate.Day) qrgate.Day {
	s := f.Text(field, 10, false)
	if s == "" {
		f.Values.Set(field, otherwise.String())
		return otherwise
	}
	d, err := qrgate.ParseDay(s)
	if err != nil {
		f.Fail(field, "wrong.date")
		return otherwise
	}
	return d
}

// An auditLine is a row as the page shows it.
type auditLine struct {
	register.AuditRow
	Said string // the action in words
}

// actionText returns an action in words, or as it is written if it has none.
func actionText(v *page.View, action string) string {
	key := "audit.do." + strings.NewReplacer(" ", "_", "-", "_").Replace(action)
	if !text.Has(key) {
		return action
	}
	return v.T(key)
}

func (o *Office) audit(w http.ResponseWriter, r *http.Request, v *page.View) error {
	f := page.NewForm(fields(r, auditFields...))
	q, err := o.auditQuery(r, v, f)
	if err != nil {
		return err
	}
	d := struct {
		Form    *page.Form
		Fields  []string
		Actions []option
		Rows    []auditLine
		All     bool // the viewer reads every row
		Pager   pager
	}{Form: f, Fields: auditFields, All: q.Own == ""}
	actions, err := o.reg.AuditActions(r.Context(), register.AuditQuery{From: q.From, To: q.To, Own: q.Own, Settings: q.Settings})
	if err != nil {
		return err
	}
	for _, a := range actions {
		d.Actions = append(d.Actions, option{a, actionText(v, a)})
	}
	slices.SortFunc(d.Actions, func(a, b option) int { return strings.Compare(a.Text, b.Text) })
	if !f.OK() {
		return v.RenderStatus(w, http.StatusUnprocessableEntity, "audit", d)
	}
	err = o.reg.Audit(r.Context(), q, pageNo(r)*perPage, perPage, func(a register.AuditRow) error {
		d.Rows = append(d.Rows, auditLine{a, actionText(v, a.Action)})
		return nil
	})
	if err != nil {
		return err
	}
	total, err := o.reg.CountAudit(r.Context(), q)
	if err != nil {
		return err
	}
	d.Pager = newPager(r, len(d.Rows), total)
	return v.Render(w, "audit", d)
}

// mostExported is how many rows one file holds: more than a sheet shows is asked
// for by days.
const mostExported = 100_000

// exportAudit sends the rows as a file for sheets. That it was read is an audit
// row too.
func (o *Office) exportAudit(w http.ResponseWriter, r *http.Request, v *page.View) error {
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	q, err := o.auditQuery(r, v, f)
	if err != nil {
		return err
	}
	if !f.OK() {
		return qrgate.ErrInvalid
	}
	if err := o.reg.Looked(r.Context(), v.Who.Account.ID, "export audit rows", f.Values.Get("tu")+" "+f.Values.Get("den")); err != nil {
		return err
	}
	// The database must not wait for whoever reads slowly.
	file, err := page.Unnamed()
	if err != nil {
		return err
	}
	defer file.Close()
	out := csv.NewWriter(file)
	fmt.Fprint(file, "\ufeff") // by which Excel knows that it is UTF-8
	out.Write([]string{v.T("audit.at"), v.T("audit.action"), v.T("audit.object"), v.T("audit.actor"), v.T("audit.note")})
	err = o.reg.Audit(r.Context(), q, 0, mostExported, func(a register.AuditRow) error {
		return out.Write([]string{a.At.In(qrgate.Zone).Format(time.RFC3339), inert(a.Action), inert(a.Object), inert(a.Actor), inert(a.Note)})
	})
	out.Flush()
	if err == nil {
		err = out.Error()
	}
	if err != nil {
		return fmt.Errorf("office: export of audit rows: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="qrgate-audit.csv"`)
	h.Set("Cache-Control", "no-store")
	http.ServeContent(w, r, "", time.Time{}, file)
	return nil
}

// inert returns a cell that no sheet takes for a formula.
func inert(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r\n", rune(s[0])) {
		return "'" + s
	}
	return s
}
