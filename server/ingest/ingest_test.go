package ingest_test

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

func TestBatchBecomesRows(t *testing.T) { each(t, testBatchBecomesRows) }

func testBatchBecomesRows(t *testing.T, w *world) {
	generation, err := w.store.Generation(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	k := w.kiosk("kiosk-00001")
	citizen := wire.Subject{Kind: pass.CCCD, Number: "046203001234", Name: "Nguyễn Thị Mai", Born: 2003, Address: "Phường Thuận Hòa, Huế"}
	insured := wire.Subject{Kind: pass.BHYT, Number: "046203001234", Name: "Nguyễn Thị Mai"}
	said := []wire.Subject{
		{Kind: pass.Card, Card: 41, Issue: 1},
		{Kind: pass.Card, Card: 42, Issue: 1},
		{Kind: pass.Family, Card: 41, Issue: 2},
		{Kind: pass.Typed, Card: 41},
		citizen,
		citizen,
		insured, // the same digits on another kind of pass are another number
		{Kind: pass.Event, Card: 41},
	}
	for _, s := range said {
		k.checkin(s)
	}
	h := k.header(wire.KindCheckin)
	h.Pass, h.Verdict, h.Reason = pass.Unknown, wire.Refused, wire.ReasonUnknown
	k.append(wire.NewRecord(h, wire.Sealed{})) // nobody

	s := w.serve()
	b := k.batch(1, k.last())
	w.send(k, b)
	got := k.receipt()
	want := &wire.Receipt{
		V: wire.Version, Kiosk: k.id, Epoch: k.epoch, Generation: generation, Through: k.last(), Hash: b.Hash(), Time: noon.UnixMilli(),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("receipt (-want +got):\n%s", diff)
	}

	rows := w.rows(k.id)
	if len(rows) != len(said)+1 {
		t.Fatalf("%d rows, want %d", len(rows), len(said)+1)
	}
	var who []qrgate.Person
	for i, c := range rows[:len(said)] {
		if seq := uint64(i) + 2; c.Seq != seq || c.Epoch != k.epoch || c.Digest != deliver.Digest(k.records[seq-1]) || c.Pass != said[i].Kind ||
			c.Day.String() != "2026-11-25" || c.Received != noon.UnixMilli() || c.Latest > noon.UnixMilli() || c.Earliest > c.Latest || c.Gate != "A1" {
			t.Errorf("row %d = %+v", i, c)
		}
		who = append(who, w.person(c))
	}
	if c := rows[len(said)]; c.Subject != (qrgate.Subject{}) || c.Verdict != wire.Refused || c.Reason != wire.ReasonUnknown {
		t.Errorf("refusal = %+v, want nobody", c)
	}
	same := func(i, j int) bool { return who[i] == who[j] }
	if !same(0, 2) || !same(0, 3) {
		t.Errorf("card, family and typed code of one number are %v, want one person", []qrgate.Person{who[0], who[2], who[3]})
	}
	if !same(4, 5) || same(0, 1) || same(4, 6) || same(0, 4) || same(0, 7) || who[0] == 0 {
		t.Errorf("persons = %v, want 0, 1, 4, 6 and 7 apart, and 4 and 5 one", who)
	}

	// Of those alone whom we gave no card, what they showed is kept.
	kept := w.details()
	if len(kept) != 2 {
		t.Errorf("%d details, want 2", len(kept))
	}
	for i, want := range map[int]wire.Subject{4: citizen, 6: insured} {
		sealed := kept[who[i]]
		plain, err := w.vault.OpenDetail(who[i], sealed.wrapped, "pass", sealed.sealed)
		if err != nil {
			t.Fatalf("OpenDetail error = %v", err)
		}
		var got wire.Subject
		if err := wire.Decode(plain, &got); err != nil || got != want {
			t.Errorf("detail = %#v, %v", got, err)
		}
		if strings.Contains(string(sealed.sealed), want.Name) {
			t.Error("a detail lies open")
		}
	}
	if got, want := s.Stats(), (ingest.Stats{Batches: 1, Checkins: 9, Receipts: 1, Commits: 1}); got != want {
		t.Errorf("Stats() = %+v, want %+v", got, want)
	}
	w.until("the feed shows all", func() bool { return len(s.Feed.Recent()) == 9 })
	if recent := s.Feed.Recent(); recent[0].Verdict != wire.Refused || recent[8].Kiosk != k.id {
		t.Errorf("feed = %+v", recent)
	}
}

type detail struct{ wrapped, sealed []byte }

// details reads the sealed details from the database: nothing of the server
// reads them yet.
func (w *world) details() map[qrgate.Person]detail {
	w.t.Helper()
	all := map[qrgate.Person]detail{}
	w.query(func(r *sql.Rows) error {
		var p int64
		var d detail
		err := r.Scan(&p, &d.wrapped, &d.sealed)
		all[qrgate.Person(p)] = d
		return err
	}, "SELECT p.person, p.wrapped, d.sealed FROM people p JOIN details d ON d.person = p.person")
	return all
}

// database opens the database beside the store.
func (w *world) database() *sql.DB {
	w.t.Helper()
	driver, source := "pgx", w.dsn
	if path, ok := strings.CutPrefix(w.dsn, "sqlite:"); ok {
		driver, source = "sqlite", path
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		w.t.Fatal(err)
	}
	return db
}

func (w *world) query(row func(*sql.Rows) error, query string) {
	w.t.Helper()
	db := w.database()
	defer db.Close()
	rows, err := db.Query(query)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
}
