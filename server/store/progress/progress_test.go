package progress_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/report"
	"github.com/qrgate/qrgate/server/store/progress"
	"github.com/qrgate/qrgate/server/store/register"
)

func (w *world) upload(by string) string {
	w.t.Helper()
	id, err := w.reg.AddUpload(w.t.Context(), by, "list.xlsx", []byte("{}"))
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func (w *world) survey(q progress.Query, moments ...qrgate.Day) *report.Survey {
	w.t.Helper()
	s, err := w.Survey(w.t.Context(), q, moments...)
	if err != nil {
		w.t.Fatal(err)
	}
	return &s
}

func TestSurvey(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		today := w.today()
		market := w.place("Chợ Đông Ba", "trade", "market", phuXuan)
		shop := w.place("Cửa hàng Lan", "trade", "shop", thuanHoa)
		clinic := w.place("Phòng khám Minh Tâm", "health", "clinic", phuXuan)
		inn := w.place("Nhà nghỉ Hương", "tourism", "lodging", phuXuan)
		gone := w.place("Đã đóng", "trade", "shop", phuXuan)
		w.exec("UPDATE places SET deleted = 1 WHERE no = ?", int64(gone))
		w.exec("INSERT INTO posters (place, version, template, name, address, made_by, made, printed, formats) VALUES (?, 1, 0, '', '', '', 0, ?, '')", int64(shop), w.now.Load())
		w.exec("INSERT INTO posters (place, version, template, name, address, made_by, made, printed, formats) VALUES (?, 1, 0, '', '', '', 0, NULL, '')", int64(inn))
		w.kiosk(1, clinic, 1, 0)
		w.kiosk(2, inn, 0, 30*24*time.Hour) // not heard of for a month: no door
		w.tally(market, today-40, 3)
		w.tally(market, today-2, 12)
		list := []progress.Listed{
			{Name: "chợ đông ba", Sector: "trade", Kind: "market", Area: phuXuan, AreaNow: phuXuan}, // is the market
			{Name: "Chợ An Cựu", Sector: "trade", Kind: "market", Area: thuanHoa, AreaNow: thuanHoa, Phone: "+84905123456"},
			{Name: "Phòng khám Tâm", Sector: "health", Area: phuXuan, AreaNow: phuXuan}, // the clinic under another name
		}
		if n, err := w.TakeList(t.Context(), "lan", w.upload("lan"), list); err != nil || n != 3 {
			t.Fatalf("TakeList = %d, %v", n, err)
		}

		s := w.survey(everywhere, today-10, today)
		if got, want := s.Funnel(1, nil), (report.Funnel{6, 4, 3, 2, 1, 1}); got != want {
			t.Errorf("funnel today = %v, want %v", got, want)
		}
		if got, want := s.Funnel(0, nil), (report.Funnel{3, 1, 1, 1, 1, 0}); got != want {
			t.Errorf("funnel ten days ago = %v, want %v", got, want)
		}
		missing, total, err := w.ListedPlaces(t.Context(), everywhere, true, 0, 10)
		if err != nil || total != 2 || missing[0].Name != "Chợ An Cựu" {
			t.Fatalf("ListedPlaces(missing) = %+v, %d, %v", missing, total, err)
		}
		if err := w.Match(t.Context(), "lan", missing[1].ID, clinic); err != nil {
			t.Fatal(err)
		}
		if got := w.survey(everywhere, today).Funnel(0, nil).At(report.Listed); got != 5 {
			t.Errorf("listed after a match = %d, want 5", got)
		}
		// A match with a place that is deleted is none.
		if err := w.Match(t.Context(), "lan", missing[1].ID, gone); err != nil {
			t.Fatal(err)
		}
		if got := w.survey(everywhere, today).Funnel(0, nil).At(report.Listed); got != 6 {
			t.Errorf("listed after a match with what is gone = %d, want 6", got)
		}
		for name, tt := range map[string]struct {
			q    progress.Query
			want int
		}{
			"nothing":           {progress.Query{}, 0},
			"trade":             {progress.Query{Within: register.Within{Sectors: []string{"trade"}}}, 3},
			"trade or Phú Xuân": {progress.Query{Within: register.Within{Sectors: []string{"trade"}, Areas: []string{phuXuan}}}, 6},
			"trade, there":      {progress.Query{Within: register.Within{Sectors: []string{"trade"}}, Areas: []string{thuanHoa}}, 2},
			"all markets":       {progress.Query{Within: register.Within{All: true}, Kind: "market"}, 2},
			"no sector":         {progress.Query{Within: register.Within{All: true}, Sectors: []string{}}, 0},
			"an organisation":   {progress.Query{Within: register.Within{Organisations: []string{w.org}}}, 4},
		} {
			if got := w.survey(tt.q, today).Funnel(0, nil).At(report.Listed); got != tt.want {
				t.Errorf("listed of %s = %d, want %d", name, got, tt.want)
			}
		}
		if k, err := w.Kiosks(t.Context(), everywhere); err != nil || k != (progress.Kiosks{All: 2, Up: 1}) {
			t.Errorf("Kiosks = %+v, %v", k, err)
		}
		cells, err := w.Cells(t.Context(), everywhere, today-7, today)
		if diff := cmp.Diff([]report.Cell{{Sector: "trade", Kind: "market", Area: phuXuan, Day: today - 2, People: 12}}, cells); err != nil || diff != "" {
			t.Errorf("Cells: %v, -want +got\n%s", err, diff)
		}
		if silent := s.Silent(1, 2); len(silent) != 1 || silent[0].Place != market {
			t.Errorf("Silent = %+v", silent)
		}
	})
}

