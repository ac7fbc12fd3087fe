package port_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qrgate/qrgate/hw/port"
	"github.com/qrgate/qrgate/hw/port/pty"
	"github.com/qrgate/qrgate/hw/scan"
)

// patience is how long a test waits for what should take a tenth of it on an idle machine.
const patience = 20 * time.Second

var (
	quiet   = slog.New(slog.DiscardHandler)
	drivers = []port.Driver{port.AnyDriver, port.GoBugSt, port.Tarm}
)

// plug makes a line and points link at it, as udev does.
func plug(t *testing.T, link string) *os.File {
	t.Helper()
	master, path, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	tmp := link + ".new"
	if err := errors.Join(os.Symlink(path, tmp), os.Rename(tmp, link)); err != nil {
		t.Fatal(err)
	}
	return master
}

// unplug takes the line away, and its link.
func unplug(t *testing.T, master *os.File, link string) {
	t.Helper()
	if err := errors.Join(os.Remove(link), master.Close()); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, c port.Config, p scan.Profile, opt port.Options) *scan.Stream {
	t.Helper()
	src, err := port.New(c, p, quiet, opt)
	if err != nil {
		t.Fatalf("New(%+v) = %v", c, err)
	}
	return src
}

// run reads src until the test ends, then closes it.
func run(t *testing.T, src *scan.Stream) <-chan scan.Scan {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	scans := make(chan scan.Scan, 100)
	var done sync.WaitGroup
	done.Go(func() {
		for {
			s, err := src.Next(ctx)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				t.Errorf("Next() error = %v", err)
				return
			}
			scans <- s
		}
	})
	t.Cleanup(func() {
		cancel()
		done.Wait()
		if err := src.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return scans
}

func write(t *testing.T, master *os.File, text string) {
	t.Helper()
	if _, err := master.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, scans <-chan scan.Scan, want ...string) {
	t.Helper()
	for _, w := range want {
		select {
		case s := <-scans:
			if s.Text != w {
				t.Fatalf("scan = %q, want %q", s.Text, w)
			}
		case <-time.After(patience):
			t.Fatalf("no scan after %v, want %q", patience, w)
		}
	}
}

// eventually waits until the health of src is as ok wants it.
func eventually(t *testing.T, src *scan.Stream, what string, ok func(scan.Health) bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok(src.Health()) {
		if time.Now().After(deadline) {
			t.Fatalf("after %v: Health() = %+v, want %s", patience, src.Health(), what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func present(h scan.Health) bool { return h.Present }
func absent(h scan.Health) bool  { return !h.Present }

func TestReads(t *testing.T) {
	for _, d := range drivers {
		t.Run(string(d), func(t *testing.T) {
			link := filepath.Join(t.TempDir(), "scanner")
			master := plug(t, link)
			src := open(t, port.Config{Device: link, Driver: d}, scan.Profile{}, port.Options{})
			scans := run(t, src)
			eventually(t, src, "present", present)

			write(t, master, "one\r\ntwo\rthr")
			expect(t, scans, "one", "two")
			write(t, master, "ee\r")
			expect(t, scans, "three")

			// What a terminal would change, swallow or act on must come through.
			write(t, master, "Huế\x1d|\xff\r")
			expect(t, scans, "Huế\x1d|\xff")
			write(t, master, "\x03\x04\x11\x13\x1a\x1c\x7f\ndone\r")
			expect(t, scans, "done")

			h := src.Health()
			if h.Source != "serial:"+link || h.Scans != 5 || h.Bad != 1 || h.Unplugs != 0 {
				t.Errorf("Health() = %+v, want 5 scans, 1 bad, 0 unplugs", h)
			}
		})
	}
}

func TestIdleIsNotUnplugged(t *testing.T) {
	t.Parallel()
	for _, d := range drivers {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			link := filepath.Join(t.TempDir(), "scanner")
			master := plug(t, link)
			src := open(t, port.Config{Device: link, Driver: d}, scan.Profile{}, port.Options{})
			ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
			defer cancel()
			if s, err := src.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Next() on an idle line = %+v, %v; want %v", s, err, context.DeadlineExceeded)
			}
			if h := src.Health(); !h.Present || h.Unplugs != 0 || h.LastError != "" {
				t.Errorf("Health() of an idle line = %+v, want present, 0 unplugs", h)
			}
			write(t, master, "one\r")
			if s, err := src.Next(t.Context()); s.Text != "one" || err != nil {
				t.Errorf("Next() = %+v, %v; want one", s, err)
			}
			if err := src.Close(); err != nil {
				t.Errorf("Close() = %v", err)
			}
		})
	}
}

func TestUnplugAndReplug(t *testing.T) {
	t.Parallel()
	for _, d := range drivers {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			link := filepath.Join(t.TempDir(), "scanner")
			src := open(t, port.Config{Device: link, Driver: d}, scan.Profile{}, port.Options{})
			scans := run(t, src)
			eventually(t, src, "an error", func(h scan.Health) bool { return h.LastError != "" })
			for i := range 3 {
				master := plug(t, link)
				write(t, master, "one\r")
				expect(t, scans, "one")
				write(t, master, "frag")
				unplug(t, master, link)
				eventually(t, src, "absent", absent)
				if h := src.Health(); h.Unplugs != uint64(i+1) {
					t.Errorf("Health() after %d unplugs = %+v", i+1, h)
				}
			}
			write(t, plug(t, link), "ment\r")
			expect(t, scans, "ment")
		})
	}
}

