package settings_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/device/settings"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

const kiosk = "gate-0001"

func key(n byte) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, 32)) }

// A world is a kiosk's configuration over one file, what it is applied with, and the
// server's keys that are listed.
type world struct {
	*settings.Settings
	t       *testing.T
	path    string
	listed  map[uint32]ed25519.PublicKey
	o       settings.Options
	mu      sync.Mutex
	applied []string // gates
	moved   []string // addresses
	wired   error
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, path: filepath.Join(t.TempDir(), "config.cbor"), listed: map[uint32]ed25519.PublicKey{1: key(1).Public().(ed25519.PublicKey)}}
	w.start()
	return w
}

// start is a start of the program.
func (w *world) start() {
	w.t.Helper()
	w.o.Check = func(*wire.ConfigDoc) error { return w.wired }
	s, err := settings.Open(w.path, settings.Identity{Kiosk: kiosk, Key: key(9), Trust: func(id uint32) ed25519.PublicKey { return w.listed[id] }}, w.o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.Settings, w.applied, w.moved = s, nil, nil
	s.Use(settings.Uses{
		Apply: func(d *wire.ConfigDoc) { w.note(&w.applied, d.Door.Gate) },
		Move:  func(l wire.LinkConfig) { w.note(&w.moved, cmp.Or(l.URL, "own")) },
	})
	s.Resume()
}

func (w *world) note(in *[]string, what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*in = append(*in, what)
}

func doc(version uint64, alter func(*wire.ConfigDoc)) []byte {
	d := &wire.ConfigDoc{
		V: 1, Kiosk: kiosk, Stamp: stamp(version),
		Door: wire.KioskConfig{Place: "Chợ Đông Ba", Gate: "A1", Direction: wire.In, OnFault: wire.AdmitUnrecorded, Accept: []pass.Kind{pass.Card}, Repeat: 4 * time.Second, Reset: 3 * time.Second},
	}
	if alter != nil {
		alter(d)
	}
	return wire.Seal(wire.ForConfig, 1, key(1), d)
}

func stamp(version uint64) wire.Stamp { return wire.Stamp{Generation: 1, Version: version} }

func gate(name string) func(*wire.ConfigDoc) { return func(d *wire.ConfigDoc) { d.Door.Gate = name } }

func server(url string) func(*wire.ConfigDoc) {
	return func(d *wire.ConfigDoc) { d.Link.URL, d.Door.Gate = url, "N1" }
}

func (w *world) take(data []byte) {
	w.t.Helper()
	if err := w.Take(data); err != nil {
		w.t.Fatal(err)
	}
}

// says checks the beat.
func (w *world) says(wanted, running, refused uint64, why wire.ConfigFault) {
	w.t.Helper()
	b := w.Beat()
	if b.Wanted.Version != wanted || b.Running.Version != running || b.Refused.Version != refused || b.Fault != why {
		w.t.Errorf("beat says wanted %d, running %d, refused %d %q (%s); want %d, %d, %d %q",
			b.Wanted.Version, b.Running.Version, b.Refused.Version, b.Fault, b.Detail, wanted, running, refused, why)
	}
}

func (w *world) did(applied, moved string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := strings.Join(w.applied, " "); got != applied {
		w.t.Errorf("applied %q, want %q", got, applied)
	}
	if got := strings.Join(w.moved, " "); got != moved {
		w.t.Errorf("moved to %q, want %q", got, moved)
	}
}

func TestNewestRunsAlsoAfterARestartWithoutNetwork(t *testing.T) {
	w := newWorld(t)
	if w.Running() != nil {
		t.Fatal("a new kiosk runs with a document")
	}
	w.says(0, 0, 0, "")
	w.take(doc(1, gate("A1")))
	w.take(doc(3, gate("B2")))
	if err := w.Take(doc(2, gate("C3"))); !errors.Is(err, settings.ErrOld) {
		t.Errorf("Take of an older one = %v, want ErrOld", err)
	}
	if err := w.Take(doc(3, gate("C3"))); !errors.Is(err, settings.ErrOld) {
		t.Errorf("Take of another of the same version = %v, want ErrOld", err)
	}
	w.says(3, 3, 0, "")
	w.did("A1 B2", "")
	delete(w.listed, 1) // the key was rotated while the kiosk was off
	w.start()
	if d := w.Running(); d == nil || d.Door.Gate != "B2" {
		t.Fatalf("after a restart the kiosk runs %+v, want gate B2", d)
	}
	w.says(3, 3, 0, "")
}

func TestWhatIsNotTheServersIsNobodys(t *testing.T) {
	w := newWorld(t)
	w.take(doc(5, nil))
	other := func(d *wire.ConfigDoc) { d.Kiosk = "gate-0002" }
	forged := wire.Seal(wire.ForConfig, 1, key(2), &wire.ConfigDoc{V: 1, Kiosk: kiosk, Stamp: stamp(9)})
	for name, data := range map[string][]byte{"another kiosk's": doc(9, other), "forged": forged, "empty": nil, "cut": doc(9, nil)[:40]} {
		if err := w.Take(data); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	w.says(5, 5, 0, "")
}

func TestWhatCannotBeRunWithChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.take(doc(1, nil))
	// As a server would make it that judges less.
	trap := func(d *wire.ConfigDoc) { d.Door.Direction, d.Door.OnFault = wire.Out, wire.Refuse }
	if err := w.Take(doc(2, trap)); err == nil {
		t.Fatal("a way out that holds people in was taken")
	}
	w.says(2, 1, 2, wire.ConfigInvalid)
	if d := w.Beat().Detail; !strings.Contains(d, "on_fault") {
		t.Errorf("detail %q does not name the setting", d)
	}
	w.wired = errors.New("relay energises to open")
	if err := w.Take(doc(3, func(d *wire.ConfigDoc) { d.Door.Direction = wire.Out })); err == nil {
		t.Fatal("taken against the wiring")
	}
	w.says(3, 1, 3, wire.ConfigWiring)
	w.did("A1", "")
	w.wired = nil
	w.start()
	w.says(3, 1, 3, wire.ConfigWiring)
	w.wired = errors.New("relay energises to open")
	w.start() // wired otherwise while it was off
	if w.Running() != nil {
		t.Error("a kiosk starts with what its wiring does not allow")
	}
	w.says(3, 0, 1, wire.ConfigWiring)
	w.wired = nil
	w.take(doc(4, nil))
	w.says(4, 4, 0, "")
}

func TestDetailFitsIntoABeat(t *testing.T) {
	w := newWorld(t)
	w.wired = errors.New(strings.Repeat("Đ", 150) + "\n\xff")
	w.Take(doc(1, nil))
	if d := w.Beat().Detail; len(d) > wire.MaxConfigDetail || strings.ToValidUTF8(d, "") != d {
		t.Errorf("detail of %d bytes: %q", len(d), d)
	}
}

// run starts Run in a bubble and stops it at the end.
func (w *world) run() {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	w.t.Cleanup(func() { stop(); <-done })
	synctest.Wait()
}

func TestLinkSettingsThatTheServerAnswersAtStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.run()
		w.Up()
		w.take(doc(1, nil))
		w.take(doc(2, server("tls://new:8883")))
		w.Answered() // still the old way
		w.says(2, 1, 0, "")
		w.did("A1", "tls://new:8883")
		time.Sleep(time.Minute)
		w.Up()
		w.Answered()
		w.says(2, 2, 0, "")
		w.did("A1 N1", "tls://new:8883")
		time.Sleep(settings.DefaultLost / 2)
		synctest.Wait()
		w.says(2, 2, 0, "")
		w.did("A1 N1", "tls://new:8883")
	})
}

