package system_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/qrgate/qrgate/device/system"
	"github.com/qrgate/qrgate/sync/release"

	"github.com/qrgate/qrgate/sync/sdcard"
)

// newCard makes a card whose first partition holds autoboot.txt and nothing else.
func newCard(t *testing.T) *system.Card {
	t.Helper()
	l := sdcard.Layout{Start: 1 << 20, System: sdcard.RootOffset + 1<<20, Data: 1 << 20}
	path := filepath.Join(t.TempDir(), "card")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(l.Size()); err != nil {
		t.Fatal(err)
	}
	// FAT16: one sector reserved, two FATs of one sector, 32 entries, one sector a cluster.
	boot := make([]byte, 512)
	copy(boot[11:], []byte{0, 2, 1, 1, 0, 2, 32, 0, 0, 0, 0xf8, 1, 0})
	dir := make([]byte, 2*512)
	copy(dir, "README  TXT")
	copy(dir[32:], "AUTOBOOTTXT")
	dir[32+26], dir[32+29] = 5, 2
	for at, b := range map[int64][]byte{0: l.Table(), l.StartAt(): boot, l.StartAt() + 3*512: dir, l.StartAt() + 8*512: sdcard.Autoboot(sdcard.A)} {
		if _, err := f.WriteAt(b, at); err != nil {
			t.Fatal(err)
		}
	}
	c, err := system.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// newSystem returns a system and its sum.
func newSystem(words string) ([]byte, system.Sum) {
	b := make([]byte, sdcard.RootOffset+8192)
	copy(b[512*77:], sdcard.CmdlineStart+" quiet\n")
	copy(b[sdcard.RootOffset:], words)
	sum := sha256.Sum256(b)
	return b, system.Sum{Length: int64(len(b)), SHA256: sum[:]}
}

func TestASystemIsInstalledIntoTheOtherSlot(t *testing.T) {
	c := newCard(t)
	image, sum := newSystem("hsqs 1.2.0")
	if err := c.Install(sdcard.A, bytes.NewReader(image), sum); err == nil {
		t.Error("Install into the default slot = nil")
	}
	if err := c.Install(sdcard.B, bytes.NewReader(image), sum); err != nil {
		t.Fatalf("Install: %v", err)
	}
	got, err := c.Sum(sdcard.B, sum.Length)
	if err != nil || !bytes.Equal(got.SHA256, sum.SHA256) {
		t.Errorf("Sum = %x, %v, want %x", got.SHA256, err, sum.SHA256)
	}
	image[sdcard.RootOffset+4000]++
	if err := c.Install(sdcard.B, bytes.NewReader(image), sum); !errors.Is(err, sdcard.ErrSum) {
		t.Errorf("Install of other bytes = %v, want ErrSum", err)
	}
	if d, err := c.Default(); err != nil || d != sdcard.A {
		t.Errorf("Default = %s, %v, want a", d, err)
	}
}

// TestAutobootSurvivesATornWrite tears the one sector that decides in its middle.
func TestAutobootSurvivesATornWrite(t *testing.T) {
	a, b := sdcard.Autoboot(sdcard.A), sdcard.Autoboot(sdcard.B)
	if len(a) != 512 || len(b) != 512 {
		t.Fatalf("Autoboot has %d and %d bytes", len(a), len(b))
	}
	if torn := append(bytes.Clone(b[:256]), a[256:]...); !bytes.Equal(torn, b) {
		t.Errorf("a torn write leaves neither:\n%s", torn)
	}
}

// A memory is a card without its bytes.
type memory struct {
	slot     sdcard.Slot
	installs int
}

func (m *memory) Default() (sdcard.Slot, error)  { return m.slot, nil }
func (m *memory) SetDefault(s sdcard.Slot) error { m.slot = s; return nil }
func (m *memory) Install(s sdcard.Slot, r io.Reader, want system.Sum) error {
	m.installs++
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return err
	}
	if s == m.slot || !bytes.Equal(h.Sum(nil), want.SHA256) {
		return sdcard.ErrSum
	}
	return nil
}