// TestUnpluggedBetweenReads pulls the cable while nobody reads: from then on
// every read of Tarm's ends as if the line were idle.
func TestUnpluggedBetweenReads(t *testing.T) {
	for _, d := range drivers {
		t.Run(string(d), func(t *testing.T) {
			link := filepath.Join(t.TempDir(), "scanner")
			master := plug(t, link)
			src := open(t, port.Config{Device: link, Driver: d}, scan.Profile{}, port.Options{})
			write(t, master, "one\r")
			if s, err := src.Next(t.Context()); s.Text != "one" || err != nil {
				t.Errorf("Next() = %+v, %v; want one", s, err)
			}
			unplug(t, master, link)
			run(t, src)
			eventually(t, src, "absent", absent)
		})
	}
}

func TestExclusive(t *testing.T) {
	for _, d := range drivers {
		t.Run(string(d), func(t *testing.T) {
			link := filepath.Join(t.TempDir(), "scanner")
			plug(t, link)
			src := open(t, port.Config{Device: link, Driver: d}, scan.Profile{}, port.Options{})
			run(t, src)
			eventually(t, src, "present", present)
			if err := openWithoutRights(link); !errors.Is(err, unix.EBUSY) {
				t.Errorf("another program opens the line: %v; want %v", err, unix.EBUSY)
			}
		})
	}
}

// openWithoutRights opens a line as a program does that may nothing that only root
// may: root gets past a line that is taken.
func openWithoutRights(path string) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with its goroutine
		var none [2]unix.CapUserData
		err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0])
		if err == nil {
			var f *os.File
			if f, err = os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0); err == nil {
				f.Close()
			}
		}
		done <- err
	}()
	return <-done
}

func TestChildrenDoNotHoldTheLine(t *testing.T) {
	for _, d := range drivers {
		link := filepath.Join(t.TempDir(), "scanner")
		plug(t, link)
		src := open(t, port.Config{Device: link, Driver: d}, scan.Profile{}, port.Options{})
		run(t, src)
		eventually(t, src, "present", present)
		path, err := os.Readlink(link)
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("ls", "-l", "/proc/self/fd").Output()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(out), path+"\n") {
			t.Errorf("driver %q: a child has %s open:\n%s", d, path, out)
		}
	}
}

