package office_test

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/pass"
)

func TestHomeOfStrangers(t *testing.T) {
	w := newWorld(t)
	w.stranger().get("/").want(t, "GET /", 200, `href="/dang-ky"`, `href="/dang-nhap"`, `action="/p"`, `name="ma"`, "tel:19001075", "/huong-dan")
}

// A new member is led to the first check-in, one step after the other.
func TestHomeLeadsToTheFirstCheckIn(t *testing.T) {
	w := newWorld(t)
	lan := w.person("lan")
	b := w.as(lan)
	b.get("/").want(t, "without an organisation", 200, "Tên của lan", "0 trong 4", `class="button" href="/to-chuc/moi"`, "!Địa điểm của bạn")
	org := w.organisation(lan, "Hộ Lan")
	b.get("/").want(t, "without a place", 200, "1 trong 4", `class="button" href="/dia-diem/moi"`, "!"+`class="button" href="/to-chuc/moi"`)
	p := w.shop(org, "Quán <Lan>", "trade")
	b.get("/").want(t, "without a poster", 200, "2 trong 4", `class="button" href="/dia-diem/1/in"`, "Quán &lt;Lan&gt;", "Chưa in")
	err := w.s.Write(t.Context(), func(t store.Tx) error {
		_, err := t.Exec("INSERT INTO posters (place, version, template, name, address, made_by, made, printed, formats) VALUES (?, 1, 0, '', '', '', 0, 1, '')", int64(p.No))
		if err == nil {
			_, err = t.Exec("UPDATE places SET poster = 1 WHERE no = ?", int64(p.No))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	b.get("/").want(t, "without a check-in", 200, "3 trong 4", `class="button" href="/p/`+pass.PosterCode(p.No, 1)+`"`, "Đã in")
	w.tally(p.No, 7, 3)
	b.get("/").want(t, "with all", 200, "!trong 4", ">7<", ">3<")

	guard := w.person("bao", in(qrgate.Guard, qrgate.InOrganisation, org))
	w.as(guard).get("/").want(t, "home of a guard", 200, "!trong 4", "Quán &lt;Lan&gt;", ">7<")
}

// tally counts check-ins of today.
func (w *world) tally(place uint32, ins, outs int) {
	w.t.Helper()
	ctx := w.t.Context()
	err := w.s.AddKiosk(ctx, qrgate.Kiosk{ID: "kiosk-one", Place: "Hai", Public: make([]byte, 32), State: qrgate.KioskActive, Added: w.time()})
	if err != nil {
		w.t.Fatal(err)
	}
	err = w.s.Write(ctx, func(t store.Tx) error {
		kiosk := int64(0)
		if err := t.Each(func(rows *sql.Rows) error { return rows.Scan(&kiosk) }, "SELECT no FROM kiosks"); err != nil {
			return err
		}
		_, err := t.Exec("INSERT INTO tallies (place_no, day, kiosk_no, ins, outs, first, last) VALUES (?, ?, ?, ?, ?, 1, 1)",
			int64(place), int64(qrgate.DayOf(w.time())), kiosk, ins, outs)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// Officers see the figures of their own scope alone, and only after the second
// factor.
func TestHomeOfOfficers(t *testing.T) {
	w := newWorld(t)
	org := w.organisation(w.person("lan"), "Hộ Lan")
	for _, sector := range []string{"trade", "trade", "health"} {
		w.shop(org, "Nơi "+sector, sector)
	}
	health := w.person("mai", in(qrgate.SectorOfficer, qrgate.InSector, "health"))
	area := w.person("nam", in(qrgate.AreaOfficer, qrgate.InArea, phuXuan))
	count := func(body string) string {
		_, after, _ := strings.Cut(mainOf(body), "<dd>")
		n, _, _ := strings.Cut(after, "</dd>")
		return n
	}
	for _, tt := range []struct{ account, scope, places string }{{health, "Y tế", "1"}, {area, "Phường Phú Xuân", "3"}, {w.person("root", all(qrgate.Administrator)), "Toàn thành phố", "3"}} {
		a := w.as(tt.account).get("/")
		a.want(t, "home", 200, tt.scope, "Không còn vướng mắc", "!trong 4")
		if got := count(a.body); got != tt.places {
			t.Errorf("places of %s = %s, want %s", tt.scope, got, tt.places)
		}
	}
	b := w.stranger()
	b.post("/test/" + health)
	b.get("/").want(t, "without the second factor", 200, "/dang-nhap/xac-thuc", "!<dd>")
}