func TestLinkSettingsThatNobodyAnswersAtGoBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.take(doc(1, server("tls://old:8883")))
		w.Up()
		w.Answered()
		w.run()
		w.take(doc(2, server("tls://nowhere:8883")))
		time.Sleep(settings.DefaultTrial - time.Second)
		synctest.Wait()
		w.says(2, 1, 0, "")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		w.says(2, 1, 2, wire.ConfigNoAnswer)
		w.did("N1", "tls://old:8883 tls://nowhere:8883 tls://old:8883")
		if d := w.Beat().Detail; !strings.Contains(d, "tls://nowhere:8883") {
			t.Errorf("detail %q does not name the address", d)
		}
		w.Up()
		w.Answered()
		w.says(2, 1, 2, wire.ConfigNoAnswer)
	})
}

// A document without new link settings ends the trial of one that had them.
func TestTrialIsOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.run()
		w.take(doc(1, nil))
		w.take(doc(2, server("tls://nowhere:8883")))
		w.take(doc(3, gate("B2")))
		time.Sleep(time.Hour)
		synctest.Wait()
		w.says(3, 3, 0, "")
		w.did("A1 B2", "tls://nowhere:8883 own")
	})
}

func TestTrialThatRestartsCutShortEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.take(doc(1, nil))
		w.take(doc(2, server("tls://nowhere:8883")))
		for range 2 {
			w.start()
			w.says(2, 1, 0, "")
			w.did("", "tls://nowhere:8883")
			if w.Running().Door.Gate != "A1" {
				t.Error("what is on trial runs")
			}
		}
		w.start()
		w.says(2, 1, 2, wire.ConfigNoAnswer)
		w.did("", "own")
	})
}

