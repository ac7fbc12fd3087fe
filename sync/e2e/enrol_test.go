package e2e_test

import (
	"encoding/base64"
	"fmt"
	"html"
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
)

var (
	enrolCode    = regexp.MustCompile(`<code>(QGE1[^<]*)</code>`)
	enrolWords   = regexp.MustCompile(`enrol-words"[^>]*>([^<]*)<`)
	enrolForm    = regexp.MustCompile(`/thiet-bi/them/ma/[a-z2-7]+`)
	enrolled     = regexp.MustCompile(`/thiet-bi/(k1-[a-z0-9-]+)/danh-tinh`)
	enrolPicture = regexp.MustCompile(`src="data:image/png;base64,([^"]*)"`)
	screenWord   = regexp.MustCompile(`<span>([^<]*)</span>`)
)

// A kiosk that came out of its box joins a network by its scanner and becomes one of a
// place by its camera, before which the portal's page is held, once somebody has compared the words, and checks people in; who is revoked is cut off.
func TestKioskIsEnrolledByItsOwnEyes(t *testing.T) {
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
	frames := filepath.Join(s.Dir, "frames") // what its camera sees
	if err := os.Mkdir(frames, 0o700); err != nil {
		t.Fatal(err)
	}
	k, err := s.NewKiosk("new-kiosk", fmt.Sprintf("[screen]\nlisten = %q\n[network]\nwifi = [\"touch\", %q]\n[[serial]]\ndevice = %q\n[[camera]]\nkind = \"files\"\npath = %q\nrate = 5\n",
		face, filepath.Join(s.Dir, "{ssid}"), scanner.Path, frames))
	if err != nil {
		t.Fatal(err)
	}
	p.kiosk = &visited{Kiosk: k, t: t, scanner: scanner}
	p.kiosk.start()

	show := func() string {
		resp, err := http.Get("http://" + face + "/")
		if err != nil {
			return ""
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return string(b)
	}
	scan := func(text string) {
		if _, err := io.WriteString(scanner, text+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	if p.until("the new kiosk says what to do", func() bool { return strings.Contains(show(), "mã đăng ký") }); t.Failed() {
		return
	}
	scan("WIFI:T:WPA;S:Cho Dong Ba;P:mua xuan 2027;;")
	p.until("the network is joined", func() bool { _, err := os.Stat(filepath.Join(s.Dir, "Cho Dong Ba")); return err == nil })

	page := owner.post("/thiet-bi/them", url.Values{"enrol_place": {"1"}, "enrol_gate": {"B7"}, "enrol_direction": {"vao"}})
	code, at := enrolCode.FindStringSubmatch(page), enrolForm.FindString(page)
	if code == nil || at == "" {
		t.Fatalf("no code on the page:\n%.4000s", page)
	}
	picture, err := base64.StdEncoding.DecodeString(html.UnescapeString(enrolPicture.FindStringSubmatch(page)[1]))
	if err != nil {
		t.Fatal(err)
	}
	held := filepath.Join(frames, "code.png")
	if err := os.WriteFile(held, picture, 0o600); err != nil {
		t.Fatal(err)
	}
	var words []string
	p.until("the kiosk shows four words", func() bool { words = screenWord.FindAllString(show(), -1); return len(words) == 4 })
	if err := os.Remove(held); err != nil {
		t.Fatal(err)
	}
	for i, w := range words {
		words[i] = screenWord.FindStringSubmatch(w)[1]
	}
	shown := enrolWords.FindStringSubmatch(owner.get(at))
	if shown == nil || shown[1] != strings.Join(words, " ") {
		t.Fatalf("the page shows %q, the kiosk %q", shown, words)
	}
	owner.post(at+"/xac-nhan", url.Values{"words": {shown[1]}})
	var id string
	p.until("the kiosk has its certificate", func() bool {
		if found := enrolled.FindStringSubmatch(owner.get(at)); found != nil {
			id = found[1]
		}
		return id != ""
	})
	k.ID = id
	p.until("the door is open", func() bool { return strings.Contains(show(), "Chợ Đông Ba") && strings.Contains(show(), "B7") })
	card, err := s.Card(t.Context(), 1, "")
	if err != nil {
		t.Fatal(err)
	}
	p.kiosk.show(card)
	p.complete("after the enrolment")
	// A code that is shown to a door, whoever has made it, is nothing to it.
	again := owner.post("/thiet-bi/them", url.Values{"enrol_place": {"1"}, "enrol_gate": {"B8"}, "enrol_direction": {"vao"}})
	for _, text := range []string{enrolCode.FindStringSubmatch(again)[1], code[1], "WIFI:T:WPA;S:Rogue;P:mua xuan 2027;;"} {
		p.kiosk.refused(text)
	}
	if _, err := os.Stat(filepath.Join(s.Dir, "Rogue")); err == nil {
		t.Error("a door has joined a network that somebody showed it")
	}
	if page := owner.get("/thiet-bi/" + id + "/danh-tinh"); !strings.Contains(page, "được phép kết nối") {
		t.Errorf("page of its identity:\n%.4000s", page)
	}

	// Started again it is the same kiosk; revoked it is cut off within seconds.
	p.kiosk.stop()
	p.kiosk.start()
	p.kiosk.show(card)
	p.until("it is connected", func() bool { return strings.TrimSpace(p.metric("qrgate_broker_clients")) == "2" })
	begun := time.Now()
	owner.post("/thiet-bi/"+id+"/danh-tinh/thu-hoi", url.Values{})
	p.until("it is cut off", func() bool { return strings.TrimSpace(p.metric("qrgate_broker_clients")) == "1" })
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %s to cut it off", took)
	}
}
