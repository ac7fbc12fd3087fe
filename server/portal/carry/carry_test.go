package carry_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/portal/carry"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/pagetest"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/deliver"
)

const gate = "dong-ba-gate-1"

// An intake answers as package ingest does, which has its own tests.
type intake struct {
	c      ingest.Carried
	err    error
	beside ingest.Beside
}

func (in *intake) Carry(_ context.Context, r io.Reader) (ingest.Carried, error) {
	kiosk, _, err := deliver.ReadBundle(r)
	if err != nil {
		return ingest.Carried{}, fmt.Errorf("ingest: carry: %w", err)
	}
	c := in.c
	c.Kiosk = kiosk
	return c, in.err
}

func (in *intake) Owed(_ context.Context, kiosk string) ([][]byte, error) {
	if kiosk != gate {
		return nil, qrgate.ErrNotFound
	}
	return [][]byte{[]byte("a receipt")}, nil
}

func (in *intake) Beside(string) (carry.Beside, error) {
	return carry.Beside{Keys: []byte("keys"), Settings: []byte("settings"), Beside: in.beside}, nil
}

func newWorld(t *testing.T) (*pagetest.World, *intake) {
	t.Helper()
	in := &intake{}
	return pagetest.NewOver(t, "http://127.0.0.1", func(w *pagetest.World, f *page.Frame) []page.Route {
		return carry.New(f, in, w.Store, slog.New(slog.DiscardHandler)).Routes()
	}), in
}

const at = "/thiet-bi/nhan-tay"

var batch = []byte("a batch")

// bundle returns batches of the gate as it writes them.
func bundle(t *testing.T, batches ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := deliver.WriteBundle(&b, gate, carry.Each(batches)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestABundleIsHandedIn(t *testing.T) {
	w, in := newWorld(t)
	in.c = ingest.Carried{Batches: 2, Records: 301, Fresh: 300, Receipts: [][]byte{[]byte("r")}}
	in.beside.List = [][]byte{bytes.Repeat([]byte("void"), 5<<10)}
	status, body, _ := w.Upload("admin", at, "carry.file", bundle(t, batch), nil)
	for _, want := range []string{gate, "301", "300", at + "/bien-nhan?may=" + gate} {
		if status != 200 || !strings.Contains(body, want) {
			t.Errorf("the page of what was taken: %d, without %q", status, want)
		}
	}
	if _, body, _ := w.Get("admin", at); strings.Contains(body, "chưa ai đến") {
		t.Error("somebody should go to a kiosk from which check-ins came just now")
	}
	noted := 0
	err := w.Store.Read(t.Context(), func(r *sql.Rows) error { return r.Scan(&noted) },
		"SELECT COUNT(*) FROM audit WHERE action = 'carry' AND actor = 'admin' AND object = ?", gate)
	if err != nil || noted != 1 {
		t.Errorf("%d audit rows, %v; want 1", noted, err)
	}
	status, body, head := w.Get("admin", at+"/bien-nhan?may="+gate)
	if status != 200 || !strings.Contains(head.Get("Content-Disposition"), gate+".receipts") {
		t.Fatalf("the receipts: %d, %q", status, head.Get("Content-Disposition"))
	}
	// The keys by which a receipt verifies come before it, what is long after it.
	got, err := deliver.ReadReceipts(strings.NewReader(body), gate)
	if err != nil || len(got) != 4 || string(got[0]) != "keys" || string(got[1]) != "a receipt" || string(got[2]) != "settings" {
		t.Errorf("ReadReceipts() = %.60q, %v", got, err)
	}
}

// Who goes to a kiosk that has nothing to tell was there all the same: nobody need go to
// it again soon.
func TestAVisitToAKioskThatHadNothingToTellIsNoted(t *testing.T) {
	w, _ := newWorld(t)
	err := w.Store.AddKiosk(t.Context(), qrgate.Kiosk{ID: gate, Place: "Chợ Đông Ba", Public: bytes.Repeat([]byte{1}, 32), State: qrgate.KioskActive, Added: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if status, body, _ := w.Upload("admin", at, "carry.file", bundle(t), nil); status != 200 {
		t.Fatalf("a bundle of nothing: %d\n%s", status, body)
	}
	kiosks, err := w.Store.CarriedKiosks(t.Context())
	if err != nil || len(kiosks) != 1 || kiosks[0].ID != gate {
		t.Errorf("kiosks that somebody was at: %+v, %v; want %s", kiosks, err, gate)
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	w, in := newWorld(t)
	for name, tt := range map[string]struct {
		file []byte
		c    ingest.Carried
		err  error
		want string
	}{
		"nothing":   {nil, ingest.Carried{}, nil, "Xin chọn tệp"},
		"a picture": {[]byte("\xff\xd8\xff\xe0"), ingest.Carried{}, nil, "cắt ngắn"},
		"a page":    {[]byte("<html>\n"), ingest.Carried{}, nil, "không phải tệp"},
		"hostile":   {append([]byte("QRGATE-BUNDLE 1 <script>\n"), 0, 0, 0, 0), ingest.Carried{}, nil, "không phải tệp"},
		"cut":       {bundle(t, batch), ingest.Carried{Batches: 1, Records: 9, Receipts: [][]byte{[]byte("r")}}, fmt.Errorf("x: %w", io.ErrUnexpectedEOF), "không mất gì"},
		"unknown":   {bundle(t, batch), ingest.Carried{}, qrgate.ErrNotFound, "Không có máy nào tên " + gate},
		"revoked":   {bundle(t, batch), ingest.Carried{}, qrgate.ErrRevoked, "thu hồi"},
	} {
		in.c, in.err = tt.c, tt.err
		status, body, _ := w.Upload("admin", at, "carry.file", tt.file, nil)
		if status != 422 || !strings.Contains(body, tt.want) {
			t.Errorf("%s: %d, without %q\n%s", name, status, tt.want, body)
		}
		if taken := strings.Contains(body, "/bien-nhan?may="); taken != (tt.c.Batches > 0) {
			t.Errorf("%s: a receipt is offered: %t", name, taken)
		}
	}
	for _, kiosk := range []string{"", "no-such-gate", "%00", "..%2f..", strings.Repeat("a", 500), "%f0%28"} {
		if status, _, _ := w.Get("admin", at+"/bien-nhan?may="+kiosk); status != 422 {
			t.Errorf("receipts of %.20q: %d, want 422", kiosk, status)
		}
	}
}

func TestOnlyWhoLooksAfterKiosks(t *testing.T) {
	w, _ := newWorld(t)
	for who := range w.People {
		status, _, _ := w.Get(who, at)
		if allowed := who == "admin"; allowed != (status == 200) {
			t.Errorf("as %q: %d", who, status)
		}
	}
}
