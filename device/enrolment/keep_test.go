package enrolment_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qrgate/qrgate/device/agent"
	"github.com/qrgate/qrgate/device/enrolment"
	"github.com/qrgate/qrgate/sync/wire"
)

// answerRenewal answers a kiosk that asks whether it is one.
func (s *server) answerRenewal(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	id, err := wire.PeekRenewRequest(body)
	if err != nil || s.down {
		http.Error(w, "no", http.StatusBadRequest)
		return
	}
	q, err := wire.OpenRenewRequest(body, id, s.asked[0])
	if err != nil {
		http.Error(w, "no", http.StatusBadRequest)
		return
	}
	s.told = append(s.told, *q)
	a := wire.RenewAnswer{V: 1, Kiosk: id, Nonce: q.Nonce, State: wire.RenewGranted, Time: today.UnixMilli()}
	if s.renew != nil {
		s.renew(q, &a)
	}
	w.Write(wire.Seal(wire.ForRenew, 1, s.receipts, a))
}

// A kept is an enrolled kiosk and what keeps it.
type kept struct {
	*server
	dir    string
	id     *agent.Identity
	keeper *enrolment.Keeper
	now    atomic.Int64
	turns  atomic.Int32 // how often Revoked changed
}

func newKept(t *testing.T) *kept {
	t.Helper()
	k := &kept{server: newServer(t), dir: t.TempDir()}
	k.set(wire.EnrolGranted)
	dir := filepath.Join(k.dir, "identity")
	if err := enrolment.New(dir, enrolment.Options{}, quiet).Enrol(t.Context(), k.code()); err != nil {
		t.Fatal(err)
	}
	k.now.Store(today.UnixMilli())
	k.start(t)
	return k
}

// start is a start of the program.
func (k *kept) start(t *testing.T) {
	t.Helper()
	var err error
	if k.id, err = agent.ReadIdentity(filepath.Join(k.dir, "identity")); err != nil {
		t.Fatal(err)
	}
	k.keeper = enrolment.Keep(k.id, enrolment.KeepOptions{
		Portal: k.URL, File: filepath.Join(k.dir, "revoked.cbor"), Now: func() time.Time { return time.UnixMilli(k.now.Load()) }, Changed: func() { k.turns.Add(1) },
	}, quiet)
}

func (k *kept) beat() wire.CertBeat {
	var b wire.Beat
	k.keeper.Part().Fill(&b)
	return *b.Cert
}

func (k *kept) hear(cert []byte) { k.keeper.Part().Answered(&wire.BeatAnswer{Certificate: cert}) }

func TestRenewalInBeats(t *testing.T) {
	k := newKept(t)
	ends := today.AddDate(0, 0, 90)
	if got := k.beat(); got.Ask || got.Ends != ends.UnixMilli() {
		t.Errorf("beat = %+v, want no question", got)
	}
	k.now.Store(today.AddDate(0, 0, 61).UnixMilli())
	if got := k.beat(); !got.Ask {
		t.Error("29 days before its end the certificate is not asked for")
	}
	mine, later, other := k.asked[0], today.AddDate(0, 0, 150), newServer(t)
	for name, bad := range map[string][]byte{
		"no certificate": []byte("x"), "older": k.certificate(kioskID, mine, today.AddDate(0, 0, 80)), "the same": k.certificate(kioskID, mine, ends),
		"another key": k.certificate(kioskID, public(k.root), later), "another kiosk": k.certificate("k5-a1-ghijkl", mine, later),
		"another CA": other.certificate(kioskID, mine, later), "two": append(k.certificate(kioskID, mine, later), k.certificate(kioskID, mine, later)...),
	} {
		if k.hear(bad); !k.id.Certificate().Leaf.NotAfter.Equal(ends) {
			t.Fatalf("%s was taken", name)
		}
	}
	k.hear(k.certificate(kioskID, mine, later))
	for range 2 {
		if got := k.id.Certificate(); !got.Leaf.NotAfter.Equal(later) || !k.id.Key.Equal(got.PrivateKey) {
			t.Errorf("Certificate ends %s, want %s", got.Leaf.NotAfter, later)
		}
		if got := k.beat(); got.Ask {
			t.Error("a new certificate is asked for again")
		}
		k.start(t)
	}
}

// A kiosk that was off all summer, and whose certificate ended in it.
func TestRenewalOverHTTP(t *testing.T) {
	k := newKept(t)
	later := today.AddDate(0, 0, 600)
	k.renew = func(q *wire.RenewRequest, a *wire.RenewAnswer) {
		a.Time, a.Certificate = today.AddDate(0, 0, 490).UnixMilli(), k.certificate(kioskID, k.asked[0], later)
	}
	if err := k.keeper.Ask(t.Context()); err != nil || !k.id.Certificate().Leaf.NotAfter.Equal(later) {
		t.Errorf("Ask = %v, ends %s", err, k.id.Certificate().Leaf.NotAfter)
	}
	if len(k.told) != 1 || len(k.told[0].Certificate) == 0 {
		t.Errorf("the server was asked %d times", len(k.told))
	}
	// While it is well a kiosk keeps what it has.
	k.renew = func(q *wire.RenewRequest, a *wire.RenewAnswer) {
		a.Certificate = k.certificate(kioskID, k.asked[0], later.AddDate(1, 0, 0))
	}
	if err := k.keeper.Ask(t.Context()); err != nil || !k.id.Certificate().Leaf.NotAfter.Equal(later) {
		t.Errorf("Ask = %v, ends %s", err, k.id.Certificate().Leaf.NotAfter)
	}
	k.renew = func(_ *wire.RenewRequest, a *wire.RenewAnswer) { a.State = wire.RenewTooOld }
	if err := k.keeper.Ask(t.Context()); err != nil || k.keeper.Revoked() {
		t.Errorf("Ask = %v, revoked %t: what is too old is no reason to lock a door", err, k.keeper.Revoked())
	}
}

