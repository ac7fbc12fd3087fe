package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// dated checks what was stored before against what is stored now: bounds are
// narrower or the same, hold the truth, and the day has not changed. It returns
// how many have changed.
func dated(t *testing.T, before, after []qrgate.Checkin) (changed int) {
	t.Helper()
	if len(before) != len(after) {
		t.Fatalf("%d check-ins before, %d after", len(before), len(after))
	}
	for i, was := range before {
		is := after[i]
		if truth := is.Said - 1234; is.Earliest > truth || is.Latest < truth {
			t.Errorf("check-in %d happened at %d, not in [%d, %d]", is.Seq, truth, is.Earliest, is.Latest)
		}
		if is.Earliest < was.Earliest || is.Latest > was.Latest {
			t.Errorf("check-in %d: [%d, %d] became [%d, %d]", is.Seq, was.Earliest, was.Latest, is.Earliest, is.Latest)
		}
		if is.Earliest != was.Earliest || is.Latest != was.Latest {
			changed++
		}
		is.Earliest, is.Latest = was.Earliest, was.Latest
		if is != was {
			t.Errorf("check-in changed beside its bounds: %+v, was %+v", is, was)
		}
	}
	return changed
}

// width returns the widest bounds of the check-ins.
func width(all []qrgate.Checkin) (widest time.Duration) {
	for _, c := range all {
		widest = max(widest, time.Duration(c.Latest-c.Earliest)*time.Millisecond)
	}
	return widest
}

func TestRedate(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		dsn := e.dsn(t)
		s := open(t, dsn)
		k := addKiosk(t, s, "gate-0001")
		if n := tidyAll(t, s); n != 0 {
			t.Errorf("%d steps of an empty store, want 0", n)
		}
		// A boot without a link, delivered two days later, then an anchor.
		const n = 1203
		k.scans(dawn, n)
		at := dawn.Add(48 * time.Hour)
		var batches []*wire.Batch
		for first := 1; first <= n; first += wire.MaxBatchRecords {
			batches = append(batches, k.batch(k.id, first, wire.MaxBatchRecords))
		}
		intake(t, s, at, batches...)
		other := addKiosk(t, s, "gate-0002") // which nothing shall touch
		other.scans(dawn, 5)
		intake(t, s, at, other.all())
		before, others := checkins(t, s, k.id), checkins(t, s, other.id)
		if w := width(before); w < 24*time.Hour {
			t.Fatalf("bounds of %v before any anchor", w)
		}
		k.anchor(at)
		intake(t, s, at, k.batch(k.id, n+1, 1))
		if changed := dated(t, before, checkins(t, s, k.id)); changed != 0 {
			t.Errorf("the intake itself changed %d", changed)
		}
		// The steps are taken by two servers in turn, of which one starts anew.
		steps, partly := 0, false
		for more := true; more; steps++ {
			var err error
			if more, err = []*store.Store{s, open(t, dsn)}[steps%2].Tidy(context.Background()); err != nil {
				t.Fatal(err)
			}
			some := dated(t, before, checkins(t, s, k.id))
			partly = partly || some > 0 && some < n
		}
		if !partly {
			t.Errorf("%d check-ins were dated again in one step of %d", n, steps)
		}
		after := checkins(t, s, k.id)
		if changed := dated(t, before, after); changed != n {
			t.Errorf("%d of %d check-ins were dated again", changed, n)
		}
		if w := width(after); w > time.Minute {
			t.Errorf("bounds of %v with an anchor of 5 ms", w)
		}
		if changed := dated(t, others, checkins(t, s, other.id)); changed != 0 {
			t.Errorf("%d check-ins of another kiosk changed", changed)
		}

		// Once more changes nothing; a better anchor narrows what is left.
		intake(t, s, at, k.batch(k.id, n+1, 1))
		if n := tidyAll(t, s); n != 0 {
			t.Errorf("%d steps after an anchor that was known", n)
		}
		k.write(dawn.Add(time.Hour), wire.Header{Kind: wire.KindAnchor, Anchor: &wire.Anchor{Server: dawn.Add(time.Hour).UnixMilli(), Error: 1}})
		intake(t, s, at, k.batch(k.id, n+2, 1))
		tidyAll(t, s)
		better := checkins(t, s, k.id)
		dated(t, after, better)
		if w := width(better); w > time.Second {
			t.Errorf("bounds of %v with an anchor of 1 ms within the hour", w)
		}
	})
}

