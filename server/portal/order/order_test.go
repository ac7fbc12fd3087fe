package order_test

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/portal/order"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/pagetest"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/orders"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// An orderer keeps orders and sends none.
type orderer struct{ *orders.Orders }

func (orderer) CardText(c orders.Card) (string, error) {
	return fmt.Sprintf("QGC1 CARD %d", c.Serial), nil
}
func (orderer) TimeText(n pass.Target) (string, error) { return fmt.Sprintf("QGC1 TIME %X", n), nil }

const mine, others = "dong-ba-gate-1", "huong-gate-01"

// newWorld has a kiosk at the place that the world is about, one elsewhere, and one
// nowhere.
func newWorld(t *testing.T) (*pagetest.World, *orders.Orders) {
	t.Helper()
	var o *orders.Orders
	w := pagetest.NewOver(t, "http://127.0.0.1", func(w *pagetest.World, f *page.Frame) []page.Route {
		o = orders.At(w.Store, time.Now)
		for id, no := range map[string]uint32{mine: w.Place.No, others: w.Other.No, "nowhere-0001": 0} {
			err := w.Store.AddKiosk(context.Background(), qrgate.Kiosk{ID: id, Place: "Chợ Đông Ba", PlaceNo: no, Public: bytes.Repeat([]byte{1}, 32), State: qrgate.KioskActive, Added: time.Now()})
			if err != nil {
				t.Fatal(err)
			}
		}
		return order.New(f, order.Options{Orders: orderer{o}, Register: w.Reg}).Routes()
	})
	return w, o
}

const at = "/thiet-bi/" + mine + "/lenh"

func TestWhoMayGiveWhat(t *testing.T) {
	w, o := newWorld(t)
	for _, tt := range []struct {
		who, path string
		status    int
	}{
		{"admin", at, 200}, {"admin", "/thiet-bi/nowhere-0001/lenh", 200}, {"owner", at, 200}, {"guard", at, 200},
		{"guard", "/thiet-bi/" + others + "/lenh", 404}, {"guard", "/thiet-bi/nowhere-0001/lenh", 404}, {"foreign", at, 404},
		{"health", at, 403}, {"trade", at, 403}, {"reporter", at, 403}, {"", at, 303},
		{"admin", "/thiet-bi/unknown-0001/lenh", 404}, {"admin", "/thiet-bi/A/lenh", 404},
		{"admin", "/thiet-bi/the-lenh", 200}, {"guard", "/thiet-bi/the-lenh", 403}, {"owner", "/thiet-bi/the-lenh", 403},
		{"", "/thiet-bi/gio", 200}, {"", "/thiet-bi/gio?so=0102030405060708", 200}, {"", "/thiet-bi/gio?so=xx", 200},
		{"", "/thiet-bi/gio/ma.png?so=xx", 404},
	} {
		if status, _, _ := w.Get(tt.who, tt.path); status != tt.status {
			t.Errorf("%q gets %s: %d, want %d", tt.who, tt.path, status, tt.status)
		}
	}
	for _, tt := range []struct {
		who, kind string
		status    int
	}{
		{"admin", "self_test", 303}, {"admin", "self_test", 409}, {"guard", "identify", 303}, {"owner", "undo", 303},
		{"guard", "restart", 400}, {"guard", "door", 400}, {"owner", "lock", 400}, {"foreign", "identify", 404}, {"health", "identify", 403},
		{"admin", "maintenance", 400}, {"admin", "floor", 400}, {"admin", "nothing", 400}, {"admin", "", 400},
	} {
		if status, _, _ := w.Post(tt.who, at, url.Values{"order.kind": {tt.kind}, "order.sure": {"1"}}); status != tt.status {
			t.Errorf("%q gives %q: %d, want %d", tt.who, tt.kind, status, tt.status)
		}
	}
	given, err := o.Of(t.Context(), mine, 10)
	if err != nil || len(given) != 3 {
		t.Errorf("%d orders were given, want 3: %v", len(given), err)
	}
	if _, page, _ := w.Get("guard", at); strings.Contains(page, "Khởi động lại") || !strings.Contains(page, "Tìm thiết bị") {
		t.Error("a guard is offered what they may not do, or not what they may")
	}
	if _, page, _ := w.Get("admin", "/thiet-bi/"+others+"/lenh"); strings.Contains(page, "Đang chờ thiết bị") {
		t.Error("orders of one kiosk are on another's page")
	}
}

