package cases

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/casebook"
	"github.com/qrgate/qrgate/server/trace"
)

// What may be exported for, as audit rows name it.
var purposes = []string{"calls", "care", "report", "sormas", "order"}

// What is exported as.
var formats = []string{"xlsx", "csv", "json"}

// An exportPage asks for what somebody takes data out of the portal.
type exportPage struct {
	*head
	Form     *page.Form
	Purposes []option
	Formats  []option
	People   int
	Traced   time.Time
	Second   int // number of the run, of a second ring; else 0
	Withheld int // who are not in the file: their data must not be used
}

func (p *Pages) exportPage(r *http.Request, v *page.View, h *head, form *page.Form) (*exportPage, error) {
	d := &exportPage{head: h, Form: form}
	for _, q := range purposes {
		d.Purposes = append(d.Purposes, option{q, v.T("cases.export.for." + q)})
	}
	for _, f := range formats {
		d.Formats = append(d.Formats, option{f, v.T("cases.export.as." + f)})
	}
	run, _, err := p.latest(r, v, h.ID)
	if err != nil {
		return nil, err
	}
	if run.Ring == 2 {
		d.Second = run.No
	}
	d.People, d.Traced, d.Withheld = len(run.Refs()), run.At, run.Withheld
	return d, nil
}

func (p *Pages) exportForm(w http.ResponseWriter, r *http.Request, v *page.View) error {
	h, err := p.seen(r, v)
	if err != nil {
		return err
	}
	if h.Runs == 0 {
		return v.Go(w, h.Path("lich-trinh"), "cases.not_traced")
	}
	d, err := p.exportPage(r, v, h, page.NewForm(map[string][]string{"cases.format": {"xlsx"}}))
	if err != nil {
		return err
	}
	return v.Render(w, "cases_export", d)
}

// export sends a file of everybody whom the latest run found, or that which is asked
// for, as of a second ring. What for is asked
// and written down before anybody is opened.
func (p *Pages) export(w http.ResponseWriter, r *http.Request, v *page.View) error {
	h, err := p.seen(r, v)
	if err != nil {
		return err
	}
	if h.Runs == 0 {
		return v.Go(w, h.Path("lich-trinh"), "cases.not_traced")
	}
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	what := form.Choice("cases.export.for", true, purposes...)
	as := form.Choice("cases.format", true, formats...)
	if form.Values.Get("cases.export.sure") != "1" {
		form.Fail("cases.export.sure", "cases.export.sure.must")
	}
	if !form.OK() {
		d, err := p.exportPage(r, v, h, form)
		if err != nil {
			return err
		}
		return v.RenderStatus(w, http.StatusUnprocessableEntity, "cases_export", d)
	}
	ctx, me := r.Context(), v.Who.Account.ID
	done, err := p.files.Take(ctx)
	if err != nil {
		return err
	}
	defer done()
	run, _, err := p.latest(r, v, h.ID)
	if err != nil {
		return err
	}
	if err := p.note(ctx, me, "export contacts", h.ID, fmt.Sprintf("%s as %s, run %d, %d persons", what, as, run.No, len(run.Refs()))); err != nil {
		return err
	}
	rows, index, err := p.exported(ctx, v, h, run)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	kind := "text/csv; charset=utf-8"
	switch as {
	case "csv":
		t := contactTable(v, rows)
		err = t.writeCSV(&out)
	case "xlsx":
		kind = page.Workbook
		err = p.workbook(ctx, v, h, run, rows, &out)
	case "json":
		kind = "application/json; charset=utf-8"
		var body []byte
		if body, err = p.sormas(ctx, v, h, run, rows, index); err == nil {
			out.Write(body)
		}
	}
	if err != nil {
		return err
	}
	name := h.Number
	if run.Ring == 2 {
		name += "-vong-2-" + strconv.Itoa(run.No)
	}
	done()
	page.Send(w, kind, name+"."+as, out.Bytes())
	return nil
}

// exported opens everybody whom a run found, and the traced person.
func (p *Pages) exported(ctx context.Context, v *page.View, h *head, run *casebook.Run) (rows []contactRow, index *known, err error) {
	me := v.Who.Account.ID
	list, err := p.book.Calls(ctx, me, h.ID)
	if err != nil {
		return nil, nil, err
	}
	homes := map[casebook.Ref]*casebook.Call{}
	for i := range list {
		homes[list[i].Ref] = &list[i]
	}
	names := spots{}
	for some := range slices.Chunk(metIn(run), casebook.MaxCards) {
		more, err := p.contactRows(ctx, v, h, run, some, homes, names)
		if err != nil {
			return nil, nil, err
		}
		rows = append(rows, more...)
	}
	for i := range rows {
		rows[i].No = i + 1
	}
	// Whom somebody of the second ring met is no contact of the case.
	if h.Index != (casebook.Ref{}) && run.Ring == 1 {
		cards, err := p.book.Cards(ctx, me, h.ID, h.Index)
		if err != nil {
			return nil, nil, err
		}
		index = knownOf(&cards[0])
	}
	return rows, index, nil
}

