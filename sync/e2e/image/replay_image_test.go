//go:build image

package main_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/device/system"
	"github.com/qrgate/qrgate/sync/e2e/twin"
	"github.com/qrgate/qrgate/sync/sdcard"
)

// TestCutsAtAnyMoment writes down what a card is told to write from its first start, through
// enrolment and an update of its system from a stick, until that one has proven itself. What a
// cut at random moments of it would have left is then looked at: the system that the firmware
// would take is whole, and what lies on the data partition can be read. That is cheap; one in
// ten of them is also started, up to its first start or its open door.
func TestCutsAtAnyMoment(t *testing.T) {
	c := newCard(t, build(t, first)+".img")
	w := newWorld(t)
	good := build(t, newer) + ".system"
	w.sign(newer, map[string]string{machineOf: good})
	w.serve()
	mine, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	o := oracle{T: t, card: filepath.Join(t.TempDir(), "card"), disk: c.size, program: mine.Kiosk, systems: map[sdcard.Slot]system.Sum{
		sdcard.A: sumOf(t, build(t, first)+".system"), sdcard.B: sumOf(t, good),
	}}
	h, err := c.disk.Record(o.card)
	if err != nil {
		t.Fatal(err)
	}
	m := c.start()
	m.said(slow, firstStart)
	w.enrol(m)
	m.said(slow, rootKept)
	w.check(m, 1)
	m.cut(chance())
	c.stick = w.stick()
	if !c.start().restarted(2 * slow) {
		t.Fatal("the card did not try the newer system")
	}
	m = c.start()
	m.said(slow, "door open")
	w.check(m, 2)
	m.said(slow, "system has proven itself")
	w.check(m, 3)
	m.kill()

	n := 50
	if os.Getenv("QRGATE_SCALE") == "soak" {
		n *= 10
	}
	looked := 0
	err = h.Cuts(chance(), n, func(unflushed int) error {
		if err := o.look(unflushed); err != nil {
			return err
		}
		if looked++; looked%10 == 5 {
			o.start(c, looked)
		}
		return nil
	})
	t.Logf("%d cuts among %d writes and flushes: %d before the data were made, %d with the newer system as the one that starts, %d mended thoroughly; %d started", n, h.Steps(), o.unmade, o.newer, o.thorough, o.started)
	if err != nil {
		t.Fatal(err)
	}
	if o.unmade == 0 || o.newer == 0 {
		t.Error("the cuts do not reach from the first start into the newer system")
	}
}

func sumOf(t *testing.T, path string) system.Sum {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		t.Fatal(err)
	}
	return system.Sum{Length: n, SHA256: h.Sum(nil)}
}

// An oracle looks at a card as the next start would, and says what could not go on.
type oracle struct {
	*testing.T
	card    string // its file
	disk    int64  // bytes
	program string // the kiosk's, of this machine
	systems map[sdcard.Slot]system.Sum

	unmade, newer, thorough, started int // cuts
}

// start starts a copy of the card.
func (o *oracle) start(like *card, cut int) {
	o.Run(fmt.Sprintf("start%d", cut), func(t *testing.T) {
		f, err := os.Open(o.card)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		m := filled(t, f, like.size, like.layout).opens()
		o.started++
		t.Logf("slot %s: %s after its start, first start: %t", m.slot, time.Since(m.begun), strings.Contains(m.console.String(), firstStart))
		m.kill()
	})
}

func (o *oracle) look(unflushed int) error {
	card, err := system.Open(o.card)
	if err != nil {
		return err
	}
	defer card.Close()
	slot, err := card.Default()
	if err != nil {
		return err
	}
	want := o.systems[slot]
	if got, err := card.Sum(slot, want.Length); err != nil || !bytes.Equal(got.SHA256, want.SHA256) {
		return fmt.Errorf("slot %s starts, and is not whole: %v", slot, err)
	}
	if slot == sdcard.B {
		o.newer++
	}
	if !card.DataMade() {
		o.unmade++ // the next start makes them
		return nil
	}
	at, size := card.DataRoom(o.disk)
	if err := o.data(at, size); err != nil {
		return fmt.Errorf("%d sectors unflushed: %w", unflushed, err)
	}
	return nil
}

// data mends a copy of the data partition as the card's first program does, and reads it.
func (o *oracle) data(at, size int64) error {
	dir := o.TempDir()
	defer os.RemoveAll(dir)
	part, all := filepath.Join(dir, "data"), filepath.Join(dir, "all")
	if out, err := exec.Command("dd", "if="+o.card, "of="+part, "bs=1M", "iflag=skip_bytes,count_bytes", "conv=sparse", fmt.Sprint("skip=", at), fmt.Sprint("count=", size)).CombinedOutput(); err != nil {
		return fmt.Errorf("dd: %w: %s", err, out)
	}
	thorough, err := twin.Mend(part)
	if err != nil {
		return err
	}
	if thorough {
		o.thorough++
	}
	if err := os.Mkdir(all, 0o700); err != nil {
		return err
	}
	if out, err := exec.Command("debugfs", "-R", "rdump / "+all, part).CombinedOutput(); err != nil {
		return fmt.Errorf("debugfs: %w: %s", err, out)
	}
	return filepath.WalkDir(all, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return o.file(path)
	})
}

// file reads a file whose damage would keep a kiosk from going on.
func (o *oracle) file(path string) error {
	name := filepath.Base(path)
	if filepath.Ext(name) == ".json" {
		b, err := os.ReadFile(path)
		if err == nil && !json.Valid(b) {
			err = fmt.Errorf("%s is torn: %.80q", name, b)
		}
		return err
	}
	if name == "outbox.db" {
		if out, err := exec.Command(o.program, "check-outbox", path).CombinedOutput(); err != nil {
			return fmt.Errorf("outbox: %w: %.300s", err, out)
		}
	}
	return nil
}