func TestWhatMovesADoorIsAskedTwice(t *testing.T) {
	w, o := newWorld(t)
	form := url.Values{"order.kind": {"direction"}, "order.direction": {"out"}, "order.hours": {"2"}, "order.extra": {"x"}}
	status, page, _ := w.Post("admin", at, form)
	if status != 200 || !strings.Contains(page, "Xin xác nhận") || !strings.Contains(page, `name="order.hours" value="2"`) || strings.Contains(page, "order.extra") {
		t.Errorf("the question: %d", status)
	}
	if given, _ := o.Of(t.Context(), mine, 10); len(given) != 0 {
		t.Error("it was given before it was confirmed")
	}
	form.Set("order.sure", "1")
	if status, _, _ := w.Post("admin", at, form); status != 303 {
		t.Errorf("confirmed: %d", status)
	}
	given, err := o.Of(t.Context(), mine, 10)
	if err != nil || len(given) != 1 || given[0].Args.Direction != wire.Out || given[0].Args.Until < time.Now().Add(time.Hour).UnixMilli() {
		t.Errorf("given %+v, %v", given, err)
	}
	for name, wrong := range map[string]url.Values{
		"no direction": {"order.kind": {"direction"}},
		"sideways":     {"order.kind": {"direction"}, "order.direction": {"up"}},
		"for a year":   {"order.kind": {"direction"}, "order.direction": {"in"}, "order.hours": {"9000"}},
		"nobody":       {"order.kind": {"tally"}, "order.count": {"0"}},
		"a crowd":      {"order.kind": {"tally"}, "order.count": {"101"}},
		"no event":     {"order.kind": {"event"}, "order.event": {"x"}},
	} {
		if status, _, _ := w.Post("admin", at, wrong); status != 422 {
			t.Errorf("%s: %d, want 422", name, status)
		}
	}
	if err := w.Store.RevokeKiosk(t.Context(), mine); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := w.Post("admin", at, url.Values{"order.kind": {"log"}}); status != 409 {
		t.Errorf("to a revoked kiosk: %d, want 409", status)
	}
	if status, page, _ := w.Get("admin", at); status != 200 || strings.Contains(page, `name="order.kind"`) {
		t.Errorf("the page of a revoked kiosk: %d", status)
	}
}

func (w2 world) give(kind wire.OrderKind) *orders.Order {
	w2.t.Helper()
	given, err := w2.o.Give(w2.t.Context(), "admin", orders.New{Kiosk: mine, Kind: kind, Life: time.Minute})
	if err != nil {
		w2.t.Fatal(err)
	}
	return given
}

type world struct {
	t *testing.T
	o *orders.Orders
}

func TestResultsAreShown(t *testing.T) {
	w, o := newWorld(t)
	give := world{t, o}.give
	result := func(of *orders.Order, r wire.Result) {
		t.Helper()
		r.Order, r.Kind = of.ID, of.Kind
		if err := o.Result(t.Context(), mine, &r); err != nil {
			t.Fatal(err)
		}
	}
	test, log, picture, lock := give(wire.OrderSelfTest), give(wire.OrderLog), give(wire.OrderPicture), give(wire.OrderLock)
	result(test, wire.Result{State: wire.OrderFailed, Checks: []wire.Check{{Name: "disk", Detail: "<b>read-only</b>"}, {Name: "of a later release", OK: true}}})
	result(log, wire.Result{State: wire.OrderDone, Parts: 1, Data: []byte(strings.Repeat("level=INFO msg=old\n", 100) + "level=INFO msg=\"<newest>\"\n\xff")})
	result(picture, wire.Result{State: wire.OrderDone, Parts: 1, Data: []byte("\xff\xd8jpeg")})
	result(lock, wire.Result{State: wire.OrderRefused, Reason: wire.ReasonKiosk})
	status, page, _ := w.Get("admin", at)
	for _, want := range []string{
		"Không làm được", "Ổ đĩa", "&lt;b&gt;read-only", "of a later release", "&lt;newest&gt;", "nhat-ky.txt", "anh.jpg", "Lệnh của máy khác.", "admin",
	} {
		if status != 200 || !strings.Contains(page, want) {
			t.Errorf("%d, the page does not say %q", status, want)
		}
	}
	if n := strings.Count(page, "msg=old"); n > 40 {
		t.Errorf("%d lines of the log are on the page", n)
	}
	file := fmt.Sprintf("%s/%s/nhat-ky.txt", at, log.ID)
	if status, body, h := w.Get("admin", file); status != 200 || !strings.Contains(body, "msg=old") || !strings.Contains(h.Get("Content-Disposition"), "attachment") {
		t.Errorf("the log: %d", status)
	}
	if status, body, h := w.Get("admin", fmt.Sprintf("%s/%s/anh.jpg", at, picture.ID)); status != 200 || !strings.HasPrefix(body, "\xff\xd8") || h.Get("Cache-Control") != "no-store" {
		t.Errorf("the picture: %d", status)
	}
	for _, tt := range []struct {
		who, path string
		status    int
	}{
		{"guard", file, 403}, {"admin", fmt.Sprintf("%s/%s/anh.jpg", at, log.ID), 404}, {"admin", at + "/zz/nhat-ky.txt", 404},
		{"admin", at + "/" + strings.Repeat("0", 32) + "/nhat-ky.txt", 404}, {"admin", strings.Replace(file, mine, others, 1), 404},
	} {
		if status, _, _ := w.Get(tt.who, tt.path); status != tt.status {
			t.Errorf("%s gets %s: %d, want %d", tt.who, tt.path, status, tt.status)
		}
	}
	if _, page, _ := w.Get("guard", at); strings.Contains(page, "newest") || strings.Contains(page, "anh.jpg") {
		t.Error("a guard sees what an operator asked for")
	}
}