func TestListIsTakenOnceAndMerged(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		id := w.upload("lan")
		one := []progress.Listed{{Name: "Chợ An Cựu", Sector: "trade", Area: thuanHoa, AreaNow: thuanHoa}}
		if _, err := w.TakeList(t.Context(), "hoa", id, one); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("TakeList of another's upload = %v, want ErrConflict", err)
		}
		if _, err := w.TakeList(t.Context(), "lan", id, one); err != nil {
			t.Fatal(err)
		}
		if _, err := w.TakeList(t.Context(), "lan", id, one); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("TakeList again = %v, want ErrConflict", err)
		}
		one[0].Name, one[0].Phone = "CHỢ AN CỰU", "+84905123456"
		if n, err := w.TakeList(t.Context(), "lan", w.upload("lan"), one); n != 0 || err != nil {
			t.Errorf("TakeList of what is listed = %d, %v", n, err)
		}
		list, total, err := w.ListedPlaces(t.Context(), everywhere, false, 0, 10)
		if err != nil || total != 1 || list[0].Phone != "+84905123456" {
			t.Fatalf("ListedPlaces = %+v, %d, %v", list, total, err)
		}
		if err := w.Unlist(t.Context(), "lan", list[0].ID); err != nil {
			t.Fatal(err)
		}
		if err := w.Unlist(t.Context(), "lan", list[0].ID); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("Unlist again = %v, want ErrConflict", err)
		}
		if _, err := w.ListedPlace(t.Context(), list[0].ID); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("ListedPlace = %v, want ErrNotFound", err)
		}
	})
}

func TestTargets(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		g := progress.Target{Sector: "trade", Kind: "market", Target: report.Target{Stage: report.Active, Percent: 80, Begun: w.today(), Due: w.today() + 30}}
		before := w.audits()
		if err := w.AddTarget(t.Context(), "lan", &g); err != nil {
			t.Fatal(err)
		}
		for _, bad := range []report.Target{{}, {Stage: report.Listed, Percent: 5, Due: 9}, {Stage: report.Active, Percent: 101, Due: 9}, {Stage: report.Active, Percent: 50, Begun: 9, Due: 9}} {
			if err := w.AddTarget(t.Context(), "lan", &progress.Target{Target: bad}); !errors.Is(err, qrgate.ErrInvalid) {
				t.Errorf("AddTarget(%+v) = %v, want ErrInvalid", bad, err)
			}
		}
		seen, err := w.Target(t.Context(), g.ID)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.MoveTarget(t.Context(), "lan", seen, 90, w.today()+40); err != nil {
			t.Fatal(err)
		}
		if err := w.MoveTarget(t.Context(), "hoa", seen, 70, w.today()+40); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("MoveTarget of what was moved = %v, want ErrConflict", err)
		}
		if err := w.DropTarget(t.Context(), "hoa", seen); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("DropTarget of what was moved = %v, want ErrConflict", err)
		}
		all, err := w.Targets(t.Context())
		if err != nil || len(all) != 1 || all[0].Percent != 90 {
			t.Fatalf("Targets = %+v, %v", all, err)
		}
		if err := w.DropTarget(t.Context(), "lan", &all[0]); err != nil {
			t.Fatal(err)
		}
		if got := w.audits() - before; got != 3 {
			t.Errorf("%d audit rows, want 3", got)
		}
	})
}

