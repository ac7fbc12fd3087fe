package agent_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/device/agent"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

func openList(t testing.TB, path string, checked agent.Checked) *agent.List {
	t.Helper()
	l, err := agent.OpenList(path, kioskKey, checked)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A book is the list as a server has it.
type book struct {
	t     testing.TB
	stamp wire.Stamp
	alone bool
	cards []pass.Revocation
}

func (b *book) list(cards []pass.Revocation) *pass.Revocations {
	b.t.Helper()
	r, err := pass.NewRevocations(cards)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func (b *book) seal(from uint64, cards []pass.Revocation) [][]byte {
	b.t.Helper()
	h := wire.ListHead{Stamp: b.stamp, From: from, Digest: b.list(b.cards).Digest(), Alone: b.alone}
	parts, ok := wire.SealList(7, receiptKey, h, b.list(cards).Encode())
	if !ok {
		b.t.Fatal("the list does not fit")
	}
	return parts
}

func (b *book) whole() [][]byte { return b.seal(0, b.cards) }

// change adds cards and returns the change.
func (b *book) change(cards ...pass.Revocation) []byte {
	b.t.Helper()
	b.stamp.Version++
	b.cards = append(b.cards, cards...)
	return b.seal(b.stamp.Version-1, cards)[0]
}

func newBook(t testing.TB, cards ...pass.Revocation) *book {
	return &book{t: t, stamp: wire.Stamp{Generation: 1, Version: 1}, cards: cards}
}

// long is a book whose list comes in several parts.
func long(t testing.TB) *book {
	b, random, number := newBook(t), rand.New(rand.NewPCG(1, 2)), uint32(0)
	for range 40_000 {
		number += 1 + random.Uint32N(1<<16)
		b.cards = append(b.cards, pass.Revocation{Number: number, Through: uint8(1 + number%2*254)})
	}
	return b
}

func revoked(n uint32) pass.Revocation { return pass.Revocation{Number: n, Through: pass.AllIssues} }

// receipts is the look-up of an identity.
func receipts(id uint32) ed25519.PublicKey {
	if id != 7 {
		return nil
	}
	return public(receiptKey)
}

// take fails the test unless the list is taken or refused as is wanted.
func take(t testing.TB, l *agent.List, part []byte, taken bool, kind error) {
	t.Helper()
	got, err := l.Take(part, receipts)
	if got != taken || !errors.Is(err, kind) {
		t.Errorf("Take() = %t, %v, want %t, %v", got, err, taken, kind)
	}
}

func void(t testing.TB, l *agent.List, want ...pass.Revocation) {
	t.Helper()
	for _, v := range want {
		if !l.Void(v.Number, v.Through) || v.Through < pass.AllIssues && l.Void(v.Number, v.Through+1) {
			t.Errorf("card %d is not void through issue %d", v.Number, v.Through)
		}
	}
}

func TestListIsTakenAndKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "void.list")
	l := openList(t, path, agent.Checked{})
	if diff := cmp.Diff(&wire.ListBeat{}, l.Beat()); diff != "" || l.Damaged != nil || l.Void(1, 1) {
		t.Errorf("a new kiosk says (-want +got):\n%s", diff)
	}
	b := newBook(t, revoked(7), pass.Revocation{Number: 3, Through: 1})
	take(t, l, b.whole()[0], true, nil)
	void(t, l, b.cards...)
	take(t, l, b.change(pass.Revocation{Number: 3, Through: 2}, revoked(9)), true, nil)
	for range 2 { // the second time as another start finds it
		void(t, l, revoked(7), revoked(9), pass.Revocation{Number: 3, Through: 2})
		if got := l.Beat(); got.Stamp != b.stamp || got.Cards != 3 || l.Void(8, 1) {
			t.Errorf("Beat() = %+v, want 3 cards of %v", got, b.stamp)
		}
		l = openList(t, path, agent.Checked{})
	}
	if _, ok := l.Checked(); ok {
		t.Error("a list that nobody has checked says when it was")
	}
	at := time.UnixMilli(1_795_500_000_000)
	if got, ok := openList(t, path, agent.Checked{Stamp: b.stamp, At: at}).Checked(); !ok || !got.Equal(at) {
		t.Errorf("Checked() = %v, %t, want %v", got, ok, at)
	}
	if _, ok := openList(t, path, agent.Checked{Stamp: wire.Stamp{Generation: 1, Version: 1}, At: at}).Checked(); ok {
		t.Error("a list says when another one was checked")
	}
}

