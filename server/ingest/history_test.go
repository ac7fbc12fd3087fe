package ingest_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// scale is how many times as long the long tests run.
func scale(t *testing.T) int {
	switch s := os.Getenv("QRGATE_SCALE"); s {
	case "":
		return 1
	case "soak":
		return 50
	default:
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			t.Fatalf("QRGATE_SCALE=%q is no positive number", s)
		}
		return n
	}
}

// Several kiosks, two servers that share the work on one database, a line that
// loses, repeats and shuffles, kiosks that begin new epochs and carry over,
// servers that are killed: each check-in makes one row, and nothing is missing.
func TestHistories(t *testing.T) {
	for _, e := range engines {
		for seed := range uint64(4 * scale(t)) {
			t.Run(fmt.Sprintf("%s/seed=%d", e.name, seed), func(t *testing.T) { testHistory(t, newWorld(t, e), seed) })
		}
	}
}

// A written is a check-in as its kiosk first wrote it.
type written struct {
	kiosk  string
	epoch  wire.Epoch
	seq    uint64
	digest wire.Digest
}

func testHistory(t *testing.T, w *world, seed uint64) {
	r := newRand(seed)
	w.line.storm(weather{rand: newRand(seed + 1000), lose: r.Float64() / 2, repeat: r.Float64() / 2, shuffle: r.IntN(40)})
	h := &history{world: w, rand: r, rows: map[written]uint32{}, dead: map[string]int{}}
	for i := range 2 + r.IntN(4) {
		h.kiosks = append(h.kiosks, w.kiosk(kioskName(i)))
	}
	for i := range h.servers {
		h.start(i)
	}
	for range 60 {
		h.step()
	}
	w.line.calm()
	for _, k := range h.kiosks {
		for i := range k.past {
			l := &k.past[i]
			if r.IntN(2) == 0 {
				l.upTo = l.last() // it comes although it was carried over
			}
			h.finish(k, l)
		}
		k.upTo = k.last()
		h.finish(k, &k.ledger)
	}
	for i := range h.servers {
		h.kill(i)
	}
	h.check()
}

type history struct {
	*world
	rand    *rand.Rand
	kiosks  []*kiosk
	servers [2]*server
	rows    map[written]uint32 // all that were made, with their cards
	dead    map[string]int     // records of a kiosk that cannot be used
	carried int
	stats   ingest.Stats // of servers that were killed
}

func (h *history) start(i int) {
	p := h.parts()
	p.Store, p.Vault = h.openStore(), h.openVault(h.dir)
	h.servers[i] = h.serveWith(p, ingest.Options{Group: 1 + h.rand.IntN(500)})
}

// kill ends a server. What it had not opened is lost.
func (h *history) kill(i int) {
	s := h.servers[i]
	s.stop()
	st := s.Stats()
	h.stats.Batches += st.Batches
	h.stats.Checkins += st.Checkins
	h.stats.Rejected += st.Rejected
	h.stats.Refused += st.Refused
	h.stats.Failed += st.Failed
	h.stats.Forks += st.Forks
	h.stats.Late += st.Late
}

func (h *history) step() {
	k := h.kiosks[h.rand.IntN(len(h.kiosks))]
	switch h.rand.IntN(20) {
	case 0:
		k.reboot()
	case 1:
		k.anchor()
	case 2:
		k.append(k.seal(k.header(200), nil))
		h.dead[k.id]++
	case 3:
		i := h.rand.IntN(2)
		h.kill(i)
		h.start(i)
	case 4:
		h.newEpoch(k)
	case 5:
		h.clock.advance(time.Duration(h.rand.Int64N(int64(time.Hour))))
	case 6, 7, 8, 9, 10:
		h.clock.advance(time.Second)
		for range h.rand.IntN(40) {
			h.scan(k)
		}
	default:
		l := &k.ledger
		if n := len(k.past); n > 0 && h.rand.IntN(3) == 0 {
			l = &k.past[h.rand.IntN(n)]
		}
		for range h.rand.IntN(6) {
			from := 1 + h.rand.Uint64N(l.last())
			h.send(k, k.batchOf(l, from, min(l.last(), from+h.rand.Uint64N(30))))
		}
	}
}