func TestTwoLinesAtOnce(t *testing.T) {
	dir := t.TempDir()
	var sources []scan.Source
	masters := map[string]*os.File{}
	for name, d := range map[string]port.Driver{"in": port.GoBugSt, "out": port.Tarm} {
		link := filepath.Join(dir, name)
		masters["serial:"+link] = plug(t, link)
		src := open(t, port.Config{Device: link, Driver: d}, scan.Profile{}, port.Options{})
		defer src.Close()
		sources = append(sources, src)
	}
	group := scan.Many(sources...)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := group.Run(ctx); err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
	defer running.Wait()
	defer cancel()
	const rounds = 20
	for range rounds {
		for name, master := range masters {
			write(t, master, name+"\r")
		}
	}
	got := map[string]int{}
	limit, stop := context.WithTimeout(ctx, patience)
	defer stop()
	for range 2 * rounds {
		s, err := group.Next(limit)
		if err != nil {
			t.Fatalf("Next() error = %v after %v", err, got)
		}
		if s.Text != s.Source {
			t.Errorf("scan %q came from %q", s.Text, s.Source)
		}
		got[s.Source]++
	}
	for name := range masters {
		if got[name] != rounds {
			t.Errorf("%d scans from %s, want %d", got[name], name, rounds)
		}
	}
}

func TestSecondDriverWhereTheFirstFails(t *testing.T) {
	link := filepath.Join(t.TempDir(), "scanner")
	master := plug(t, link)
	var logged bytes.Buffer
	opener := func(d port.Driver, path string, baud int) (io.ReadCloser, error) {
		if d != port.Tarm {
			return nil, unix.ENOTTY // an adapter that cannot be asked for its settings
		}
		if baud != 115200 {
			t.Errorf("opened at %d baud, want 115200", baud)
		}
		return port.Open(d, path, baud)
	}
	src, err := port.New(port.Config{Device: link, Baud: 115200}, scan.Profile{},
		slog.New(slog.NewTextHandler(&logged, nil)), port.Options{Open: opener})
	if err != nil {
		t.Fatal(err)
	}
	write(t, master, "one\r")
	if s, err := src.Next(t.Context()); s.Text != "one" || err != nil {
		t.Errorf("Next() = %+v, %v; want one", s, err)
	}
	if err := src.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	if got := logged.String(); !strings.Contains(got, "second driver") || !strings.Contains(got, "inappropriate ioctl") {
		t.Errorf("log = %q, want the second driver and why", got)
	}

	// A driver that was asked for by name has no second.
	src, err = port.New(port.Config{Device: link, Driver: port.GoBugSt}, scan.Profile{}, quiet, port.Options{Open: opener})
	if err != nil {
		t.Fatal(err)
	}
	run(t, src)
	eventually(t, src, "an error", func(h scan.Health) bool { return !h.Present && h.LastError != "" })
}

func TestNotASerialLine(t *testing.T) {
	for _, d := range drivers {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, []byte("one\r"), 0o600); err != nil {
			t.Fatal(err)
		}
		src := open(t, port.Config{Device: file, Driver: d}, scan.Profile{}, port.Options{})
		run(t, src)
		eventually(t, src, "an error", func(h scan.Health) bool {
			return strings.Contains(h.LastError, "ioctl") || strings.Contains(h.LastError, "serial")
		})
		if h := src.Health(); h.Present || h.Scans != 0 {
			t.Errorf("driver %q: Health() of a plain file = %+v", d, h)
		}
	}
}

// TestProbes has a module that answers, until its cable to the scan engine breaks.
func TestProbes(t *testing.T) {
	t.Parallel()
	link := filepath.Join(t.TempDir(), "scanner")
	master := plug(t, link)
	gm65, err := scan.ProfileNamed("gm65")
	if err != nil {
		t.Fatal(err)
	}
	src := open(t, port.Config{Device: link}, gm65, port.Options{})
	scans := run(t, src)
	ask := make([]byte, len(gm65.Probe))
	if err := master.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(master, ask); err != nil || string(ask) != gm65.Probe {
		t.Fatalf("the scanner was asked %q, %v; want %q", ask, err, gm65.Probe)
	}
	write(t, master, "o\x02\x00\x00\x02\x39\x01\xc1\x4cne\r")
	expect(t, scans, "one")
	eventually(t, src, "silent", func(h scan.Health) bool { return h.Silent && h.Present && h.Bad == 0 })
	write(t, master, "two\r")
	expect(t, scans, "two")
	if src.Health().Silent {
		t.Error("Health() is silent after a scan")
	}
}