func TestListThatIsNotTaken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "void.list")
	l := openList(t, path, agent.Checked{})
	b := newBook(t, revoked(7))
	first := b.whole()[0]
	second := b.change(revoked(8))
	take(t, l, second, false, agent.ErrOld) // it holds nothing to be changed
	take(t, l, first, true, nil)
	take(t, l, first, false, agent.ErrOld)
	third := b.change(revoked(9))
	take(t, l, third, false, agent.ErrOld) // it does not hold the second
	take(t, l, second, true, nil)
	take(t, l, first, false, agent.ErrOld)
	take(t, l, second, false, agent.ErrOld)
	take(t, l, third, true, nil)

	head := wire.ListHead{Stamp: wire.Stamp{Generation: 1, Version: 4}, Digest: wire.Hash{1}}
	forged, _ := wire.SealList(7, strange, head, []byte{1, 0, 0})
	take(t, l, forged[0], false, wire.ErrSignature)
	unlisted, _ := wire.SealList(8, receiptKey, head, []byte{1, 0, 0})
	take(t, l, unlisted[0], false, wire.ErrSignature)
	garbage, _ := wire.SealList(7, receiptKey, head, []byte{9})
	take(t, l, garbage[0], false, pass.ErrMalformed)
	take(t, l, []byte("list"), false, wire.ErrMalformed)
	void(t, l, revoked(7), revoked(8), revoked(9))

	// A change that does not lead to the server's list: the kiosk keeps what it has
	// and asks for the whole.
	unlike, _ := wire.SealList(7, receiptKey, wire.ListHead{Stamp: wire.Stamp{Generation: 1, Version: 4}, From: 3, Digest: wire.Hash{1}}, []byte{1, 0, 0})
	if _, err := l.Take(unlike[0], receipts); err == nil {
		t.Error("a change that leads to another list was taken")
	}
	void(t, l, revoked(7), revoked(8), revoked(9))
	if got := l.Beat().Stamp; got != (wire.Stamp{Generation: 1}) {
		t.Errorf("Beat() = %v, want no version of generation 1", got)
	}
	take(t, l, b.whole()[0], true, nil)
	if got := l.Beat().Stamp; got != b.stamp {
		t.Errorf("Beat() = %v, want %v", got, b.stamp)
	}
}

// Parts come in any order, twice, and mixed with those of other lists.
func TestPartsDoNotMix(t *testing.T) {
	l := openList(t, filepath.Join(t.TempDir(), "void.list"), agent.Checked{})
	b := long(t)
	old := b.whole()
	if len(old) < 3 {
		t.Fatalf("%d parts", len(old))
	}
	take(t, l, old[2], false, nil)
	take(t, l, old[2], false, nil)
	take(t, l, old[0], false, nil)
	if got := l.Beat(); got.Getting != b.stamp || !got.Has(0) || got.Has(1) || !got.Has(2) || got.Stamp.Version != 0 {
		t.Errorf("Beat() = %+v with parts 0 and 2", got)
	}
	b.change(revoked(1))
	now := b.whole()
	take(t, l, now[1], false, nil)
	take(t, l, old[1], false, agent.ErrOld)
	if got := l.Beat(); got.Getting != b.stamp || got.Has(0) || !got.Has(1) || got.Has(2) {
		t.Errorf("Beat() = %+v with part 1 of the later list", got)
	}
	// A list of the same version that another server signed is another list.
	other := *b
	other.alone = true
	take(t, l, other.whole()[0], false, nil)
	if got := l.Beat(); !got.Has(0) || got.Has(1) {
		t.Errorf("Beat() = %+v: parts of two lists are mixed", got)
	}
	for i := range now {
		take(t, l, now[len(now)-1-i], i == len(now)-1, nil)
	}
	void(t, l, b.cards[:100]...)
	if got := l.Beat(); got.Stamp != b.stamp || got.Getting != (wire.Stamp{}) || got.Have != nil {
		t.Errorf("Beat() = %+v, want the whole list", got)
	}
}

