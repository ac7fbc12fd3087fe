package register_test

import (
	"crypto/sha256"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/register"
)

// shop adds a place of a sector in Phú Xuân.
func (w *world) shop(organisation, name, sector string) *qrgate.Place {
	w.t.Helper()
	p := &qrgate.Place{Organisation: organisation, Name: name, Sector: sector, Kind: "shop", Area: "19753@2021-07-01", AreaNow: "19753@2025-07-01", Doors: 1}
	if err := w.AddPlace(w.t.Context(), "", p); err != nil {
		w.t.Fatal(err)
	}
	return p
}

func ids(all []register.Difficulty) (s []string) {
	for _, d := range all {
		s = append(s, d.Text)
	}
	return s
}

func TestDifficulties(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		lan := w.account("lan")
		org := w.organisation(lan, "Hộ Lan")
		shop, clinic := w.shop(org, "Quán Lan", "trade"), w.shop(org, "Phòng khám Lan", "health")
		link := sha256.Sum256([]byte("link"))
		add := func(d register.Difficulty, sum []byte) *register.Difficulty {
			t.Helper()
			w.pass(time.Minute)
			if err := w.AddDifficulty(ctx, &d, sum); err != nil {
				t.Fatal(err)
			}
			return &d
		}
		add(register.Difficulty{Account: lan, Page: "/dia-diem", Category: "print", Place: shop.No, Text: "a"}, nil)
		b := add(register.Difficulty{Category: "scanner", Place: clinic.No, Text: "b", Contact: "0905 123 456"}, link[:])
		add(register.Difficulty{Category: "other", Text: "c"}, nil)
		if err := w.AddDifficulty(ctx, &register.Difficulty{Category: "other", Place: 999, Text: "d"}, nil); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("about a place that is not there: %v", err)
		}

		trade, phuXuan := register.Within{Sectors: []string{"trade"}}, register.Within{Areas: []string{"19753@2025-07-01"}}
		for _, tt := range []struct {
			q    register.DifficultyQuery
			want []string
		}{
			{register.DifficultyQuery{}, nil},
			{register.DifficultyQuery{Within: register.Within{All: true}}, []string{"c", "b", "a"}},
			{register.DifficultyQuery{Within: trade}, []string{"a"}},
			{register.DifficultyQuery{Within: phuXuan}, []string{"b", "a"}},
			{register.DifficultyQuery{Within: phuXuan, Category: "scanner"}, []string{"b"}},
			{register.DifficultyQuery{Within: phuXuan, State: register.DifficultyClosed}, nil},
			{register.DifficultyQuery{Within: phuXuan, To: w.time().Add(-90 * time.Second)}, []string{"a"}},
			{register.DifficultyQuery{Within: register.Within{Organisations: []string{org}}}, []string{"b", "a"}},
		} {
			got, total, err := w.Difficulties(ctx, tt.q)
			if d := cmp.Diff(tt.want, ids(got)); d != "" || total != len(tt.want) || err != nil {
				t.Errorf("Difficulties(%+v) = %v of %d, %v, want %v", tt.q, ids(got), total, err, tt.want)
			}
			for _, d := range got {
				if len(tt.q.Within.Organisations) == 0 && !tt.q.Within.Holds(&d) {
					t.Errorf("%+v does not hold %s, which it finds", tt.q.Within, d.Text)
				}
			}
		}
		if (register.Within{Sectors: []string{"", "trade"}, Areas: []string{""}}).Holds(&register.Difficulty{}) {
			t.Error("what is routed to nobody is held")
		}
		if page, total, err := w.Difficulties(ctx, register.DifficultyQuery{Within: register.Within{All: true}, Page: 1, Size: 2}); err != nil || total != 3 || len(page) != 1 {
			t.Errorf("second page = %v of %d, %v", ids(page), total, err)
		}
		if mine, err := w.DifficultiesOf(ctx, lan, 10); err != nil || len(mine) != 1 || mine[0].Text != "a" || mine[0].PlaceName != "Quán Lan" {
			t.Errorf("DifficultiesOf(lan) = %+v, %v", mine, err)
		}

		seen, err := w.DifficultyBySum(ctx, link[:])
		if err != nil || seen.ID != b.ID || seen.Contact != "0905 123 456" || seen.State != register.DifficultyOpen {
			t.Fatalf("DifficultyBySum = %+v, %v", seen, err)
		}
		w.pass(time.Minute)
		if err := w.AnswerDifficulty(ctx, "officer", seen, "Xin cắm lại máy quét."); err != nil {
			t.Fatal(err)
		}
		for name, err := range map[string]error{
			"answer": w.AnswerDifficulty(ctx, "other", seen, "x"), "close": w.CloseDifficulty(ctx, "other", seen), "pass": w.PassDifficulty(ctx, "other", seen, "tourism"),
		} {
			if !errors.Is(err, qrgate.ErrConflict) {
				t.Errorf("%s of what was answered meanwhile = %v", name, err)
			}
		}
		step := func(do func(*register.Difficulty) error) *register.Difficulty {
			t.Helper()
			w.pass(time.Minute)
			d, err := w.Difficulty(ctx, b.ID)
			if err == nil {
				err = do(d)
			}
			if err == nil {
				d, err = w.Difficulty(ctx, b.ID)
			}
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		if err := w.PassDifficulty(ctx, "officer", seen, "moon"); !errors.Is(err, qrgate.ErrInvalid) {
			t.Errorf("passed to the moon: %v", err)
		}
		d := step(func(d *register.Difficulty) error { return w.PassDifficulty(ctx, "officer", d, "trade") })
		if d.Sector != "trade" || d.State != register.DifficultyAnswered || d.Answer == "" {
			t.Errorf("passed on: %+v", d)
		}
		d = step(func(d *register.Difficulty) error { return w.CloseDifficulty(ctx, "officer", d) })
		if d.State != register.DifficultyClosed || d.Contact != "" || d.AnsweredBy != "officer" || !d.Answered.Equal(w.time()) {
			t.Errorf("closed: %+v", d)
		}
		if err := w.AnswerDifficulty(ctx, "officer", d, "x"); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("answer of a closed one = %v", err)
		}

		counts, err := w.CountDifficulties(ctx, trade, time.Time{}, time.Time{})
		if d := cmp.Diff([]register.DifficultyCount{{"print", "open", 1}, {"scanner", "closed", 1}}, counts); d != "" || err != nil {
			t.Errorf("CountDifficulties (-want +got):\n%s%v", d, err)
		}
		if counts, err := w.CountDifficulties(ctx, trade, w.time(), time.Time{}); err != nil || counts != nil {
			t.Errorf("CountDifficulties of a later time = %v, %v", counts, err)
		}
		rows := 0
		err = w.Audit(ctx, register.AuditQuery{Object: "difficulty " + b.ID}, 0, 10, func(a register.AuditRow) error {
			if strings.Contains(a.Note, "0905") || strings.Contains(a.Note, "máy quét") {
				t.Errorf("audit row %+v says too much", a)
			}
			rows++
			return nil
		})
		if err != nil || rows != 4 {
			t.Errorf("%d audit rows, %v; want 4", rows, err)
		}
	})
}

