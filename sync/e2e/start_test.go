package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/sync/e2e/stage"
	"github.com/qrgate/qrgate/sync/guide"
)

var startStage = regexp.MustCompile(`data-stage="([^"]*)"`)

// Somebody with a scanner and the printed guide, without touch and keys, leads a kiosk
// that came out of its box to an open door; the power goes in between.
func TestFirstStartByScannerAlone(t *testing.T) {
	t.Parallel()
	p, _ := onStage(t, stage.Options{})
	s := p.stage
	p.startServers()
	owner := &organiser{signIn(t, s, "owner.ba")}
	owner.placeOf("Chợ Đông Ba")
	scanner, err := s.StartScanner(filepath.Join(s.Dir, "scanner"))
	if err != nil {
		t.Fatal(err)
	}
	face, err := stage.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	joined := filepath.Join(s.Dir, "joined")
	k, err := s.NewKiosk("new-kiosk", fmt.Sprintf("[screen]\nlisten = %q\n[network]\nwifi = [\"touch\", %q]\n[start]\nwalk = true\nfile = \"\"\n[[serial]]\ndevice = %q\n", face, joined, scanner.Path))
	if err != nil {
		t.Fatal(err)
	}
	p.kiosk = &visited{Kiosk: k, t: t, scanner: scanner}
	lead := func() {
		t.Helper()
		if p.kiosk.run, err = k.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	lead()

	show := func() string {
		resp, err := http.Get("http://" + face + "/")
		if err != nil {
			return ""
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return string(b)
	}
	at := func(steps ...string) bool {
		t.Helper()
		p.until("the screen is at "+strings.Join(steps, " or "), func() bool {
			m := startStage.FindStringSubmatch(show())
			return m != nil && strings.Contains(" "+strings.Join(steps, " ")+" ", " "+m[1]+" ")
		})
		return !t.Failed()
	}
	scan := func(text string) {
		time.Sleep(1100 * time.Millisecond) // longer than a code that is still held; nothing is waited for
		if _, err := io.WriteString(scanner, text+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	if !at("language") {
		return
	}
	scan(string(guide.Yes))
	if !at("network", "enrol") {
		return
	}
	if startStage.FindStringSubmatch(show())[1] == "network" { // this machine may have none
		scan("WIFI:T:WPA;S:Cho Dong Ba;P:mua xuan 2027;;")
	}
	if !at("enrol") {
		return
	}
	page := owner.post("/thiet-bi/them", url.Values{"enrol_place": {"1"}, "enrol_gate": {"B7"}, "enrol_direction": {"vao"}})
	code, form := enrolCode.FindStringSubmatch(page), enrolForm.FindString(page)
	if code == nil || form == "" {
		t.Fatalf("no code on the page:\n%.4000s", page)
	}
	scan(strings.ReplaceAll(code[1], "&amp;", "&"))
	if !at("words") {
		return
	}
	var words []string
	for _, w := range screenWord.FindAllStringSubmatch(show(), -1) {
		words = append(words, w[1])
	}
	if len(words) < 4 {
		t.Fatalf("no four words: %s", show())
	}
	if p.kiosk.await(time.Minute, "awaited") == "" {
		t.Error("the lamps do not say that the server waits for this machine")
	}
	owner.get(form) // which shows the same, or refuses them
	owner.post(form+"/xac-nhan", url.Values{"words": {strings.Join(words[:4], " ")}})
	var id string
	p.until("the kiosk has its certificate", func() bool {
		if found := enrolled.FindStringSubmatch(owner.get(form)); found != nil {
			id = found[1]
		}
		return id != ""
	})
	k.ID = id
	if !at("scanner") {
		return
	}
	card, err := s.Card(t.Context(), 1, "")
	if err != nil {
		t.Fatal(err)
	}
	scan(card)
	if !at("lamps") {
		return
	}
	p.kiosk.kill()
	lead()
	if !at("lamps") { // where it was when the power went
		return
	}
	scan(string(guide.Yes))
	if !at("direction") {
		return
	}
	scan(string(guide.Yes))
	if !at("ready") {
		return
	}
	if sheet := show(); !strings.Contains(sheet, "Chợ Đông Ba") || !strings.Contains(sheet, "B7") {
		t.Errorf("the last sheet does not name the place:\n%s", sheet)
	}
	scan(string(guide.Next))
	p.until("the door is open", func() bool { return strings.Contains(show(), `data-state="starting"`) })
	p.kiosk.show(card)
	p.complete("after the first start")

	// A door is nobody's to answer, and starts as a door.
	p.kiosk.refused(string(guide.Yes))
	p.kiosk.stop()
	p.kiosk.start()
	p.kiosk.show(card)

	// A command card has it join another network, and the door opens again.
	o := &operator{signIn(t, s, "van-hanh", "-role", "operator", "-scope", "all"), p, ""}
	o.confirm("/thiet-bi/the-lenh")
	p.kiosk.refused("WIFI:T:WPA;S:Nha Ben;P:mua dong 2027;;") // nobody is asked for one
	p.kiosk.scan(o.card("network", id, false), "ordered")
	<-p.kiosk.run.Done()
	lead()
	if !at("network") {
		return
	}
	os.Remove(joined) // of the first start, where this machine has no network
	scan("WIFI:T:WPA;S:Nha Ben;P:mua dong 2027;;")
	p.until("the door is open", func() bool { return strings.Contains(show(), `data-state="starting"`) })
	if _, err := os.Stat(joined); err != nil {
		t.Errorf("the network of the card was not joined: %v", err)
	}
	p.kiosk.show(card)

	// Another has it go through all steps again.
	p.kiosk.scan(o.card("set_up", id, false), "ordered")
	<-p.kiosk.run.Done()
	lead()
	if !at("language") {
		return
	}
	scan(string(guide.No))
	if !at("network", "scanner") {
		return
	}
	if startStage.FindStringSubmatch(show())[1] == "network" {
		scan(string(guide.Next))
	}
	if at("scanner") && !strings.Contains(show(), "Try the scanner") {
		t.Errorf("it does not speak English:\n%s", show())
	}
}