func TestOnlyASignedWordLocks(t *testing.T) {
	k := newKept(t)
	revoke := func(_ *wire.RenewRequest, a *wire.RenewAnswer) { a.State = wire.RenewRevoked }
	k.renew = func(q *wire.RenewRequest, a *wire.RenewAnswer) { revoke(q, a); a.Nonce[0]++ }
	if err := k.keeper.Ask(t.Context()); err == nil || k.keeper.Revoked() {
		t.Errorf("an answer to another question: %v, revoked %t", err, k.keeper.Revoked())
	}
	real := k.receipts
	k.renew, k.receipts = revoke, newServer(t).receipts
	if err := k.keeper.Ask(t.Context()); err == nil || k.keeper.Revoked() {
		t.Errorf("an answer of another key: %v, revoked %t", err, k.keeper.Revoked())
	}
	k.receipts = real
	for range 2 {
		if err := k.keeper.Ask(t.Context()); err != nil || !k.keeper.Revoked() {
			t.Errorf("Ask = %v, revoked %t", err, k.keeper.Revoked())
		}
	}
	if n := k.turns.Load(); n != 1 {
		t.Errorf("the door was told %d times", n)
	}
	if k.start(t); !k.keeper.Revoked() {
		t.Error("after a start nothing is known of the revocation")
	}
	k.renew = nil
	if err := k.keeper.Ask(t.Context()); err != nil || k.keeper.Revoked() {
		t.Errorf("reinstated: Ask = %v, revoked %t", err, k.keeper.Revoked())
	}
	k.renew = revoke
	k.keeper.Ask(t.Context())
	if k.hear(nil); k.keeper.Revoked() {
		t.Error("a beat was answered, which those of no revoked kiosk are")
	}
	if k.start(t); k.keeper.Revoked() {
		t.Error("after a start it is revoked again")
	}
	if err := os.WriteFile(filepath.Join(k.dir, "revoked.cbor"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if k.start(t); k.keeper.Revoked() {
		t.Error("a damaged file locks the door")
	}
}

func TestWipe(t *testing.T) {
	k := newKept(t)
	k.renew = func(q *wire.RenewRequest, a *wire.RenewAnswer) { a.State, a.Wipe = wire.RenewRevoked, true }
	if err := k.keeper.Ask(t.Context()); !errors.Is(err, enrolment.ErrWiped) || len(k.told) != 2 || !k.told[1].Wiped {
		t.Fatalf("Ask = %v, told %+v", err, k.told)
	}
	outbox, identity := filepath.Join(k.dir, "outbox.db"), filepath.Join(k.dir, "identity")
	for _, name := range []string{"outbox.db", "outbox.db.lock", "outbox.db.before-1", "room.db"} {
		if err := os.WriteFile(filepath.Join(k.dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the power may go in between
		if err := enrolment.Wipe(identity, outbox); err != nil {
			t.Fatal(err)
		}
	}
	if fresh, err := enrolment.Fresh(identity); !fresh || err != nil {
		t.Errorf("Fresh = %t, %v", fresh, err)
	}
	left, _ := filepath.Glob(filepath.Join(k.dir, "*"))
	if len(left) != 2 { // room.db was not named; the server's word is the caller's to remove
		t.Errorf("left: %q", left)
	}
}

// The portal is asked while no beat is answered, and not while one is.
func TestSilenceIsLookedInto(t *testing.T) {
	k := newKept(t)
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		client := &http.Client{Transport: trip(func(r *http.Request) (*http.Response, error) { asked.Add(1); return nil, errors.New("no network") })}
		keeper := enrolment.Keep(k.id, enrolment.KeepOptions{Portal: "https://qr.example.vn", File: filepath.Join(k.dir, "r"), Now: time.Now, Client: client}, quiet)
		done := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { done <- keeper.Run(ctx) }()
		for range 40 {
			time.Sleep(30 * time.Second)
			keeper.Part().Answered(&wire.BeatAnswer{})
		}
		if synctest.Wait(); asked.Load() != 0 {
			t.Errorf("asked %d times while beats were answered", asked.Load())
		}
		time.Sleep(3 * time.Minute)
		if synctest.Wait(); asked.Load() != 1 {
			t.Errorf("asked %d times in three silent minutes, want once", asked.Load())
		}
		time.Sleep(time.Hour)
		if synctest.Wait(); asked.Load() < 4 || asked.Load() > 7 {
			t.Errorf("asked %d times in an hour", asked.Load())
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

type trip func(*http.Request) (*http.Response, error)

func (t trip) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }
