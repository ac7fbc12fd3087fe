package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Operations staff look at the portal while a kiosk comes, says how it is, is killed,
// comes again, and is copied.
func TestKioskIsLookedAfter(t *testing.T) {
	t.Parallel()
	p, _ := atOneDoor(t, "cho-dong-ba-1", "Chợ Đông Ba", "")
	u := signIn(t, p.stage, "van-hanh", "-role", "operator")
	u.confirm("/thiet-bi")
	const list, page = "/thiet-bi", "/thiet-bi/cho-dong-ba-1"
	says := func(what, path, want string) {
		t.Helper()
		p.until(what, func() bool { return strings.Contains(u.get(path), want) })
	}
	if got := u.get(list); !strings.Contains(got, "Chưa kết nối") {
		t.Errorf("before the kiosk came the list says:\n%.2000s", got)
	}
	p.kiosk.start()
	says("the kiosk is online", list, "Trực tuyến")
	// The second beat knows of the first one's answer, and the server of the ledger.
	card := p.command("card", "-number", "1")
	p.kiosk.show(strings.TrimSpace(card))
	says("the page says what the kiosk says", page, "Khớp với máy chủ")
	got := u.get(page)
	for _, want := range []string{"Chợ Đông Ba", "Thẻ nhớ đã dùng", "Bộ nhớ đã dùng", "Kho chờ gửi", "Máy quét và camera", "Hoạt động", "/lenh", "/cau-hinh"} {
		if !strings.Contains(got, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	p.until("the gauges count it", func() bool { return p.metric(`qrgate_kiosks{state="online"}`) == "1" })

	p.kiosk.kill()
	says("the broker has published its will", list, "Mất liên lạc")
	p.kiosk.start()
	says("it is back", list, "Trực tuyến")

	t.Log("a second machine has the same identity")
	c, err := p.stage.AddKiosk(t.Context(), "kiosk-clone-1", "Chợ Đông Ba", "[[serial]]\ndevice = \"/dev/qrgate-none\"\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kiosk.key", "kiosk.pem", "keys.cbor", "ca.pem", "root.pub"} {
		b, err := os.ReadFile(filepath.Join(p.kiosk.Dir, "identity", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(c.Dir, "identity", name), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	clone, err := c.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	says("the clone is alarmed", page, "Hai máy một danh tính")
	p.until("the gauge says so", func() bool { return p.metric(`qrgate_alarms{kind="cloned"}`) == "1" })
	clone.Kill()
	u.post("/thiet-bi/canh-bao", map[string][]string{"kiosk": {"cho-dong-ba-1"}, "loai": {"cloned"}})
	says("somebody sees to it", page, "đã có người nhận")
}
