package movement_test

import (
	"encoding/csv"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"

	counted "github.com/qrgate/qrgate/server/movement"
)

const (
	thuanHoa = "19789@2025-07-01"
)

func TestEmptySaysWhen(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/di-chuyen", "/di-chuyen/luong", "/di-chuyen/dia-diem"} {
		code, body, _ := w.Get("reporter", path)
		if code != 200 || !strings.Contains(body, "2 giờ sáng của ngày kế tiếp") {
			t.Errorf("GET %s without figures = %d, does not say when the first ones come", path, code)
		}
	}
	if code, body, _ := w.Get("reporter", "/di-chuyen.csv"); code != 200 || strings.Count(body, "\n") != 1 {
		t.Errorf("a file of nothing = %d, %q", code, body)
	}

	// Now there are check-ins of today and no more.
	w.exec("INSERT INTO kiosks (no, id, place, public, state, added, version) VALUES (1, 'gate-0001', '', ?, 1, 0, 0)", make([]byte, 32))
	w.exec("INSERT INTO tallies (place_no, day, kiosk_no, ins, outs, first, last) VALUES (?, ?, 1, 20, 5, 0, 0)", int64(w.Place.No), int64(w.last+1))
	want := counted.Ready(w.last + 1).Format("02/01/2006 15:04")
	for _, who := range []string{"reporter", "owner"} {
		path := map[string]string{"reporter": "/di-chuyen", "owner": "/di-chuyen/dia-diem"}[who]
		if code, body, _ := w.Get(who, path); code != 200 || !strings.Contains(body, want) {
			t.Errorf("GET %s as %s = %d, does not name %s", path, who, code, want)
		}
	}
}

// TestWhoSeesWhat is of two flows and two sectors: each scope sees its own.
func TestWhoSeesWhat(t *testing.T) {
	w := newWorld(t)
	vyDa, anCuu := "19777@2025-07-01", ""
	for _, id := range communes() {
		if id != phuXuan && id != thuanHoa && id != vyDa {
			anCuu = id
		}
	}
	d := &counted.Day{Day: w.last}
	d.Arrivals = []counted.Figure{
		{To: phuXuan, Sector: "trade", Span: 8, People: 1111}, {To: phuXuan, Sector: "tourism", Span: 8, People: 2222}, {To: anCuu, Sector: "trade", Span: 9, People: 3333},
		{To: phuXuan, Span: counted.AllDay, People: 4444}, {Span: counted.AllDay, People: 5555},
	}
	d.Moves = []counted.Figure{
		{From: anCuu, To: phuXuan, Sector: "trade", Span: 8, People: 111}, {From: phuXuan, To: anCuu, Sector: "tourism", Span: 9, People: 222},
		{From: anCuu, To: anCuu, Sector: "trade", Span: 9, People: 333}, {To: anCuu, Span: counted.AllDay, People: 444},
	}
	w.save(1, d)
	for _, tt := range []struct {
		who             string
		arrivals, moves int
		flows           []string // numbers that the list of flows has
		not             []string
	}{
		{"reporter", 16665, 1110, []string{"111", "222", "333"}, nil},
		{"health", 16665, 1110, []string{"111", "222", "333"}, nil},
		{"trade", 4444, 444, []string{"111", "333"}, []string{"222"}},
		{"tourism", 2222, 222, []string{"222"}, []string{"111", "333"}},
		{"commune", 7777, 333, []string{"111", "222"}, []string{"333"}}, // into it and out of it, not elsewhere
	} {
		code, body, _ := w.Get(tt.who, "/di-chuyen")
		if code != 200 {
			t.Fatalf("GET /di-chuyen as %s = %d", tt.who, code)
		}
		totals := regexp.MustCompile(`<dd>([0-9.]+)</dd>`).FindAllStringSubmatch(body, 2)
		if len(totals) != 2 || plain(totals[0][1]) != fmt.Sprint(tt.arrivals) || plain(totals[1][1]) != fmt.Sprint(tt.moves) {
			t.Errorf("%s sees %v arrivals and moves, want %d and %d", tt.who, totals, tt.arrivals, tt.moves)
		}
		if _, body, _ = w.Get(tt.who, "/di-chuyen/luong"); true {
			for _, n := range tt.flows {
				if !strings.Contains(body, "<td>"+n+"</td>") {
					t.Errorf("%s does not see the flow of %s", tt.who, n)
				}
			}
			for _, n := range tt.not {
				if strings.Contains(body, ">"+n+"<") {
					t.Errorf("%s sees the flow of %s", tt.who, n)
				}
			}
		}
	}
	// Nobody widens a scope by asking.
	for _, q := range []string{"?nganh=tourism", "?khu=" + url.QueryEscape(anCuu), "?nganh=tourism&khu=" + url.QueryEscape(phuXuan)} {
		if _, body, _ := w.Get("trade", "/di-chuyen/luong"+q); strings.Contains(body, ">222<") {
			t.Errorf("trade sees tourism's flow by %s", q)
		}
		if _, body, _ := w.Get("commune", "/di-chuyen/luong"+q); strings.Contains(body, ">333<") {
			t.Errorf("the commune sees another's flow by %s", q)
		}
	}
	// Others: those who keep places see these, the rest nothing.
	for who, want := range map[string]int{"owner": 303, "guard": 403, "admin": 403, "": 303} {
		if code, _, h := w.Get(who, "/di-chuyen"); code != want || who == "owner" && h.Get("Location") != "/di-chuyen/dia-diem" {
			t.Errorf("GET /di-chuyen as %q = %d to %s, want %d", who, code, h.Get("Location"), want)
		}
		for _, path := range []string{"/di-chuyen/luong", "/di-chuyen.xlsx", "/di-chuyen.csv"} {
			if code, _, _ := w.Get(who, path); code == 200 {
				t.Errorf("GET %s as %q = 200", path, who)
			}
		}
	}
}