func TestDoorInTwoSteps(t *testing.T) {
	w, o := newWorld(t)
	if status, _, _ := w.Post("admin", at, url.Values{"order.kind": {"door"}}); status != 303 {
		t.Fatalf("the first step: %d", status)
	}
	given, err := o.Of(t.Context(), mine, 1)
	if err != nil {
		t.Fatal(err)
	}
	press := fmt.Sprintf("%s/%s/mo", at, given[0].ID)
	if status, _, _ := w.Post("admin", press, nil); status != 409 {
		t.Errorf("before the kiosk waits: %d, want 409", status)
	}
	if _, page, _ := w.Get("admin", at); strings.Contains(page, "MỞ CỬA") || !strings.Contains(page, `data-live="1"`) {
		t.Error("the door is offered before the kiosk waits")
	}
	if err := o.Waits(t.Context(), mine, given[0].ID); err != nil {
		t.Fatal(err)
	}
	if _, page, _ := w.Get("admin", at); !strings.Contains(page, press) || !strings.Contains(page, "giây") {
		t.Error("the door is not offered")
	}
	if _, page, _ := w.Get("guard", at); strings.Contains(page, press) {
		t.Error("a guard is offered to open from afar")
	}
	if status, _, _ := w.Post("guard", press, nil); status != 403 {
		t.Errorf("a guard presses: %d, want 403", status)
	}
	if status, _, _ := w.Post("admin", press, nil); status != 303 {
		t.Errorf("pressed: %d", status)
	}
	if status, _, _ := w.Post("admin", press, nil); status != 409 {
		t.Errorf("pressed again: %d, want 409", status)
	}
	if _, page, _ := w.Get("admin", at); strings.Contains(page, press) {
		t.Error("the door is offered again")
	}
}

func card() url.Values {
	return url.Values{"order.what": {"turn_out"}, "order.kiosk": {mine}, "order.where": {"kiosk"}, "order.days": {"7"}, "order.copies": {"2"}, "order.hours": {"4"}, "order.note": {"Bàn bảo vệ"}}
}