// TestProbesNeverBlock has a module that takes no bytes any more.
func TestProbesNeverBlock(t *testing.T) {
	t.Parallel()
	link := filepath.Join(t.TempDir(), "scanner")
	master := plug(t, link)
	probe := scan.Profile{Answers: true, Probe: strings.Repeat("?", 256<<10)} // more than any line buffers
	src := open(t, port.Config{Device: link}, probe, port.Options{})
	scans := run(t, src)
	eventually(t, src, "silent", func(h scan.Health) bool { return h.Silent })
	write(t, master, "one\r")
	expect(t, scans, "one")
}

func TestRecords(t *testing.T) {
	link := filepath.Join(t.TempDir(), "scanner")
	master := plug(t, link)
	var text bytes.Buffer
	src := open(t, port.Config{Device: link}, scan.Profile{}, port.Options{Record: scan.NewRecorder(&text)})
	defer src.Close()
	write(t, master, "one\r")
	if _, err := src.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	var rec scan.Recording
	if err := rec.UnmarshalText(text.Bytes()); err != nil {
		t.Fatal(err)
	}
	var got []byte
	for _, c := range rec {
		got = append(got, c.Bytes...)
	}
	if string(got) != "one\r" {
		t.Errorf("recorded %q, want %q", got, "one\r")
	}
}

