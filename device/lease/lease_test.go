package lease_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/device/lease"
	"github.com/qrgate/qrgate/sync/words"
)

const day = 24 * time.Hour

// A machine is one that is switched on and off, and has a wall clock that nobody asks.
type machine struct {
	t     *testing.T
	path  string
	boot  [16]byte
	since time.Duration
	term  time.Duration
	drops int
	fails int // so many times dropping does not succeed
	l     *lease.Lease
}

func newMachine(t *testing.T) *machine {
	m := &machine{t: t, path: filepath.Join(t.TempDir(), "lease.json"), term: 45 * day}
	m.powerOn()
	return m
}

// start starts the program.
func (m *machine) start() {
	m.t.Helper()
	l, err := lease.Open(m.path, lease.Options{Term: m.term, Boot: m.boot, Since: func() time.Duration { return m.since }, Drop: m.drop})
	if err != nil {
		m.t.Fatal(err)
	}
	m.l = l
	m.l.Look()
}

func (m *machine) drop() error {
	if m.fails > 0 {
		m.fails--
		return errors.New("no disk")
	}
	m.drops++
	return nil
}

func (m *machine) powerOn() {
	m.boot[0]++
	m.since = 0
	m.start()
}

// on lets the machine be on for d, and looks now and then.
func (m *machine) on(d time.Duration) {
	step := max(d/16, time.Minute).Truncate(time.Minute)
	for end := m.since + d; m.since < end; m.l.Look() {
		m.since = min(m.since+step, end)
	}
}

func (m *machine) used() time.Duration { return time.Duration(m.l.Beat().Used) * time.Second }

func at(d time.Duration) time.Time {
	return time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC).Add(d)
}

func TestLeaseEndsAfterItsTermAndBeginsAnewWithAWord(t *testing.T) {
	m := newMachine(t)
	m.l.Contact(at(0))
	m.on(45*day - time.Minute)
	if m.l.Ended() || m.drops > 0 {
		t.Fatal("ended before its term")
	}
	m.on(time.Minute)
	if !m.l.Ended() || m.drops != 1 || m.l.Left() != 0 {
		t.Fatalf("after the term: ended %t, dropped %d times, %s left", m.l.Ended(), m.drops, m.l.Left())
	}
	m.on(day)
	if b := m.l.Beat(); m.drops != 1 || !b.Ended || b.Ends != 1 || m.used() != 46*day {
		t.Errorf("a day later: dropped %d times, beat %+v", m.drops, *b)
	}
	m.l.Contact(at(0)) // the same receipt again
	m.l.Contact(at(-day))
	if !m.l.Ended() {
		t.Error("a receipt that was played again is a word of the server")
	}
	m.l.Contact(at(46 * day))
	if b := m.l.Beat(); b.Ended || b.Used != 0 || b.Ends != 1 || m.l.Left() != 45*day {
		t.Errorf("after a word: beat %+v", *b)
	}
	m.on(45 * day)
	if m.drops != 2 || m.l.Beat().Ends != 2 {
		t.Errorf("the second lease: dropped %d times", m.drops)
	}
}

// The server's clock was wrong and was put right: what nobody can play again counts.
func TestAnswerToABeatCountsAlsoWhenTheServersClockWasPutBack(t *testing.T) {
	m := newMachine(t)
	m.l.Contact(at(365 * day))
	m.on(10 * day)
	m.l.Contact(at(10 * day))
	if m.used() != 10*day {
		t.Error("an older receipt counts")
	}
	m.l.Answered(at(10 * day))
	if m.used() != 0 {
		t.Error("an answer does not count")
	}
	m.on(day)
	m.l.Contact(at(11 * day))
	if m.used() != 0 {
		t.Error("receipts do not count any more")
	}
}

