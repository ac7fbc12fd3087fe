package e2e_test

import (
	"fmt"
	"image/png"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// An operator tells a kiosk what to do in the portal and sees what became of it; a door
// opens once for who presses in time.
func TestOrdersFromThePortalToTheDoor(t *testing.T) {
	t.Parallel()
	p, o := operate(t)
	o.give("door")
	o.press()
	o.until("the door is open", func(page string) bool { return o.state(page, "Mở cửa") == "Đã làm" })
	if n := p.kiosk.pulses(); n != 1 {
		t.Errorf("the door was opened %d times, want once", n)
	}
	o.give("self_test")
	o.give("log")
	o.until("a self-test", func(page string) bool {
		return strings.Contains(page, "order-checks") && strings.Contains(page, "Ổ đĩa")
	})
	o.until("a log", func(page string) bool { return strings.Contains(page, "door open") })
	o.give("identify")
	if p.kiosk.await(20*time.Second, "here") == "" {
		t.Error("the kiosk does not show itself")
	}
}

// operate starts a kiosk, and signs in its operator.
func operate(t *testing.T) (*play, *operator) {
	p, _ := atOneDoor(t, "trung-tam-van-hoa-1", "Trung tâm Văn hóa", "")
	p.kiosk.start()
	o := &operator{signIn(t, p.stage, "tam", "-role", "operator", "-scope", "all"), p, "/thiet-bi/" + p.kiosk.ID + "/lenh"}
	o.confirm(o.at)
	p.until("the kiosk is connected", func() bool { return !strings.Contains(o.get(o.at), "không có mạng") })
	return p, o
}

// Command cards work without a network; what is forged, late, another's or used up does
// not, and the portal sees each when the line is back.
func TestCommandCardsAtTheDoor(t *testing.T) {
	t.Parallel()
	p, o := operate(t)
	p.command("kiosk", "add", "trung-tam-van-hoa-2", "-place", "Trung tâm Văn hóa", "-out", t.TempDir())
	out := o.card("turn_out", p.kiosk.ID, false)
	back := o.card("turn_back", p.kiosk.ID, true)
	other := o.card("turn_out", "trung-tam-van-hoa-2", false)
	forged := out[:len(out)-1] + map[bool]string{true: "B", false: "A"}[out[len(out)-1] == 'A']
	visitor := p.command("card", "-number", "7")

	p.proxy.Down.Store(true)
	p.proxy.Cut()
	p.kiosk.scan(out, "ordered")
	p.kiosk.scan(visitor, "admitted")
	p.kiosk.scan(back, "ordered")
	p.kiosk.kill()
	p.kiosk.start()
	p.kiosk.scan(back, "refused") // was used, whatever has happened since
	p.kiosk.scan(other, "refused")
	p.kiosk.scan(forged, "refused")
	p.proxy.Down.Store(false)

	o.until("all of them", func(page string) bool {
		for _, said := range []string{"Đổi chiều", "Lệnh của máy khác.", "Chữ ký không đúng: lệnh giả.", "Lệnh đã dùng rồi, nay lặp lại."} {
			if !strings.Contains(page, said) {
				return false
			}
		}
		return true
	})
	// The visitor went the other way while the card said so.
	if rows := p.command("checkins", p.kiosk.ID); !strings.Contains(rows, `"direction":"out"`) {
		t.Errorf("no check-in goes out: %s", rows)
	}
}

// An operator uses the page of a kiosk's orders.
type operator struct {
	*user
	p  *play
	at string
}

func (o *operator) give(kind string) {
	o.t.Helper()
	o.post(o.at, url.Values{"order.kind": {kind}, "order.sure": {"1"}})
}

func (o *operator) until(what string, done func(page string) bool) {
	o.t.Helper()
	o.p.until("the portal sees "+what, func() bool { return done(o.get(o.at)) })
}

var orderState = regexp.MustCompile(`(?s)<h3>([^<]*).*?<p class="label[^>]*>.*?</span> ([^<]*)</p>`)

// state returns the state of the newest order of a kind.
func (o *operator) state(page, kind string) string {
	for _, m := range orderState.FindAllStringSubmatch(page, -1) {
		if m[1] == kind {
			return m[2]
		}
	}
	return ""
}

var pressAt = regexp.MustCompile(`action="(/thiet-bi/[a-z0-9-]+/lenh/[0-9a-f]{32}/mo)"`)

// ready waits until a door can be opened and returns where.
func (o *operator) ready() (at string) {
	o.t.Helper()
	o.until("that the door can be opened", func(page string) bool {
		m := pressAt.FindStringSubmatch(page)
		if m != nil {
			at = m[1]
		}
		return m != nil
	})
	return at
}

func (o *operator) press() { o.t.Helper(); o.post(o.ready(), url.Values{}) }

// card makes a command card and returns what its code says, as it is printed.
func (o *operator) card(what, kiosk string, single bool) string {
	o.t.Helper()
	form := url.Values{"order.what": {what}, "order.kiosk": {kiosk}, "order.where": {"kiosk"}, "order.days": {"2"}, "order.copies": {"1"}}
	if single {
		form.Set("order.single", "1")
	}
	page := o.post("/thiet-bi/the-lenh", form)
	m := regexp.MustCompile(`/thiet-bi/the-lenh/(\d+)/in\.pdf"`).FindStringSubmatch(page)
	if m == nil {
		o.t.Fatalf("no card was made:\n%.3000s", page)
	}
	if pdf := o.get("/thiet-bi/the-lenh/" + m[1] + "/in.pdf"); !strings.HasPrefix(pdf, "%PDF") {
		o.t.Errorf("a card is printed as %.20q", pdf)
	}
	img, err := png.Decode(strings.NewReader(o.get("/thiet-bi/the-lenh/" + m[1] + "/ma.png")))
	if err != nil {
		o.t.Fatal(err)
	}
	return readCode(o.t, img)
}

// pulses returns how often the panel opened the door without an answer to a scan.
func (v *visited) pulses() int {
	v.t.Helper()
	b, err := os.ReadFile(v.Lamps())
	if err != nil {
		v.t.Fatal(err)
	}
	return strings.Count(string(b), `"signal":"pulse"`)
}

// scan shows a text and waits for a signal.
func (v *visited) scan(text, want string) {
	v.t.Helper()
	v.news()
	fmt.Fprintln(v.scanner, text)
	if got := v.await(20*time.Second, "ordered", "refused", "fault", "admitted", "amber"); got != want {
		v.t.Errorf("a card is answered %q, want %q", got, want)
	}
}