func TestInspections(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		market := w.place("Chợ Đông Ba", "trade", "market", phuXuan)
		today := w.today()
		bad := progress.Inspection{Place: market, Checks: map[progress.Check]progress.Answer{"poster": progress.No}, People: 40, Scanned: 10, Result: progress.Fix, Note: "Treo lại áp phích.", Due: today + 7}
		if err := w.AddInspection(t.Context(), "hoa", &bad); err != nil {
			t.Fatal(err)
		}
		if err := w.AddInspection(t.Context(), "hoa", &progress.Inspection{Place: market, People: 1, Scanned: 2}); !errors.Is(err, qrgate.ErrInvalid) {
			t.Errorf("more scanned than went in = %v, want ErrInvalid", err)
		}
		if got := w.survey(everywhere, today).Funnel(0, nil).At(report.Live); got != 0 {
			t.Errorf("a door without a poster is live")
		}
		w.pass(8 * 24 * time.Hour)
		open, total, err := w.Inspections(t.Context(), everywhere, true, 0, 10)
		if err != nil || total != 1 || !open[0].Open() || open[0].Inspector != "Display of hoa" || open[0].PlaceName != "Chợ Đông Ba" {
			t.Fatalf("Inspections(open) = %+v, %d, %v", open, total, err)
		}
		from, to := w.time().Add(-30*24*time.Hour), w.time().Add(time.Hour)
		v, err := w.Visits(t.Context(), everywhere, from, to)
		if want := (progress.Visits{All: 1, Fix: 1, Places: 1, Open: 1, Late: 1, People: 40, Scanned: 10}); err != nil || v != want {
			t.Errorf("Visits = %+v, %v, want %+v", v, err, want)
		}
		good := progress.Inspection{Place: market, Checks: map[progress.Check]progress.Answer{"poster": progress.Yes}, Result: progress.Good}
		if err := w.AddInspection(t.Context(), "hoa", &good); err != nil {
			t.Fatal(err)
		}
		if err := w.Settle(t.Context(), "hoa", bad.ID); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("Settle of what a good visit has settled = %v, want ErrConflict", err)
		}
		if got := w.survey(everywhere, w.today()).Funnel(0, nil).At(report.Live); got != 1 {
			t.Errorf("a door whose poster was seen is not live")
		}
		w.pass(30 * 24 * time.Hour)
		if err := w.AddInspection(t.Context(), "hoa", &progress.Inspection{Place: market, Checks: good.Checks, Result: progress.Good}); err != nil {
			t.Fatal(err)
		}
		if got := w.survey(everywhere, w.today()-20).Funnel(0, nil).At(report.Live); got != 1 {
			t.Errorf("a door is live from the last visit on, not from the first that saw its poster")
		}
		of, err := w.InspectionsOf(t.Context(), market, 10)
		if err != nil || len(of) != 3 || of[0].Result != progress.Good || of[2].Open() || of[2].Note != bad.Note {
			t.Errorf("InspectionsOf = %+v, %v", of, err)
		}
		if _, err := w.Inspection(t.Context(), "none"); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("Inspection(none) = %v", err)
		}
	})
}

func TestReportVersions(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		r := progress.Report{Sector: "trade", Body: progress.Body{Title: "Tháng 11", From: w.today() - 30, To: w.today(), Difficulties: "Mưa."}}
		if err := w.SaveReport(t.Context(), "lan", &r); err != nil {
			t.Fatal(err)
		}
		hers, his := r, r
		w.pass(time.Minute)
		hers.Difficulties = "Mưa lớn."
		if err := w.SaveReport(t.Context(), "hoa", &hers); err != nil || hers.Version != 2 {
			t.Fatalf("SaveReport = %v, version %d", err, hers.Version)
		}
		if err := w.SaveReport(t.Context(), "lan", &his); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("SaveReport of an older version = %v, want ErrConflict", err)
		}
		hers.Frozen = &report.Document{Subject: "đông lại"}
		if err := w.SaveReport(t.Context(), "hoa", &hers); err != nil || hers.Issued.IsZero() {
			t.Fatalf("issue = %v, %+v", err, hers)
		}
		last := hers
		last.Title = "Sửa sau khi ban hành"
		if err := w.SaveReport(t.Context(), "hoa", &last); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("SaveReport of what was issued = %v, want ErrConflict", err)
		}
		for version, want := range map[int]string{0: "Mưa lớn.", 1: "Mưa.", 2: "Mưa lớn.", 3: "Mưa lớn."} {
			got, err := w.Report(t.Context(), r.ID, version)
			if err != nil || got.Difficulties != want || (got.Frozen != nil) != (version == 0 || version == 3) {
				t.Errorf("Report(%d) = %+v, %v", version, got, err)
			}
		}
		if _, err := w.Report(t.Context(), r.ID, 9); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("Report(9) = %v, want ErrNotFound", err)
		}
		versions, err := w.Versions(t.Context(), r.ID)
		if err != nil || len(versions) != 3 || versions[0].MadeBy != "Display of hoa" || versions[2].MadeBy != "Display of lan" {
			t.Errorf("Versions = %+v, %v", versions, err)
		}
		all, err := w.Reports(t.Context())
		if err != nil || len(all) != 1 || all[0].Version != 3 || all[0].Title != "Tháng 11" || all[0].Issued.IsZero() {
			t.Errorf("Reports = %+v, %v", all, err)
		}
	})
}

