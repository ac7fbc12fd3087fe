package guard_test

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/device/guard"
	"github.com/qrgate/qrgate/hw/scan"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

func TestDoorOnThePage(t *testing.T) {
	w := newWorld(t, "")
	p := w.paired()
	w.scan(7)
	w.scan(8)
	w.show("QG1NOCARD")
	_, page := p.get("/")
	wants(t, page, `lang="vi"`, "Chợ Đông Ba", "A1, làn 2", "Chưa có mạng từ khi bật máy", "Đồng hồ chưa chắc đúng", "Máy quét USB 1 tốt, 12 mã",
		"Không nhận", "Đã vào", "Thẻ cá nhân", `href="tel:19001075"`, `<td class="n">2</td><td class="n">0</td><td class="n">2</td>`)
	for _, code := range []string{pass.TypedCode(7), pass.TypedCode(8)} {
		if strings.Contains(page, code[:4]) {
			t.Errorf("the page shows a card's code")
		}
	}
	w.guard.Link(true)
	w.guard.Link(false)
	w.health = []scan.Health{{Source: "USB 1"}}
	_, page = p.get("/")
	wants(t, page, "Đang mất mạng", "lượt chưa gửi", "Không thấy máy quét USB 1", "Nhập tay")
	w.synced()
	_, page = p.get("/")
	wants(t, page, "Mất mạng từ 09:00", "Đồng hồ đúng")
	if code, page := p.post("/tieng", url.Values{"lang": {"en"}, "ve": {"/diem-danh"}}); code != http.StatusOK {
		t.Errorf("another language: %d", code)
	} else {
		wants(t, page, `lang="en"`, "Roll call", "Came in by this gate")
	}
}

// Whose record says that they were let in on amber was shown as one who was recorded.
func TestAmberOnThePage(t *testing.T) {
	w := newWorld(t, "")
	_, err := w.queue.Put(func(_ wire.Epoch, seq uint64) (wire.Record, wire.Context, error) {
		h := wire.Header{Seq: seq, Kind: wire.KindCheckin, Pass: pass.Card, Verdict: wire.Unrecorded, Reason: wire.ReasonSpace}
		h.At(w.clock.Read())
		return wire.NewRecord(h, wire.Sealed{}), wire.Context{}, nil
	})
	if err == nil {
		err = w.guard.Journal().Read(w.queue)
	}
	if err != nil {
		t.Fatal(err)
	}
	p := w.paired()
	_, page := p.get("/")
	wants(t, page, "Cho qua, chưa ghi nhận", "Hôm nay chưa có lượt nào")
	if strings.Contains(page, "Đã vào") {
		t.Error("the page says that they are recorded")
	}
}

// The page follows the door; a page that only watches does not keep its session.
func TestPageFollowsTheDoor(t *testing.T) {
	w := newWorld(t, "")
	p := w.paired()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, w.srv.URL+"/song", nil)
	resp, err := p.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	heard, seen := make([]byte, 64<<10), ""
	until := func(what string) {
		t.Helper()
		for !strings.Contains(seen, what) {
			n, err := resp.Body.Read(heard)
			if err != nil {
				t.Fatalf("%v after:\n%s", err, seen)
			}
			seen += string(heard[:n])
		}
	}
	until("Chưa có lượt nào")
	w.scan(7)
	until("Thẻ cá nhân")
}

