package paper_test

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/pagetest"
	"github.com/qrgate/qrgate/server/portal/paper"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/wire"
)

// A desk takes visits as package ingest does: a key has one effect.
type desk struct {
	visits map[[16]byte]ingest.Visit
	err    error
}

func (d *desk) Visit(_ context.Context, v ingest.Visit) (ingest.Receipt, error) {
	if d.err != nil {
		return ingest.Receipt{}, d.err
	}
	if v.Said.After(time.Now()) {
		return ingest.Receipt{}, fmt.Errorf("time on paper: %w", qrgate.ErrInvalid)
	}
	if was, ok := d.visits[v.Key]; ok && was.Body != v.Body {
		return ingest.Receipt{}, fmt.Errorf("key: %w", qrgate.ErrConflict)
	}
	d.visits[v.Key] = v
	return ingest.Receipt{}, nil
}

func newWorld(t *testing.T) (*pagetest.World, *desk) {
	t.Helper()
	d := &desk{visits: map[[16]byte]ingest.Visit{}}
	return pagetest.New(t, "http://127.0.0.1", func(f *page.Frame, _ *register.Register) []page.Route { return paper.New(f, d).Routes() }), d
}

// sheet is a form with rows of time, name, telephone, people, and "1" for who leaves.
func sheet(code string, rows ...[5]string) url.Values {
	form := url.Values{"paper.sheet": {code}, "paper.day": {qrgate.DayOf(time.Now().Add(-24 * time.Hour)).String()}, "paper.error": {"15"}}
	for i, r := range rows {
		for j, field := range []string{"time", "name", "phone", "people", "away"} {
			form.Set(fmt.Sprintf("%s.%d", field, i+1), r[j])
		}
	}
	return form
}

func TestASheetIsTypedIn(t *testing.T) {
	w, d := newWorld(t)
	at := fmt.Sprintf("/dia-diem/%d/so-giay", w.Place.No)
	form := sheet("abcd2", [5]string{"8:05", "Nguyễn Văn An", "0905 123 456", "", ""}, [5]string{"8h20", "Trần Thị Bình", "0914222333", "3", ""}, [5]string{"9.45", "Nguyễn Văn An", "0905123456", "", "1"})
	for range 2 { // the second time nothing is new
		if status, body, _ := w.Post("guard", at, form); status != 303 {
			t.Fatalf("a sheet: %d\n%s", status, body)
		}
	}
	if len(d.visits) != 3 {
		t.Fatalf("%d visits, want 3", len(d.visits))
	}
	day := qrgate.DayOf(time.Now().Add(-24 * time.Hour)).Start()
	found := 0
	for _, v := range d.visits {
		if v.Place.No != w.Place.No || v.Paper != 15*time.Minute || v.People[0].Number[:3] != "+84" {
			t.Errorf("a visit: %+v", v)
		}
		switch v.Said.Sub(day) {
		case 8*time.Hour + 5*time.Minute:
			found++
		case 8*time.Hour + 20*time.Minute:
			if found++; v.Unnamed != 2 {
				t.Errorf("%d came along, want 2", v.Unnamed)
			}
		case 9*time.Hour + 45*time.Minute:
			if found++; v.Direction != wire.Out {
				t.Error("who left came in")
			}
		}
	}
	if found != 3 {
		t.Errorf("%d of three times are right", found)
	}

	// The same row with something else is no second visit, and is said so.
	other := sheet("ABCD2", [5]string{"8:05", "Nguyễn Văn Anh", "0905 123 456", "", ""})
	if status, body, _ := w.Post("guard", at, other); status != 422 || !strings.Contains(body, "nhập khác đi") {
		t.Errorf("a row that was typed in otherwise: %d", status)
	}
	// Another sheet's first row is another visit.
	if status, _, _ := w.Post("owner", at, sheet("XYZ23", [5]string{"8:05", "Nguyễn Văn Anh", "0905 123 456", "", ""})); status != 303 || len(d.visits) != 4 {
		t.Errorf("another sheet: %d, %d visits", status, len(d.visits))
	}
}

func TestWhatIsRightIsKept(t *testing.T) {
	w, d := newWorld(t)
	at := fmt.Sprintf("/dia-diem/%d/so-giay", w.Place.No)
	status, body, _ := w.Post("guard", at, sheet("ABCD2", [5]string{"8:05", "Nguyễn Văn An", "0905 123 456", "", ""}, [5]string{"sáng", "Trần Thị Bình", "0914222333", "", ""}, [5]string{"9:00", "Lê Văn Cường", "", "", ""}))
	if status != 422 || len(d.visits) != 1 || !strings.Contains(body, "Đã nhập 1 dòng") || !strings.Contains(body, "Trần Thị Bình") {
		t.Errorf("one row of three is right: %d, %d visits", status, len(d.visits))
	}
	if n := strings.Count(body, `class="wrong"`); n != 2 {
		t.Errorf("%d rows are marked, want 2", n)
	}
	for name, change := range map[string]func(url.Values){
		"no code":  func(f url.Values) { f.Del("paper.sheet") },
		"code":     func(f url.Values) { f.Set("paper.sheet", "A-1") },
		"no day":   func(f url.Values) { f.Set("paper.day", "hôm qua") },
		"error":    func(f url.Values) { f.Set("paper.error", "0") },
		"nothing":  func(f url.Values) { f.Del("time.1"); f.Del("name.1"); f.Del("phone.1") },
		"tomorrow": func(f url.Values) { f.Set("paper.day", qrgate.DayOf(time.Now().Add(48*time.Hour)).String()) },
		"letters":  func(f url.Values) { f.Set("name.1", "a\x00") },
		"a crowd":  func(f url.Values) { f.Set("people.1", "99") },
	} {
		before := len(d.visits)
		form := sheet("ABCD3", [5]string{"8:05", "Nguyễn Văn An", "0905 123 456", "", ""})
		change(form)
		if status, _, _ := w.Post("guard", at, form); status != 422 || len(d.visits) != before {
			t.Errorf("%s: %d", name, status)
		}
	}
	d.err = ingest.ErrTooLate
	if status, body, _ := w.Post("guard", at, sheet("ABCD4", [5]string{"8:05", "An", "0905 123 456", "", ""})); status != 422 || !strings.Contains(body, "quá hạn") {
		t.Errorf("too late: %d", status)
	}
	for _, who := range []string{"foreign", "trade", "admin", "health", ""} {
		if status, _, _ := w.Get(who, at); status == 200 {
			t.Errorf("%q may type sheets in", who)
		}
	}
}

func TestSheetsToPrint(t *testing.T) {
	w, _ := newWorld(t)
	_, body, _ := w.Get("guard", fmt.Sprintf("/dia-diem/%d/so-giay/in?to=3", w.Place.No))
	codes := map[string]bool{}
	for _, m := range regexp.MustCompile(`<strong>([A-Z2-7]{5})</strong>`).FindAllStringSubmatch(body, -1) {
		codes[m[1]] = true
	}
	if len(codes) != 3 || strings.Count(body, "<td></td>") != 3*20*5 {
		t.Errorf("three sheets have the codes %v", codes)
	}
	for _, bad := range []string{"", "0", "999", "x"} {
		if status, _, _ := w.Get("guard", fmt.Sprintf("/dia-diem/%d/so-giay/in?to=%s", w.Place.No, bad)); status != 200 {
			t.Errorf("%q sheets: %d", bad, status)
		}
	}
}
