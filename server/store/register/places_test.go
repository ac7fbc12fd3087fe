package register_test

import (
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/register"
)

const phuXuan, thuanHoa = "19753@2025-07-01", "19774@2025-07-01"

func aPlace(organisation, name string) *qrgate.Place {
	return &qrgate.Place{
		Organisation: organisation, Name: name, Sector: "trade", Kind: "market", Area: phuXuan, AreaNow: phuXuan, Street: "2 Trần Hưng Đạo",
		At: &qrgate.Point{Lat: 16.4698, Lon: 107.5796}, Person: "Nguyễn Thị Lan", Phones: []string{"+84905123456"}, Email: "lan@example.vn",
		Capacity: 500, Hours: []qrgate.Hours{{Days: qrgate.EveryDay, Open: 300, Close: 1140}}, Doors: 3,
	}
}

func (w *world) place(by string, p *qrgate.Place) *qrgate.Place {
	w.t.Helper()
	if err := w.AddPlace(w.t.Context(), by, p); err != nil {
		w.t.Fatal(err)
	}
	return p
}

func TestSavePlace(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		lan := w.account("lan")
		p := w.place(lan, aPlace(w.organisation(lan, "Chợ"), "Chợ Đông Ba"))
		got, err := w.Place(ctx, p.No)
		if diff := cmp.Diff(p, got, cmp.Comparer(time.Time.Equal)); err != nil || diff != "" {
			t.Fatalf("Place: %v %s", err, diff)
		}
		old := *got
		got.Name, got.At = "Chợ Đông Ba mới", nil
		if err := w.SavePlace(ctx, lan, got, ""); err != nil {
			t.Fatal(err)
		}
		if again, err := w.Place(ctx, p.No); err != nil || !cmp.Equal(got, again, cmp.Comparer(time.Time.Equal)) {
			t.Errorf("saved %+v, %v, want %+v", again, err, got)
		}
		if some, err := w.PlacesOf(ctx, p.No, p.No, 1<<31); err != nil || len(some) != 1 || !cmp.Equal(got, some[p.No], cmp.Comparer(time.Time.Equal)) {
			t.Errorf("PlacesOf() = %v, %v; want the one place that there is", some, err)
		}
		old.Name = "of an older version"
		if err := w.SavePlace(ctx, lan, &old, ""); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("SavePlace of an older version = %v", err)
		}
		old.No = 99
		if err := w.SavePlace(ctx, lan, &old, ""); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("SavePlace of none = %v", err)
		}
		minh := w.account("minh")
		w.pass(time.Hour)
		if err := w.SavePlace(ctx, minh, got, qrgate.SectorOfficer); err != nil {
			t.Fatal(err)
		}
		helped, err := w.OnBehalf(ctx, p.No, 5)
		if err != nil || len(helped) != 1 || helped[0].Role != qrgate.SectorOfficer || helped[0].Display != "Display of minh" || !helped[0].At.Equal(w.time()) {
			t.Errorf("OnBehalf = %+v, %v", helped, err)
		}
	})
}