func TestFigures(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx, today := t.Context(), qrgate.DayOf(w.time())
		org := w.organisation(w.account("lan"), "Hộ Lan")
		within := register.Within{Organisations: []string{org}}
		if f, err := w.Figures(ctx, within, today); err != nil || f != (register.Figures{}) {
			t.Errorf("Figures of nothing = %+v, %v", f, err)
		}
		one, two := w.shop(org, "Một", "trade"), w.shop(org, "Hai", "trade")
		if err := w.s.AddKiosk(ctx, qrgate.Kiosk{ID: "kiosk-one", Place: "Hai", Public: make([]byte, 32), State: qrgate.KioskActive, Added: w.time()}); err != nil {
			t.Fatal(err)
		}
		err := w.s.Write(ctx, func(t store.Tx) error {
			kiosk := int64(0)
			err := t.Each(func(rows *sql.Rows) error { return rows.Scan(&kiosk) }, "SELECT no FROM kiosks")
			for day, n := range map[qrgate.Day]int64{today: 5, today - 1: 100} {
				if err == nil {
					_, err = t.Exec("INSERT INTO tallies (place_no, day, kiosk_no, ins, outs, first, last) VALUES (?, ?, ?, ?, 2, ?, ?)",
						int64(two.No), int64(day), kiosk, n, w.now.Load(), w.now.Load())
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		f, err := w.Figures(ctx, within, today)
		if want := (register.Figures{Organisations: 1, Places: 2, Seen: 1, In: 5, Out: 2}); f != want || err != nil {
			t.Errorf("Figures = %+v, %v, want %+v", f, err, want)
		}
		list, err := w.PlaceFigures(ctx, within, today, 10)
		want := []register.PlaceFigures{{No: two.No, Name: "Hai", First: w.time(), In: 5, Out: 2}, {No: one.No, Name: "Một"}}
		if d := cmp.Diff(want, list); d != "" || err != nil {
			t.Errorf("PlaceFigures (-want +got):\n%s%v", d, err)
		}
		if list, err := w.PlaceFigures(ctx, register.Within{}, today, 10); err != nil || list != nil {
			t.Errorf("PlaceFigures of nobody = %v, %v", list, err)
		}
	})
}