func TestPlaces(t *testing.T) {
	w := newWorld(t)
	w.fill()
	path := fmt.Sprintf("/di-chuyen/dia-diem/%d", w.Place.No)
	for who, want := range map[string]int{
		"owner": 200, "trade": 200, "commune": 200, "reporter": 200, "health": 200,
		"foreign": 404, "tourism": 404, "guard": 403, "admin": 403, "": 303,
	} {
		code, body, _ := w.Get(who, path)
		if code != want || code == 200 && !strings.Contains(body, "Đông nhất khoảng 380 người, lúc 8:") {
			t.Errorf("GET %s as %q = %d, want %d", path, who, code, want)
		}
		if who == "guard" || who == "admin" || who == "" {
			continue
		}
		_, list, _ := w.Get(who, "/di-chuyen/dia-diem")
		if sees := strings.Contains(list, "Chợ Đông Ba"); sees != (want == 200) {
			t.Errorf("%s sees the place in the list: %v", who, sees)
		}
	}
	for _, bad := range []string{"/0", "/99999", "/x", "/4294967296", "/-1"} {
		if code, _, _ := w.Get("reporter", "/di-chuyen/dia-diem"+bad); code != 404 {
			t.Errorf("GET %s = %d, want 404", bad, code)
		}
	}
	// A day that was not counted, one with nobody, and nonsense.
	if _, body, _ := w.Get("owner", path+"?ngay="+(w.last-4).String()); !strings.Contains(body, "Chưa có số liệu của ngày này") {
		t.Error("a day that was not counted does not say so")
	}
	quiet := town(w.last-20, 1)
	w.save(1, quiet)
	if _, body, _ := w.Get("owner", path+"?ngay="+(w.last-20).String()); !strings.Contains(body, "chưa lúc nào có từ 10 người") {
		t.Error("a quiet day does not say that it is hidden")
	}
	for _, day := range []string{"x", "2026-13-45", "0001-01-01", "9999-12-31", "%00", "%ff"} {
		if code, _, _ := w.Get("owner", path+"?ngay="+day); code != 200 {
			t.Errorf("?ngay=%s = %d", day, code)
		}
	}
}

// TestHostileQuestions: whatever an address says, there is a page and no more than
// the viewer may see.
func TestHostileQuestions(t *testing.T) {
	w := newWorld(t)
	w.save(1, &counted.Day{Day: w.last, Arrivals: []counted.Figure{{To: phuXuan, Sector: "trade", Span: 8, People: 30}}})
	long := strings.Repeat("a", 8000)
	for _, q := range []string{
		"tu=x&den=y", "tu=9999-12-31&den=0001-01-01", "tu=2026-02-30", "gio=-1", "gio=29", "gio=99999999999999999999", "gio=x", "nganh=%00", "nganh=%ff%fe",
		"nganh='; DROP TABLE movements;--", "khu=19753", "khu=19753@2025-07-01%0d%0aX: y", "khu=" + long, "trang=-1", "trang=0", "trang=99999999", "trang=1e9",
		"tu[]=1", "tu=2020-01-01&den=2030-01-01", "ban_do=<script>alert(1)</script>", "nganh=" + long, "gio=24&gio=3",
	} {
		for _, path := range []string{"/di-chuyen/luong", "/di-chuyen.csv", "/di-chuyen/dia-diem"} {
			code, body, _ := w.Get("reporter", path+"?"+strings.ReplaceAll(q, " ", "%20"))
			if code >= 500 || code != 200 && code != 400 && code != 431 {
				t.Errorf("GET %s?%.60s = %d", path, q, code)
			}
			if strings.Contains(body, "<script>alert") || strings.Contains(body, "DROP TABLE") {
				t.Errorf("GET %s?%.60s says it back", path, q)
			}
		}
	}
}

