//go:build full

package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"periph.io/x/conn/v3/gpio/gpioreg"
	"periph.io/x/conn/v3/gpio/gpiotest"

	"github.com/qrgate/qrgate/hw/port/pty"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/outbox/lossydisk"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// A failing is a way out whose state is on a disk that a test lets fail.
type failing struct {
	*leftLocked
	amber *gpiotest.Pin
	lines *os.File // of the scanner
	state string
	stop  context.CancelFunc
	ended chan string
}

func newFailing(t *testing.T) *failing {
	f := &failing{leftLocked: newLeftLocked(t), ended: make(chan string, 1)}
	beEnrolled(t, f.identity, "dong-ba-gate-1")
	master, line, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	f.lines, f.state = master, filepath.Join(f.dir, "state")
	f.amber = &gpiotest.Pin{N: "AMBER-" + t.Name()}
	if err := gpioreg.Register(f.amber); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { gpioreg.Unregister(f.amber.Name()) })
	f.edit(`device = "auto"`, fmt.Sprintf("device = %q", line))
	f.edit("[panel.relay]", fmt.Sprintf("[panel.amber]\npin = %q\n[panel.relay]\nopen = \"1s\"", f.amber.Name()))
	if err := os.Mkdir(f.state, 0o700); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *failing) start() {
	ctx, stop := context.WithCancel(f.t.Context())
	f.stop = stop
	go func() {
		code, said := f.run(ctx, "run")
		f.ended <- fmt.Sprintf("run = %d: %s", code, said)
	}()
}

// leaves holds up a code of nobody until the way out opens, which its lamp answers.
func (f *failing) leaves(when string) {
	f.t.Helper()
	f.until(when+": the door locks behind whoever was before", func() bool { return bool(f.relay.Read()) })
	f.until(when+": whoever holds a code up gets out", func() bool {
		f.lines.Write([]byte("8934567890123\r"))
		return !bool(f.relay.Read())
	})
	f.until(when+": the lamps are lit", func() bool { return bool(f.amber.Read()) })
}

// goesOn checks that the program has not ended.
func (f *failing) goesOn(when string) {
	f.t.Helper()
	select {
	case how := <-f.ended:
		f.t.Fatalf("%s: %s", when, how)
	default:
	}
}

// failingDisk names the folder at which this test's program, started again, is the disk:
// whoever maps a file must not be who serves it.
const failingDisk = "TEST_FAILING_DISK"

// serveDisk is a disk at dir, which fails every write after the first line of its input.
func serveDisk(t *testing.T, dir string) {
	disk := lossydisk.New(lossydisk.Image{})
	if _, err := disk.Mount(dir); err != nil {
		t.Fatal(err)
	}
	fmt.Println("mounted")
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		disk.CutAfter(1)
	}
}

// mountFailing puts the state on a disk and returns what lets its writes fail.
func (f *failing) mountFailing() (fail func()) {
	f.t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestADoorGoesOnWhenItsDiskFails$")
	cmd.Env = append(os.Environ(), failingDisk+"="+f.state)
	in, err := cmd.StdinPipe()
	if err != nil {
		f.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		f.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		unix.Unmount(f.state, unix.MNT_DETACH)
		cmd.Process.Kill()
		cmd.Wait()
	})
	if said, err := bufio.NewReader(out).ReadString('\n'); said != "mounted\n" {
		f.t.Fatalf("the disk says %q, %v", said, err)
	}
	return func() { fmt.Fprintln(in, "fail") }
}

// A disk that fails a write leaves the door going on with its lamps lit, and the program
// ends only when the disk takes writes again; exit status 75 has it started again.
func TestADoorGoesOnWhenItsDiskFails(t *testing.T) {
	if os.Getenv(failingDisk) != "" {
		serveDisk(t, os.Getenv(failingDisk))
		return
	}
	f := newFailing(t)
	fail := f.mountFailing()
	f.start()
	defer f.stop()
	f.leaves("in order")
	fail()
	began := time.Now()
	for time.Since(began) < standFor+2*standLook {
		f.leaves("the disk fails")
		f.goesOn("the disk fails")
	}
	f.stop()
	if how := <-f.ended; !strings.HasPrefix(how, "run = 0") || !strings.Contains(how, "without its ledger") {
		t.Errorf("asked to end while the disk fails: %s", how)
	}
	f.free("ended")
}

// A disk that takes no write at the start does not keep the door from working, either.
func TestADoorStartsOnADiskThatTakesNothing(t *testing.T) {
	f := newFailing(t)
	if err := unix.Mount("none", f.state, "tmpfs", unix.MS_RDONLY, "mode=0700"); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(f.state, unix.MNT_DETACH)
	f.start()
	f.leaves("nothing can be written")
	f.lines.Write([]byte("046190001234|191234567|Nguyễn Thị Hoa Mai|02031990|Nữ|Tổ 3, Thủy Xuân|10052021\r"))
	f.goesOn("nothing can be written")
	if err := unix.Mount("none", f.state, "tmpfs", unix.MS_REMOUNT, "mode=0700"); err != nil {
		t.Fatal(err)
	}
	select {
	case how := <-f.ended:
		if !strings.Contains(how, syscall.EROFS.Error()) {
			t.Errorf("a disk that is well again: %s", how)
		}
	case <-time.After(time.Minute):
		t.Fatal("the door stands in for a ledger that could be written")
	}
	f.free("between two starts")
	f.start()
	f.leaves("well again")
	if _, err := os.Stat(filepath.Join(f.state, "outbox.db")); err != nil {
		t.Error(err)
	}
	f.stop()
	t.Log(<-f.ended)
	if n := f.letInUnrecorded(); n != 1 {
		t.Errorf("the ledger tells of %d people who went while nothing could be written, want 1", n)
	}
}

// letInUnrecorded returns how many people the ledger says were let in unrecorded.
func (f *failing) letInUnrecorded() (n int) {
	f.t.Helper()
	q, err := outbox.Open(f.t.Context(), filepath.Join(f.state, "outbox.db"), outbox.Options{Now: func() when.Reading { return when.Reading{} }})
	if err != nil {
		f.t.Fatal(err)
	}
	defer q.Close()
	run, err := q.Peek(1, wire.MaxBatchRecords)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, b := range run.Records {
		if _, h, err := wire.DecodeRecord(b); err != nil {
			f.t.Error(err)
		} else if h.Verdict == wire.Unrecorded {
			n++
		}
	}
	return n
}
