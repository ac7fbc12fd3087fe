package passage_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	layers "github.com/qrgate/qrgate/server/fleet/configs"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/pagetest"
	"github.com/qrgate/qrgate/server/portal/passage"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/configs"
)

func newWorld(t *testing.T) *pagetest.World {
	t.Helper()
	return pagetest.NewOver(t, "http://127.0.0.1", func(w *pagetest.World, f *page.Frame) []page.Route { return passage.New(f, w.Store).Routes() })
}

// fill gives the world's place a kiosk that has counted for three days, and people inside.
func fill(t *testing.T, w *pagetest.World) {
	t.Helper()
	err := w.Store.AddKiosk(t.Context(), qrgate.Kiosk{ID: "dong-ba-gate-1", Place: w.Place.Name, PlaceNo: w.Place.No, Public: make([]byte, 32), State: qrgate.KioskActive, Added: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	today := qrgate.DayOf(time.Now())
	err = w.Store.Write(t.Context(), func(tx store.Tx) error {
		for i := range 3 {
			for lane, n := range map[int][3]int{1: {412, 9, 371}, 2: {398, 0, 120}} {
				at := (today - qrgate.Day(i)).Start().Add(time.Duration(lane) * time.Hour).UnixMilli()
				_, err := tx.Exec(`INSERT INTO passages (epoch_no, seq, digest, kiosk_no, place_no, gate, lane, direction, hour, took, people, against, scans, earliest, latest, received)
					VALUES (1, ?, 1, 1, ?, 'A1', ?, ?, ?, 3600000, ?, ?, ?, 1, 1, 1)`, 10*i+lane, int64(w.Place.No), lane, lane, at, n[0], n[1], n[2])
				if err != nil {
					return err
				}
			}
		}
		if _, err := tx.Exec("UPDATE places SET capacity = 500 WHERE no = ?", int64(w.Place.No)); err != nil {
			return err
		}
		_, err := tx.Exec("INSERT INTO room_counts (place, event, category, kiosk_no, period, granted, returned, ins, outs, told) VALUES (?, 0, 0, (SELECT no FROM kiosks WHERE id = 'dong-ba-gate-1'), ?, 500, 0, 470, 2, ?)",
			int64(w.Place.No), int64(today), time.Now().UnixMilli())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPlace(t *testing.T) {
	w := newWorld(t)
	at := fmt.Sprintf("/dia-diem/%d/do-phu", w.Place.No)
	if status, body, _ := w.Get("owner", at); status != 200 || !strings.Contains(body, "Chưa có thiết bị nào ở đây đếm người qua cửa") {
		t.Errorf("before anything was counted: %d\n%s", status, body)
	}
	fill(t, w)
	status, body, _ := w.Get("owner", at)
	if status != 200 {
		t.Fatalf("the page: %d", status)
	}
	for _, want := range []string{"468 người, sức chứa 500", "Sắp đủ người", "1.236 người vào, 1.113 lượt quét, tỷ lệ 90 %", "A1 · làn 1 · vào", "A1 · làn 2 · ra", "30 %"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Contains(body, "Đã đủ người") {
		t.Error("a place that is nearly full is said to be full")
	}
	if t.Failed() {
		t.Log(body)
	}
}

// The page says nearly full from where the place's kiosks do.
func TestNearlyFullIsWhatItsKiosksSay(t *testing.T) {
	w := newWorld(t)
	fill(t, w)
	at := fmt.Sprintf("/dia-diem/%d/do-phu", w.Place.No)
	kept := configs.New(w.Store, time.Now)
	for i, tt := range []struct {
		layer layers.LayerID
		share string
		near  bool
	}{{layers.Everywhere, "95", false}, {layers.Place(w.Place.No), "60", true}, {layers.Kiosk("dong-ba-gate-1"), "94", false}} {
		_, err := kept.Save(t.Context(), configs.Change{Layer: tt.layer, Settings: layers.Settings{"door.near_full": tt.share}, By: "owner", Why: "thử"})
		if err != nil {
			t.Fatal(err)
		}
		if _, body, _ := w.Get("owner", at); strings.Contains(body, "Sắp đủ người") != tt.near {
			t.Errorf("%d: 468 of 500 inside, %s says %s %%: nearly full is %v", i, tt.layer, tt.share, !tt.near)
		}
	}
}

// Of a place of others nobody is told.
func TestOthersPlaceIsNotThere(t *testing.T) {
	w := newWorld(t)
	for who, want := range map[string]int{"foreign": 404, "": 303} {
		if status, _, _ := w.Get(who, fmt.Sprintf("/dia-diem/%d/do-phu", w.Place.No)); status != want {
			t.Errorf("%q gets %d, want %d", who, status, want)
		}
	}
}
