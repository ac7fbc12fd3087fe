package room_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/qrgate/qrgate/device/room"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/quota"
	"github.com/qrgate/qrgate/sync/wire"
)

var (
	own   = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	start = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
)

// gathering is an event of three hours: delegates come by the gate A1, the public by
// every gate.
func gathering() *wire.Event {
	return &wire.Event{
		V: wire.Version, Stamp: wire.Stamp{Generation: 1, Version: 1}, No: 7, Name: "Đêm nhạc", From: start.UnixMilli(), To: start.Add(3 * time.Hour).UnixMilli(),
		Categories: []wire.EventCategory{{No: 1, Gates: []string{"A1"}}, {No: 4}},
		Passes:     []wire.EventPass{{Number: 10, Issue: 1, Category: 1}, {Number: 11, Issue: 2, Category: 4}, {Number: 13, Issue: 1, Category: 4}},
	}
}

// A door is a room with what a test likes to ask.
type door struct {
	t    testing.TB
	path string
	*room.Room
	gate string
	now  time.Time
}

func newDoor(t testing.TB, dir string, events ...*wire.Event) *door {
	t.Helper()
	d := &door{t: t, path: filepath.Join(dir, "room.db"), gate: "A1", now: start.Add(time.Hour)}
	d.reopen()
	for _, e := range events {
		if err := d.Take(e); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func (d *door) reopen() {
	d.t.Helper()
	if d.Room != nil {
		if err := d.Close(); err != nil {
			d.t.Fatal(err)
		}
	}
	var err error
	if d.Room, err = room.Open(d.path, own); err != nil {
		d.t.Fatal(err)
	}
}

func ticket(number uint32, issue uint8) room.Scan {
	return room.Scan{Kind: pass.Event, Card: pass.OwnCard{Kind: pass.Event, Number: number, Issue: issue, Event: 7}, Dir: wire.In, Sure: true}
}

// show holds a pass before the door and returns its reason.
func (d *door) show(s room.Scan) wire.Reason {
	d.t.Helper()
	s.Gate, s.Now = d.gate, d.now
	reason, e := d.Enter(s)
	if (e == nil) == (reason == wire.NoReason) {
		d.t.Fatalf("reason %v with entry %v", reason, e != nil)
	}
	if e != nil {
		if err := e.Done(); err != nil {
			d.t.Fatal(err)
		}
	}
	return reason
}

func (d *door) want(what string, s room.Scan, want wire.Reason) {
	d.t.Helper()
	if got := d.show(s); got != want {
		d.t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestGuests(t *testing.T) {
	d := newDoor(t, t.TempDir(), gathering())
	defer func() { d.Close() }()
	d.want("a guest", ticket(10, 1), wire.NoReason)
	d.want("the same pass again", ticket(10, 1), wire.ReasonUsed)
	d.want("a pass that was replaced", ticket(11, 1), wire.ReasonRevoked)
	d.want("the one in its place", ticket(11, 2), wire.NoReason)
	d.want("an invitation that was taken back", ticket(12, 1), wire.ReasonRevoked)
	d.want("invited since", ticket(14, 1), wire.NoReason)
	other := ticket(13, 1)
	other.Card.Event = 8
	d.want("another event's", other, wire.ReasonEvent)
	lane := ticket(13, 1)
	lane.Card.Lane = 2
	d.want("another lane's", lane, wire.ReasonEvent)

	// What came in does not come in again after a restart.
	d.reopen()
	d.want("after a restart", ticket(10, 1), wire.ReasonUsed)
	d.gate = "B2"
	e := gathering()
	e.Passes = append(e.Passes, wire.EventPass{Number: 20, Issue: 1, Category: 1})
	e.Stamp.Version = 2
	if err := d.Take(e); err != nil {
		t.Fatal(err)
	}
	d.want("a delegate at another gate", ticket(20, 1), wire.ReasonEvent)
	d.want("the public at another gate", ticket(13, 1), wire.NoReason)
	if err := d.Take(gathering()); !errors.Is(err, room.ErrOld) {
		t.Errorf("Take of an older version = %v, want ErrOld", err)
	}
}

func TestTimeOfAnEvent(t *testing.T) {
	d := newDoor(t, t.TempDir(), gathering())
	defer d.Close()
	unsure := ticket(10, 1)
	unsure.Sure = false
	d.now = start.Add(-time.Minute)
	d.want("before doors open", ticket(10, 1), wire.ReasonNotYet)
	d.want("while the clock is not sure", unsure, wire.NoReason)
	d.now = start.Add(3 * time.Hour)
	d.want("after the end", ticket(13, 1), wire.ReasonExpired)
	out := ticket(10, 1)
	out.Dir = wire.Out
	d.want("going out after the end", out, wire.NoReason)
	cancelled := gathering()
	cancelled.Stamp.Version, cancelled.Cancelled = 2, true
	if err := d.Take(cancelled); err != nil {
		t.Fatal(err)
	}
	d.now = start.Add(time.Hour)
	d.want("of a cancelled event", ticket(13, 1), wire.ReasonEvent)
}

func TestComingInAgain(t *testing.T) {
	e := gathering()
	e.Reentry = true
	d := newDoor(t, t.TempDir(), e)
	defer d.Close()
	out := ticket(10, 1)
	out.Dir = wire.Out
	d.want("in", ticket(10, 1), wire.NoReason)
	d.now = d.now.Add(time.Minute)
	d.want("a copy", ticket(10, 1), wire.ReasonUsed)
	d.want("out", out, wire.NoReason)
	d.want("in again", ticket(10, 1), wire.NoReason)
	d.now = d.now.Add(11 * time.Minute)
	d.want("in again, having left by another door", ticket(10, 1), wire.NoReason)
}

func TestWhoHasNoPass(t *testing.T) {
	card := room.Scan{Kind: pass.Card, Dir: wire.In, Sure: true}
	staff, out := card, card
	staff.Kind, out.Dir = pass.Staff, wire.Out
	d := newDoor(t, t.TempDir(), gathering())
	defer d.Close()
	d.want("a visitor of a closed event", card, wire.ReasonEvent)
	d.want("staff of the place", staff, wire.NoReason)
	d.want("going out", out, wire.NoReason)
	d.now = start.Add(-time.Hour)
	d.want("before the event", card, wire.NoReason)
	e := gathering()
	e.Stamp.Version, e.Open = 2, true
	if err := d.Take(e); err != nil {
		t.Fatal(err)
	}
	d.now = start.Add(time.Hour)
	d.want("a visitor of an open event", card, wire.NoReason)
	e = gathering()
	e.Stamp.Version, e.Categories = 3, e.Categories[:1]
	if err := d.Take(e); err != nil {
		t.Fatal(err)
	}
	d.gate = "B2"
	d.want("at a gate that the event does not use", card, wire.NoReason)
}

// grant answers a beat as a server does that has a limit for each scope.
func (d *door) grant(limits map[wire.Scope]uint64) {
	d.t.Helper()
	var answers []wire.GrantAnswer
	for _, c := range d.Beat().Counts {
		if limit, ok := limits[c.Scope]; ok {
			answers = append(answers, wire.GrantAnswer{Scope: c.Scope, Period: c.Period,
				Grant: quota.Share(limit, map[string]quota.Gate{"d": {Count: c.Count, Connected: true}}, "d")})
		}
	}
	if err := d.Answer(answers, d.now); err != nil {
		d.t.Fatal(err)
	}
}

func TestFull(t *testing.T) {
	card := room.Scan{Kind: pass.Card, Dir: wire.In, Sure: true}
	out, forced := card, card
	out.Dir, forced.Force = wire.Out, true
	d := newDoor(t, t.TempDir())
	defer func() { d.Close() }()
	d.want("where nobody told of a limit", card, wire.NoReason)
	d.grant(map[wire.Scope]uint64{{}: 2})
	d.want("the second", card, wire.NoReason)
	if !d.News() {
		t.Error("a limit that is near is no news")
	}
	d.want("the third", card, wire.ReasonFull)
	d.reopen()
	d.want("the third after a restart", card, wire.ReasonFull)
	if least, most, limit, known := d.Inside(d.now, true); least != 2 || most != 2 || limit != 2 || !known {
		t.Errorf("Inside = %d to %d of %d, %v", least, most, limit, known)
	}
	d.want("out", out, wire.NoReason)
	d.want("the third, then", card, wire.NoReason)
	d.want("where nobody may be turned away", forced, wire.NoReason)
	if least, most, _, _ := d.Inside(d.now, true); least != 3 || most != 3 {
		t.Errorf("Inside = %d to %d, want 3", least, most)
	}
	// A new day begins with nobody inside, and as many rights.
	d.now = d.now.Add(24 * time.Hour)
	d.want("on the next day", card, wire.NoReason)
	d.want("on the next day, the second", card, wire.NoReason)
	d.want("on the next day, the third", card, wire.ReasonFull)
	if err := d.Correct(-1, d.now); err != nil {
		t.Fatal(err)
	}
	d.want("after the guard has seen somebody leave", card, wire.NoReason)
}

func TestFullOfOneCategory(t *testing.T) {
	e := gathering()
	e.Categories[1].Quota = 1
	d := newDoor(t, t.TempDir(), e)
	defer d.Close()
	d.want("before the server gave a right", ticket(13, 1), wire.ReasonFull)
	d.grant(map[wire.Scope]uint64{{Event: 7, Category: 4}: 1})
	d.want("the first of the public", ticket(13, 1), wire.NoReason)
	d.want("the second of the public", ticket(11, 2), wire.ReasonFull)
	d.want("a delegate", ticket(10, 1), wire.NoReason)
}

func TestOverIsForgotten(t *testing.T) {
	d := newDoor(t, t.TempDir(), gathering())
	defer func() { d.Close() }()
	d.want("a guest", ticket(10, 1), wire.NoReason)
	if err := d.Answer(nil, start.Add(14*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if n := len(d.Beat().Events); n != 1 {
		t.Errorf("%d events are held just after the end, want 1", n)
	}
	if err := d.Answer(nil, start.Add(16*time.Hour)); err != nil {
		t.Fatal(err)
	}
	d.reopen()
	if diff := cmp.Diff(&wire.RoomBeat{Counts: d.Beat().Counts[:1]}, d.Beat()); diff != "" {
		t.Errorf("after the end:\n%s", diff)
	}
}

func TestHowManyEvents(t *testing.T) {
	d := newDoor(t, t.TempDir())
	defer d.Close()
	for i := range wire.MaxHeldEvents + 1 {
		e := gathering()
		e.No = uint32(i + 1)
		err := d.Take(e)
		if full := i == wire.MaxHeldEvents; full != errors.Is(err, room.ErrMany) || !full && err != nil {
			t.Errorf("event %d: %v", i+1, err)
		}
	}
	if b := d.Beat(); len(b.Counts) > wire.MaxCounts || len(b.Events) != wire.MaxHeldEvents {
		t.Errorf("a beat tells of %d events and %d counts", len(b.Events), len(b.Counts))
	}
}

func TestDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "room.db")
	if err := os.WriteFile(path, make([]byte, 65536), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := room.Open(path, own)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Damaged == nil {
		t.Error("nobody is told that the file was damaged")
	}
	if _, err := os.Stat(path + ".damaged"); err != nil {
		t.Error(err)
	}
}

// A card damages single pages: whichever it is, and whether it is found at once or while the
// door is open, nothing panics, the door counts on, and the next start has a file that takes
// what is counted.
func TestOneDamagedPage(t *testing.T) {
	const page = 4096
	seed := newDoor(t, t.TempDir(), gathering())
	seed.Correct(3, start)
	if err := seed.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(seed.path)
	if err != nil {
		t.Fatal(err)
	}
	count := func(t *testing.T, r *room.Room) { // it may fail, and the door goes on
		if _, e := r.Enter(room.Scan{Kind: pass.Card, Dir: wire.In, Now: start, Sure: true, Force: true}); e != nil {
			e.Done()
		}
		r.Correct(1, start)
	}
	damages := map[string]func(b []byte){
		"zeros": func(b []byte) { clear(b) },
		"ones":  func(b []byte) { copy(b, bytes.Repeat([]byte{0xff}, len(b))) },
		"other": func(b []byte) { copy(b, whole[:page]) },
	}
	for n := range len(whole) / page {
		for name, damage := range damages {
			b := bytes.Clone(whole)
			damage(b[n*page:][:page])
			for _, running := range []bool{false, true} {
				path := filepath.Join(t.TempDir(), "room.db")
				first := b
				if running {
					first = whole
				}
				if err := os.WriteFile(path, first, 0o600); err != nil {
					t.Fatal(err)
				}
				r, err := room.Open(path, own)
				if err != nil {
					t.Fatalf("page %d, %s: %v", n, name, err)
				}
				if running {
					if err := os.WriteFile(path, b, 0o600); err != nil { // keeps the file that is mapped
						t.Fatal(err)
					}
				}
				count(t, r)
				r.Close()
				if r, err = room.Open(path, own); err != nil {
					t.Fatalf("page %d, %s, the next start: %v", n, name, err)
				}
				if err := r.Correct(1, start); err != nil {
					t.Errorf("page %d, %s, the next start: %v", n, name, err)
				}
				r.Close()
			}
		}
	}
	t.Run("pages that cannot be read", func(t *testing.T) {
		d := newDoor(t, t.TempDir(), gathering())
		if err := os.Truncate(d.path, page); err != nil { // a read of what is mapped beyond is SIGBUS
			t.Fatal(err)
		}
		if err := d.Correct(1, start); err == nil {
			t.Error("what cannot be written is on disk")
		}
		count(t, d.Room)
		d.reopen()
		if d.Damaged == nil {
			t.Error("nobody is told that the file was damaged")
		}
	})
}

// A full disk takes nothing new, and nobody is forgotten for it.
func TestAFullDiskIsNoDamage(t *testing.T) {
	d := newDoor(t, t.TempDir(), gathering())
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	was, err := os.Stat(d.path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := room.Open(d.path, own)
	if err != nil || r.Damaged != nil {
		t.Fatalf("Open = %v, %v", err, r.Damaged)
	}
	defer r.Close()
	if is, err := os.Stat(d.path); err != nil || !is.ModTime().Equal(was.ModTime()) {
		t.Errorf("opening a file that is whole has written to it: %v", err)
	}
}

// Whatever is shown at two doors that are cut off, in whatever order and with
// restarts, a pass comes in at most once by each, and no more people of a category than
// it has rights.
func TestPromiseOfAnEvent(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		e := gathering()
		e.Categories[1].Quota, e.Capacity = 3, 4
		e.Passes = nil
		for no := range uint32(12) {
			e.Passes = append(e.Passes, wire.EventPass{Number: no + 1, Issue: 1, Category: 1 + uint8(no%2)*3})
		}
		rights := uint64(rapid.IntRange(0, 4).Draw(r, "rights"))
		var doors []*door
		for i := range 2 {
			sub := filepath.Join(dir, string(rune('a'+i)))
			if err := os.Mkdir(sub, 0o700); err != nil {
				t.Fatal(err)
			}
			d := newDoor(t, sub, e)
			share := rights
			if i == 1 {
				share = 4 - rights
			}
			d.grant(map[wire.Scope]uint64{{Event: 7}: share, {Event: 7, Category: 4}: min(share, 3*share/4)})
			doors = append(doors, d)
		}
		came := map[[2]uint32]int{}
		inside := 0
		for range rapid.IntRange(1, 40).Draw(r, "scans") {
			i := rapid.IntRange(0, 1).Draw(r, "door")
			no := uint32(rapid.IntRange(1, 12).Draw(r, "pass"))
			if rapid.IntRange(0, 9).Draw(r, "restart") == 0 {
				doors[i].reopen()
			}
			if doors[i].show(ticket(no, 1)) == wire.NoReason {
				came[[2]uint32{uint32(i), no}]++
				inside++
			}
		}
		for at, n := range came {
			if n > 1 {
				r.Errorf("pass %d came in %d times by door %d", at[1], n, at[0])
			}
		}
		if inside > 4 {
			r.Errorf("%d came in, the event holds 4", inside)
		}
		for _, d := range doors {
			d.Close()
		}
	})
}

// An event that a command card begins before its hour lets its guests in; an event that
// is not held cannot be begun.
func TestEventThatIsBegunEarly(t *testing.T) {
	r := newDoor(t, t.TempDir()).Room
	now := time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
	e := &wire.Event{
		No: 7, Stamp: wire.Stamp{Version: 1}, From: now.Add(time.Hour).UnixMilli(), To: now.Add(3 * time.Hour).UnixMilli(),
		Categories: []wire.EventCategory{{No: 1}}, Passes: []wire.EventPass{{Number: 1, Issue: 1, Category: 1}},
	}
	if err := r.Take(e); err != nil {
		t.Fatal(err)
	}
	guest := room.Scan{Kind: pass.Event, Card: pass.OwnCard{Number: 1, Issue: 1, Event: 7}, Gate: "A1", Dir: wire.In, Now: now, Sure: true}
	if reason, entry := r.Enter(guest); reason != wire.ReasonNotYet || entry != nil {
		t.Errorf("before its hour: %s", reason)
	}
	if r.Begin(8, now) {
		t.Error("an event that is not held was begun")
	}
	if !r.Begin(7, now) {
		t.Fatal("not begun")
	}
	reason, entry := r.Enter(guest)
	if entry == nil {
		t.Fatalf("once it has begun: %s", reason)
	}
	entry.Drop()
}

// What the end of the lease drops comes again from the server; what was counted stays.
func TestEventsAreDroppedAndComeAgain(t *testing.T) {
	d := newDoor(t, t.TempDir(), gathering())
	defer func() { d.Close() }()
	d.want("a guest", ticket(10, 1), wire.NoReason)
	for range 2 { // the second time as another start finds it
		if err := d.Drop(); err != nil {
			t.Fatal(err)
		}
		d.want("a guest of a dropped event", ticket(13, 1), wire.ReasonEvent)
		d.want("whoever has no pass", room.Scan{Kind: pass.Card, Dir: wire.In, Sure: true}, wire.NoReason)
		if got := d.Beat().Events; len(got) != 0 {
			t.Errorf("it tells the server that it holds %v", got)
		}
		d.reopen()
	}
	if err := d.Take(gathering()); err != nil {
		t.Fatal(err)
	}
	d.want("who came in before", ticket(10, 1), wire.ReasonUsed)
	d.want("another guest", ticket(13, 1), wire.NoReason)
}