// A power cut leaves the file before or the file after, and maybe half of a file
// beside it. Whatever the disk made of it, the door opens.
func TestPowerCuts(t *testing.T) {
	w := newWorld(t)
	w.take(doc(1, gate("A1")))
	before, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	w.take(doc(2, server("tls://new:8883")))
	trial, _ := os.ReadFile(w.path)
	w.Up()
	w.Answered()
	after, _ := os.ReadFile(w.path)
	for _, tt := range []struct {
		name    string
		file    []byte
		running string
		trial   bool
		damaged bool
	}{
		{"before", before, "A1", false, false},
		{"on trial", trial, "A1", true, false},
		{"after", after, "N1", false, false},
		{"cut", after[:len(after)/2], "", false, true},
		{"empty", nil, "", false, true},
		{"another kiosk's", wire.Seal("settings file", 0, key(8), 1), "", false, true},
	} {
		if err := os.WriteFile(w.path, tt.file, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(w.path+".new", after[:7], 0o600); err != nil {
			t.Fatal(err)
		}
		w.start()
		running := ""
		if d := w.Running(); d != nil {
			running = d.Door.Gate
		}
		if running != tt.running || (w.Damaged != nil) != tt.damaged || (len(w.moved) == 1) != tt.trial {
			t.Errorf("%s: running %q, damaged %v, moved %v", tt.name, running, w.Damaged, w.moved)
		}
		w.take(doc(9, gate("Z9")))
	}
}

// Every byte of the file that is wrong is found: nobody runs with half a document.
func TestDamageIsFound(t *testing.T) {
	w := newWorld(t)
	w.take(doc(1, nil))
	whole, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 0x40
		if err := os.WriteFile(w.path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		w.start()
		if w.Damaged == nil {
			t.Fatalf("byte %d: not found", i)
		}
	}
}

func TestDiskThatTakesNothing(t *testing.T) {
	w := newWorld(t)
	w.take(doc(1, nil))
	if err := os.Mkdir(w.path+".new", 0o700); err != nil { // where the temporary file goes
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.path+".new", "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.Take(doc(2, gate("B2"))); err == nil {
		t.Fatal("taken")
	}
	w.says(1, 1, 2, wire.ConfigDisk)
	w.did("A1", "")
	if err := os.RemoveAll(w.path + ".new"); err != nil {
		t.Fatal(err)
	}
	w.take(doc(2, gate("B2"))) // the server sends it again
	w.says(2, 2, 0, "")
}

// What a later release reads in a document is still there when it comes.
func TestDocumentIsKeptAsItCame(t *testing.T) {
	w := newWorld(t)
	data := doc(1, nil)
	w.take(data)
	b, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Running struct {
			Document []byte `cbor:"1,keyasint"`
		} `cbor:"2,keyasint"`
	}
	if err := wire.Open("settings file", b, func(uint32) ed25519.PublicKey { return key(9).Public().(ed25519.PublicKey) }, &f); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(data, f.Running.Document); diff != "" {
		t.Errorf("kept otherwise than it came (-want +got):\n%s", diff)
	}
}

func TestPartTellsWhatChanged(t *testing.T) {
	w := newWorld(t)
	p := w.Part()
	var b wire.Beat
	p.Fill(&b)
	if p.News() {
		t.Error("news although the last beat said all")
	}
	p.Take(doc(1, nil))
	if !p.News() {
		t.Error("no news of what runs")
	}
	p.Fill(&b)
	if b.Config == nil || b.Config.Running != stamp(1) || p.News() {
		t.Errorf("beat %+v", b.Config)
	}
}

// The portal's address is silent for long: the kiosk looks for its server where its own
// file has it, so that it can be mended on the spot, and comes back.
func TestServerThatIsLostIsLookedForAtTheFilesAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.run()
		w.take(doc(1, server("tls://new:8883")))
		w.Up()
		w.Answered()
		for range 10 {
			time.Sleep(settings.DefaultLost - time.Minute)
			w.Answered()
		}
		synctest.Wait()
		w.did("N1", "tls://new:8883")
		time.Sleep(settings.DefaultLost + time.Second)
		synctest.Wait()
		w.did("N1", "tls://new:8883 own")
		time.Sleep(settings.DefaultTrial)
		synctest.Wait()
		w.did("N1", "tls://new:8883 own tls://new:8883")

		// Next time somebody is there, for as long as that is worth it.
		time.Sleep(settings.DefaultLost)
		synctest.Wait()
		w.Up()
		w.Answered()
		time.Sleep(settings.DefaultLost - time.Minute)
		w.Answered()
		synctest.Wait()
		w.did("N1", "tls://new:8883 own tls://new:8883 own")
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		w.did("N1", "tls://new:8883 own tls://new:8883 own tls://new:8883")
		w.says(1, 1, 0, "")
	})
}

// After a start it is looked for sooner: somebody may stand before it.
func TestAfterAStartTheFilesAddressIsTriedSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.take(doc(1, server("tls://new:8883")))
		w.Up()
		w.Answered()
		w.start()
		w.run()
		time.Sleep(settings.DefaultTrial + time.Second)
		synctest.Wait()
		w.did("", "own")
		w.take(doc(2, server(""))) // from there the portal says that it is good
		w.Up()
		w.Answered()
		w.says(2, 2, 0, "")
		time.Sleep(10 * time.Hour)
		synctest.Wait()
		w.did("N1", "own own")
	})
}
