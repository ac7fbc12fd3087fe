package cases_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/store/casebook"
)

// secrets are what nobody may read who is refused, nor anybody in a log, an address
// or an audit row.
var secrets = []string{"Nguyễn Văn An", "Trần Thị Bình", "Lê Thị Chi", "0905 123 456", "84905123456", "0914 222 333", "84914222333", "046048001234", "4612345678", "12 Lê Lợi"}

// Every way in which somebody may misuse these pages is refused, or written down
// where it is not misuse by itself.
func TestMisuse(t *testing.T) {
	w := newWorld(t)
	lan, both := w.as("lan"), w.as("both")
	at := lan.traced()
	code := w.found(lan.want(200, lan.get(at+"/tiep-xuc")), met)
	v := func(path string) string { return w.found(lan.want(200, lan.get(path)), ver) }
	calls := func(c *client) string { return w.found(c.want(200, c.get(at+"/tiep-xuc/"+code)), ver) }
	contact := at + "/tiep-xuc/" + code

	// A case that nobody has approved.
	need := lan.open("suspected")
	body := lan.want(200, lan.post(need+"/tim", url.Values{"cases.by": {"cccd"}, "cases.find": {"046048001234"}}))
	ref := w.found(body, refs)
	lan.want(200, lan.post(need+"/nguoi", url.Values{"version": {w.found(body, ver)}, "nguoi": {ref}}))
	// One that was opened by who may also approve.
	own := both.open("suspected")
	body = both.want(200, both.post(own+"/tim", url.Values{"cases.by": {"cccd"}, "cases.find": {"046048001234"}}))
	body = both.want(200, both.post(own+"/nguoi", url.Values{"version": {w.found(body, ver)}, "nguoi": {w.found(body, refs)}}))
	body = both.want(200, both.post(own+"/xin-duyet", url.Values{"version": {w.found(body, ver)}}))
	// One that was ruled out, and one that was closed.
	out := lan.traced()
	lan.want(200, lan.post(out+"/tinh-trang", url.Values{"version": {v(out)}, "cases.state": {"ruled_out"}}))
	shut := lan.traced()
	lan.want(200, lan.post(shut+"/tinh-trang", url.Values{"version": {v(shut)}, "cases.state": {"closed"}}))
	// Another person's reference in another case.
	elsewhere := w.found(lan.want(200, lan.get(lan.traced()+"/tiep-xuc")), met)

	export := url.Values{"cases.export.for": {"calls"}, "cases.format": {"csv"}, "cases.export.sure": {"1"}}
	without := func(f url.Values, field string) url.Values {
		g := url.Values{}
		for k, vs := range f {
			if k != field {
				g[k] = vs
			}
		}
		return g
	}
	who := map[string]*client{}
	as := func(name string) *client {
		if who[name] == nil {
			who[name] = w.as(name)
		}
		return who[name]
	}
	get := func(path string) func(*client) answer { return func(c *client) answer { return c.get(path) } }
	// A form has the version that the case has by then, or the call.
	post := func(path string, f url.Values) func(*client) answer {
		return func(c *client) answer {
			switch f.Get("version") {
			case "now":
				f.Set("version", v(strings.Join(strings.Split(path, "/")[:3], "/")))
			case "call":
				f.Set("version", calls(lan))
			}
			return c.post(path, f)
		}
	}
	type misuse struct {
		name   string
		who    string
		do     func(*client) answer
		status int    // that refuses
		row    string // or the action that is written down
	}
	all := []misuse{
		{"a stranger reads a case", "", get(at), 404, ""}, // is sent to sign in, which these tests have not
		{"somebody without a role", "dan", get(at), 403, ""},
		{"an administrator reads the list", "vien", get("/ca-benh"), 403, ""},
		{"an administrator reads contacts", "vien", get(at + "/tiep-xuc"), 403, ""},
		{"an operator reads stays", "khoa", get(at + "/lich-trinh"), 403, ""},
		{"a reporter reads calls", "bao", get(at + "/goi"), 403, ""},
		{"an auditor exports", "tra", post(at+"/xuat", export), 403, ""},
		{"a clerk looks for a person", "thu", post(at+"/tim", url.Values{"cases.by": {"phone"}, "cases.find": {"0905123456"}}), 403, ""},
		{"the data-protection officer reads contacts", "mai", get(at + "/tiep-xuc"), 403, ""},
		{"an approver reads contacts", "duc", get(at + "/tiep-xuc"), 403, ""},
		{"an approver reads stays", "duc", get(at + "/lich-trinh"), 403, ""},
		{"an approver opens a case", "duc", post("/ca-benh/moi", opening("measles")), 403, ""},
		{"an approver exports", "duc", post(at+"/xuat", export), 403, ""},
		{"an officer of elsewhere reads a case", "hoa", get(at), 404, ""},
		{"an officer of elsewhere reads contacts", "hoa", get(at + "/tiep-xuc"), 404, ""},
		{"an officer of elsewhere reads a contact", "hoa", get(contact), 404, ""},
		{"an officer of elsewhere exports", "hoa", post(at+"/xuat", export), 404, ""},
		{"an officer of elsewhere prints letters", "hoa", post(at+"/thu", nil), 404, ""},
		{"an approver of elsewhere approves", "xa", post(own+"/duyet", url.Values{"version": {w.found(body, ver)}, "cases.decision": {"approve"}}), 404, ""},
		{"an officer approves", "minh", post(own+"/duyet", url.Values{"version": {w.found(body, ver)}, "cases.decision": {"approve"}}), 403, ""},
		{"who opened a case approves it", "both", post(own+"/duyet", url.Values{"version": {w.found(body, ver)}, "cases.decision": {"approve"}}), 403, ""},
		{"a case without a purpose", "lan", post("/ca-benh/moi", without(opening("measles"), "cases.purpose")), 422, ""},
		{"a purpose of one word", "lan", post("/ca-benh/moi", opening("measles", "cases.purpose", "xem")), 422, ""},
		{"a case that is no duty", "lan", post("/ca-benh/moi", without(opening("measles"), "cases.duty")), 422, ""},
		{"a case of a disease that there is not", "lan", post("/ca-benh/moi", opening("jealousy")), 422, ""},
		{"a case of all time", "lan", post("/ca-benh/moi", opening("measles", "cases.from", "2020-01-01")), 422, ""},
		{"a case of elsewhere", "lan", post("/ca-benh/moi", opening("measles", "cases.scope", "all")), 200, "open case"}, // it is opened where lan works
		{"stays before approval", "lan", get(need + "/lich-trinh"), 403, ""},
		{"contacts before approval", "lan", get(need + "/tiep-xuc"), 403, ""},
		{"a trace before approval", "lan", post(need+"/truy-vet", nil), 403, ""},
		{"calls before approval", "lan", get(need + "/goi"), 403, ""},
		{"letters before approval", "lan", post(need+"/thu", nil), 403, ""},
		{"an export before approval", "lan", post(need+"/xuat", export), 403, ""},
		{"breaking the glass without a reason", "lan", post(need+"/khan-cap", url.Values{"version": {"now"}, "cases.glass.sure": {"1"}}), 422, ""},
		{"breaking the glass without saying so", "lan", post(need+"/khan-cap", url.Values{"version": {"now"}, "cases.glass": {"Người bệnh nặng lắm rồi"}}), 422, ""},
		{"breaking the glass", "lan", post(need+"/khan-cap", url.Values{"version": {"now"}, "cases.glass": {"Người bệnh nặng lắm rồi"}, "cases.glass.sure": {"1"}}), 200, "break glass"},
		{"another officer behind a broken glass", "minh", get(need + "/lich-trinh"), 403, ""},
		{"reviewing one's own glass as an officer", "lan", get("/ca-benh-khan-cap"), 403, ""},
		{"an export without a purpose", "lan", post(at+"/xuat", without(export, "cases.export.for")), 422, ""},
		{"an export for a purpose that there is not", "lan", post(at+"/xuat", url.Values{"cases.export.for": {"fun"}, "cases.format": {"csv"}, "cases.export.sure": {"1"}}), 422, ""},
		{"an export that nobody answers for", "lan", post(at+"/xuat", without(export, "cases.export.sure")), 422, ""},
		{"an export by an address alone", "lan", get(at + "/xuat?cases.export.for=calls&cases.format=csv&cases.export.sure=1"), 200, "see contacts"}, // shows the form
		{"an export", "lan", post(at+"/xuat", export), 200, "export contacts"},
		{"a list of everybody", "lan", post(at+"/tim", url.Values{"cases.by": {"name"}, "cases.name": {"Nguyễn"}}), 422, ""},
		{"a name without a year", "lan", post(at+"/tim", url.Values{"cases.by": {"name"}, "cases.name": {"Nguyễn Văn An"}}), 422, ""},
		{"an empty search", "lan", post(at+"/tim", url.Values{"cases.by": {"phone"}}), 422, ""},
		{"a search by nothing that there is", "lan", post(at+"/tim", url.Values{"cases.by": {"face"}, "cases.find": {"x"}}), 422, ""},
		{"a search for a neighbour", "lan", post(at+"/tim", url.Values{"cases.by": {"phone"}, "cases.find": {"0914 222 333"}, "cases.name": {"Trần Thị Bình"}}), 200, "look for person"},
		{"another person after a trace", "lan", post(at+"/nguoi", url.Values{"version": {"now"}, "nguoi": {code}}), 409, ""},
		{"a case whose id was guessed", "lan", get("/ca-benh/aaaaaaaaaaaaaaaaaaaaaaaaaa"), 404, ""},
		{"a case whose id is a number", "lan", get("/ca-benh/1"), 404, ""},
		{"a contact whose id was guessed", "lan", get(at + "/tiep-xuc/" + strings.Repeat("a", 26)), 404, ""},
		{"a contact whose id is a number", "lan", get(at + "/tiep-xuc/1"), 404, ""},
		{"a contact of another case", "lan", get(at + "/tiep-xuc/" + elsewhere), 404, ""},
		{"calling a contact of another case", "lan", post(at+"/tiep-xuc/"+elsewhere, url.Values{"version": {"1"}, "cases.status": {"reached"}}), 404, ""},
		{"a letter to a contact of another case", "lan", post(at+"/thu", url.Values{"ai": {elsewhere}}), 404, ""},
		{"a second ring around nobody of the case", "lan", post(at+"/tiep-xuc/"+elsewhere+"/vong-hai", nil), 404, ""},
		{"a person of another case as index", "lan", post(need+"/nguoi", url.Values{"version": {"now"}, "nguoi": {code}}), 404, ""},
		{"a place of elsewhere", "lan", post(need+"/noi", url.Values{"version": {"now"}, "noi": {fmt.Sprint(w.far.No)}}), 404, ""},
		{"a place that there is not", "lan", post(need+"/noi", url.Values{"version": {"now"}, "noi": {"99999"}}), 404, ""},
		{"a stay that is not of the person", "lan", post(at+"/lich-trinh", url.Values{"version": {"now"}, "luot": {strings.Repeat("0", 32) + ".1." + strings.Repeat("0", 16)}}), 404, ""},
		{"restoring what is not of the person", "lan", post(at+"/luot", url.Values{"version": {"now"}, "luot": {"x"}, "tinh": {"1"}}), 404, ""},
		{"a form without a version", "lan", post(at+"/tinh-trang", url.Values{"cases.state": {"closed"}}), 400, ""},
		{"a form of yesterday", "lan", post(at+"/tinh-trang", url.Values{"version": {"1"}, "cases.state": {"closed"}}), 409, ""},
		{"a call of yesterday", "lan", post(contact, url.Values{"version": {"77"}, "cases.status": {"reached"}}), 409, ""},
		{"a state that there is not", "lan", post(at+"/tinh-trang", url.Values{"version": {"now"}, "cases.state": {"guilty"}}), 422, ""},
		{"a case without end", "lan", post(at+"/thoi-han", url.Values{"version": {"now"}, "cases.ends": {"2099-01-01"}}), 422, ""},
		{"tomorrow's window", "lan", post(at+"/khoang", url.Values{"version": {"now"}, "cases.from": {"2026-11-20"}, "cases.to": {"2026-12-20"}}), 422, ""},
		{"merging without having checked", "lan", post(contact+"/gop", url.Values{"version": {"now"}, "cases.same": {code}}), 422, ""},
		{"merging a person with one of another case", "lan", post(contact+"/gop", url.Values{"version": {"now"}, "cases.same": {elsewhere}, "cases.same.sure": {"1"}}), 404, ""},
		{"mail to several at once", "lan", post(contact+"/nhan", url.Values{"version": {"call"}, "cases.by": {"email"}, "cases.email": {"a@hue.example,b@hue.example"}}), 422, ""},
		{"mail with a header", "lan", post(contact+"/nhan", url.Values{"version": {"call"}, "cases.by": {"email"}, "cases.email": {"a@hue.example\r\nBcc: b@hue.example"}}), 422, ""},
		{"contacts of a case that was ruled out", "lan", get(out + "/tiep-xuc"), 403, ""},
		{"an export of a case that was ruled out", "lan", post(out+"/xuat", export), 403, ""},
		{"contacts of a case that was closed", "lan", get(shut + "/tiep-xuc"), 403, ""},
		{"a search in a case that was closed", "lan", post(shut+"/tim", url.Values{"cases.by": {"phone"}, "cases.find": {"0905123456"}}), 403, ""},
		{"an approver names the disease", "duc", post(at+"/benh", url.Values{"version": {"now"}, "cases.profile": {"cholera"}}), 403, ""},
		{"an officer of elsewhere names the disease", "hoa", post(at+"/benh", url.Values{"version": {"now"}, "cases.profile": {"cholera"}}), 404, ""},
		{"a disease that there is not", "lan", post(at+"/benh", url.Values{"version": {"now"}, "cases.profile": {"jealousy"}}), 422, ""},
		{"the second ring of no run", "lan", post(at+"/xuat?lan=99", export), 404, ""},
		{"opening a closed case again", "lan", post(shut+"/tinh-trang", url.Values{"version": {"9"}, "cases.state": {"confirmed"}}), 403, ""},
		{"looking at contacts", "minh", get(at + "/tiep-xuc"), 200, "see contacts"},
		{"looking at stays", "minh", get(at + "/lich-trinh"), 200, "trace person"},
		{"looking at a contact", "minh", get(contact), 200, "see person"},
		{"looking at the call list", "minh", get(at + "/goi"), 200, "see calls"},
		{"a form from another site", "lan", func(c *client) answer { return c.foreign(at+"/xuat", export) }, 403, ""},
	}
	if len(all) < 30 {
		t.Fatalf("%d ways, want 30", len(all))
	}
	// Rows of one moment have no order.
	rows := func(m misuse) (n int) {
		for _, r := range w.audit(m.row) {
			if r.Actor == m.who {
				n++
			}
		}
		return n
	}
	inArea := []string{"lan", "minh", "both"} // who may see the person of a case there
	for _, m := range all {
		c := as(m.who)
		before := rows(m)
		a := m.do(c)
		if a.status != m.status {
			t.Errorf("%s = %d, want %d:\n%.600s", m.name, a.status, m.status, plainText(a.body))
			continue
		}
		if m.row == "" {
			for _, s := range secrets {
				if strings.Contains(a.body, s) && !slices.Contains(inArea, m.who) {
					t.Errorf("%s is refused and shows %q", m.name, s)
				}
			}
			continue
		}
		if rows(m) == before {
			t.Errorf("%s left no row %q", m.name, m.row)
		}
	}

	// A flood of searches ends.
	minh := as("minh")
	flooded := 0
	for n := range casebook.LookupsPerHour + 5 {
		a := minh.post(at+"/tim", url.Values{"cases.by": {"phone"}, "cases.find": {fmt.Sprintf("0905 123 %03d", n)}})
		if a.status == 429 {
			flooded++
		}
	}
	if flooded != 5 {
		t.Errorf("%d of %d searches within an hour were refused, want 5", flooded, casebook.LookupsPerHour+5)
	}
	// What has ended is gone for good.
	w.now.Add((casebook.Life + time.Hour).Milliseconds())
	if _, err := w.book.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	lan = w.as("lan")
	lan.want(200, lan.get(at), "Ca này đã hết hạn")
	for _, path := range []string{at + "/tiep-xuc", at + "/lich-trinh", at + "/goi", at + "/xuat", contact} {
		if a := lan.get(path); a.status != 403 {
			t.Errorf("%s of a case that has ended = %d", path, a.status)
		} else if strings.Contains(a.body, "Nguyễn Văn An") {
			t.Errorf("%s of a case that has ended shows its person", path)
		}
	}
	for _, r := range w.audit() {
		for _, s := range secrets {
			if strings.Contains(r.Object+r.Note, s) {
				t.Errorf("an audit row names a person: %v", r)
			}
		}
	}
	for _, s := range secrets {
		if strings.Contains(w.log.String(), s) {
			t.Errorf("the log has %q:\n%s", s, w.log)
		}
	}
}
