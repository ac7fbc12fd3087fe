package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// People pass a beam and some of them scan; a kiosk that is stopped puts both into its
// ledger, cut off as it is, and the portal tells the place's owner of it.
func TestCoverageFromBeamToPortal(t *testing.T) {
	t.Parallel()
	const place = "Trung tâm Văn hóa"
	pipe := filepath.Join(t.TempDir(), "contacts")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	p, _ := atOneDoor(t, "trung-tam-van-hoa-1", place, fmt.Sprintf("[count]\npipe = %q\n", pipe))
	o := &organiser{user: signIn(t, p.stage, "lan")}
	o.placeOf(place)
	p.command("kiosk", "move", p.kiosk.ID, "-place", place, "-place-number", "1")
	if page := o.get("/dia-diem/1/do-phu"); !strings.Contains(page, "Chưa có thiết bị nào ở đây đếm người qua cửa") {
		t.Fatalf("before anybody passed:\n%.4000s", page)
	}
	operator := signIn(t, p.stage, "van-hanh", "-role", "operator")
	operator.confirm("/thiet-bi")
	p.kiosk.start()
	beam, err := os.OpenFile(pipe, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer beam.Close()
	pass := func(n int) {
		if _, err := beam.WriteString(strings.Repeat("tally\n", n)); err != nil {
			t.Fatal(err)
		}
	}
	pass(25)
	for number := range 3 {
		p.kiosk.show(p.command("card", "-number", fmt.Sprint(number+1)))
	}
	p.until("the portal sees the beam's count of now", func() bool {
		return strings.Contains(operator.get("/thiet-bi/"+p.kiosk.ID), "25 người qua, 3 lượt quét")
	})

	p.proxy.Down.Store(true)
	p.proxy.Cut()
	pass(15)
	p.kiosk.show(p.command("card", "-number", "9"))
	p.kiosk.stop()
	p.proxy.Down.Store(false)
	p.kiosk.start()
	p.until("the portal has what the ledger says", func() bool {
		return strings.Contains(o.get("/dia-diem/1/do-phu"), "40 người vào, 4 lượt quét, tỷ lệ 10 %")
	})
}