func (h *history) scan(k *kiosk) {
	card := uint32(h.rand.IntN(50))
	if card == 0 { // nobody that can be told
		header := k.header(wire.KindCheckin)
		header.Pass, header.Verdict, header.Reason = pass.Unknown, wire.Refused, wire.ReasonUnknown
		k.append(wire.NewRecord(header, wire.Sealed{}))
	} else if card < 10 {
		k.checkin(wire.Subject{Kind: pass.CCCD, Number: fmt.Sprint("04620300000", card), Name: "Nguyễn Thị Mai"})
	} else {
		k.card(card)
	}
	h.rows[written{k.id, k.epoch, k.last(), deliver.Digest(k.records[k.last()-1])}] = card
}

// newEpoch begins one that carries over what the old one wrote last, and what
// that had carried itself.
func (h *history) newEpoch(k *kiosk) {
	from := 1 + h.rand.Uint64N(k.last())
	k.upTo = from - 1
	old := k.ledger
	k.open(wire.Opened{By: wire.OpenedMoved, Previous: &old.epoch, Last: old.last(), Carried: old.last() - from + 1})
	for _, raw := range old.records[from-1:] {
		k.carry(old.epoch, raw)
		h.carried++
	}
}

// finish delivers a ledger up to where it was carried over.
func (h *history) finish(k *kiosk, l *ledger) {
	for from := uint64(1); from <= l.upTo; {
		to := min(l.upTo, from+63)
		h.send(k, k.batchOf(l, from, to))
		for {
			if r := k.receipt(); r.Epoch == l.epoch && r.Through >= to {
				if r.Fork {
					h.t.Fatalf("epoch %s of %s is said to be forked", l.epoch, k.id)
				}
				break
			}
		}
		from = to + 1
	}
}

func (h *history) check() {
	t := h.t
	t.Helper()
	got := map[written]int{}
	persons := map[uint32]map[any]bool{}
	dead := 0
	for _, k := range h.kiosks {
		for _, c := range h.world.rows(k.id) {
			w := written{k.id, c.Epoch, c.Seq, c.Digest}
			got[w]++
			if card := h.rows[w]; card > 0 {
				if persons[card] == nil {
					persons[card] = map[any]bool{}
				}
				persons[card][h.person(c)] = true
			}
			if c.Earliest > c.Latest || c.Latest > c.Received {
				t.Errorf("%s, %d: between %d and %d, received %d", k.id, c.Seq, c.Earliest, c.Latest, c.Received)
			}
		}
		dead += h.dead[k.id]
		for _, l := range append(k.past, k.ledger) {
			held, err := h.store.Held(t.Context(), k.id, l.epoch)
			if err != nil || held.Ledger.Through() < l.upTo || held.Ledger.Forked() {
				t.Errorf("%s, epoch %s: through %d, forked %t, %v; want %d", k.id, l.epoch, held.Ledger.Through(), held.Ledger.Forked(), err, l.upTo)
			}
		}
	}
	want := maps.Collect(func(yield func(written, int) bool) {
		for w := range h.rows {
			if !yield(w, 1) {
				return
			}
		}
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	for card, who := range persons {
		if len(who) != 1 {
			t.Errorf("card %d is %d persons", card, len(who))
		}
	}
	gaps, err := h.store.Gaps(t.Context(), h.now())
	if err != nil || len(gaps) > 0 {
		t.Errorf("Gaps() = %+v, %v, want none", gaps, err)
	}
	letters, err := h.store.DeadLetters(t.Context())
	if err != nil || len(letters) < dead {
		t.Errorf("%d dead letters, %v, want %d at least", len(letters), err, dead)
	}
	kiosks, err := h.store.Kiosks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	counted := int64(0)
	for _, k := range kiosks {
		counted += k.Checkins
	}
	st := h.stats
	if n := len(h.rows); counted != int64(n) || st.Checkins != uint64(n) || st.Rejected != uint64(len(letters)) || st.Refused+st.Failed+st.Forks+st.Late > 0 {
		t.Errorf("%d rows, %d dead letters; the store counts %d, the servers %+v", n, len(letters), counted, st)
	}
	t.Logf("%d check-ins, %d carried over, %d dead letters, %+v", len(h.rows), h.carried, len(letters), st)
}
