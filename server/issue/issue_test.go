package issue_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/issue"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	"github.com/qrgate/qrgate/server/store/issuing"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// An engine hands out empty databases.
type engine struct {
	name string
	dsn  func(testing.TB) string
}

var sqlite = engine{"sqlite", func(t testing.TB) string { return blank.SQLite(t) }}

var key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

// A world is a database with cards, whose clock the test moves.
type world struct {
	*testing.T
	s     *store.Store
	kept  *issuing.Issuing
	now   atomic.Int64
	signs atomic.Int64 // how often the key was asked for
	log   bytes.Buffer
}

func onEach(t *testing.T, test func(*world)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			w := &world{T: t}
			w.now.Store(time.Date(2026, 11, 26, 9, 0, 0, 0, qrgate.Zone).UnixMilli())
			s, err := store.Open(t.Context(), e.dsn(t), store.Options{Now: w.time})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			w.s, w.kept = s, issuing.New(s, w.time)
			test(w)
		})
	}
}

func (w *world) time() time.Time { return time.UnixMilli(w.now.Load()) }

// cards writes cards with numbers from first on into the register and returns what
// their codes say.
func (w *world) cards(first, n int) []pass.OwnCard {
	w.Helper()
	var all []pass.OwnCard
	day := pass.DayOf(w.time())
	err := w.s.Write(w.Context(), func(t store.Tx) error {
		all = nil
		if _, err := t.Exec("INSERT INTO card_batches (id, office, kind, cards, made_by, made) VALUES ('b', 'province', 6, 1, 'clerk', 1) ON CONFLICT (id) DO NOTHING"); err != nil {
			return err
		}
		for no := first; no < first+n; no++ {
			c := pass.OwnCard{Kind: pass.Card, Number: uint32(no), Issue: 1, First: day, Last: day + 364}
			all = append(all, c)
			_, err := t.Exec("INSERT INTO cards (number, batch, holder, office, kind, people, issue, first, last, longest, made, reason) VALUES (?, 'b', NULL, 'province', ?, 0, 1, ?, ?, ?, 1, '')",
				no, int64(c.Kind), int64(c.First), int64(c.Last), int64(c.Last))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
	return all
}

func (w *world) exec(query string, args ...any) {
	w.Helper()
	if err := w.s.Write(w.Context(), func(t store.Tx) error { _, err := t.Exec(query, args...); return err }); err != nil {
		w.Fatal(err)
	}
}

func (w *world) count(query string, args ...any) (n int) {
	w.Helper()
	if err := w.s.Read(w.Context(), func(rows *sql.Rows) error { return rows.Scan(&n) }, query, args...); err != nil {
		w.Fatal(err)
	}
	return n
}

// rest leaves the processor to others before the database is asked again.
func (w *world) rest() {
	select {
	case <-w.Context().Done():
		w.Fatal("the test has ended")
	case <-time.After(10 * time.Millisecond):
	}
}

func (w *world) office() *issue.Office {
	w.Helper()
	o, err := issue.NewOffice(w.kept, w.time)
	if err != nil {
		w.Fatal(err)
	}
	return o
}

// signer runs a signer until the function it returns is called.
func (w *world) signer(nudge <-chan struct{}) (stop func()) {
	s := &issue.Signer{
		Kept: w.kept, Limits: map[wire.Purpose]issuing.Limits{wire.ForCard: {Batch: 100, Day: 150}, wire.ForEvent: {Batch: 5, Day: 5}}, Nudge: nudge, Now: w.time,
		Key: func(wire.Purpose) (uint32, ed25519.PrivateKey, error) { w.signs.Add(1); return 3, key, nil },
		Log: slog.New(slog.NewTextHandler(&w.log, nil)),
	}
	ctx, end := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	return sync.OnceFunc(func() {
		end()
		if err := <-done; err != nil {
			w.Error(err)
		}
	})
}

func (w *world) genuine(texts []string, cards []pass.OwnCard) {
	w.Helper()
	keys := pass.Keys{3: {Public: key.Public().(ed25519.PublicKey)}}
	for i, text := range texts {
		p, err := pass.Parse(text)
		if err == nil {
			err = pass.Verify(p, keys, cards[i].First)
		}
		if err != nil || p.Card.Number != cards[i].Number {
			w.Fatalf("card %d: %v", i, err)
		}
	}
}

func request(cards []pass.OwnCard) issue.Request {
	return issue.Request{Purpose: wire.ForCard, By: "hoa", Object: "batch b", Passes: cards}
}

func TestQuota(t *testing.T) {
	onEach(t, func(w *world) {
		office := w.office()
		defer w.signer(office.Nudge())()
		cards := w.cards(1, 160)
		sign := func(cards []pass.OwnCard) error {
			w.Helper()
			texts, err := office.Sign(w.Context(), request(cards))
			if err == nil {
				w.genuine(texts, cards)
			}
			return err
		}
		for _, step := range []struct {
			what  string
			cards []pass.OwnCard
			want  error
		}{
			{"a batch", cards[:70], nil},
			{"the same once more", cards[:70], nil},
			{"too many at once", cards[:160], nil}, // replaced below
			{"as many as there may be in a day", cards[70:150], nil},
			{"one more", cards[150:151], issue.ErrDayQuota},
			{"old ones all the same", cards[:150], nil},
		} {
			if step.what == "too many at once" {
				step.cards, step.want = w.cards(5001, 101), issue.ErrBatchQuota
			}
			if err := sign(step.cards); !errors.Is(err, step.want) {
				w.Fatalf("%s: error = %v, want %v", step.what, err, step.want)
			}
		}
		if err := w.kept.Raise(w.Context(), "admin", wire.ForCard, issuing.Limits{Batch: 200, Day: 155}); err != nil {
			w.Fatal(err)
		}
		if err := sign(cards[150:155]); err != nil {
			w.Errorf("after the quota was raised: %v", err)
		}
		if err := sign(cards[155:156]); !errors.Is(err, issue.ErrDayQuota) {
			w.Errorf("over the raised quota: %v", err)
		}
		q, err := w.kept.Quota(w.Context(), wire.ForCard, issuing.Limits{Batch: 100, Day: 150})
		if diff := cmp.Diff(issuing.Quota{Limits: issuing.Limits{Batch: 200, Day: 155}, Used: 155, Raised: true}, q); err != nil || diff != "" {
			w.Errorf("Quota (-want +got): %v\n%s", err, diff)
		}
		w.now.Add((24 * time.Hour).Milliseconds())
		if err := sign(cards[155:160]); err != nil {
			w.Errorf("on the next day: %v", err)
		}
		for action, want := range map[string]int{"sign": 4, "refuse to sign": 3, "raise quota": 1} {
			if n := w.count("SELECT COUNT(*) FROM audit WHERE action = ?", action); n != want {
				w.Errorf("%d audit rows of %q, want %d", n, action, want)
			}
		}
		if n := w.count("SELECT COUNT(*) FROM sign_orders") + w.count("SELECT COUNT(*) FROM sign_parts"); n != 0 {
			w.Errorf("%d rows are left over", n)
		}
	})
}

func TestOnlyWhatStandsInTheRegisterIsSigned(t *testing.T) {
	onEach(t, func(w *world) {
		office := w.office()
		defer w.signer(office.Nudge())()
		cards := w.cards(1, 4)
		w.exec("UPDATE cards SET revoked = 1 WHERE number = 2")
		cards[2].Last += 1000
		cards = append(cards, pass.OwnCard{Kind: pass.Card, Number: 99, Issue: 1, First: cards[0].First, Last: cards[0].Last})
		texts, err := office.Sign(w.Context(), request(cards))
		if err != nil {
			w.Fatal(err)
		}
		for i, signed := range []bool{true, false, false, true, false} {
			if (texts[i] != "") != signed {
				w.Errorf("card %d: signed = %v, want %v", i, texts[i] != "", signed)
			}
		}
		// A card that was signed is that card for ever: who has the database may change a
		// row, and gets no other signature for its number and issue.
		w.exec("UPDATE cards SET last = last + 1000 WHERE number = 1")
		cards[0].Last += 1000
		if texts, err := office.Sign(w.Context(), request(cards[:1])); !errors.Is(err, qrgate.ErrConflict) {
			w.Errorf("another content under the same number: %q, %v", texts, err)
		}
		if texts, err := office.Sign(w.Context(), issue.Request{Purpose: wire.ForReceipt, Object: "x", Passes: cards[:1]}); err == nil && texts[0] != "" {
			w.Error("signed for another purpose")
		}
	})
}

// An office without a signer waits; what one signer has begun another one ends, and
// every card has the one number and the one text.
func TestSignerThatDiesLeavesItsWorkToTheNext(t *testing.T) {
	onEach(t, func(w *world) {
		office := w.office()
		short, cancel := context.WithTimeout(w.Context(), 50*time.Millisecond)
		cards := w.cards(1, 600)
		if texts, err := office.Sign(short, request(cards)); !errors.Is(err, context.DeadlineExceeded) || texts != nil {
			w.Errorf("nobody signs: %d texts, %v", len(texts), err)
		}
		cancel()
		got := make(chan []string)
		go func() {
			texts, err := office.Sign(w.Context(), request(cards))
			if err != nil {
				w.Error(err)
			}
			got <- texts
		}()
		for part := 0; ; { // by hand, so that the first one dies between two parts
			o, err := w.kept.Next(w.Context(), map[wire.Purpose]issuing.Limits{wire.ForCard: {Batch: 600, Day: 600}})
			if err != nil {
				w.Fatal(err)
			}
			if o == nil {
				w.rest()
				continue
			}
			dead := errors.New("killed")
			_, err = w.kept.Sign(w.Context(), o, func(no int, _ []pass.OwnCard) ([]byte, error) { part = no; return nil, dead })
			if !errors.Is(err, dead) || part != 0 {
				w.Fatalf("part %d: %v", part, err)
			}
			break
		}
		before := w.count("SELECT COUNT(*) FROM signed_passes")
		stop := w.signer(nil) // two of them, as of two hosts
		defer stop()
		defer w.signer(nil)()
		texts := <-got
		w.genuine(texts, cards)
		if n := w.count("SELECT COUNT(*) FROM signed_passes"); before != 0 || n != 600 {
			w.Errorf("%d were counted before and %d after", before, n)
		}
		again, err := office.Sign(w.Context(), request(cards))
		if err != nil {
			w.Fatal(err)
		}
		if diff := cmp.Diff(texts, again); diff != "" {
			w.Error("a card has two texts")
		}
	})
}

func TestAnswersAreSealed(t *testing.T) {
	onEach(t, func(w *world) {
		cards := w.cards(1, 2)
		o := issuing.Order{Purpose: wire.ForCard, Object: "x", Public: bytes.Repeat([]byte{9}, 32)}
		if err := w.kept.Ask(w.Context(), &o, cards); err != nil {
			w.Fatal(err)
		}
		bad := issuing.Order{Purpose: wire.ForCard, Object: "y", Public: []byte("no key")}
		if err := w.kept.Ask(w.Context(), &bad, cards); err != nil {
			w.Fatal(err)
		}
		defer w.signer(nil)()
		for {
			answers, is, err := w.kept.Answers(w.Context(), o.ID)
			if err != nil {
				w.Fatal(err)
			}
			if is.State != issuing.Signed {
				w.rest()
				continue
			}
			if s := fmt.Sprintf("%s", answers); strings.Contains(s, "QG1") {
				w.Errorf("a card lies open in the database: %q", s)
			}
			break
		}
		for { // and one that cannot be answered is in nobody's way
			if _, is, err := w.kept.Answers(w.Context(), bad.ID); err != nil || is.State == issuing.Refused {
				if err != nil || is.Reason != issuing.Hopeless {
					w.Errorf("order without a key: %+v, %v", is, err)
				}
				break
			}
			w.rest()
		}
		w.now.Add((2 * time.Hour).Milliseconds())
		if err := w.kept.Sweep(w.Context()); err != nil {
			w.Fatal(err)
		}
		if _, _, err := w.kept.Answers(w.Context(), o.ID); !errors.Is(err, qrgate.ErrNotFound) {
			w.Errorf("after an hour: error = %v, want %v", err, qrgate.ErrNotFound)
		}
	})
}