// TestFindsTheDevice lays out /dev and /sys as a kernel does for a CDC scanner
// at one port and an adapter at another.
func TestFindsTheDevice(t *testing.T) {
	root := t.TempDir()
	mkdir := func(name string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(root, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	file := func(name, text string) {
		t.Helper()
		mkdir(filepath.Dir(name))
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := func(target, name string) {
		t.Helper()
		mkdir(filepath.Dir(name))
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	usb := func(dir, vendor, product, serial string) {
		file(dir+"/idVendor", vendor+"\n")
		file(dir+"/idProduct", product+"\n")
		if serial != "" {
			file(dir+"/serial", serial+"\n")
		}
	}
	usb("sys/devices/usb1", "1d6b", "0002", "hub")
	usb("sys/devices/usb1/1-1", "1eab", "0c06", "A:1")
	usb("sys/devices/usb1/1-2", "1eab", "0c06", "B2")
	usb("sys/devices/usb1/1-3", "0403", "6001", "")
	mkdir("sys/devices/usb1/1-1/1-1:1.0")
	mkdir("sys/devices/usb1/1-2/1-2:1.0")
	mkdir("sys/devices/usb1/1-3/1-3:1.0/ttyUSB0")
	mkdir("sys/devices/virtual/tty/tty0")
	link("../../devices/virtual/tty/tty0", "sys/class/tty/tty0")
	link("../../../devices/usb1/1-1/1-1:1.0", "sys/class/tty/ttyACM1/device")
	link("../../../devices/usb1/1-2/1-2:1.0", "sys/class/tty/ttyACM0/device")
	link("../../../devices/usb1/1-3/1-3:1.0/ttyUSB0", "sys/class/tty/ttyUSB0/device")

	mkdir("dev/serial/by-id")
	masters := map[string]*os.File{}
	for _, name := range []string{"ttyACM0", "ttyACM1", "ttyUSB0"} {
		masters[name] = plug(t, filepath.Join(root, "dev", name))
	}
	link("../../ttyUSB0", "dev/serial/by-id/usb-FTDI-if00-port0")
	link("../../ttyACM1", "dev/serial/by-id/usb-Newland-if00")

	tests := []struct{ device, want string }{
		{"usb:1eab:0c06:A:1", "ttyACM1"},
		{"usb:1EAB:0C06:B2", "ttyACM0"},
		{"usb:1eab:c06", "ttyACM0"},
		{"usb:0403:6001", "ttyUSB0"},
		{"auto", "ttyUSB0"},
		{filepath.Join(root, "dev/serial/by-id/usb-Newland-if00"), "ttyACM1"},
	}
	for _, tt := range tests {
		t.Run(tt.device, func(t *testing.T) {
			src := open(t, port.Config{Device: tt.device}, scan.Profile{}, port.Options{Root: root})
			defer src.Close()
			write(t, masters[tt.want], tt.want+"\r")
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if s, err := src.Next(ctx); s.Text != tt.want || s.Source != "serial:"+tt.device || err != nil {
				t.Errorf("Next() = %+v, %v; want %s", s, err, tt.want)
			}
		})
	}
	for _, device := range []string{"usb:1eab:0c06:C3", "usb:1d6b:0002", "usb:1234:5678"} {
		src := open(t, port.Config{Device: device}, scan.Profile{}, port.Options{Root: root})
		run(t, src)
		eventually(t, src, "no device", func(h scan.Health) bool { return strings.Contains(h.LastError, "no serial device "+device) })
	}
	src := open(t, port.Config{Device: "auto"}, scan.Profile{}, port.Options{Root: t.TempDir()})
	run(t, src)
	eventually(t, src, "no device", func(h scan.Health) bool { return strings.Contains(h.LastError, "no serial device in") })
}

func TestConfigCheck(t *testing.T) {
	tests := []struct {
		c    port.Config
		want string // part of the error; "" means none
	}{
		{port.Config{Device: "/dev/ttyAMA0"}, ""},
		{port.Config{Device: "auto", Baud: 115200, Driver: port.Tarm}, ""},
		{port.Config{Device: "usb:1eab:0c06:12 34"}, ""},
		{port.Config{}, "neither an absolute path"},
		{port.Config{Device: "ttyACM0"}, "neither an absolute path"},
		{port.Config{Device: "usb:1eab"}, "usb:VID:PID"},
		{port.Config{Device: "usb:1eab:0c06:"}, "usb:VID:PID"},
		{port.Config{Device: "usb:xyz:0c06"}, `vendor "xyz"`},
		{port.Config{Device: "usb:1eab:10c06"}, `product "10c06"`},
		{port.Config{Device: "auto", Baud: 9601}, "9601 baud"},
		{port.Config{Device: "auto", Driver: "other"}, `driver "other"`},
	}
	for _, tt := range tests {
		err := tt.c.Check()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Check(%+v) = %v, want %q", tt.c, err, tt.want)
		}
		if _, nerr := port.New(tt.c, scan.Profile{}, quiet, port.Options{}); (nerr == nil) != (err == nil) {
			t.Errorf("New(%+v) = %v, but Check says %v", tt.c, nerr, err)
		}
	}
	if _, err := port.New(port.Config{Device: "auto"}, scan.Profile{MaxBytes: -1}, quiet, port.Options{}); err == nil {
		t.Error("New with a bad profile = nil error")
	}
}

// BenchmarkLastByteToScan is the part of the figure "scanner's last byte to
// lamp" that is ours: from the write of the suffix to Next's return.
func BenchmarkLastByteToScan(b *testing.B) {
	for _, d := range []port.Driver{port.GoBugSt, port.Tarm} {
		b.Run(string(d), func(b *testing.B) {
			master, path, err := pty.Open()
			if err != nil {
				b.Fatal(err)
			}
			defer master.Close()
			src, err := port.New(port.Config{Device: path, Driver: d}, scan.Profile{}, quiet, port.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer src.Close()
			code := []byte("QG1" + strings.Repeat("A", 128) + "\r")
			for b.Loop() {
				if _, err := master.Write(code); err != nil {
					b.Fatal(err)
				}
				if _, err := src.Next(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