// A bench is a keeper's world.
type bench struct {
	*testing.T
	card     *memory
	o        system.Options
	systems  map[string]string
	restarts []bool
	up       time.Duration
}

func newBench(t *testing.T) *bench {
	b := &bench{T: t, card: &memory{slot: sdcard.A}, systems: map[string]string{}}
	b.o = system.Options{
		Disk: b.card, Dir: t.TempDir(), Wishes: t.TempDir(),
		Open: func(_ context.Context, version string) (io.ReadCloser, system.Sum, error) {
			image, ok := b.systems[version]
			if !ok {
				return nil, system.Sum{}, fmt.Errorf("nobody has signed it: %w", system.ErrUnsigned)
			}
			sum := sha256.Sum256([]byte("hsqs " + version))
			return io.NopCloser(strings.NewReader(image)), system.Sum{Length: int64(len(image)), SHA256: sum[:]}, nil
		},
		Restart: func(try bool) error { b.restarts = append(b.restarts, try); return nil },
		Up:      func() time.Duration { return b.up },
	}
	return b
}

// start starts a system.
func (b *bench) start(slot sdcard.Slot, version, boot string) *system.Keeper {
	b.Helper()
	b.o.Slot, b.o.Version, b.o.Boot, b.restarts, b.up = slot, version, boot, nil, 0
	k, err := system.NewKeeper(b.o)
	if err != nil {
		b.Fatal(err)
	}
	return k
}

func (b *bench) step(k *system.Keeper, w system.Wish) {
	b.Helper()
	if err := w.Write(b.o.Wishes); err != nil {
		b.Fatal(err)
	}
	if err := k.Step(b.Context()); err != nil {
		b.Log(err)
	}
}

func (b *bench) wantDefault(want sdcard.Slot) {
	b.Helper()
	if d, err := b.card.Default(); err != nil || d != want {
		b.Errorf("Default = %s, %v, want %s", d, err, want)
	}
}

func TestASystemStaysOnceTheDoorWorks(t *testing.T) {
	b := newBench(t)
	b.systems["1.3.0"] = "hsqs 1.3.0"
	k := b.start(sdcard.A, "1.2.0", "first")
	b.step(k, system.Wish{Install: "1.3.0"})
	if got := k.State(); got.Ready != "1.3.0" || len(b.restarts) != 0 {
		t.Fatalf("after Install: %+v, %d restarts", got, len(b.restarts))
	}
	b.step(k, system.Wish{Install: "1.3.0", Start: true})
	if len(b.restarts) != 1 || !b.restarts[0] {
		t.Fatalf("restarts %v, want one that tries", b.restarts)
	}
	// The board takes its time to stop, and nothing is written into the slot meanwhile.
	b.card.installs = 0
	b.step(k, system.Wish{Install: "1.3.0", Start: true})
	if b.card.installs != 0 || len(b.restarts) != 1 || k.State().Trying != "1.3.0" {
		t.Fatalf("while the board stops: %d systems written, restarts %v, %+v", b.card.installs, b.restarts, k.State())
	}
	k = b.start(sdcard.B, "1.3.0", "second")
	b.step(k, system.Wish{Install: "1.3.0", Start: true, Healthy: "first"})
	b.wantDefault(sdcard.A)
	b.step(k, system.Wish{Healthy: "second"})
	b.wantDefault(sdcard.B)
	k = b.start(sdcard.B, "1.3.0", "third")
	if got := k.State(); got.Trial || got.Trying != "" || got.Refused != nil {
		t.Errorf("for good: %+v", got)
	}
}