func TestCommandCards(t *testing.T) {
	w, o := newWorld(t)
	if status, _, _ := w.Post("admin", "/thiet-bi/the-lenh", card()); status != 303 {
		t.Fatalf("cards: %d", status)
	}
	place := card()
	place.Set("order.where", "place")
	place.Set("order.what", "tally")
	place.Set("order.count", "3")
	place.Set("order.copies", "1")
	if status, _, _ := w.Post("admin", "/thiet-bi/the-lenh", place); status != 303 {
		t.Fatalf("a card of a place: %d", status)
	}
	made, err := o.Cards(t.Context(), 10)
	if err != nil || len(made) != 3 || made[0].Place != w.Place.No || made[0].Kiosk != "" || made[2].Kiosk != mine {
		t.Fatalf("made %+v, %v", made, err)
	}
	if a, err := wire.CardArgs(made[1].Kind, made[1].Arg, time.Unix(0, 0)); err != nil || a.Direction != wire.Out || a.Until != 4*time.Hour.Milliseconds() {
		t.Errorf("a card says %+v, %v", a, err)
	}
	if days := time.Until(made[1].Until.Time()); days < 6*24*time.Hour || days > 8*24*time.Hour {
		t.Errorf("a card of seven days ends in %s", days)
	}
	_, page, _ := w.Get("admin", "/thiet-bi/the-lenh")
	for _, want := range []string{"Đổi chiều: ra trong 4 giờ", "Bàn bảo vệ", "thêm 3 người", "Mọi máy ở Chợ Đông Ba", "/thiet-bi/the-lenh/1/in.pdf"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	for path, status := range map[string]int{
		"/thiet-bi/the-lenh/1/in.pdf?so=3": 200, "/thiet-bi/the-lenh/1/in.pdf?kho=large": 200, "/thiet-bi/the-lenh/3/in.pdf?kho=nothing": 200,
		"/thiet-bi/the-lenh/9/in.pdf": 404, "/thiet-bi/the-lenh/x/in.pdf": 404, "/thiet-bi/the-lenh/9/ma.png": 404, "/thiet-bi/the-lenh/x/ma.png": 404,
	} {
		got, body, _ := w.Get("admin", path)
		if got != status || status == 200 && !strings.HasPrefix(body, "%PDF") {
			t.Errorf("%s: %d, want %d", path, got, status)
		}
	}
	_, body, _ := w.Get("admin", "/thiet-bi/the-lenh/1/ma.png")
	if _, err := png.Decode(strings.NewReader(body)); err != nil {
		t.Errorf("a card's code: %v", err)
	}
	if status, _, _ := w.Get("guard", "/thiet-bi/the-lenh/1/ma.png"); status != 403 {
		t.Errorf("a guard gets a card: %d", status)
	}
	for name, spoil := range map[string]func(url.Values){
		"nothing":          func(f url.Values) { f.Del("order.what") },
		"no kiosk":         func(f url.Values) { f.Set("order.kiosk", "unknown-0001") },
		"a wrong kiosk":    func(f url.Values) { f.Set("order.kiosk", "../x") },
		"no place":         func(f url.Values) { f.Set("order.kiosk", "nowhere-0001"); f.Set("order.where", "place") },
		"once anywhere":    func(f url.Values) { f.Set("order.where", "place"); f.Set("order.single", "1") },
		"for ever":         func(f url.Values) { f.Set("order.days", "999") },
		"no days":          func(f url.Values) { f.Del("order.days") },
		"thousands":        func(f url.Values) { f.Set("order.copies", "9999") },
		"a door":           func(f url.Values) { f.Set("order.what", "door") },
		"nobody":           func(f url.Values) { f.Set("order.what", "tally"); f.Del("order.count") },
		"letters":          func(f url.Values) { f.Set("order.note", "a\x00b") },
		"no letters":       func(f url.Values) { f.Set("order.note", "\xff") },
		"a note of a book": func(f url.Values) { f.Set("order.note", strings.Repeat("x", 500)) },
	} {
		f := card()
		spoil(f)
		if status, _, _ := w.Post("admin", "/thiet-bi/the-lenh", f); status != 422 {
			t.Errorf("%s: %d, want 422", name, status)
		}
	}
	if all, err := o.Cards(t.Context(), 100); err != nil || len(all) != 3 {
		t.Errorf("%d cards, want 3: %v", len(all), err)
	}
}

// A kiosk tells of cards in its ledger, which pages of operators show.
func TestUsesAreShown(t *testing.T) {
	w, _ := newWorld(t)
	err := w.Store.Write(t.Context(), func(tx store.Tx) error {
		for i, u := range []struct{ kind, state, reason, card int64 }{{6, 1, 0, 12}, {0, 2, int64(wire.ReasonSignature), 0}, {11, 2, int64(wire.ReasonRepeated), 13}} {
			_, err := tx.Exec("INSERT INTO order_uses (epoch_no, seq, kiosk_no, kind, state, reason, card, undone, count, said, earliest, latest, received) VALUES (65536, ?, (SELECT no FROM kiosks WHERE id = ?), ?, ?, ?, ?, 0, 0, 1, 1, 1, 1)",
				i+1, mine, u.kind, u.state, u.reason, u.card)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{at, "/thiet-bi/the-lenh"} {
		_, page, _ := w.Get("admin", path)
		for _, want := range []string{"Đổi chiều", "Chữ ký không đúng: lệnh giả.", "Lệnh đã dùng rồi, nay lặp lại.", "Không đọc được"} {
			if !strings.Contains(page, want) {
				t.Errorf("%s does not say %q", path, want)
			}
		}
	}
	if _, page, _ := w.Get("guard", at); strings.Contains(page, "lệnh giả") {
		t.Error("a guard sees the uses")
	}
	if _, page, _ := w.Get("admin", "/thiet-bi/"+others+"/lenh"); strings.Contains(page, "lệnh giả") {
		t.Error("uses of one kiosk are on another's page")
	}
}
