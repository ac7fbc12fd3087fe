package ingest_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/wire"
)

// bundle is what a kiosk without a network writes on a stick.
func (k *kiosk) bundle(of ...*wire.Batch) []byte {
	k.t.Helper()
	var b bytes.Buffer
	err := deliver.WriteBundle(&b, k.id, func(yield func([]byte, error) bool) {
		for _, batch := range of {
			if !yield(batch.Seal(k.key), nil) {
				return
			}
		}
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return b.Bytes()
}

func carry(s *server, bundle []byte) (ingest.Carried, error) {
	s.w.t.Helper()
	return s.Carry(s.w.t.Context(), bytes.NewReader(bundle))
}

func TestCarriedTwiceIsStoredOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s := w.serve()
		k := w.kiosk("gate-0001")
		k.cards(300)
		stick := k.bundle(k.batches(128)...)

		first, err := carry(s, stick)
		if err != nil || first.Kiosk != k.id || first.Batches != 3 || first.Fresh != int(k.last()) || first.Refused != 0 {
			t.Fatalf("Carry() = %+v, %v; want 3 batches of %d fresh records", first, err, k.last())
		}
		if len(first.Receipts) != 1 {
			t.Fatalf("Carry() signed %d receipts, want 1", len(first.Receipts))
		}
		if r := k.open1(first.Receipts[0]); r.Through != k.last() || r.Hash != k.chain[k.last()] || first.Through != r.Through {
			t.Errorf("the receipt says %d, %s; want %d, %s", r.Through, r.Hash, k.last(), k.chain[k.last()])
		}
		again, err := carry(s, stick)
		if err != nil || again.Fresh != 0 || again.Records != first.Records || len(again.Receipts) != 1 {
			t.Errorf("Carry() again = %+v, %v; want nothing fresh and a receipt", again, err)
		}
		k.cards(5) // and the network is back
		w.deliver(k)
		if rows := w.rows(k.id); len(rows) != 305 {
			t.Errorf("%d rows, want 305", len(rows))
		}
	})
}

func TestCarriedDamageLosesNothingElse(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s := w.serve()
		k := w.kiosk("gate-0001")
		k.cards(30)
		whole := k.bundle(k.batches(10)...)

		// Cut short: what is whole is taken and receipted.
		c, err := carry(s, whole[:len(whole)-20])
		if !errors.Is(err, io.ErrUnexpectedEOF) || c.Batches == 0 || len(c.Receipts) != 1 {
			t.Errorf("Carry(cut short) = %+v, %v; want what is whole, and io.ErrUnexpectedEOF", c, err)
		}
		// A bit of the second envelope has flipped: the others are taken.
		bad := bytes.Clone(whole)
		bad[len(bad)/2] ^= 1
		if c, err = carry(s, bad); err != nil || c.Refused != 1 {
			t.Errorf("Carry(a bit flipped) = %+v, %v; want one refused", c, err)
		}
		if c, err = carry(s, whole); err != nil || c.Through != k.last() {
			t.Errorf("Carry(whole) = %+v, %v; want through %d", c, err, k.last())
		}
		if rows := w.rows(k.id); len(rows) != 30 {
			t.Errorf("%d rows, want 30", len(rows))
		}
	})
}

func TestCarriedByStrangers(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s := w.serve()
		known, stranger, thief := w.kiosk("gate-0001"), w.stranger("gate-0002"), w.stranger("gate-0003")
		for _, k := range []*kiosk{known, stranger, thief} {
			k.cards(3)
		}
		if c, err := carry(s, stranger.bundle(stranger.batches(9)...)); !errors.Is(err, qrgate.ErrNotFound) || c.Kiosk != stranger.id {
			t.Errorf("Carry(of no kiosk of ours) = %+v, %v; want ErrNotFound", c, err)
		}
		thief.id = known.id // with a key of its own
		if c, err := carry(s, thief.bundle(thief.batches(9)...)); err != nil || c.Refused != 1 || c.Batches != 0 || len(c.Receipts) != 0 {
			t.Errorf("Carry(of another's key) = %+v, %v; want it refused, without a receipt", c, err)
		}
		for _, junk := range [][]byte{nil, []byte("PK\x03\x04"), bytes.Repeat([]byte{0xff}, 1<<20)} {
			if c, err := carry(s, junk); err == nil || c.Batches != 0 {
				t.Errorf("Carry(%.8q) = %+v, nil; want an error", junk, c)
			}
		}
		if err := w.store.RevokeKiosk(t.Context(), known.id); err != nil {
			t.Fatal(err)
		}
		if c, err := carry(s, known.bundle(known.batches(9)...)); !errors.Is(err, qrgate.ErrRevoked) || len(c.Receipts) != 0 {
			t.Errorf("Carry(of a kiosk that is revoked) = %+v, %v; want ErrRevoked", c, err)
		}
		if rows := w.rows(known.id); len(rows) != 0 {
			t.Errorf("%d rows, want none", len(rows))
		}
	})
}

func TestCarriedForkAndRejectsGoBack(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s := w.serve()
		k := w.kiosk("gate-0001")
		k.cards(5)
		k.appendRaw([]byte{0xa0}) // an entry that is no record
		c, err := carry(s, k.bundle(k.batches(100)...))
		if err != nil || c.Rejected != 1 || len(c.Receipts) != 1 {
			t.Fatalf("Carry() = %+v, %v; want one rejected", c, err)
		}
		if r := k.open1(c.Receipts[0]); len(r.Rejects) != 1 || r.Rejects[0].Seq != k.last() {
			t.Errorf("the receipt rejects %v, want %d", r.Rejects, k.last())
		}
		// The card was copied, and both went on.
		b := k.batch(2, 4)
		b.Records = slices.Clone(b.Records)
		b.Records[0] = b.Records[1]
		c, err = carry(s, k.bundle(b))
		if err != nil || !c.Fork || len(c.Receipts) != 1 || !k.open1(c.Receipts[0]).Fork {
			t.Errorf("Carry(another history) = %+v, %v; want a fork and its receipt", c, err)
		}
	})
}

func TestOwedIsWhatIsHeld(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s := w.serve()
		k := w.kiosk("gate-0001")
		k.cards(4)
		if _, err := carry(s, k.bundle(k.batches(100)...)); err != nil {
			t.Fatal(err)
		}
		signed, err := s.Owed(t.Context(), k.id)
		if err != nil || len(signed) != 1 {
			t.Fatalf("Owed() = %d receipts, %v; want 1", len(signed), err)
		}
		if _, err := s.Owed(t.Context(), "no-such-gate"); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("Owed(no-such-gate) error = %v, want ErrNotFound", err)
		}
		if r := k.open1(signed[0]); r.Through != k.last() || r.Hash != k.chain[k.last()] {
			t.Errorf("Owed() says %d, want %d", r.Through, k.last())
		}
	})
}
