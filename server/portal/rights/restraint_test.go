package rights_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/store/rights"
	"github.com/qrgate/qrgate/sync/pass"
)

// card gives somebody one.
func (w *world) card(phone string) (holder string, number uint32, err error) {
	w.t.Helper()
	cards := w.reg.Cards(w.v)
	h, err := cards.HolderOf(w.t.Context(), pass.Phone, phone)
	w.must(err)
	today := pass.DayOf(w.time())
	if _, err = cards.Issue(w.t.Context(), "hoa", register.Order{Office: phuXuan, Kind: pass.Card, First: today, Last: today + 30}, h.ID); err != nil {
		return h.ID, 0, err
	}
	all, err := cards.CardsOf(w.t.Context(), h.ID)
	w.must(err)
	return h.ID, all[0].Number, nil
}

// Who objects has no card any more, gets none and is in no figure, until they say
// otherwise.
func TestObjection(t *testing.T) {
	w := newWorld(t)
	p := w.holder("Nguyễn Thị Hoa", "+84905111222")
	w.holder("Lê Văn Bình", "+84905333444")
	_, number, err := w.card("+84905111222")
	w.must(err)
	at := w.take("hoa", asks("objection", "phone", "0905111222"))
	if _, body, _ := w.get("lan", at); !strings.Contains(body, "thẻ của người này bị thu hồi") || strings.Contains(body, "bo-han-che") {
		t.Errorf("the page does not say what it will do: %s", body)
	}
	done := url.Values{"version": {"1"}, "rights.end": {"done"}}
	if code, _, _ := w.post("lan", at+"/xong", url.Values{"version": {"9"}, "rights.end": {"done"}}); code != 409 {
		t.Errorf("of another version = %d, want 409", code)
	}
	cards := w.reg.Cards(w.v)
	if c, _, err := cards.Card(t.Context(), number); err != nil || !c.Revoked.IsZero() {
		t.Errorf("after a conflict the card is revoked: %v, %v", c, err)
	}
	w.needed.Store(uint64(p))
	if code, _, _ := w.post("lan", at+"/xong", done); code != 303 {
		t.Fatalf("objection = %d", code)
	}
	if c, _, err := cards.Card(t.Context(), number); err != nil || c.Revoked.IsZero() {
		t.Errorf("the card opens doors: %v, %v", c, err)
	}
	if _, _, err := w.card("+84905111222"); err == nil {
		t.Error("a card is issued to who objected")
	}
	if _, _, err := w.card("+84905333444"); err != nil {
		t.Errorf("another gets none: %v", err)
	}
	unused, err := w.keeper.Unused(t.Context(), qrgate.DayOf(w.time()))
	subject, failed := w.v.Subject(qrgate.DayOf(w.time()), p)
	if err != nil || failed != nil || len(unused) != 1 || !unused[subject] {
		t.Errorf("Unused = %v, %v", unused, err)
	}
	silent, err := w.keeper.Silent(t.Context())
	if err != nil || !silent("nguyen thi hoa", "+84905111222") || silent("Lê Văn Bình", "+84905333444") || silent("Nguyễn Thị Hoa", "") {
		t.Errorf("Silent is wrong, %v", err)
	}
	_, body, _ := w.get("lan", at)
	for _, want := range []string{"dữ liệu không được dùng", "Một ca bệnh đang mở cần đến người này", "bo-han-che"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(body, "Trả lời trước") || !strings.Contains(body, "Đã trả lời lúc") {
		t.Error("a request that is done names its deadline beside when it was met")
	}
	if _, body, _ := w.get("hoa", at); strings.Contains(body, "bo-han-che") {
		t.Error("a clerk may lift it")
	} else if strings.Contains(strings.ToLower(body), "ca bệnh đang mở") {
		t.Error("a clerk is told that somebody is part of a case")
	}
	if _, body, _ := w.get("lan", "/bao-ve-du-lieu"); !strings.Contains(body, "1 người đã phản đối") {
		t.Error("the overview does not count it")
	}
	for who, want := range map[string]int{"hoa": 403, "an": 403, "minh": 403, "tra": 403} {
		if code, _, _ := w.post(who, at+"/bo-han-che", url.Values{"version": {"2"}, "rights.lift.sure": {"1"}}); code != want {
			t.Errorf("%s lifts it = %d, want %d", who, code, want)
		}
	}
	if code, _, _ := w.post("lan", at+"/bo-han-che", url.Values{"version": {"2"}}); code != 422 {
		t.Errorf("lift without being sure = %d, want 422", code)
	}
	if code, _, _ := w.post("lan", at+"/bo-han-che", url.Values{"version": {"2"}, "rights.lift.sure": {"1"}}); code != 303 {
		t.Errorf("lift = %d", code)
	}
	if code, _, _ := w.post("lan", at+"/bo-han-che", url.Values{"version": {"2"}, "rights.lift.sure": {"1"}}); code != 409 {
		t.Errorf("lift twice = %d, want 409", code)
	}
	if _, _, err := w.card("+84905111222"); err != nil {
		t.Errorf("after it was lifted: %v", err)
	}
}

// Who objects objects under all that they are known as.
func TestObjectionOfOneHuman(t *testing.T) {
	w := newWorld(t)
	hoa := w.holder("Nguyễn Thị Hoa", "+84905111222")
	guest := w.invite("Nguyễn Thị Hoa", "+84905111222")
	other := w.holder("Nguyễn Hoa", "+84905111333")
	w.merge(hoa, other)
	_, number, err := w.card("+84905111333")
	w.must(err)
	at := w.take("hoa", asks("objection", "phone", "0905111222"))
	if code, _, _ := w.post("lan", at+"/xong", url.Values{"version": {"1"}, "rights.end": {"done"}}); code != 303 {
		t.Fatalf("objection = %d", code)
	}
	if c, _, err := w.reg.Cards(w.v).Card(t.Context(), number); err != nil || c.Revoked.IsZero() {
		t.Errorf("the other card opens doors: %v, %v", c, err)
	}
	for _, p := range []qrgate.Person{hoa, other, guest.Person} {
		if kind, err := w.rights.RestraintOf(t.Context(), p); err != nil || kind != rights.Objection {
			t.Errorf("the data of one of them is %q, %v", kind, err)
		}
	}
	if _, body, _ := w.get("lan", "/bao-ve-du-lieu"); !strings.Contains(body, "1 người đã phản đối") {
		t.Error("one human is counted as several")
	}
	if code, _, _ := w.post("lan", at+"/bo-han-che", url.Values{"version": {"2"}, "rights.lift.sure": {"1"}}); code != 303 {
		t.Errorf("lift = %d", code)
	}
	if kind, err := w.rights.RestraintOf(t.Context(), guest.Person); err != nil || kind != "" {
		t.Errorf("after it was lifted the guest's data is %q, %v", kind, err)
	}
}

// A restriction that was refused restricts nothing, one of whom nothing is held
// neither; erasure and the end of retention end it.
func TestRestriction(t *testing.T) {
	w := newWorld(t)
	p := w.holder("Nguyễn Thị Hoa", "+84905111222")
	restrained := func() rights.Kind {
		t.Helper()
		kind, err := w.rights.RestraintOf(t.Context(), p)
		w.must(err)
		return kind
	}
	at := w.take("hoa", asks("restriction", "phone", "0905111222"))
	if code, _, _ := w.post("lan", at+"/xong", url.Values{"version": {"1"}, "rights.end": {"refused"}, "rights.reason": {"in_case"}}); code != 303 || restrained() != "" {
		t.Errorf("refused = %d, restrained %q", code, restrained())
	}
	nobody := w.take("hoa", asks("restriction", "phone", "0905000000"))
	if code, _, _ := w.post("lan", nobody+"/xong", url.Values{"version": {"1"}, "rights.end": {"done"}}); code != 303 || restrained() != "" {
		t.Errorf("of nobody = %d, restrained %q", code, restrained())
	}
	at = w.take("hoa", asks("restriction", "phone", "0905111222"))
	if code, _, _ := w.post("lan", at+"/xong", url.Values{"version": {"1"}, "rights.end": {"done"}}); code != 303 || restrained() != rights.Restriction {
		t.Errorf("done = %d, restrained %q", code, restrained())
	}
	if _, _, err := w.card("+84905111222"); err != nil {
		t.Errorf("who only restricted gets no card: %v", err)
	}
	at = w.take("hoa", asks("access", "phone", "0905111222"))
	if _, sheet, _ := w.post("lan", at+"/tai-ve", url.Values{"version": {"1"}, "dang": {"html"}}); !strings.Contains(sheet, "hạn chế") {
		t.Error("what is handed over does not say that it is restricted")
	}
	at = w.take("hoa", asks("erasure", "phone", "0905111222"))
	if code, _, _ := w.post("lan", at+"/xoa", w.sure(at, "1")); code != 303 || restrained() != "" {
		t.Errorf("erased = %d, restrained %q", code, restrained())
	}
}