func TestOnlyTimeSwitchedOnCounts(t *testing.T) {
	m := newMachine(t)
	m.on(30 * day)
	m.l.Close() // the school's summer
	m.powerOn()
	if m.used() != 30*day {
		t.Errorf("after a pause %s are used, want 30 days", m.used())
	}
	m.on(day)
	// The program is killed, and starts after two hours in which the machine was on.
	m.since += 2 * time.Hour
	m.start()
	if want := 31*day + 2*time.Hour; m.used() != want {
		t.Errorf("after a killed program %s are used, want %s", m.used(), want)
	}
}

func TestPowerCutsDoNotKeepALeaseForEver(t *testing.T) {
	m := newMachine(t)
	for range 60 {
		m.since += 9 * time.Minute
		m.powerOn()
	}
	if m.used() < 9*time.Hour {
		t.Errorf("cut sixty times after nine minutes, a machine has used %s", m.used())
	}
}

func TestEndSurvivesARestartAndAFailedDrop(t *testing.T) {
	m := newMachine(t)
	m.fails = 3
	m.on(45*day + time.Minute)
	if m.drops != 0 || !m.l.Ended() {
		t.Fatalf("dropped %d times on a broken disk, ended %t", m.drops, m.l.Ended())
	}
	m.on(5 * time.Minute)
	if m.drops != 1 {
		t.Errorf("dropped %d times once the disk was mended", m.drops)
	}
	m.powerOn()
	if !m.l.Ended() || m.drops != 2 {
		t.Errorf("after a power cut: ended %t, dropped %d times", m.l.Ended(), m.drops)
	}
	m.l.Contact(at(0))
	m.powerOn()
	if m.l.Ended() || m.drops != 2 {
		t.Errorf("after a word and a power cut: ended %t, dropped %d times", m.l.Ended(), m.drops)
	}
}

func TestFileIsWrittenSeldom(t *testing.T) {
	m := newMachine(t)
	writes, last := 0, ""
	look := func() {
		i, err := os.Stat(m.path)
		if err != nil {
			t.Fatal(err)
		}
		// Each write is another file, and a new time of change.
		if said := i.ModTime().String(); said != last {
			writes, last = writes+1, said
		}
	}
	m.l.Contact(at(0))
	look()
	writes = 0
	for n := range 6 * 60 { // with a beat each minute
		m.on(time.Minute)
		m.l.Answered(at(time.Duration(n) * time.Minute))
		look()
	}
	if writes > 7 {
		t.Errorf("%d writes in six hours of contact, want one an hour", writes)
	}
	writes = 0
	for range 3 * 60 {
		m.on(time.Minute)
		look()
	}
	if writes > 3*6+1 {
		t.Errorf("%d writes in three hours without contact, want one each ten minutes", writes)
	}
}

func TestDamagedFileBeginsANewLease(t *testing.T) {
	for _, text := range []string{"", "{", `{"used_ms":-5}`, `{"used_ms":9223372036854775807}`} {
		path := filepath.Join(t.TempDir(), "lease.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := lease.Open(path, lease.Options{Since: func() time.Duration { return 0 }})
		if err != nil || l.Damaged == nil || l.Left() != lease.DefaultTerm {
			t.Errorf("%q: %v, damaged %v", text, err, l.Damaged)
		}
	}
}

func TestWordsToTheGuard(t *testing.T) {
	m := newMachine(t)
	m.on(38*day - time.Minute)
	if said := m.l.Notice(words.Vietnamese); said != "" {
		t.Errorf("a week before its end: %q", said)
	}
	m.on(2 * time.Minute)
	if said := m.l.Notice(words.Vietnamese); !strings.Contains(said, "7") {
		t.Errorf("less than a week before its end: %q", said)
	}
	m.on(7 * day)
	if said := m.l.Notice(words.English); said != words.Of(words.English, words.LeaseEnded) {
		t.Errorf("after its end: %q", said)
	}
	m.l.Within(60 * day) // which only a word of the server can say
	m.l.Contact(at(0))
	if said := m.l.Notice(words.Vietnamese); said != "" {
		t.Errorf("after a word: %q", said)
	}
}