func TestManualEntry(t *testing.T) {
	w := newWorld(t, "")
	p := w.paired()
	code := pass.TypedCode(9)
	if _, page := p.send("/nhap", "code", strings.ToLower(code[:4])+" "+code[4:]); !strings.Contains(page, "Đã ghi:") {
		t.Errorf("a code that a guard types:\n%s", page)
	}
	if status, page := p.send("/nhap", "code", "AAAA2222"); status != http.StatusConflict || !strings.Contains(page, "AAAA2222") {
		t.Errorf("a wrong code: %d\n%s", status, page)
	}
	if status, _ := p.send("/nhap", "code", " - "); status != http.StatusUnprocessableEntity {
		t.Errorf("no code: %d", status)
	}
	if _, page := p.send("/nhap", "none", "1"); !strings.Contains(page, "Đã ghi:") {
		t.Errorf("somebody without a card:\n%s", page)
	}
	var got []wire.Presence
	for _, h := range w.headers() {
		if h.Kind == wire.KindCheckin && h.Verdict == wire.Admitted {
			got = append(got, h.Presence)
		}
	}
	if diff := cmp.Diff([]wire.Presence{wire.Typed, wire.Claimed}, got); diff != "" {
		t.Errorf("check-ins (-want +got):\n%s", diff)
	}
	want := []wire.OrderUse{
		{Kind: wire.OrderGuard, State: wire.OrderDone, Guard: true}, {Kind: wire.OrderEntry, State: wire.OrderDone, Guard: true},
		{Kind: wire.OrderEntry, State: wire.OrderRefused, Guard: true}, {Kind: wire.OrderEntry, State: wire.OrderDone, Guard: true},
	}
	if diff := cmp.Diff(want, w.uses()); diff != "" {
		t.Errorf("what the ledger says of guards (-want +got):\n%s", diff)
	}
}

var seqIn = regexp.MustCompile(`name="seq" value="(\d+)"`)

// Undo takes back what the guard has seen; whoever came meanwhile stays.
func TestUndo(t *testing.T) {
	w := newWorld(t, "")
	p := w.paired()
	if _, page := p.get("/bo"); !strings.Contains(page, "Không có lượt nào bỏ được") {
		t.Errorf("nothing to take back:\n%s", page)
	}
	w.scan(7)
	_, page := p.get("/bo")
	m := seqIn.FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("no check-in to take back:\n%s", page)
	}
	w.scan(8)
	if _, page := p.send("/bo", "seq", m[1]); !strings.Contains(page, "đã có người khác quét") {
		t.Errorf("a check-in that is not the last:\n%s", page)
	}
	_, page = p.get("/bo")
	last := seqIn.FindStringSubmatch(page)
	if _, page = p.send("/bo", "seq", last[1]); !strings.Contains(page, "Đã bỏ lượt cuối") {
		t.Errorf("the last check-in:\n%s", page)
	}
	wants(t, page, `<td class="n">1</td><td class="n">0</td><td class="n">1</td>`)
	seq, _ := strconv.ParseUint(last[1], 10, 64)
	uses := w.uses()
	if got := uses[len(uses)-1]; got != (wire.OrderUse{Kind: wire.OrderUndo, State: wire.OrderDone, Undone: seq, Guard: true}) {
		t.Errorf("the ledger says %+v", got)
	}
	if status, _ := p.send("/bo", "seq", "-1"); status != http.StatusBadRequest {
		t.Errorf("a number that is none: %d", status)
	}
}

func TestTrueCount(t *testing.T) {
	w := newWorld(t, "")
	p := w.paired()
	w.scan(7)
	if _, page := p.send("/dem", "people", " 40 "); !strings.Contains(page, "Đã sửa: &#43;39 người") {
		t.Errorf("40 people:\n%s", page)
	}
	for _, bad := range []string{"", "x", "-1", "+1", "1e3", "999999", "99999999999999999999"} {
		if status, _ := p.send("/dem", "people", bad); status != http.StatusUnprocessableEntity {
			t.Errorf("%q people: %d", bad, status)
		}
	}
	found := false
	for _, u := range w.uses() {
		found = found || u == wire.OrderUse{Kind: wire.OrderCount, State: wire.OrderDone, Count: 39, Guard: true}
	}
	if !found {
		t.Errorf("the ledger says %+v", w.uses())
	}
}

