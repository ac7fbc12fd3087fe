package fleet_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	judge "github.com/qrgate/qrgate/server/fleet"
	"github.com/qrgate/qrgate/server/portal/fleet"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/pagetest"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	kept "github.com/qrgate/qrgate/server/store/fleet"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// A world is a portal with the pages of kiosks: one at the place of "mine", one at
// that of others, and one at no registered place.
type world struct {
	*pagetest.World
	kept   *kept.Fleet
	linked atomic.Int64 // Unix milliseconds
}

const (
	market = "cho-dong-ba-1"
	hotel  = "song-huong-01"
	nobody = "kho-thiet-bi-1"
)

func newWorld(t testing.TB) *world {
	w := &world{}
	w.linked.Store(time.Now().Add(-time.Hour).UnixMilli())
	w.World = pagetest.NewOver(t, "http://127.0.0.1", func(p *pagetest.World, f *page.Frame) []page.Route {
		w.kept = kept.New(p.Store, time.Now)
		return fleet.New(f, fleet.Options{
			Fleet: w.kept, Store: p.Store, Linked: w.since, Mail: true, Fresh: 5 * time.Millisecond, Most: 3, Recheck: 20 * time.Millisecond,
			Secret: func(id string) []byte { return judge.Secret([]byte("key"), id) },
			Tabs:   []fleet.Tab{{Path: "cau-hinh", Key: "fleet.tab.config"}, {Path: "lenh", Key: "fleet.tab.orders"}},
		}).Routes()
	})
	w.add(market, w.Place.No)
	w.add(hotel, w.Other.No)
	w.add(nobody, 0)
	return w
}

func (w *world) since() time.Time {
	if ms := w.linked.Load(); ms != 0 {
		return time.UnixMilli(ms)
	}
	return time.Time{}
}

func (w *world) must(err error) {
	w.T.Helper()
	if err != nil {
		w.T.Fatal(err)
	}
}

func (w *world) add(id string, place uint32) {
	w.T.Helper()
	w.must(w.Store.AddKiosk(w.T.Context(), qrgate.Kiosk{ID: id, Place: "Kho", PlaceNo: place, Public: make([]byte, 32), State: qrgate.KioskActive, Added: time.Now()}))
}

func (w *world) exec(query string, args ...any) {
	w.T.Helper()
	w.must(w.Store.Write(w.T.Context(), func(t store.Tx) error { _, err := t.Exec(query, args...); return err }))
}

func (w *world) beat(id string, up bool, b wire.Beat, at time.Time) {
	w.T.Helper()
	b.V = wire.Version
	w.must(w.Store.SavePresences(w.T.Context(), []store.Presence{{
		Kiosk: id, Online: &wire.Online{V: wire.Version, Up: up, Session: uint64(at.Unix())}, Changed: at, Beat: &b, Contact: at,
	}}))
}

// healthy is what a kiosk says of which all is known and well.
func healthy(at time.Time) wire.Beat {
	behind := int64(-12)
	return wire.Beat{
		Release: "1.4.2", Boot: when.Boot{1}, Epoch: wire.Epoch{1}, Last: 48_211, Through: 48_211, Used: 3 << 20, Limit: 200 << 20, Uptime: 9*86_400 + 3_700,
		DiskFree: 21 << 30, DiskTotal: 32 << 30, Temperature: 54_300, Power: wire.PowerKnown, Memory: 1 << 30, Available: 700 << 20,
		Wall: at.UnixMilli(), State: when.Synced, Error: 38, Offset: &behind, RoundTrip: 41_000, Links: 3, Opened: wire.OpenedNew,
		Model: "Raspberry Pi 4 Model B Rev 1.4", Serial: "5f0c1b7a9d3e4f60",
		Scanners: []wire.ScannerBeat{{Name: "serial-1", Present: true, LastScan: at.Add(-time.Minute).UnixMilli(), Scans: 812, Bad: 9, Share: 1}, {Name: "camera-1", Present: true, Scans: 4}},
		List:     &wire.ListBeat{Stamp: wire.Stamp{Generation: 1, Version: 12}, Cards: 310},
	}
}

func sick(at time.Time) wire.Beat {
	b := healthy(at)
	b.Queued, b.Oldest, b.Temperature, b.Power, b.ReadOnly, b.State = 3_120, 5_400_000, 83_900, wire.PowerKnown|wire.UnderVoltage, true, when.Chip
	b.Opened, b.Moved, b.Lost, b.Unrecorded = wire.OpenedMoved, true, 3, 5
	b.Scanners[0].Fault, b.Scanners[1].Fault, b.Scanners[1].Share = "babbling", "dark", 64
	b.Scanners[1].Hints = wire.HintBeat{Closer: 1_204, Tilt: 7}
	return b
}

