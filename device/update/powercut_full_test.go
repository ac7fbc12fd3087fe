//go:build full

package update_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/qrgate/qrgate/device/launcher"
	"github.com/qrgate/qrgate/device/update"
	"github.com/qrgate/qrgate/sync/outbox/lossydisk"
)

// cuts is how often the power goes during an update.
func cuts() int {
	if os.Getenv("QRGATE_SCALE") == "soak" {
		return 500
	}
	return 50
}

// updateOn brings a kiosk from 1.1.0 to 1.2.0 on the disk in dir, as far as the power
// lasts: metadata, the file, the request, the launcher's trial and its proof.
func updateOn(t *testing.T, r *repo, dir string) {
	v := launcher.Versions{Dir: dir}
	c := update.NewClient(v, r.content("1.root.json"), "arm64")
	f, err := c.Find(t.Context(), memory{r}, update.Ask{Version: "1.2.0", Running: "1.1.0", Floor: start})
	if err != nil {
		return
	}
	if c.Fetch(t.Context(), memory{r}, f, nil) != nil || v.Ask(f.Version, f.Sum) != nil {
		return
	}
	slots := launcher.OpenSlots(dir, packaged)
	choice, err := slots.Choose()
	if err != nil || slots.Proven(choice) != nil {
		return
	}
	v.Prune()
}

var packaged = launcher.Packaged{Program: "/usr/bin/qrgate-kiosk", Version: "1.0.0"}

// mounted runs do on a disk and returns what is on it when the power has gone.
func mounted(t *testing.T, d *lossydisk.Disk, r *rand.Rand, do func(dir string)) lossydisk.Image {
	t.Helper()
	dir, err := os.MkdirTemp("", "lossydisk")
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(dir)
	unmount, err := d.Mount(dir)
	if err != nil {
		t.Fatalf("FUSE is needed: root, /dev/fuse and package fuse3: %v", err)
	}
	do(dir)
	image := d.Crash(r)
	if err := unmount(); err != nil {
		t.Fatal(err)
	}
	return image
}

func TestAPowerCutDuringAnUpdateLeavesAKioskThatStarts(t *testing.T) {
	repo := newRepo(t)
	repo.release("1.1.0", program(11))
	repo.release("1.2.0", program(12))
	// before is a disk on which 1.1.0 has proven itself.
	before := func(r *rand.Rand) *lossydisk.Disk {
		d := lossydisk.New(lossydisk.Image{})
		image := mounted(t, d, r, func(dir string) {
			v := launcher.Versions{Dir: dir}
			c := update.NewClient(v, repo.content("1.root.json"), "arm64")
			f, err := c.Find(t.Context(), memory{repo}, update.Ask{Version: "1.1.0", Running: "1.0.0", Floor: start})
			if err == nil {
				err = c.Fetch(t.Context(), memory{repo}, f, nil)
			}
			if err == nil {
				err = v.Ask(f.Version, f.Sum)
			}
			slots := launcher.OpenSlots(dir, packaged)
			choice, chosen := slots.Choose()
			if err == nil {
				err = chosen
			}
			if err == nil {
				err = slots.Proven(choice)
			}
			if err != nil || choice.Version != "1.1.0" {
				t.Fatalf("1.1.0 is not there: %+v, %v", choice, err)
			}
		})
		return lossydisk.New(image)
	}
	programs := map[string][]byte{"1.1.0": program(11), "1.2.0": program(12)}
	r := rand.New(rand.NewPCG(1, 2))
	whole := before(r)
	start := whole.Ops()
	mounted(t, whole, r, func(dir string) { updateOn(t, repo, dir) })
	ops := whole.Ops() - start
	if ops < 10 {
		t.Fatalf("an update does only %d things to the disk", ops)
	}
	ran := map[string]int{}
	for n := range cuts() {
		r := rand.New(rand.NewPCG(3, uint64(n)))
		d := before(r)
		d.CutAfter(1 + r.IntN(ops))
		image := mounted(t, d, r, func(dir string) { updateOn(t, repo, dir) })
		again := lossydisk.New(image)
		mounted(t, again, r, func(dir string) {
			slots := launcher.OpenSlots(dir, packaged)
			choice, err := slots.Choose()
			want, known := programs[choice.Version]
			got, read := os.ReadFile(choice.Program)
			if err != nil || !known || read != nil || !bytes.Equal(got, want) {
				t.Errorf("cut %d: the launcher starts %+v (%v), whose program is %d bytes (%v)", n, choice, err, len(got), read)
				return
			}
			if choice.Trial != (choice.Version == "1.2.0" && slots.State().Good == "1.1.0") {
				t.Errorf("cut %d: %+v with %+v", n, choice, slots.State())
			}
			ran[choice.Version]++
			// And the update can be done, or is done.
			if choice.Version == "1.1.0" {
				updateOn(t, repo, dir)
				if c, err := launcher.OpenSlots(dir, packaged).Choose(); err != nil || c.Version != "1.2.0" {
					t.Errorf("cut %d: after another go the launcher starts %+v, %v", n, c, err)
				}
			}
		})
	}
	t.Logf("%d cuts within %d operations; afterwards ran %v", cuts(), ops, ran)
	if len(ran) < 2 {
		t.Errorf("every cut left the same version: %v", ran)
	}
}
