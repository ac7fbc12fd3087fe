package e2e_test

import (
	"fmt"
	"image/png"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// An organiser opens an event and invites guests in the portal. Their passes open the
// door, once each, whether it has a network or not, and the portal sees who came.
func TestEventFromInvitationToAttendance(t *testing.T) {
	t.Parallel()
	const place = "Trung tâm Văn hóa"
	p, said := atOneDoor(t, "trung-tam-van-hoa-1", place, "")
	o := &organiser{user: signIn(t, p.stage, "lan")}
	o.placeOf(place)
	p.command("kiosk", "move", p.kiosk.ID, "-place", place, "-place-number", "1")
	o.open()
	an, binh, cuong := o.invite("Nguyễn Văn An"), o.invite("Trần Thị Bình"), o.invite("Lê Văn Cường")
	o.replace(2)
	binhAgain := o.pass(2)
	card := p.command("card", "-number", "77")

	t.Log("online")
	p.kiosk.start()
	p.until("the kiosk has the event", func() bool { return strings.Contains(said.tail(200), "event taken") })
	p.kiosk.show(an)
	p.kiosk.refused(an)   // a copy
	p.kiosk.refused(binh) // was replaced
	p.kiosk.show(binhAgain)
	p.kiosk.refused(card) // nobody is let in without an invitation

	t.Log("offline")
	p.proxy.Down.Store(true)
	p.proxy.Cut()
	dung := o.invite("Phạm Thị Dung")
	o.withdraw(3)
	p.kiosk.show(dung) // the door has not heard of her, but her pass is genuine
	p.kiosk.kill()
	p.kiosk.start()
	p.kiosk.refused(an)
	p.proxy.Down.Store(false)
	p.until("the kiosk has heard of the withdrawal", func() bool { return strings.Count(said.tail(10_000), "event taken") >= 2 })
	p.kiosk.refused(cuong)
	p.until("the portal sees who came, and whom the door turned away", func() bool {
		page := o.get("/su-kien/1")
		return strings.Contains(page, `data-figure="all.came">3<`) && strings.Contains(page, `data-figure="all.inside">3`) && strings.Contains(page, `data-figure="denied">4<`)
	})
}

var organisationOf = regexp.MustCompile(`name="place.org" value="([a-z2-7]+)"`)

// An organiser is the owner of an organisation with one place.
type organiser struct{ *user }

func (o *organiser) placeOf(name string) {
	o.t.Helper()
	o.post("/to-chuc/moi", url.Values{"org.name": {"Sở Văn hóa và Thể thao"}, "org.sector": {"province"}, "org.phone": {"0234 3523 991"}})
	organisation := organisationOf.FindStringSubmatch(o.get("/dia-diem/moi"))
	if organisation == nil {
		o.t.Fatal("no organisation was made")
	}
	page := o.post("/dia-diem/moi", url.Values{
		"place.org": organisation[1:], "place.name": {name}, "place.kind": {"event_venue"}, "place.sector": {"province"}, "place.commune": {"Phường Phú Xuân"}, "place.street": {"11 Lê Lợi"},
		"place.person": {"Trần Văn Ba"}, "place.phone1": {"0905 123 456"}, "place.doors": {"1"}, "place.pick": {"19753@2025-07-01"}, "place.area": {"19753@2025-07-01"},
	})
	if !strings.Contains(page, name) {
		o.t.Fatalf("no place was made:\n%.4000s", page)
	}
}

// open opens an event that goes on now.
func (o *organiser) open() {
	o.t.Helper()
	vietnam := time.FixedZone("ICT", 7*60*60)
	from, to := time.Now().In(vietnam).Add(-time.Hour), time.Now().In(vietnam).Add(3*time.Hour)
	page := o.post("/su-kien/moi", url.Values{
		"event.place": {"1"}, "event.name": {"Hội nghị"}, "event.day": {from.Format("2006-01-02")}, "event.from": {from.Format("15:04")},
		"event.last": {to.Format("2006-01-02")}, "event.to": {to.Format("15:04")}, "event.early": {"60"}, "event.is.public": {"1"},
	})
	if !strings.Contains(page, "Đã mở sự kiện") {
		o.t.Fatalf("no event was opened:\n%.4000s", page)
	}
}

func (o *organiser) invite(name string) string {
	o.t.Helper()
	page := o.post("/su-kien/1/khach", url.Values{"event.guest": {name}, "event.category": {"4"}, "event.phone": {"0905 123 456"}})
	no := strings.Count(page, "/ve/")
	return o.pass(no)
}

var passOf = regexp.MustCompile(`/ve/[a-z2-7]+`)

// pass returns what the code of a guest's pass says, as it is on their telephone.
func (o *organiser) pass(number int) string {
	o.t.Helper()
	page := o.get(fmt.Sprintf("/su-kien/1/khach?tim=%d", number))
	img, err := png.Decode(strings.NewReader(o.get(passOf.FindString(page) + "/ma.png")))
	if err != nil {
		o.t.Fatal(err)
	}
	return readCode(o.t, img)
}

func (o *organiser) replace(number int) {
	o.t.Helper()
	o.post(fmt.Sprintf("/su-kien/1/khach/%d/doi", number), url.Values{"issue": {"1"}})
}

func (o *organiser) withdraw(number int) {
	o.t.Helper()
	o.post(fmt.Sprintf("/su-kien/1/khach/%d/rut", number), url.Values{"issue": {"1"}})
}