// columns are those of the table of contacts, and how wide they are.
var columns = []struct {
	key   string
	width float64
}{
	{"no", 6}, {"code", 12}, {"name", 28}, {"born", 8}, {"sex", 8}, {"phone", 16}, {"whose", 14}, {"guardian", 24}, {"guardian_phone", 16}, {"address", 40}, {"commune", 26},
	{"sure", 14}, {"long", 22}, {"where", 60}, {"status", 18}, {"last", 14}, {"note", 26},
}

func contactTable(v *page.View, rows []contactRow) table {
	t := table{Title: v.T("cases.sheet.contacts")}
	var head []string
	for _, c := range columns {
		head, t.Widths = append(head, v.T("cases.sheet."+c.key)), append(t.Widths, c.width)
	}
	t.Rows = append(t.Rows, head)
	for i := range rows {
		r := &rows[i]
		born, sex, whose, sure := "", "", "", ""
		if r.Born > 0 {
			born = strconv.Itoa(r.Born)
		}
		if r.Sex != "" {
			sex = v.T("card.sex." + r.Sex)
		}
		if r.Phone != "" {
			whose = v.T("cases.phone.own")
			if r.Relative {
				whose = v.T("cases.phone.relative")
			}
		}
		if !r.Place {
			sure = v.T("cases.sure.possible")
			if r.Sure {
				sure = v.T("cases.sure.certain")
			}
		}
		var where []string
		for _, s := range r.Shared {
			line := s.Place.Name + ", " + sayDate(v, s.On) + " " + s.Within
			if s.Gate != "" {
				line += ", " + v.T("cases.gate.of", "gate", s.Gate)
			}
			where = append(where, line)
		}
		var notes []string
		if r.Together {
			notes = append(notes, v.T("cases.is.together"))
		}
		if r.Family {
			notes = append(notes, v.T("cases.is.family"))
		}
		street := r.Street
		if street == "" && r.Commune == "" {
			street = r.Address
		}
		t.Rows = append(t.Rows, []string{
			strconv.Itoa(r.No), shortCode(r.Code), r.Name, born, sex, r.Shown(), whose, r.Guardian, r.ShownGuardian(), street, r.Commune,
			sure, r.Long, strings.Join(where, " / "), v.T("cases.status." + string(r.Status)),
			dayOf(qrgate.DayOfMilli(r.Last)), strings.Join(notes, ", "),
		})
	}
	return t
}

func shortCode(code string) string {
	if len(code) < 8 {
		return code
	}
	return upper(code[:4]) + "-" + upper(code[4:8])
}

// workbook writes contacts, the traced stays and what the trace could not know, a
// sheet each.
func (p *Pages) workbook(ctx context.Context, v *page.View, h *head, run *casebook.Run, rows []contactRow, out *bytes.Buffer) error {
	names := spots{}
	stays := table{Title: v.T("cases.sheet.stays"), Widths: []float64{6, 12, 34, 26, 34, 22, 14, 18, 18}}
	stays.Rows = append(stays.Rows, []string{
		v.T("cases.sheet.no"), v.T("cases.sheet.day"), v.T("cases.sheet.place"), v.T("cases.sheet.in"), v.T("cases.sheet.out"), v.T("cases.sheet.long"), v.T("cases.sheet.gate"),
		v.T("cases.sheet.source"), v.T("cases.sheet.presence"),
	})
	if !run.Place {
		for i := range run.Stays {
			s, err := p.stayRow(ctx, v, names, &run.Stays[i], run.At.UnixMilli())
			if err != nil {
				return err
			}
			stays.Rows = append(stays.Rows, []string{strconv.Itoa(i + 1), sayDate(v, s.On), s.Place.Name, s.In, s.Out, s.Long, s.Gate, v.T(s.Source), v.T(s.There)})
		}
	}
	about := table{Title: v.T("cases.sheet.about"), Widths: []float64{36, 60}}
	add := func(key, value string) { about.Rows = append(about.Rows, []string{v.T(key), value}) }
	add("cases.list.number", h.Number)
	add("cases.list.disease", h.Disease)
	add("cases.list.state", v.T("cases.state."+string(h.State)))
	add("cases.sheet.traced", run.At.In(qrgate.Zone).Format("02/01/2006 15:04"))
	if run.Withheld > 0 {
		add("cases.sheet.withheld", strconv.Itoa(run.Withheld))
	}
	c, err := p.completenessView(ctx, v, names, run.At, run.Completeness)
	if err != nil {
		return err
	}
	if c != nil {
		add("cases.sheet.missing", strconv.Itoa(len(c.Rows)))
		for _, g := range c.Rows {
			about.Rows = append(about.Rows, []string{g.Kiosk + ", " + g.Place, strings.Join(g.Said, "; ")})
		}
		add("cases.sheet.unnamed", strconv.Itoa(c.Unnamed))
		for _, line := range c.Said {
			about.Rows = append(about.Rows, []string{"", line})
		}
	}
	contacts := contactTable(v, rows)
	if run.Place {
		return writeXLSX(out, contacts, about)
	}
	return writeXLSX(out, contacts, stays, about)
}