func TestAReturnIsNotTriedAgain(t *testing.T) {
	b := newBench(t)
	b.systems["1.3.0"] = "hsqs 1.3.0"
	wish := system.Wish{Install: "1.3.0", Start: true}
	k := b.start(sdcard.A, "1.2.0", "1")
	b.step(k, wish)
	b.step(k, wish)
	k = b.start(sdcard.B, "1.3.0", "2")
	b.up = time.Hour
	b.step(k, wish)
	if len(b.restarts) != 1 || b.restarts[0] {
		t.Fatalf("restarts %v, want one that does not try", b.restarts)
	}
	k = b.start(sdcard.A, "1.2.0", "3")
	if got := k.State().Refused; got == nil || *got != (system.Refused{Version: "1.3.0", Reason: release.NoHealth}) {
		t.Fatalf("Refused = %+v", got)
	}
	b.step(k, wish)
	b.step(k, wish)
	if len(b.restarts) != 0 {
		t.Errorf("restarts %v, want none", b.restarts)
	}
	b.wantDefault(sdcard.A)
}

// A power cut while a system is tried is nothing that speaks against it, three are.
func TestACutIsTriedAgain(t *testing.T) {
	b := newBench(t)
	b.systems["1.3.0"] = "hsqs 1.3.0"
	wish := system.Wish{Install: "1.3.0", Start: true}
	b.step(b.start(sdcard.A, "1.2.0", "0"), wish)
	for n := range system.Tries {
		k := b.start(sdcard.A, "1.2.0", "a")
		b.step(k, wish)
		if len(b.restarts) != 1 || !b.restarts[0] {
			t.Fatalf("try %d: restarts %v, want one that tries", n+1, b.restarts)
		}
		b.start(sdcard.B, "1.3.0", "b")
	}
	k := b.start(sdcard.A, "1.2.0", "c")
	b.step(k, wish)
	if got := k.State().Refused; got == nil || got.Version != "1.3.0" || len(b.restarts) != 0 {
		t.Errorf("Refused = %+v, restarts %v", got, b.restarts)
	}
}

func TestWhatIsNotSignedIsNotTried(t *testing.T) {
	b := newBench(t)
	b.systems["1.3.0"] = "hsqs 1.3.1"
	k := b.start(sdcard.A, "1.2.0", "1")
	for _, version := range []string{"1.3.0", "1.4.0", "1.1.0", "../x"} {
		for range 2 {
			b.step(k, system.Wish{Install: version, Start: true})
		}
		if got := k.State(); got.Ready != "" || len(b.restarts) != 0 {
			t.Errorf("%s: %+v, restarts %v", version, got, b.restarts)
		}
	}
}