// A server restored from a backup may have forgotten what was void.
func TestListsOfTwoGenerations(t *testing.T) {
	path := filepath.Join(t.TempDir(), "void.list")
	l := openList(t, path, agent.Checked{})
	b := newBook(t, revoked(7), pass.Revocation{Number: 3, Through: 2})
	take(t, l, b.whole()[0], true, nil)
	for generation := uint64(2); generation < 4; generation++ {
		r := newBook(t, pass.Revocation{Number: 3, Through: 1}, revoked(20+uint32(generation)))
		r.stamp.Generation = generation
		take(t, l, b.change(), true, nil)
		take(t, l, r.whole()[0], true, nil)
		take(t, l, b.change(), false, agent.ErrOld)
		take(t, l, r.change(revoked(30)), true, nil)
		b = r
		for range 2 {
			void(t, l, revoked(7), pass.Revocation{Number: 3, Through: 2}, revoked(22), revoked(20+uint32(generation)), revoked(30))
			if got := l.Beat(); got.Cards != 3 || got.Stamp != r.stamp {
				t.Errorf("Beat() = %+v, want 3 cards of %v", got, r.stamp)
			}
			l = openList(t, path, agent.Checked{})
		}
	}
	b.alone = true // an operator has confirmed it
	take(t, l, b.change(), true, nil)
	for range 2 {
		if l.Void(7, 1) || l.Void(22, 1) || l.Void(3, 2) || !l.Void(3, 1) || !l.Void(23, 1) || !l.Void(30, 1) {
			t.Error("after a confirmation the lists of earlier generations count still")
		}
		l = openList(t, path, agent.Checked{})
	}
}

// Whatever becomes of the file, the kiosk starts and asks for the list again.
func TestDamagedList(t *testing.T) {
	path := filepath.Join(t.TempDir(), "void.list")
	b := newBook(t, revoked(7))
	take(t, openList(t, path, agent.Checked{}), b.whole()[0], true, nil)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := agent.Checked{Stamp: b.stamp, At: time.UnixMilli(1)}
	damaged := func(name string, b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		l := openList(t, path, at)
		_, checked := l.Checked()
		if l.Damaged == nil || l.Void(7, 1) || l.Beat().Stamp != (wire.Stamp{}) || checked {
			t.Errorf("%s: %v, Beat() = %+v", name, l.Damaged, l.Beat())
		}
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		damaged("a bit", bad)
		damaged("cut", good[:i])
	}
	damaged("longer", append(bytes.Clone(good), 0))
	other, err := agent.OpenList(filepath.Join(t.TempDir(), "void.list"), strange, agent.Checked{})
	if err != nil {
		t.Fatal(err)
	}
	take(t, other, b.whole()[0], true, nil)
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := agent.OpenList(path, strange, at); err != nil || l.Damaged == nil {
		t.Errorf("the list of another kiosk: %v, %v", l.Damaged, err)
	}
	l := openList(t, path, at)
	take(t, l, b.change(revoked(8)), true, nil)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := agent.OpenList(path, kioskKey, at); err == nil {
		t.Error("a file that cannot be read was opened")
	}
	// What is not on disk does not count.
	if taken, err := l.Take(b.change(revoked(9)), receipts); taken || err == nil || l.Void(9, 1) {
		t.Errorf("Take() on a broken disk = %t, %v", taken, err)
	}
}