// An anchor that comes while others are still being followed up begins anew.
func TestRedateInterrupted(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		dsn := e.dsn(t)
		s := open(t, dsn)
		k := addKiosk(t, s, "gate-0001")
		const n = 700
		k.scans(dawn, n)
		at := dawn.Add(48 * time.Hour)
		for first := 1; first <= n; first += wire.MaxBatchRecords {
			intake(t, s, at, k.batch(k.id, first, wire.MaxBatchRecords))
		}
		before := checkins(t, s, k.id)
		k.write(at, wire.Header{Kind: wire.KindAnchor, Anchor: &wire.Anchor{Server: at.UnixMilli(), Error: 60_000}})
		intake(t, s, at, k.batch(k.id, n+1, 1))
		if more, err := s.Tidy(context.Background()); !more || err != nil {
			t.Fatalf("Tidy() = %v, %v, want more", more, err)
		}
		k.anchor(at)
		intake(t, s, at, k.batch(k.id, n+2, 1))
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := s.Tidy(ctx); err == nil {
			t.Error("Tidy() of an ended context succeeded")
		}
		tidyAll(t, open(t, dsn))
		after := checkins(t, s, k.id)
		dated(t, before, after)
		if w := width(after); w > time.Minute {
			t.Errorf("bounds of %v, want those of the better anchor", w)
		}
	})
}

// What a kiosk sent before it was stolen is left as it is: nothing is worked through
// that whoever has it may have sent, and others are not held up.
func TestRedateOfRevokedKiosk(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		dsn := e.dsn(t)
		s := open(t, dsn)
		at := dawn.Add(48 * time.Hour)
		var kiosks []*kiosk
		before := map[string][]qrgate.Checkin{}
		for _, id := range []string{"gate-0001", "gate-0002"} {
			k := addKiosk(t, s, id)
			k.scans(dawn, 5)
			intake(t, s, at, k.all())
			before[id] = checkins(t, s, id)
			k.anchor(at)
			intake(t, s, at, k.batch(id, 6, 1))
			kiosks = append(kiosks, k)
		}
		if err := s.RevokeKiosk(context.Background(), kiosks[0].id); err != nil {
			t.Fatal(err)
		}
		tidyAll(t, s)
		for i, want := range []int{0, 5} {
			id := kiosks[i].id
			if changed := dated(t, before[id], checkins(t, s, id)); changed != want {
				t.Errorf("%d check-ins of %s were dated again, want %d", changed, id, want)
			}
		}
		if n := count(t, raw(t, dsn), "SELECT COUNT(*) FROM redates"); n != 0 {
			t.Errorf("%d boots are still to be dated again", n)
		}
	})
}