func (w *world) alarm(id string, kind judge.Kind, since time.Time, value int64, about string) {
	w.T.Helper()
	a := judge.Alarm{Kind: kind, Since: since, Grave: kind.Grave(), Value: value, About: about, Seen: since}
	if id != "" {
		k, err := w.kept.Kiosk(w.T.Context(), id)
		w.must(err)
		a.No = k.No
	}
	w.must(w.kept.SaveAlarms(w.T.Context(), []judge.Alarm{a}))
}

// town fills the city with kiosks: some sick, some gone.
func (w *world) town(n int) {
	w.T.Helper()
	areas := []string{"19753@2025-07-01", "19789@2025-07-01", "19774@2025-07-01", "19960@2025-07-01", "19900@2025-07-01"}
	names := []string{"Bệnh viện Trung ương Huế", "Trường Quốc Học", "Bến xe phía Nam", "Siêu thị Tràng Tiền", "Đại Nội"}
	now := time.Now()
	var signs []store.Presence
	var alarms []judge.Alarm
	err := w.Store.Write(w.T.Context(), func(t store.Tx) error {
		signs, alarms = nil, nil
		for i := range n {
			no, id := int64(100+i), fmt.Sprintf("thi-diem-%04d", i)
			at := areas[i%len(areas)]
			if _, err := t.Exec(`INSERT INTO places (no, organisation, name, folded, sector, kind, area, area_now, street, person, phones, email, capacity, hours, doors, version, poster, created, changed)
				VALUES (?, 'mine', ?, '', ?, 'market', ?, ?, '', '', '[]', '', 0, '[]', 0, 1, 0, 0, 0)`,
				no, fmt.Sprintf("%s %d", names[i%len(names)], i+1), []string{"trade", "tourism", "health"}[i%3], at, at); err != nil {
				return err
			}
			if _, err := t.Exec("INSERT INTO kiosks (no, id, place, place_no, public, state, added, kind) VALUES (?, ?, 'Kho', ?, ?, 1, 1, 0)", no, id, no, make([]byte, 32)); err != nil {
				return err
			}
			said, up, heard := healthy(now), true, now
			switch {
			case i%11 == 7:
				said = sick(now)
				alarms = append(alarms, judge.Alarm{No: no, Kind: judge.HasScanner, Grave: true, Since: now.Add(-20 * time.Minute), Seen: now, About: "camera-1: dark"},
					judge.Alarm{No: no, Kind: judge.IsHot, Since: now.Add(-10 * time.Minute), Seen: now, Value: 83_900})
			case i%7 == 3:
				up, heard = false, now.Add(-2*time.Hour)
				said = healthy(heard)
				alarms = append(alarms, judge.Alarm{No: no, Kind: judge.IsSilent, Grave: true, Since: now.Add(-115 * time.Minute), Seen: now, Value: 300})
			case i%13 == 5:
				continue
			}
			said.V = wire.Version
			signs = append(signs, store.Presence{Kiosk: id, Online: &wire.Online{V: wire.Version, Up: up, Session: 1}, Changed: heard, Beat: &said, Contact: heard})
		}
		return nil
	})
	w.must(err)
	w.must(w.Store.SavePresences(w.T.Context(), signs))
	w.must(w.kept.SaveAlarms(w.T.Context(), alarms))
}

// history keeps two days of samples of a kiosk, with a night in which it was off.
func (w *world) history(id string) {
	w.T.Helper()
	var all []judge.Recorded
	begin := time.Now().Add(-47 * time.Hour).Truncate(judge.Fine)
	for i := range 47 * 12 {
		at := begin.Add(time.Duration(i) * judge.Fine)
		hour := at.In(qrgate.Zone).Hour()
		if hour < 5 {
			continue
		}
		day := int64(max(0, 12-max(hour-9, 9-hour)))
		all = append(all, judge.Recorded{Kiosk: id, Sample: judge.Sample{
			At: at, Beats: 10, Queued: int64(i % 7), Oldest: int64(i%7) * 60_000, Outbox: 20 + int64(i/20), Disk: 340, Memory: 310 + int64(i%40), Temperature: 48_000 + day*1_500 + int64(i%5)*200,
			RoundTrip: 38_000 + int64(i%9)*3_000, Unreadable: 10 + int64(i%30), Scans: day * 2, Power: 1,
		}})
	}
	w.must(w.kept.SaveSamples(w.T.Context(), all))
	k, err := w.kept.Kiosk(w.T.Context(), id)
	w.must(err)
	now := time.Now()
	w.must(w.kept.SaveComings(w.T.Context(), []judge.Coming{{No: k.No, At: now.Add(-40 * time.Hour), Up: true, Session: 1}, {No: k.No, At: now.Add(-20 * time.Hour), Session: 1}, {No: k.No, At: now.Add(-19 * time.Hour), Up: true, Session: 2}}))
}