// sormas writes the case, what happened at each place, and everybody's part in it.
func (p *Pages) sormas(ctx context.Context, v *page.View, h *head, run *casebook.Run, rows []contactRow, index *known) ([]byte, error) {
	f := newSORMAS()
	disease, details := sormasDisease(h.Case.Profile, h.Disease)
	reported := h.Opened.UTC().Truncate(time.Second)
	theCase := sormasRef{sormasID(h.ID, "case")}
	if index != nil {
		person := sormasPersonOf(h.ID, index.Code, index)
		f.Persons = append(f.Persons, person)
		class := map[casebook.State]string{casebook.Suspected: "SUSPECT", casebook.Confirmed: "CONFIRMED", casebook.RuledOut: "NO_CASE"}[h.State]
		if class == "" {
			class = "NOT_CLASSIFIED"
		}
		f.Cases = append(f.Cases, sormasCase{theCase.UUID, h.Number, disease, details, class, "IN_COUNTRY", reported, sormasRef{person.UUID}})
	}
	people := map[string]sormasPerson{}
	traced := run.At.UnixMilli()
	for i := range rows {
		person := sormasPersonOf(h.ID, rows[i].Code, rows[i].known)
		people[rows[i].Code] = person
		f.Persons = append(f.Persons, person)
	}
	names := spots{}
	events := map[qrgate.Spot]int{}
	event := func(at qrgate.Spot, from, to int64) (sormasRef, error) {
		// What may still go on ends, for who imports it, when it was traced.
		begin, end := moment(min(from, traced)).UTC().Truncate(time.Second), moment(min(to, traced)).UTC().Truncate(time.Second)
		if i, ok := events[at]; ok {
			e := &f.Events[i]
			if begin.Before(e.Start) {
				e.Start = begin
			}
			if end.After(e.End) {
				e.End = end
			}
			return sormasRef{e.UUID}, nil
		}
		s, err := p.name(ctx, v, names, at)
		if err != nil {
			return sormasRef{}, err
		}
		id := sormasID(h.ID, "event", strconv.FormatUint(uint64(at.No), 10), at.Name)
		e := sormasEvent{
			UUID: id, External: h.Number + "/" + strconv.Itoa(len(events)+1), Status: "EVENT", Title: s.Name, Text: v.T("cases.sormas.event", "place", s.Name, "number", h.Number),
			Disease: disease, Details: details, Start: begin, End: end, Reported: run.At.UTC().Truncate(time.Second),
			Location: &sormasLocation{UUID: sormasID(id, "location"), Street: s.Address, Details: s.Name},
		}
		if s.At != nil {
			e.Location.Latitude, e.Location.Longitude = &s.At.Lat, &s.At.Lon
		}
		events[at] = len(f.Events)
		f.Events = append(f.Events, e)
		return sormasRef{id}, nil
	}
	for i, m := range metIn(run) {
		row := &rows[i]
		person := people[row.Code]
		first, last := int64(1<<62), int64(0)
		at := map[qrgate.Spot]bool{}
		part := func(spot qrgate.Spot, from, to int64, text string) error {
			first, last = min(first, from), max(last, to)
			e, err := event(spot, from, to)
			if err != nil || at[spot] {
				return err
			}
			at[spot] = true
			f.Participants = append(f.Participants, sormasParticipant{UUID: sormasID(e.UUID, "participant", row.Code), Event: e, Person: person, Text: text})
			return nil
		}
		if m.c != nil {
			for j := range m.c.Shared {
				s := &m.c.Shared[j]
				if err := part(s.Stay.At, s.Within.Earliest, s.Within.Latest, row.Shared[j].Within); err != nil {
					return nil, err
				}
			}
		}
		for j, s := range m.stays {
			if err := part(s.At, s.In.Earliest, s.Out.Latest, row.Shared[j].Within); err != nil {
				return nil, err
			}
		}
		if index == nil || m.c == nil {
			continue
		}
		class := "UNCONFIRMED"
		if m.c.Sureness == trace.Certain {
			class = "CONFIRMED"
		}
		first, last = min(first, traced), min(last, traced)
		f.Contacts = append(f.Contacts, sormasContact{
			UUID: sormasID(h.ID, "contact", row.Code), Case: theCase, Person: sormasRef{person.UUID}, Disease: disease, Details: details,
			Several: qrgate.DayOfMilli(first) != qrgate.DayOfMilli(last), First: moment(first).UTC().Truncate(time.Second), Last: moment(last).UTC().Truncate(time.Second), Reported: run.At.UTC().Truncate(time.Second),
			Class: class, Status: "ACTIVE", Text: row.Long,
		})
	}
	if index == nil {
		return f.bytes()
	}
	// The case was at each of these places too, which is why they are events.
	seen := map[qrgate.Spot]bool{}
	for i := range run.Stays {
		at := run.Stays[i].At
		n, met := events[at]
		if !met || seen[at] {
			continue
		}
		seen[at] = true
		e := sormasRef{f.Events[n].UUID}
		f.Participants = append(f.Participants, sormasParticipant{UUID: sormasID(e.UUID, "participant", index.Code), Event: e, Person: f.Persons[0], Case: &theCase})
	}
	return f.bytes()
}