// The agent says what it holds in its beats, takes what comes, and asks on at once
// while parts are missing.
func TestListOverTheLine(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		b := long(t)
		whole := b.whole()
		var newest atomic.Uint64
		newest.Store(b.stamp.Version)
		w.server = func(m message) {
			beat, err := wire.OpenBeat(m.payload, public(kioskKey))
			if err != nil {
				return
			}
			for i := range whole { // a part a beat
				if beat.List.Stamp.Version == 0 && !beat.List.Has(i) {
					w.down(wire.DownList, whole[i])
					break
				}
			}
			a := w.answer(beat.Nonce)
			a.List = wire.Stamp{Generation: b.stamp.Generation, Version: newest.Load()}
			w.down(wire.DownBeat, seal(a))
		}
		w.agent.Up()
		time.Sleep(time.Duration(len(whole)+2) * 3 * time.Second)
		synctest.Wait()
		void(t, w.list, b.cards[0])
		beats := w.beats()
		if last := beats[len(beats)-1].List; last.Stamp != b.stamp || last.Cards != len(b.cards) {
			t.Errorf("the last of %d beats says %+v", len(beats), last)
		}
		checked, ok := w.list.Checked()
		if !ok || w.now().Sub(checked) > 10*time.Second {
			t.Errorf("Checked() = %v, %t at %v", checked, ok, w.now())
		}
		if got := openState(t, filepath.Join(w.dir, "agent.json")).List; got.Stamp != b.stamp || got.At.IsZero() || checked.Sub(got.At) > time.Hour {
			t.Errorf("kept: %+v, want %v", got, checked)
		}
		n := len(beats)
		time.Sleep(25 * time.Second)
		synctest.Wait()
		if more := len(w.beats()) - n; more > 1 {
			t.Errorf("%d beats in 25 s in which nothing changed", more)
		}
		// A list that is newer than what the kiosk holds: its age rises from now on.
		newest.Add(1)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if later, _ := w.list.Checked(); w.now().Sub(later) < 119*time.Minute {
			t.Errorf("Checked() = %v at %v, though the server has a newer list", later, w.now())
		}
		w.down(wire.DownList, []byte("no list"))
		synctest.Wait()
		if err := w.end(); err != nil || !strings.Contains(w.log.String(), "list of void cards refused") {
			t.Errorf("Run() = %v; log:\n%s", err, w.log)
		}
	})
}

// BenchmarkTakeChange is one more void card among 100,000, from the message to the
// disk; BenchmarkOpenList what the same list costs a start.
func BenchmarkTakeChange(b *testing.B) {
	l, book, path := largeList(b)
	for n := uint32(0); b.Loop(); n++ {
		b.StopTimer()
		change := book.change(revoked(2_000_000 + n))
		b.StartTimer()
		take(b, l, change, true, nil)
	}
	if info, err := os.Stat(path); err == nil {
		b.ReportMetric(float64(info.Size()), "bytes/file")
	}
}

func BenchmarkOpenList(b *testing.B) {
	_, _, path := largeList(b)
	for b.Loop() {
		openList(b, path, agent.Checked{})
	}
}

// largeList is 100,000 void cards of about a million.
func largeList(b *testing.B) (*agent.List, *book, string) {
	path := filepath.Join(b.TempDir(), "void.list")
	l, book, random, number := openList(b, path, agent.Checked{}), newBook(b), rand.New(rand.NewPCG(1, 2)), uint32(0)
	for range 100_000 {
		number += 1 + random.Uint32N(19)
		book.cards = append(book.cards, revoked(number))
	}
	parts := book.whole()
	for i, p := range parts {
		take(b, l, p, i == len(parts)-1, nil)
	}
	return l, book, path
}

func TestDroppedListComesAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "void.list")
	at := time.UnixMilli(1_795_500_000_000)
	b := newBook(t, revoked(7))
	l := openList(t, path, agent.Checked{})
	take(t, l, b.whole()[0], true, nil)
	for range 2 {
		if err := l.Drop(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file: %v", err)
	}
	if _, ok := l.Checked(); ok || l.Void(7, 1) || l.Beat().Stamp.Version != 0 || l.Beat().Cards != 0 {
		t.Errorf("after Drop it says %+v", l.Beat())
	}
	// A start knows what was checked once, and has no list for it.
	l = openList(t, path, agent.Checked{Stamp: b.stamp, At: at})
	if _, ok := l.Checked(); ok || l.Damaged != nil {
		t.Errorf("after a start: checked %t, damaged %v", ok, l.Damaged)
	}
	take(t, l, b.whole()[0], true, nil)
	void(t, l, revoked(7))
}