func TestDifficulties(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		market := w.place("Chợ Đông Ba", "trade", "market", phuXuan)
		for _, d := range []register.Difficulty{{Category: "print", Place: market}, {Category: "print", Place: market}, {Category: "other"}} {
			if err := w.reg.AddDifficulty(t.Context(), &d, nil); err != nil {
				t.Fatal(err)
			}
		}
		from, to := w.time().Add(-time.Hour), w.time().Add(time.Hour)
		count := func(q progress.Query) (n int) {
			all, err := w.Difficulties(t.Context(), q, from, to)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range all {
				n += c.Count
			}
			return n
		}
		if got := count(everywhere); got != 3 {
			t.Errorf("all = %d, want 3", got)
		}
		if got := count(progress.Query{Within: register.Within{Sectors: []string{"trade"}}, Kind: "market"}); got != 2 {
			t.Errorf("trade = %d, want 2", got)
		}
	})
}

// Twenty thousand places, each in use for a month, as a province has them.
func BenchmarkReport(b *testing.B) {
	const places, days = 20_000, 30
	for _, e := range engines {
		b.Run(e.name, func(b *testing.B) {
			w := newWorld(b, e)
			sectors := []string{"trade", "health", "education", "tourism"}
			communes := []string{phuXuan, thuanHoa}
			today := w.today()
			w.kiosk(1, 1, 1, 0)
			for from := 0; from < places; from += 1000 {
				w.exec(fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT CAST(%d AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < %d)
					INSERT INTO places (no, organisation, name, folded, sector, kind, area, area_now, street, person, phones, email, capacity, hours, doors, version, poster, created, changed)
					SELECT i, '%s', 'Place', 'place', CASE i %% 4 WHEN 0 THEN '%s' WHEN 1 THEN '%s' WHEN 2 THEN '%s' ELSE '%s' END, CASE i %% 3 WHEN 0 THEN 'market' ELSE 'shop' END,
						'%s', CASE i %% 2 WHEN 0 THEN '%s' ELSE '%s' END, '', '', '[]', '', 0, '[]', 1, 1, 1, 1, 1 FROM n`,
					from+1, from+1000, w.org, sectors[0], sectors[1], sectors[2], sectors[3], phuXuan, communes[0], communes[1]))
				w.exec(fmt.Sprintf(`INSERT INTO posters (place, version, template, name, address, made_by, made, printed, formats)
					SELECT no, 1, 0, '', '', '', 1, 1, '' FROM places WHERE no > %d`, from))
				w.exec(fmt.Sprintf(`WITH RECURSIVE n(d) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT d + 1 FROM n WHERE d < %d)
					INSERT INTO tallies (place_no, day, kiosk_no, ins, outs, first, last) SELECT p.no, %d - n.d, 1, 7 + p.no %% 50, 0, 1, 1 FROM places p CROSS JOIN n WHERE p.no > %d`,
					days-1, today, from))
			}
			var moments []qrgate.Day
			for i := range 9 {
				moments = append(moments, today-qrgate.Day(7*(8-i)))
			}
			b.ResetTimer()
			for b.Loop() {
				s, err := w.Survey(b.Context(), everywhere, moments...)
				if err != nil || len(s.Places) != places {
					b.Fatal(len(s.Places), err)
				}
				cells, err := w.Cells(b.Context(), everywhere, today-29, today)
				if err != nil {
					b.Fatal(err)
				}
				for m := range moments {
					s.Funnel(m, nil)
				}
				s.By(8, func(f *report.Facts) string { return f.Area })
				s.By(8, func(f *report.Facts) string { return f.Sector })
				report.TotalBy(cells, func(c *report.Cell) string { return c.Sector })
			}
		})
	}
}