// While one kiosk has boots without end to be dated again, another's is not kept waiting.
func TestRedateTakesTurns(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		dsn := e.dsn(t)
		s := open(t, dsn)
		busy, other := addKiosk(t, s, "gate-0001"), addKiosk(t, s, "gate-0002")
		const boots = 200 // more than a few steps take
		at := dawn.Add((boots + 2) * time.Hour)
		for i := range boots {
			start := dawn.Add(time.Duration(i+1) * time.Hour)
			busy.restart(start)
			busy.scan(start)
			if i >= boots-4 {
				other.restart(start)
				other.scan(start)
			}
		}
		intake(t, s, at, busy.all(), other.all())
		for _, k := range []*kiosk{busy, other} {
			k.anchor(at)
			intake(t, s, at, k.batch(k.id, len(k.records), 1))
		}
		waiting := func(k *kiosk) int {
			return count(t, raw(t, dsn), `SELECT COUNT(*) FROM redates d JOIN epochs e ON e.no = d.epoch_no JOIN kiosks k ON k.no = e.kiosk_no WHERE k.id = '`+k.id+`'`)
		}
		if b, o := waiting(busy), waiting(other); b < boots || o < 4 {
			t.Fatalf("%d and %d boots are to be dated again, want %d and 4", b, o, boots)
		}
		for waiting(other) > 0 {
			if more, err := s.Tidy(t.Context()); !more || err != nil {
				t.Fatalf("Tidy() = %t, %v", more, err)
			}
		}
		if n := waiting(busy); n < boots/4 {
			t.Errorf("%d boots of the first kiosk still wait once those of the other are dated, want many of %d", n, boots)
		}
		tidyAll(t, s)
		if n := waiting(busy); n > 0 {
			t.Errorf("%d boots are left", n)
		}
	})
}

// A boot that never met the server lies between its neighbours. The next boot's
// anchor comes in the first batch that tells of that boot.
func TestRedateNeighbours(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		s := open(t, e.dsn(t))
		k := addKiosk(t, s, "gate-0001")
		k.anchor(dawn)
		k.restart(dawn.Add(time.Hour))
		k.scans(dawn.Add(time.Hour), 10)
		at := dawn.Add(72 * time.Hour)
		intake(t, s, at, k.all())
		before := checkins(t, s, k.id)
		k.restart(dawn.Add(3 * time.Hour))
		k.anchor(dawn.Add(3 * time.Hour))
		k.scan(dawn.Add(4 * time.Hour))
		intake(t, s, at, k.batch(k.id, 12, 2))
		tidyAll(t, s)
		after := checkins(t, s, k.id)
		if changed := dated(t, before, after[:10]); changed != 10 {
			t.Errorf("%d of 10 check-ins between two anchored boots were dated again", changed)
		}
		if w := width(after); w > 4*time.Hour {
			t.Errorf("bounds of %v, want at most the three hours between the anchors", w)
		}
	})
}

// A backlog brings a boot that lies between two others.
func TestRedateAroundABootThatComesLate(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		s := open(t, e.dsn(t))
		k := addKiosk(t, s, "gate-0001")
		k.anchor(dawn)
		for i := range 3 {
			start := dawn.Add(time.Duration(i+1) * 24 * time.Hour)
			k.restart(start)
			k.scan(start)
			k.scan(start.Add(12 * time.Hour))
		}
		at := dawn.Add(100 * time.Hour)
		intake(t, s, at, k.batch(k.id, 1, 3), k.batch(k.id, 6, 2))
		tidyAll(t, s)
		intake(t, s, at, k.batch(k.id, 4, 2))
		before := checkins(t, s, k.id)
		tidyAll(t, s)
		after := checkins(t, s, k.id)
		dated(t, before, after)
		first, last := after[4], before[4]
		if got := first.Earliest - last.Earliest; got < (11 * time.Hour).Milliseconds() {
			t.Errorf("the boot after one of twelve hours is dated %v later than without it", time.Duration(got)*time.Millisecond)
		}
	})
}

// Many boots of little each, as a kiosk has after weeks of power cuts, take few steps.
func TestRedateManyBoots(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		s := open(t, e.dsn(t))
		k := addKiosk(t, s, "gate-0001")
		const boots, each = 100, 3
		for i := range boots {
			k.scans(dawn.Add(time.Duration(i)*time.Hour), each)
			k.restart(dawn.Add(time.Duration(i+1) * time.Hour))
		}
		at := dawn.Add(boots * time.Hour)
		for first := 1; first <= boots*each; first += wire.MaxBatchRecords {
			intake(t, s, at, k.batch(k.id, first, wire.MaxBatchRecords))
		}
		before := checkins(t, s, k.id)
		k.anchor(at)
		intake(t, s, at, k.batch(k.id, boots*each+1, 1))
		if steps := tidyAll(t, s); steps > 10 {
			t.Errorf("%d steps for %d boots", steps, boots)
		}
		if changed := dated(t, before, checkins(t, s, k.id)); changed < boots {
			t.Errorf("%d of %d check-ins were dated again", changed, len(before))
		}
	})
}