// The roll says who is in there and how much it knows, also after a restart, when the
// codes are gone; and leaves no code on the disk.
func TestRollCall(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, dir)
	p := w.paired()
	w.scan(7)
	w.scan(8)
	p.send("/nhap", "none", "1")
	_, page := p.get("/diem-danh")
	code := pass.TypedCode(7)
	wants(t, page, code[:4]+" "+code[4:], "A1·2", "Không có thẻ", "1 dòng không có mã", "Chỉ có người vào bằng máy này", "data-print")
	w.stop()
	for _, file := range []string{"guard/phones.json", "outbox.db", "room.db"} {
		b, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), code) {
			t.Errorf("%s holds a card's code", file)
		}
	}
	w = newWorld(t, dir)
	p = w.paired()
	_, page = p.get("/diem-danh")
	wants(t, page, "2 dòng mất mã", "1 dòng không có mã", "Thẻ cá nhân")
	if strings.Contains(page, code[:4]+" ") {
		t.Error("a code has survived a restart")
	}
	uses := w.uses()
	if got := uses[len(uses)-1]; got.Kind != wire.OrderRoll || got.Count != 3 {
		t.Errorf("the ledger says %+v", got)
	}
}

func TestSelfTest(t *testing.T) {
	w := newWorld(t, "")
	p := w.paired()
	_, page := p.send("/thu")
	wants(t, page, "Có chỗ cần xem", "Máy quét", "Đồng hồ", "cần xem")
}

func TestReport(t *testing.T) {
	w := newWorld(t, "")
	p := w.paired()
	if _, page := p.send("/vuong-mac", "category", "scanner", "text", "Máy đọc chậm\r\ntừ sáng", "contact", "0905"); !strings.Contains(page, "Đã ghi") {
		t.Errorf("a difficulty:\n%s", page)
	}
	all := w.headers()
	if got := all[len(all)-1]; got.Kind != wire.KindDifficulty {
		t.Errorf("the ledger ends with %+v", got)
	}
	for _, bad := range []string{"", " \n ", strings.Repeat("a", wire.MaxDifficulty+1)} {
		if status, _ := p.send("/vuong-mac", "category", "scanner", "text", bad); status != http.StatusUnprocessableEntity {
			t.Errorf("a text of %d bytes: %d", len(bad), status)
		}
	}
	if status, _ := p.send("/vuong-mac", "category", "sign_in", "text", "x"); status != http.StatusUnprocessableEntity {
		t.Errorf("about what no guard can report: %d", status)
	}
	many := 0
	for range 10 {
		if status, _ := p.send("/vuong-mac", "category", "other", "text", "x"); status == http.StatusTooManyRequests {
			many++
		}
	}
	if many != 5 {
		t.Errorf("%d of 10 more difficulties are too many, want 5", many)
	}
}

func TestAddresses(t *testing.T) {
	for addr, good := range map[string]bool{":8443": true, "192.168.1.20:8443": true, "[::]:8443": true, "8443": false, ":0": false, ":https": false, "kiosk:8443": false} {
		if err := guard.CheckListen(addr); (err == nil) != good {
			t.Errorf("CheckListen(%q) = %v", addr, err)
		}
	}
	for addr, good := range map[string]bool{"192.168.1.20:8443": true, "kiosk.local:8443": true, ":8443": false, "a b:1": false, "a/b:1": false, "kiosk": false} {
		if err := guard.CheckAddress(addr); (err == nil) != good {
			t.Errorf("CheckAddress(%q) = %v", addr, err)
		}
	}
}

// Whoever leaves by the same door is off the list; of one who leaves without a code it
// says that it may have a line too many.
func TestRollOfALaneThatTurns(t *testing.T) {
	w := newWorld(t, "")
	p := w.paired()
	w.scan(7)
	w.scan(8)
	out := w.door.Standing().Config
	out.Direction = wire.Out
	if err := w.door.Reconfigure(out); err != nil {
		t.Fatal(err)
	}
	w.at = w.at.Add(time.Minute)
	if a := w.scan(7); a.State != "leaving" {
		t.Fatalf("the door answers %q", a.State)
	}
	p.send("/nhap", "none", "1")
	_, page := p.get("/diem-danh")
	wants(t, page, "1 người đã ra bằng cửa này", "1 người ra mà không rõ là ai", pass.TypedCode(8)[4:])
	if strings.Contains(page, pass.TypedCode(7)[4:]) {
		t.Error("who has left is on the list")
	}
	_, page = p.get("/")
	wants(t, page, "Lối này đang cho ra", `<td class="n">2</td><td class="n">2</td><td class="n">0</td>`)
}
