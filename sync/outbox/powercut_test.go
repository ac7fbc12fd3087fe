//go:build full

package outbox_test

import (
	"bytes"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/qrgate/qrgate/sync/outbox/lossydisk"
)

// boot runs a kiosk on the disk until the power goes, it gives up or it has said
// lines lines, and returns what is on the disk then. The error is a promise that
// was broken.
func boot(t *testing.T, r *mathrand.Rand, d *lossydisk.Disk, h *history, lines int, faulty, noSync bool) (lossydisk.Image, error) {
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
	cmd, child, err := startChild(dir+"/outbox.db", r.Uint64(), h.next, noSync)
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-d.Off():
		case <-stop:
		case <-time.After(time.Minute):
			t.Error("a child neither went on nor ended for a minute")
		}
		cmd.Process.Kill()
	}()
	off := func() bool {
		select {
		case <-d.Off():
			return true
		default:
			return false
		}
	}
	var broken error
	for ; lines > 0; lines-- {
		if !child.in.Scan() {
			if !off() && !faulty {
				broken = fmt.Errorf("without a fault: the child died: %v", child.in.Err())
			}
			break
		}
		line := child.in.Text()
		if strings.HasPrefix(line, "broken") {
			if !off() && !faulty {
				broken = fmt.Errorf("without a fault: %s", line)
			}
			break
		}
		if strings.HasPrefix(line, "ack") && off() {
			broken = fmt.Errorf("%s without power", line)
			break
		}
		if broken = h.take(line); broken != nil {
			break
		}
		fmt.Fprintln(child.out)
	}
	close(stop)
	<-watched
	cmd.Wait()
	if err := unmount(); err != nil {
		t.Fatal(err)
	}
	return d.Crash(r), broken
}

var faults = []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EROFS}

// cuts is the number of power cuts of a run: what QRGATE_SCALE=soak promises, or
// what fits into every push.
func cuts() int {
	if os.Getenv("QRGATE_SCALE") == "soak" {
		return 10_000
	}
	return 1000
}

// cutPower boots one kiosk after the other and cuts the power of each at a
// random operation. What a cut left is judged by the next boot, or, before a disk
// is given up, by one without a cut. It returns the number of cuts, that of
// check-ins acknowledged and the promise that was broken.
func cutPower(t *testing.T, rounds int, noSync bool) (int, int, error) {
	r := newRand(t)
	d, h := lossydisk.New(lossydisk.Image{}), newHistory()
	done, acks := 0, 0
	judge := func() error {
		_, err := boot(t, r, d, h, 1, false, noSync)
		acks += h.acks
		return err
	}
	for done < rounds {
		// In a tenth of the rounds the disk is new, and the cut soon.
		reach := 400
		if r.IntN(10) == 0 {
			if err := judge(); err != nil {
				return done, acks, err
			}
			d, h = lossydisk.New(lossydisk.Image{}), newHistory()
			reach = 50
		}
		d.CutAfter(1 + r.IntN(reach))
		faulty := r.IntN(10) == 0
		if faulty {
			errno := faults[r.IntN(len(faults))]
			h.full = h.full || errno == syscall.ENOSPC
			d.FailAfter(1+r.IntN(reach), errno)
		}
		image, err := boot(t, r, d, h, 1<<30, faulty, noSync)
		done++
		if err != nil {
			return done, acks + h.acks, err
		}
		d = lossydisk.New(image)
	}
	err := judge()
	return done, acks, err
}

func TestPowerCutsLoseNothing(t *testing.T) {
	start := time.Now()
	n, acks, err := cutPower(t, cuts(), false)
	if err != nil {
		t.Fatalf("cut %d: %v", n, err)
	}
	t.Logf("%d cuts, %d check-ins acknowledged, 0 lost, 0 twice, 0 not opened, %s", n, acks, time.Since(start).Round(time.Second))
}

// The suite must see a queue that does not sync, or it proves nothing.
func TestPowerCutsWithoutSyncAreSeen(t *testing.T) {
	n, acks, err := cutPower(t, 300, true)
	if err == nil {
		t.Fatalf("%d cuts and %d check-ins of an outbox without fsync broke no promise", n, acks)
	}
	t.Logf("seen at cut %d: %v", n, err)
}

// Every operation of a short life fails once, each in its own run.
func TestFaultThenPowerCutAtEveryOperation(t *testing.T) {
	r := newRand(t)
	step := 3
	if os.Getenv("QRGATE_SCALE") == "soak" {
		step = 1
	}
	const lines = 150
	for n := 1; ; n += step {
		errno := faults[n/step%len(faults)]
		d, h := lossydisk.New(lossydisk.Image{}), newHistory()
		h.full = errno == syscall.ENOSPC
		d.FailAfter(n, errno)
		image, err := boot(t, r, d, h, lines, true, false)
		if err != nil {
			t.Fatalf("%v at operation %d: %v", errno, n, err)
		}
		if d.Ops() < n {
			t.Logf("%d operations", n)
			return
		}
		if _, err := boot(t, r, lossydisk.New(image), h, 2, false, false); err != nil {
			t.Fatalf("%v at operation %d, after a restart: %v", errno, n, err)
		}
	}
}

func TestLossyDisk(t *testing.T) {
	r := newRand(t)
	d := lossydisk.New(lossydisk.Image{})
	dir := t.TempDir()
	unmount, err := d.Mount(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unmount(); err != nil {
			t.Error(err)
		}
	}()
	f, err := os.Create(dir + "/a")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	folder, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	synced := bytes.Repeat([]byte("s"), 5000)
	for _, step := range []func() error{
		func() error { _, err := f.Write(synced); return err },
		f.Sync, folder.Sync,
		func() error { _, err := f.Write(bytes.Repeat([]byte("p"), 5000)); return err },
		func() error { return os.Rename(dir+"/a", dir+"/b") },
		func() error { return os.Link(dir+"/b", dir+"/c") },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := os.ReadFile(dir + "/c"); err != nil || len(b) != 10000 {
		t.Errorf("read %d bytes, %v, want 10,000", len(b), err)
	}
	seen := map[string]bool{}
	for range 200 {
		image := d.Crash(r)
		a, isA := image.Bytes("a")
		b, isB := image.Bytes("b")
		c, isC := image.Bytes("c")
		if isA == isB || isC && !isB || isC && !bytes.Equal(b, c) {
			t.Fatalf("names after a cut: a %t, b %t, c %t", isA, isB, isC)
		}
		got := append(a, b...)
		if !bytes.HasPrefix(got, synced) {
			t.Fatal("synced bytes are gone after a cut")
		}
		seen[fmt.Sprint(isA, isC)] = true
		if p := bytes.Count(got, []byte("p")); p > 0 && p < 5000 {
			seen["torn"] = true
		}
	}
	for _, want := range []string{"true false", "false false", "false true", "torn"} {
		if !seen[want] {
			t.Errorf("no cut of 200 left %q", want)
		}
	}
	if err := f.Sync(); err == nil {
		t.Error("Sync() without power succeeds")
	}
}
