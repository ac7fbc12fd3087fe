package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A gate that never has a network writes 300 check-ins on a stick. They are taken in
// at the server's command line and once more at the portal, and are stored once; the
// receipts go back on the stick, to the gate while it runs and when it is stopped.
func TestCheckinsOfAGateWithoutANetworkAreCarried(t *testing.T) {
	t.Parallel()
	media := t.TempDir()
	stick := filepath.Join(media, "usb", "qrgate")
	p, _ := atOneDoor(t, "truong-an-gate-1", "Trạm y tế Trường An", fmt.Sprintf("[carry]\nsticks = %q\n", filepath.Join(media, "*", "qrgate")))
	p.proxy.Down.Store(true)
	k := p.kiosk
	k.start()
	const scans = 300
	for _, card := range strings.Fields(p.command("card", "-number", "1", "-count", fmt.Sprint(scans))) {
		k.show(card)
	}

	t.Log("a stick is put into the kiosk that runs")
	if err := os.MkdirAll(stick, 0o755); err != nil {
		t.Fatal(err)
	}
	batches, receipts := filepath.Join(stick, k.ID+".batches"), filepath.Join(stick, k.ID+".receipts")
	p.until("the stick is written", func() bool { _, err := os.Stat(batches); return err == nil })
	bundle, err := os.ReadFile(batches)
	if err != nil {
		t.Fatal(err)
	}

	t.Log("it is taken in twice")
	if said := p.command("import", filepath.Dir(stick)); !strings.Contains(said, fmt.Sprintf("%d of them new", scans+1)) { // that it was opened is one
		t.Errorf("import says: %s", said)
	}
	u := signIn(t, p.stage, "van-hanh", "-role", "operator")
	u.confirm("/thiet-bi/nhan-tay")
	page := u.handIn(bundle)
	if !strings.Contains(page, k.ID) || !strings.Contains(page, "không có gì mới") {
		t.Errorf("the page of what came again says:\n%.3000s", page)
	}
	if rows := p.rows(k); len(rows) != scans {
		t.Fatalf("%d rows, want %d", len(rows), scans)
	}

	t.Log("the receipts go back")
	if out, err := k.Command(t.Context(), "export", stick); err != nil || !strings.Contains(out, "1 receipts taken and") || !strings.Contains(out, " 0 records written") {
		t.Errorf("export of a kiosk that runs: %v: %s", err, out)
	}
	k.show(p.command("card", "-number", "1000"))
	k.stop()
	if out, err := k.Command(t.Context(), "export", stick); err != nil || !strings.Contains(out, " 1 records written") {
		t.Errorf("export of a kiosk that is stopped: %v: %s", err, out)
	}
	p.command("import", batches)
	if err := os.WriteFile(receipts, []byte(u.get("/thiet-bi/nhan-tay/bien-nhan?may="+k.ID)), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := k.Command(t.Context(), "export", stick); err != nil || !strings.Contains(out, " 0 records written") {
		t.Errorf("export after the receipts: %v: %s", err, out)
	}
	// The ledger's first record says that it was opened.
	if out, err := k.Command(t.Context(), "ledger"); err != nil || !strings.Contains(out, fmt.Sprintf("1…%d complete; %[1]d received", scans+2)) {
		t.Errorf("the kiosk's ledger: %v: %s", err, out)
	}
	if rows := p.rows(k); len(rows) != scans+1 {
		t.Errorf("%d rows, want %d", len(rows), scans+1)
	}
}

// A card that was revoked is refused by a gate that never has a network, once the
// receipts were brought to it: the list of void cards comes with them, and the settings.
func TestVoidCardsAreCarriedToADoorWithoutANetwork(t *testing.T) {
	t.Parallel()
	p, clerk := setCards(t, "")
	clerk.issue("Nguyễn Văn An", "card")
	clerk.issue("Trần Thị Bình", "card")
	p.proxy.Down.Store(true)
	p.proxy.Cut()
	an, binh := p.command("card", "-number", "1"), p.command("card", "-number", "2")
	p.kiosk.show(an)
	p.kiosk.show(binh)
	clerk.revoke(1)

	stick := t.TempDir()
	carry := func() {
		t.Helper()
		if out, err := p.kiosk.Command(t.Context(), "export", stick); err != nil {
			t.Fatalf("export: %v: %s", err, out)
		}
	}
	carry()
	p.command("import", stick)
	carry()
	p.kiosk.refused(an)
	p.kiosk.show(binh)

	t.Log("and by one that was stopped meanwhile")
	clerk.revoke(2)
	p.command("import", stick)
	p.kiosk.stop()
	carry()
	p.kiosk.start()
	p.kiosk.refused(binh)

	t.Log("and what the portal says of the door")
	id := p.kiosk.ID
	o := &configurer{signIn(t, p.stage, "van-hanh", "-role", "operator"), p, "/thiet-bi/" + id + "/cau-hinh"}
	o.confirm(o.at)
	o.changes("door.gate", "B2", "door.direction", "in")
	p.until("the gate has the name that the portal says", func() bool {
		back := o.get("/thiet-bi/nhan-tay/bien-nhan?may=" + id)
		if err := os.WriteFile(filepath.Join(stick, id+".receipts"), []byte(back), 0o644); err != nil {
			t.Fatal(err)
		}
		carry()
		said, err := p.kiosk.Command(t.Context(), "check-config")
		return err == nil && strings.Contains(said, "gate B2")
	})
}

// handIn sends a file to the page that takes what was carried.
func (c *user) handIn(file []byte) string {
	c.t.Helper()
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	part, err := m.CreateFormFile("carry.file", "x.batches")
	if err == nil {
		_, err = io.Copy(part, bytes.NewReader(file))
	}
	if err == nil {
		err = m.Close()
	}
	if err != nil {
		c.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.base+"/thiet-bi/nhan-tay", &body)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", m.FormDataContentType())
	return c.answer(c.Do(req))
}
