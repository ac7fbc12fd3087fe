//go:build full

package rights_test

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/qrgate/qrgate/server/portal/pagetest"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/pass"
)

func TestLooks(t *testing.T) {
	w := newWorld(t)
	shown := pagetest.World{URL: w.url}
	shown.Looks(t, nil, pagetest.Look{"home-empty", "lan", "/bao-ve-du-lieu"}, pagetest.Look{"kept-empty", "tra", "/bao-ve-du-lieu/luu-giu"},
		pagetest.Look{"chain-unchecked", "tra", "/bao-ve-du-lieu/nhat-ky"}, pagetest.Look{"requests-empty", "thu", requests})

	hoa := w.holder("Nguyễn Thị Hoa", "+84905111222")
	w.now.Add(2000)
	second := w.holder("Nguyễn Hoa", "+84905111333")
	w.now.Add(2000)
	other := w.holder("Lê Văn Bình", "+84905333444")
	w.invite("nguyen thi hoa", "+84905111222")
	w.merge(hoa, second)
	w.merge(second, other)
	for _, kind := range []string{"correction", "restriction"} {
		w.take("hoa", asks(kind, "", ""))
	}
	for _, id := range []string{"kiosk-0001", "cho-dong-ba-cong-chinh-tran-hung-dao-1"} {
		w.must(w.s.AddKiosk(t.Context(), qrgate.Kiosk{ID: id, Place: "Chợ Đông Ba", Public: make([]byte, 32), State: qrgate.KioskActive, Added: w.time()}))
	}
	w.must(w.s.RevokeKiosk(t.Context(), "kiosk-0001"))
	w.pass(20)
	w.must(os.MkdirAll(filepath.Join(w.dir, "backups"), 0o700))
	f, err := os.Create(filepath.Join(w.dir, "backups", "b"))
	w.must(err)
	w.must(w.s.Backup(t.Context(), f))
	w.must(f.Close())
	w.pass(2)
	w.must(w.keeper.Once(t.Context()))
	for _, p := range []string{"+84905111222", "+84905111333", "+84905333444"} {
		w.now.Add(2000)
		one, err := w.reg.Cards(w.v).PersonOf(t.Context(), pass.Phone, p)
		w.must(err)
		w.visit(one)
	}
	erase := w.take("hoa", asks("erasure", "phone", "0905111222"))
	access := w.take("hoa", asks("access", "phone", "0905333444"))
	objection := w.take("hoa", asks("objection", "phone", "0905111222"))
	if code, body, _ := w.post("lan", objection+"/xong", url.Values{"version": {"1"}, "rights.end": {"done"}}); code != 303 {
		t.Fatalf("objection = %d\n%s", code, body)
	}
	w.needed.Store(uint64(hoa))
	w.post("lan", access+"/tai-ve", url.Values{"version": {"1"}, "dang": {"json"}})
	w.post("tra", "/bao-ve-du-lieu/nhat-ky", nil)
	w.exec("UPDATE audit SET note = note || '.' WHERE link = 3")
	w.post("tra", "/bao-ve-du-lieu/nhat-ky", nil)
	shown.Looks(t, nil, pagetest.Look{"home", "lan", "/bao-ve-du-lieu"}, pagetest.Look{"looks", "lan", "/bao-ve-du-lieu/tra-cuu"},
		pagetest.Look{"kept", "lan", "/bao-ve-du-lieu/luu-giu"}, pagetest.Look{"kept-auditor", "tra", "/bao-ve-du-lieu/luu-giu"},
		pagetest.Look{"chain", "lan", "/bao-ve-du-lieu/nhat-ky"}, pagetest.Look{"impact", "lan", "/bao-ve-du-lieu/danh-gia"},
		pagetest.Look{"breach", "lan", "/bao-ve-du-lieu/su-co"}, pagetest.Look{"requests", "lan", requests}, pagetest.Look{"new", "hoa", requests + "/moi"},
		pagetest.Look{"erase", "lan", erase}, pagetest.Look{"erase-clerk", "hoa", erase}, pagetest.Look{"access", "lan", access},
		pagetest.Look{"objection", "lan", objection}, pagetest.Look{"seen", "hoa", "/bao-ve-du-lieu/ai-da-xem"})

	w.off.Store(35 * 24 * 3600 * 1000)
	w.pass(0)
	shown.Looks(t, nil, pagetest.Look{"home-clock", "lan", "/bao-ve-du-lieu"}, pagetest.Look{"clock", "lan", "/bao-ve-du-lieu/luu-giu"})
}
