package rights_test

import (
	"bytes"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/rights"
)

func TestDeadlines(t *testing.T) {
	at := func(s string) time.Time {
		d, err := time.ParseInLocation("2006-01-02 15:04", s, qrgate.Zone)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for _, tt := range []struct{ received, answer, fulfil string }{
		{"2026-11-26 09:00", "2026-11-30", "2026-12-11"}, // a Thursday
		{"2026-11-27 23:59", "2026-12-01", "2026-12-12"}, // a Friday
		{"2026-11-28 00:00", "2026-12-01", "2026-12-13"}, // a Saturday
		{"2026-02-13 16:00", "2026-02-24", "2026-02-28"}, // before Tết
		{"2026-04-24 08:00", "2026-04-29", "2026-05-09"}, // the Monday after Hùng Kings' day is off
		{"2026-04-29 08:00", "2026-05-05", "2026-05-14"},
	} {
		answer, fulfil := rights.Deadlines(at(tt.received))
		if a, f := qrgate.DayOf(answer).String(), qrgate.DayOf(fulfil).String(); a != tt.answer || f != tt.fulfil {
			t.Errorf("Deadlines(%s) = %s, %s, want %s, %s", tt.received, a, f, tt.answer, tt.fulfil)
		}
	}
	if d := rights.HolidaysUntil(); d.String() != "2028-12-31" {
		t.Errorf("HolidaysUntil = %s", d)
	}
}

var asker = rights.Asker{Name: "Nguyễn Thị Hoa", Contact: "+84905123456", Relation: "self", Checked: "cccd", Text: "Tôi muốn biết", Person: 1<<63 + 5}

func TestRequests(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		q, err := w.Requests(bytes.Repeat([]byte{1}, 32))
		if err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		here := qrgate.Scope{Kind: qrgate.InArea, ID: "19753@2025-07-01"}
		add := func(kind rights.Kind) *rights.Request {
			t.Helper()
			n := &rights.Request{Kind: kind, Office: here, Asker: &asker}
			if err := q.Add(ctx, "clerk-1", n); err != nil {
				t.Fatal(err)
			}
			w.pass(time.Minute)
			return n
		}
		first, second := add(rights.Access), add(rights.Erasure)
		if got, err := q.Request(ctx, first.ID); err != nil || !cmp.Equal(got, first) {
			t.Errorf("Request = %v, %s", err, cmp.Diff(first, got))
		}
		var dump []byte
		err = w.s.Read(ctx, func(r *sql.Rows) error { return r.Scan(&dump) }, "SELECT sealed FROM rights_requests WHERE id = ?", first.ID)
		if err != nil || bytes.Contains(dump, []byte("Hoa")) || bytes.Contains(dump, []byte("905123456")) {
			t.Errorf("the database tells who asks: %q, %v", dump, err)
		}
		w.pass(5 * 24 * time.Hour)
		if open, late, err := q.Count(ctx); open != 2 || late != 2 || err != nil {
			t.Errorf("Count = %d, %d, %v", open, late, err)
		}
		if err := q.Answer(ctx, "officer-1", first.ID, 1); err != nil {
			t.Error(err)
		}
		for name, err := range map[string]error{
			"answered twice":     q.Answer(ctx, "officer-1", first.ID, 2),
			"of an old version":  q.Finish(ctx, "officer-1", first.ID, 1, ""),
			"that is not there":  q.Answer(ctx, "officer-1", "nothing", 1),
			"for another reason": q.Finish(ctx, "officer-1", second.ID, 1, "mood"),
		} {
			if !errors.Is(err, qrgate.ErrConflict) && !errors.Is(err, qrgate.ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if open, late, err := q.Count(ctx); open != 2 || late != 1 || err != nil {
			t.Errorf("one answered: Count = %d, %d, %v", open, late, err)
		}
		if err := errors.Join(q.Finish(ctx, "officer-1", first.ID, 2, rights.NotHeld), q.Finish(ctx, "officer-1", second.ID, 1, "")); err != nil {
			t.Error(err)
		}
		a, _ := q.Request(ctx, first.ID)
		b, _ := q.Request(ctx, second.ID)
		if a.State != rights.Refused || a.Asker == nil || b.State != rights.Done || b.Asker != nil || b.Answered.IsZero() {
			t.Errorf("finished: %+v, %+v", a, b)
		}
		w.pass(91 * 24 * time.Hour)
		if err := w.ForgetAskers(ctx); err != nil {
			t.Error(err)
		}
		if a, err := q.Request(ctx, first.ID); err != nil || a.Asker != nil || a.Reason != rights.NotHeld {
			t.Errorf("after 91 days: %+v, %v", a, err)
		}
		list, all, err := q.List(ctx, []qrgate.Scope{here}, 0, 10)
		if err != nil || all != 2 || len(list) != 2 {
			t.Errorf("List = %v, %d, %v", list, all, err)
		}
		if list, all, err := q.List(ctx, []qrgate.Scope{}, 0, 10); err != nil || all != 0 || len(list) != 0 {
			t.Errorf("List of no office = %v, %d, %v", list, all, err)
		}
		w.seal()
		if c := w.verify(); !c.OK() || c.Rows != 5 {
			t.Errorf("VerifyAudit = %+v", c)
		}
	})
}

func TestRequestsComeByWhatIsDue(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		q, err := w.Requests(make([]byte, 32))
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for range 4 {
			n := &rights.Request{Kind: rights.Access, Office: qrgate.All, Asker: &asker}
			if err := q.Add(t.Context(), "clerk-1", n); err != nil {
				t.Fatal(err)
			}
			want = append(want, n.ID)
			w.pass(24 * time.Hour)
		}
		if err := q.Answer(t.Context(), "o", want[0], 1); err != nil {
			t.Fatal(err)
		}
		if err := q.Finish(t.Context(), "o", want[1], 1, ""); err != nil {
			t.Fatal(err)
		}
		var got []string
		for page := range 2 {
			list, _, err := q.List(t.Context(), nil, page, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range list {
				got = append(got, n.ID)
			}
		}
		if want := []string{want[2], want[3], want[0], want[1]}; !cmp.Equal(got, want) {
			t.Errorf("List = %v, want %v", got, want)
		}
	})
}