func TestDeletePlace(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		lan := w.account("lan")
		o := w.organisation(lan, "Chợ")
		p, kept := w.place(lan, aPlace(o, "Chợ Đông Ba")), w.place(lan, aPlace(o, "Chợ An Cựu"))
		if err := w.DeletePlace(ctx, lan, p.No, 7); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("DeletePlace of another version = %v", err)
		}
		if err := w.UndeletePlace(ctx, lan, p.No); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("UndeletePlace of what is there = %v", err)
		}
		if err := w.DeletePlace(ctx, lan, p.No, p.Version); err != nil {
			t.Fatal(err)
		}
		if err := w.DeletePlace(ctx, lan, p.No, p.Version+1); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("DeletePlace twice = %v", err)
		}
		w.pass(qrgate.UndoFor - time.Second)
		if err := w.PurgePlaces(ctx); err != nil {
			t.Fatal(err)
		}
		if err := w.UndeletePlace(ctx, lan, p.No); err != nil {
			t.Fatal(err)
		}
		got, err := w.Place(ctx, p.No)
		if err != nil || !got.Deleted.IsZero() || got.Person == "" {
			t.Fatalf("taken back: %+v, %v", got, err)
		}
		if err := w.DeletePlace(ctx, lan, p.No, got.Version); err != nil {
			t.Fatal(err)
		}
		w.pass(qrgate.UndoFor)
		if err := w.UndeletePlace(ctx, lan, p.No); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("UndeletePlace too late = %v", err)
		}
		for range 2 {
			if err := w.PurgePlaces(ctx); err != nil {
				t.Fatal(err)
			}
		}
		got, err = w.Place(ctx, p.No)
		if err != nil || got.Person != "" || got.Email != "" || len(got.Phones) != 0 || got.Name != "Chợ Đông Ba" {
			t.Errorf("purged: %+v, %v", got, err)
		}
		purged := 0
		err = w.s.Read(ctx, func(rows *sql.Rows) error { return rows.Scan(&purged) }, "SELECT COUNT(*) FROM audit WHERE action = 'purge place'")
		if err != nil || purged != 1 {
			t.Errorf("%d audit rows of purges, %v", purged, err)
		}
		if other, err := w.Place(ctx, kept.No); err != nil || other.Person == "" {
			t.Errorf("the other: %+v, %v", other, err)
		}
	})
}

func TestPlaces(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		lan, minh := w.account("lan"), w.account("minh")
		market, clinic := w.organisation(lan, "Chợ"), w.organisation(minh, "Phòng khám")
		a := w.place(lan, aPlace(market, "Chợ Đông Ba"))
		b := w.place(lan, aPlace(market, "Bến 100% sạch"))
		other := aPlace(clinic, "Phòng khám Đông Ba")
		other.Sector, other.Kind, other.Area, other.AreaNow = "health", "clinic", thuanHoa, thuanHoa
		c := w.place(minh, other)
		gone := w.place(lan, aPlace(market, "Ao cũ"))
		if err := w.DeletePlace(ctx, lan, gone.No, gone.Version); err != nil {
			t.Fatal(err)
		}
		err := w.s.Write(ctx, func(t store.Tx) error {
			_, err := t.Exec("INSERT INTO posters (place, version, template, name, address, made_by, made, printed, formats) VALUES (?, 1, 0, '', '', '', 1, 2, '')", int64(a.No))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		all, mine := register.Within{All: true}, register.Within{Organisations: []string{market}}
		for _, tt := range []struct {
			name  string
			q     register.Query
			want  []uint32
			total int
		}{
			{"none", register.Query{}, nil, 0},
			{"all", register.Query{Within: all}, []uint32{b.No, a.No, c.No}, 3},
			{"of an organisation", register.Query{Within: mine}, []uint32{b.No, a.No}, 2},
			{"of a sector", register.Query{Within: register.Within{Sectors: []string{"health"}}}, []uint32{c.No}, 1},
			{"of either", register.Query{Within: register.Within{Sectors: []string{"health"}, Areas: []string{phuXuan}}}, []uint32{b.No, a.No, c.No}, 3},
			{"without marks", register.Query{Within: all, Text: "BA dong"}, []uint32{a.No, c.No}, 2},
			{"with marks", register.Query{Within: mine, Text: "chợ"}, []uint32{a.No}, 1},
			{"a sign of patterns", register.Query{Within: all, Text: "100%"}, []uint32{b.No}, 1},
			{"a sign of patterns alone", register.Query{Within: all, Text: "_"}, nil, 0},
			{"by number", register.Query{Within: all, Text: fmt.Sprint(c.No)}, []uint32{c.No}, 1},
			{"kind", register.Query{Within: all, Kind: "clinic"}, []uint32{c.No}, 1},
			{"organisation", register.Query{Within: all, Organisation: market}, []uint32{b.No, a.No}, 2},
			{"sector", register.Query{Within: all, Sectors: []string{"trade"}}, []uint32{b.No, a.No}, 2},
			{"no sector", register.Query{Within: all, Sectors: []string{}}, nil, 0},
			{"area", register.Query{Within: all, Areas: []string{thuanHoa}}, []uint32{c.No}, 1},
			{"printed", register.Query{Within: all, State: register.PlacePrinted}, []uint32{a.No}, 1},
			{"unprinted", register.Query{Within: all, State: register.PlaceUnprinted}, []uint32{b.No, c.No}, 2},
			{"deleted", register.Query{Within: all, State: register.PlaceDeleted}, []uint32{gone.No}, 1},
			{"deleted of others", register.Query{Within: register.Within{Organisations: []string{clinic}}, State: register.PlaceDeleted}, nil, 0},
			{"by number order", register.Query{Within: all, Sort: register.PlaceNumber}, []uint32{a.No, b.No, c.No}, 3},
			{"newest", register.Query{Within: all, Sort: register.PlaceNewest}, []uint32{c.No, b.No, a.No}, 3},
			{"changed", register.Query{Within: all, Sort: register.PlaceChanged}, []uint32{c.No, b.No, a.No}, 3},
			{"page", register.Query{Within: all, Size: 2, Page: 1}, []uint32{c.No}, 3},
			{"past the end", register.Query{Within: all, Size: 2, Page: 9}, nil, 3},
		} {
			got, total, err := w.Places(ctx, tt.q)
			var nos []uint32
			for _, p := range got {
				nos = append(nos, p.No)
			}
			if err != nil || total != tt.total || !cmp.Equal(nos, tt.want) {
				t.Errorf("%s: Places = %v of %d, %v, want %v of %d", tt.name, nos, total, err, tt.want, tt.total)
			}
		}
		counts, err := w.CountPlaces(ctx, all)
		want := []register.PlaceCounts{
			{Sector: "health", Area: thuanHoa, Places: 1},
			{Sector: "trade", Area: phuXuan, Places: 2, Printed: 1, Deleted: 1},
		}
		if diff := cmp.Diff(want, counts); err != nil || diff != "" {
			t.Errorf("CountPlaces: %v %s", err, diff)
		}
		if printed, err := w.Printed(ctx, a.No, b.No); err != nil || !cmp.Equal(printed, map[uint32]bool{a.No: true}) {
			t.Errorf("Printed = %v, %v", printed, err)
		}
		if no, err := w.SameName(ctx, aPlace(market, "CHO DONG BA")); err != nil || no != a.No {
			t.Errorf("SameName = %d, %v", no, err)
		}
		if no, err := w.SameName(ctx, a); err != nil || no != 0 {
			t.Errorf("SameName of itself = %d, %v", no, err)
		}
	})
}

