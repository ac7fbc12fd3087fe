package e2e_test

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Three people without telephones hold their cards before a door that has no network.
// Once it has one again a health officer finds by a card who was there with its holder,
// and whom to call; a check-in that comes later is told as what is new.
func TestFromTheDoorToTheCallList(t *testing.T) {
	t.Parallel()
	p, _ := atOneDoor(t, "cho-dong-ba-1", "Chợ Đông Ba", "")
	clerk := newClerk(t, p.stage)
	for _, name := range []string{"Nguyễn Văn An", "Trần Thị Bình", "Lê Văn Cường"} {
		clerk.issue(name, "card")
	}
	var cards []string
	for no := range 3 {
		cards = append(cards, p.command("card", "-number", fmt.Sprint(no+1)))
	}
	doctor := &officer{signIn(t, p.stage, "bac.si", "-role", "health_officer", "-scope", "all")}
	doctor.confirm("/ca-benh")
	at := doctor.open()

	p.killServers()
	p.kiosk.start()
	p.kiosk.show(cards[0])
	p.kiosk.show(cards[1])
	p.startServers()
	doctor.choose(at, cards[0])
	p.until("the officer sees who was there", func() bool { return strings.Contains(doctor.trace(at), "Trần Thị Bình") })
	page := doctor.get(at + "/tiep-xuc")
	if strings.Contains(page, "Lê Văn Cường") || strings.Contains(page, ">Nguyễn Văn An<") && strings.Count(page, "/tiep-xuc/") != 1 {
		t.Errorf("the list should hold Trần Thị Bình alone:\n%.6000s", page)
	}
	if calls := doctor.get(at + "/goi"); !strings.Contains(calls, "Trần Thị Bình") || !strings.Contains(calls, "0905 123 456") {
		t.Errorf("the call list does not say whom to call:\n%.6000s", calls)
	}

	p.kiosk.show(cards[2])
	p.until("the later check-in is in the trace", func() bool { return strings.Contains(doctor.trace(at), "Lê Văn Cường") })
	if news := doctor.get(at + "/thay-doi"); !strings.Contains(news, "Lê Văn Cường") || strings.Contains(news, "Trần Thị Bình") {
		t.Errorf("what is new should be Lê Văn Cường alone:\n%.6000s", news)
	}
}

// An officer is a health officer in a browser without script.
type officer struct{ *user }

var caseOf = regexp.MustCompile(`/ca-benh/[a-z2-7]{26}`)

// open opens a case of a disease whose trace needs no second officer, and returns the
// address of its page.
func (o *officer) open() string {
	o.t.Helper()
	today := time.Now().In(time.FixedZone("ICT", 7*60*60)).Format("2006-01-02")
	page := o.post("/ca-benh/moi", url.Values{
		"cases.state": {"confirmed"}, "cases.profile": {"measles"}, "cases.purpose": {"Ca sởi, bệnh viện báo"}, "cases.scope": {"all"},
		"cases.from": {today}, "cases.to": {today}, "cases.duty": {"1"},
	})
	at := caseOf.FindString(page)
	if at == "" {
		o.t.Fatalf("no case was opened:\n%.4000s", page)
	}
	return at
}

var (
	foundOf   = regexp.MustCompile(`name="nguoi" value="([^"]+)"`)
	versionOf = regexp.MustCompile(`name="version" value="(\d+)"`)
)

// choose finds the person whose card it is and makes them the case's.
func (o *officer) choose(at, card string) {
	o.t.Helper()
	page := o.post(at+"/tim", url.Values{"cases.by": {"card"}, "cases.find": {card}})
	person, version := foundOf.FindStringSubmatch(page), versionOf.FindStringSubmatch(page)
	if person == nil || version == nil {
		o.t.Fatalf("nobody was found by a card:\n%.6000s", page)
	}
	o.post(at+"/nguoi", url.Values{"nguoi": {person[1]}, "version": {version[1]}})
}

// trace asks who was there and returns the list.
func (o *officer) trace(at string) string {
	o.t.Helper()
	return o.post(at+"/truy-vet", nil)
}