func TestExport(t *testing.T) {
	w := newWorld(t)
	w.save(1, &counted.Day{
		Day:      w.last,
		Arrivals: []counted.Figure{{To: phuXuan, Sector: "trade", Span: 8, People: 30}, {To: phuXuan, Span: counted.AllDay, People: 12}},
		Moves:    []counted.Figure{{From: thuanHoa, To: phuXuan, Sector: "trade", Span: counted.Morning, People: 15}},
	})
	w.save(1, &counted.Day{Day: w.last - 1, Arrivals: []counted.Figure{{To: phuXuan, Sector: "trade", Span: 8, People: 20}}})
	// What came late is a run of its own.
	w.save(2, &counted.Day{Day: w.last - 1, Arrivals: []counted.Figure{{To: phuXuan, Sector: "trade", Span: 8, People: 11}}})
	code, body, h := w.Get("reporter", "/di-chuyen.csv")
	if code != 200 || !strings.Contains(h.Get("Content-Disposition"), "di-chuyen.csv") {
		t.Fatalf("GET /di-chuyen.csv = %d, %v", code, h)
	}
	in := csv.NewReader(strings.NewReader(strings.TrimPrefix(body, "\ufeff")))
	in.FieldsPerRecord = -1
	rows, err := in.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range rows[1 : len(rows)-1] {
		got = append(got, strings.Join(r[:6], "|"))
	}
	want := []string{
		"Đến||Phường Phú Xuân|Công Thương|8–9 giờ|61",
		"Đến||Phường Phú Xuân|nhiều nơi, không nêu riêng|Cả ngày|12",
		"Di chuyển|Phường Thuận Hoá|Phường Phú Xuân|Công Thương|Sáng (6–11 giờ)|15",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("rows are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !strings.Contains(rows[len(rows)-1][0], "ít hơn 10 người") {
		t.Errorf("the last row %q does not say what is hidden", rows[len(rows)-1])
	}
	// An hour alone does not have what is only known of the morning.
	if _, body, _ := w.Get("reporter", "/di-chuyen.csv?gio=8"); strings.Contains(body, ",15,") || !strings.Contains(body, ",61,") {
		t.Errorf("at 8 the file is\n%s", body)
	}
	// The pages lead to files and to each other with their question.
	for _, at := range []string{"/di-chuyen?gio=8", "/di-chuyen/luong?gio=8"} {
		_, body, _ := w.Get("reporter", at)
		for _, to := range []string{`/di-chuyen\.csv`, "/di-chuyen/luong", "/di-chuyen"} {
			link := regexp.MustCompile(`href="` + to + `\?([^"]*)"`).FindStringSubmatch(body)
			if link == nil {
				t.Errorf("%s leads to no %s", at, to)
				continue
			}
			if q, err := url.ParseQuery(html.UnescapeString(link[1])); err != nil || q.Get("gio") != "8" {
				t.Errorf("%s leads to %s with %q", at, to, link[1])
			}
		}
	}
	if code, body, _ := w.Get("reporter", "/di-chuyen.xlsx"); code != 200 || !strings.HasPrefix(body, "PK") {
		t.Errorf("GET /di-chuyen.xlsx = %d", code)
	}
}

// TestCountedAgain: a page shows what came late as soon as it is counted; and no
// page shows more days than it can.
func TestCountedAgain(t *testing.T) {
	w := newWorld(t)
	sum := func() string {
		_, body, _ := w.Get("reporter", "/di-chuyen")
		found := regexp.MustCompile(`<dd>([0-9.]+)</dd>`).FindStringSubmatch(body)
		if found == nil {
			return ""
		}
		return found[1]
	}
	d := &counted.Day{Day: w.last, Arrivals: []counted.Figure{{To: phuXuan, Sector: "trade", Span: 8, People: 30}}}
	w.save(1, d)
	if got := sum(); got != "30" {
		t.Errorf("arrivals are %q, want 30", got)
	}
	w.save(2, d)
	if got := sum(); got != "60" {
		t.Errorf("after a second run arrivals are %q, want 60", got)
	}
	d.Day -= 200
	w.save(1, d)
	_, body, _ := w.Get("reporter", "/di-chuyen?tu="+(w.last-300).String()+"&den="+w.last.String())
	if want := `value="` + (w.last - 91).String() + `"`; !strings.Contains(body, want) {
		t.Errorf("the form does not say that 92 days are shown: want %s", want)
	}
}

func plain(n string) string { return strings.ReplaceAll(n, ".", "") }