func TestImportIsTakenInOnce(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		lan, minh := w.account("lan"), w.account("minh")
		o := w.organisation(lan, "Chợ")
		w.place(lan, aPlace(o, "Chợ"))
		id, err := w.AddUpload(ctx, lan, "cho.xlsx", []byte("body"))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.Upload(ctx, minh, id); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("another's upload: %v", err)
		}
		if name, body, err := w.Upload(ctx, lan, id); err != nil || name != "cho.xlsx" || string(body) != "body" {
			t.Errorf("Upload = %q, %q, %v", name, body, err)
		}
		rows := []*qrgate.Place{aPlace(o, "Một"), aPlace(o, "Hai")}
		if err := w.ImportPlaces(ctx, minh, id, rows); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("ImportPlaces of another's = %v", err)
		}
		bad := aPlace(o, "Ba")
		bad.No, bad.Organisation = 0, "none"
		if err := w.ImportPlaces(ctx, lan, id, append(rows, bad)); err == nil {
			t.Error("ImportPlaces into no organisation passes")
		}
		if err := w.ImportPlaces(ctx, lan, id, rows); err != nil {
			t.Fatal(err)
		}
		if err := w.ImportPlaces(ctx, lan, id, rows); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("ImportPlaces again = %v", err)
		}
		if _, total, err := w.Places(ctx, register.Query{Within: register.Within{All: true}}); err != nil || total != 3 || rows[1].No != 3 {
			t.Errorf("%d places, last %d, %v", total, rows[1].No, err)
		}
	})
}