// Two histories of one number, and many records that claim one, are all dated.
func TestRedateManyOfOneNumber(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		s := open(t, e.dsn(t))
		k := addKiosk(t, s, "gate-0001")
		const n = 1100
		k.scan(dawn)
		origin := k.epoch
		first := k.records[0]
		k.open()
		for i := range n {
			r, h, err := wire.DecodeRecord(first)
			if err != nil {
				t.Fatal(err)
			}
			h.Lane, h.Error = uint8(i), int64(i)
			r.Header, r.Origin = wire.Encode(h), &origin
			k.append(wire.Encode(r))
		}
		at := dawn.Add(48 * time.Hour)
		for first := 1; first <= n; first += wire.MaxBatchRecords {
			intake(t, s, at, k.batch(k.id, first, wire.MaxBatchRecords))
		}
		before := checkins(t, s, k.id)
		k.anchor(at)
		intake(t, s, at, k.batch(k.id, n+1, 1))
		if steps := tidyAll(t, s); steps > 20 {
			t.Errorf("%d steps", steps)
		}
		if changed := dated(t, before, checkins(t, s, k.id)); changed != n || len(before) != n {
			t.Errorf("%d of %d check-ins were dated again, want %d", changed, len(before), n)
		}
	})
}

func TestClamp(t *testing.T) {
	tests := []struct {
		in       when.Interval
		received int64
		want     when.Interval
	}{
		{when.Interval{Earliest: 1, Latest: 5}, 9, when.Interval{Earliest: 1, Latest: 5}},
		{when.Interval{Earliest: 1, Latest: 5}, 3, when.Interval{Earliest: 1, Latest: 3}},
		{when.Interval{Earliest: 4, Latest: 5}, 3, when.Interval{Earliest: 3, Latest: 3}},
	}
	for _, tt := range tests {
		if got := store.Clamp(tt.in, tt.received); got != tt.want {
			t.Errorf("Clamp(%v, %d) = %v, want %v", tt.in, tt.received, got, tt.want)
		}
	}
}

// A storage that is put back has two histories under one epoch. What was carried
// over is not dated by boots of the other.
func TestForkIsNotDatedByItsOtherHistory(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		dsn := e.dsn(t)
		s := open(t, dsn)
		k := addKiosk(t, s, "gate-0001")
		k.anchor(dawn)
		k.scans(dawn, 6)
		copied := k.life
		k.restart(dawn.Add(time.Hour))
		k.anchor(dawn.Add(time.Hour))
		k.scans(dawn.Add(time.Hour), 3)
		intake(t, s, dawn.Add(2*time.Hour), k.all())

		k.records, k.chain = copied.records[:4:4], copied.chain[:5:5]
		later := dawn.Add(24 * time.Hour)
		k.restart(later) // and no anchor
		k.scans(later, 3)
		at := later.Add(time.Hour)
		if got := intake(t, s, at, k.batch(k.id, 5, 3)); !got[0].Fork {
			t.Fatalf("another history: %+v, want a fork", got)
		}
		k.carry(at, wire.OpenedFork, 5)
		k.anchor(at)
		intake(t, s, at, k.all())
		tidyAll(t, open(t, dsn))
		all := checkins(t, s, k.id)
		dated(t, all, all) // which checks the truth
		if len(all) != 12 {
			t.Errorf("%d check-ins, want 12", len(all))
		}
	})
}