// A stop, or a disk that does not answer, while a system is looked at says nothing of that
// system: it was remembered as one that nobody has signed, and never looked at again.
func TestAStopIsNoRefusal(t *testing.T) {
	type open func(ctx context.Context, stop func()) (io.Reader, error)
	type moment struct {
		name string
		card bool // a whole one, which is slow
		open open
	}
	image := bytes.Repeat([]byte("hsqs 1.3.0 "), 1000)
	large, largeSum := newSystem("hsqs 1.3.0")
	small := sha256.Sum256(image)
	smallSum := system.Sum{Length: int64(len(image)), SHA256: small[:]}
	// until is what comes before the program is stopped, or the disk is gone.
	until := func(b []byte, stopping bool) open {
		return func(_ context.Context, stop func()) (io.Reader, error) {
			return io.MultiReader(bytes.NewReader(b), readerFunc(func([]byte) (int, error) {
				if stopping {
					stop()
					return 0, nil // whoever reads on is told by its context
				}
				return 0, syscall.EIO
			})), nil
		}
	}
	fails := func(err error) open { return func(context.Context, func()) (io.Reader, error) { return nil, err } }
	all := []moment{
		{"stopped before", false, func(ctx context.Context, stop func()) (io.Reader, error) { stop(); return nil, ctx.Err() }},
		{"stopped in signatures", false, func(ctx context.Context, stop func()) (io.Reader, error) {
			stop()
			return nil, fmt.Errorf("update: timestamp: %w", ctx.Err())
		}},
		{"a deadline", false, fails(context.DeadlineExceeded)},
		{"not fetched yet", false, fails(fs.ErrNotExist)},
		{"the folder is full", false, fails(syscall.ENOSPC)},
		{"disk gone half way to the card", true, until(large[:len(large)/2], false)},
		{"stopped half way to the card", true, until(large[:len(large)/2], true)},
	}
	for _, at := range []int{0, 1, 511, 512, len(image) - 1} {
		all = append(all, moment{fmt.Sprintf("disk gone after %d bytes", at), false, until(image[:at], false)},
			moment{fmt.Sprintf("stopped after %d bytes", at), false, until(image[:at], true)})
	}
	for _, tt := range all {
		t.Run(tt.name, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			up, opens, well := time.Duration(0), 0, false
			image, sum := image, smallSum
			o := system.Options{
				Disk: &memory{slot: sdcard.A}, Slot: sdcard.A, Version: "1.2.0", Boot: "1", Dir: t.TempDir(), Wishes: t.TempDir(), Up: func() time.Duration { return up },
			}
			if tt.card {
				image, sum, o.Disk = large, largeSum, newCard(t)
			}
			o.Open = func(ctx context.Context, _ string) (io.ReadCloser, system.Sum, error) {
				if opens++; well {
					return io.NopCloser(bytes.NewReader(image)), sum, nil
				}
				r, err := tt.open(ctx, stop)
				if err != nil {
					return nil, system.Sum{}, err
				}
				return io.NopCloser(r), sum, nil
			}
			if err := (system.Wish{Install: "1.3.0"}).Write(o.Wishes); err != nil {
				t.Fatal(err)
			}
			k, err := system.NewKeeper(o)
			if err != nil {
				t.Fatal(err)
			}
			err = k.Step(ctx)
			if got := k.State(); got.Refused != nil || got.Ready != "" || system.ReadState(o.Dir).Refused != nil || opens != 1 {
				t.Fatalf("after Step = %v: %+v, opened %d times", err, got, opens)
			}
			if ctx.Err() != nil {
				if err != nil {
					t.Errorf("Step = %v, want nothing to be said of a stop", err)
				}
				if k, err = system.NewKeeper(o); err != nil { // the next start
					t.Fatal(err)
				}
			} else {
				// It is not tried at once: a slot is written each time.
				if err := k.Step(t.Context()); err != nil || opens != 1 {
					t.Errorf("the next Step = %v, opened %d times", err, opens)
				}
				up = time.Minute
			}
			well = true
			if err := k.Step(t.Context()); err != nil || k.State().Ready != "1.3.0" {
				t.Fatalf("Step = %v, %+v, want 1.3.0 ready", err, k.State())
			}
		})
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// What was looked at to its end and will not do is remembered, and not looked at again.
func TestWhatWillNotDoIsRemembered(t *testing.T) {
	image, sum := newSystem("hsqs 1.3.0")
	other, _ := newSystem("hsqs 1.3.1")
	for _, tt := range []struct {
		name  string
		image []byte
		err   error
		want  release.Reason
	}{
		{"not signed", nil, fmt.Errorf("%w: by nobody", system.ErrUnsigned), release.Unsigned},
		{"other bytes", other, nil, release.Damaged},
		{"fewer bytes", image[:len(image)-512], nil, release.Damaged},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opens := 0
			o := system.Options{
				Disk: newCard(t), Slot: sdcard.A, Version: "1.2.0", Boot: "1", Dir: t.TempDir(), Wishes: t.TempDir(), Up: func() time.Duration { return 0 },
				Open: func(context.Context, string) (io.ReadCloser, system.Sum, error) {
					opens++
					return io.NopCloser(bytes.NewReader(tt.image)), sum, tt.err
				},
			}
			if err := (system.Wish{Install: "1.3.0"}).Write(o.Wishes); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				k, err := system.NewKeeper(o)
				if err != nil {
					t.Fatal(err)
				}
				err = k.Step(t.Context())
				if got := k.State().Refused; got == nil || *got != (system.Refused{Version: "1.3.0", Reason: tt.want}) || opens != 1 {
					t.Errorf("after Step = %v: Refused %+v, opened %d times", err, got, opens)
				}
			}
		})
	}
}
