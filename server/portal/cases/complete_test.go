package cases_test

import (
	"bytes"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// passed keeps that so many passed a kiosk's lane within the hour before a moment,
// some of whom were recorded.
func (w *world) passed(kiosk string, d wire.Direction, until time.Time, people, scans uint32) {
	w.t.Helper()
	w.seq++
	ms := until.UnixMilli()
	w.must(w.s.Intake(w.ctx(), []string{kiosk}, func(in *store.Intake) error {
		e, err := in.Book(kiosk).Epoch(wire.Epoch{1})
		if err != nil {
			return err
		}
		return in.Passage(store.Passage{
			Written: e, Digest: wire.Digest{byte(w.seq)}, When: when.Interval{Earliest: ms, Latest: ms}, Received: w.time(),
			Header: wire.Header{Seq: w.seq, Gate: "A", Lane: 1, Direction: d, Wall: ms, Passage: &wire.Passage{Took: time.Hour.Milliseconds(), People: people, Scans: scans}},
		})
	}))
}

// beats keeps what a kiosk said of itself at a moment.
func (w *world) beats(kiosk string, at time.Time, b wire.Beat) {
	w.t.Helper()
	b.V = wire.Version
	w.must(w.s.SavePresences(w.ctx(), []store.Presence{{Kiosk: kiosk, Contact: at, Beat: &b}}))
}

// A result says what it does not know: what a silent gate holds and since when, when
// paper was written, how many passed without a scan, and that something may wait at
// places where nobody has looked.
func TestResultSaysWhatItDoesNotKnow(t *testing.T) {
	w := newWorld(t)
	day := func(back, hour, minute int) time.Time {
		return time.Date(2026, 11, 26-back, hour, minute, 0, 0, qrgate.Zone)
	}
	w.noted("dung", "cho-cua-b", wire.In, day(6, 8, 30), 15*time.Minute, wire.Paper)
	w.noted("em", "cho-cua-b", wire.In, day(6, 9, 10), 15*time.Minute, wire.Paper)
	w.passed("cho-cua-b", wire.In, day(6, 9, 0), 1000, 870)
	w.passed("cho-cua-b", wire.Out, day(6, 9, 0), 5000, 1)   // who leaves is no visitor more
	w.passed("cho-cua-b", wire.In, day(3, 9, 0), 5000, 5000) // a day that nobody asks about
	// The silent gate last said, before it fell silent, that it holds 212 records, the
	// oldest of an hour before.
	w.beats("cho-cua-a", day(0, 7, 30), wire.Beat{Queued: 212, Oldest: time.Hour.Milliseconds()})
	// The other one holds what was written after the time that is asked about.
	w.beats("cho-cua-b", w.time(), wire.Beat{Queued: 9, Oldest: time.Minute.Milliseconds()})
	w.must(w.s.AddKiosk(t.Context(), qrgate.Kiosk{ID: "nha-hat-hue", Place: "Nhà hát Sông Hương", Public: bytes.Repeat([]byte{9}, 32), State: qrgate.KioskActive, Added: day(60, 7, 0)}))
	w.must(w.s.AddKiosk(t.Context(), qrgate.Kiosk{ID: "kho-chua-lap", Place: "Kho", Public: bytes.Repeat([]byte{8}, 32), State: qrgate.KioskActive, Added: day(60, 7, 0)}))
	w.beats("nha-hat-hue", day(1, 7, 0), wire.Beat{Queued: 4})

	lan := w.as("lan")
	at := lan.traced()
	body := lan.want(200, lan.get(at+"/tiep-xuc"), "Kết quả chưa đủ", "1 trong", "cửa A cho-cua-a", "im lặng từ 26/11/2026 06:30", "còn giữ 212 lượt",
		"Giờ ghi sổ giấy: 2 lượt, từ 08:15 20/11/2026 đến 09:25 20/11/2026", "Chợ Đông Ba: 87 % người qua cửa có quét (870 lượt quét, máy đếm được 1.000 người)",
		"Ở những nơi khác còn 1 máy chưa gửi hết")
	if strings.Contains(body, "<code>cho-cua-b") {
		t.Error("a gate that holds only what came later counts as behind")
	}
	file := lan.want(200, lan.post(at+"/xuat", url.Values{"cases.export.for": {"report"}, "cases.format": {"xlsx"}, "cases.export.sure": {"1"}}))
	if len(file) < 1000 {
		t.Errorf("a workbook of %d bytes", len(file))
	}
}

// Where nobody counts who passes, the page says so.
func TestResultWithoutCounters(t *testing.T) {
	w := newWorld(t)
	lan := w.as("lan")
	lan.want(200, lan.get(lan.traced()+"/tiep-xuc"), "những nơi này không đếm người qua cửa")
}

// Whoever was let in on amber has no name, and was counted twice among those who came.
func TestAmberIsCountedOnce(t *testing.T) {
	w := newWorld(t)
	const amber = 200
	at := time.Date(2026, 11, 20, 9, 0, 0, 0, qrgate.Zone).UnixMilli()
	w.must(w.s.Intake(w.ctx(), []string{"cho-cua-b"}, func(in *store.Intake) error {
		e, err := in.Book("cho-cua-b").Epoch(wire.Epoch{1})
		if err != nil {
			return err
		}
		for range amber {
			w.seq++
			in.Add(store.Row{
				Under: e, Written: e, Digest: wire.Digest{byte(w.seq >> 8), byte(w.seq)}, Day: qrgate.DayOfMilli(at), When: when.Interval{Earliest: at, Latest: at}, Received: w.time(),
				Header: wire.Header{
					Seq: w.seq, Kind: wire.KindCheckin, Boot: when.Boot{1}, Since: int64(w.seq), Wall: at, Gate: "B", Lane: 1, Direction: wire.In,
					Pass: pass.Card, Verdict: wire.Unrecorded, Reason: wire.ReasonSpace, Presence: wire.Verified,
				},
			})
		}
		return nil
	}))
	lan := w.as("lan")
	body := lan.want(200, lan.get(lan.traced()+"/tiep-xuc"))
	read := regexp.MustCompile(`Đã đọc: (\d+) lượt có tên, (\d+) không tên \(trong đó (\d+) vào mà không ghi được\), (\d+) bị từ chối`).FindStringSubmatch(body)
	if read == nil {
		t.Fatalf("nothing is said of who was read:\n%s", body)
	}
	var n [5]int
	for i := range read[1:] {
		n[i+1], _ = strconv.Atoi(read[i+1])
	}
	if n[2] != amber || n[3] != amber {
		t.Errorf("%s; want %d without a name, all of them on amber", read[0], amber)
	}
	share := fmt.Sprintf("vào mà không ghi được %d %%", n[3]*100/(n[1]+n[2]+n[4]))
	if got := regexp.MustCompile(`vào mà không ghi được \d+ %`).FindString(body); got != share {
		t.Errorf("%s; of these %q, want %q", read[0], got, share)
	}
}
