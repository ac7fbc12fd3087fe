package wedge_test

import (
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/qrgate/qrgate/hw/scan"
	"github.com/qrgate/qrgate/hw/wedge"
)

// patience is how long a test waits for what should take a tenth of it on an idle machine.
const patience = 20 * time.Second

var quiet = slog.New(slog.DiscardHandler)

// A hub is where keyboards are plugged in. Each is a pipe of events, because
// only a machine with /dev/uinput can make an event device.
type hub struct {
	mu   sync.Mutex
	next *os.File
	path string // that was opened last
}

func (h *hub) open(path string) (wedge.Device, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.path = path
	if h.next == nil {
		return nil, fs.ErrNotExist
	}
	f := h.next
	h.next = nil
	return f, nil
}

func (h *hub) plug(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next = r
	return w
}

// device is a path that is there, so that the hub is asked.
func device(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "usb-Scanner-event-kbd")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func keyboard(t *testing.T) scan.Profile {
	t.Helper()
	p, err := scan.ProfileNamed("keyboard")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// run reads a source with the configuration until the test ends.
func run(t *testing.T, c wedge.Config, opt wedge.Options) (*scan.Stream, <-chan scan.Scan) {
	t.Helper()
	src, err := wedge.New(c, keyboard(t), quiet, opt)
	if err != nil {
		t.Fatalf("New(%+v) = %v", c, err)
	}
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
	return src, scans
}

func write(t *testing.T, w *os.File, b []byte) {
	t.Helper()
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, scans <-chan scan.Scan, want ...string) {
	t.Helper()
	for _, text := range want {
		select {
		case s := <-scans:
			if s.Text != text {
				t.Fatalf("scan = %q, want %q", s.Text, text)
			}
		case <-time.After(patience):
			t.Fatalf("no scan after %v, want %q", patience, text)
		}
	}
}

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

func TestScans(t *testing.T) {
	var h hub
	w := h.plug(t)
	src, scans := run(t, wedge.Config{Device: device(t)}, wedge.Options{Open: h.open})
	const cccd = "046190001234|191234567|Nguyễn Thị Hoa Mai|02031990|Nữ|Tổ 3, Thủy Xuân|10052021"
	write(t, w, typing(wedge.EventSize, "QG1ABC\r"+cccd+"\r"))
	expect(t, scans, "QG1ABC", cccd)
	write(t, w, keys(wedge.EventSize, "2 3 15 4 5 96"))
	expect(t, scans, "12", "34")
	write(t, w, keys(wedge.EventSize, "2 lost 3 28 4 28"))
	expect(t, scans, "3")
	if got := src.Health(); got.Bad != 1 || got.Scans != 5 || !strings.HasPrefix(got.Source, "keyboard:/") {
		t.Errorf("Health() = %+v, want 5 scans, 1 bad", got)
	}
}

func TestUnpluggedAmidACode(t *testing.T) {
	var h hub
	w := h.plug(t)
	src, scans := run(t, wedge.Config{Device: device(t)}, wedge.Options{Open: h.open})
	// With Shift down: the next keyboard must not start shifted.
	write(t, w, append(typing(wedge.EventSize, "one\rfrag"), keys(wedge.EventSize, "+42")...))
	expect(t, scans, "one")
	w.Close()
	eventually(t, src, "absent, the fragment dropped", func(h scan.Health) bool { return !h.Present && h.Bad == 1 && h.Unplugs == 1 })
	write(t, h.plug(t), typing(wedge.EventSize, "ment\r"))
	expect(t, scans, "ment")
}

func TestPauseDropsAFragment(t *testing.T) {
	var h hub
	w := h.plug(t)
	src, scans := run(t, wedge.Config{Device: device(t)}, wedge.Options{Open: h.open})
	write(t, w, typing(wedge.EventSize, "046190001234|19"))
	eventually(t, src, "one bad frame", func(h scan.Health) bool { return h.Bad == 1 })
	write(t, w, typing(wedge.EventSize, "two\r"))
	expect(t, scans, "two")
}

func TestStuckKeyIsAFault(t *testing.T) {
	var h hub
	w := h.plug(t)
	src, _ := run(t, wedge.Config{Device: device(t)}, wedge.Options{Open: h.open})
	write(t, w, keys(wedge.EventSize, "+30"+strings.Repeat(" ~30", 70)))
	eventually(t, src, "stuck", func(h scan.Health) bool { return h.Stuck && h.Present })
}

func TestUpper(t *testing.T) {
	var h hub
	w := h.plug(t)
	_, scans := run(t, wedge.Config{Device: device(t), Upper: true}, wedge.Options{Open: h.open})
	write(t, w, typing(wedge.EventSize, "qg1Abcễ\r"))
	expect(t, scans, "QG1ABCễ")
}

func TestRecordsAndReadsEventsOfA32BitMachine(t *testing.T) {
	var h hub
	w := h.plug(t)
	var text bytes.Buffer
	src, err := wedge.New(wedge.Config{Device: device(t), Layout: wedge.FR}, keyboard(t), quiet,
		wedge.Options{Open: h.open, EventSize: 16, Record: scan.NewRecorder(&text)})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	events := keys(16, "16 17 +42 2 -42 28")
	write(t, w, events)
	if s, err := src.Next(t.Context()); s.Text != "az1" || err != nil {
		t.Errorf("Next() = %+v, %v; want az1", s, err)
	}
	var rec scan.Recording
	if err := rec.UnmarshalText(text.Bytes()); err != nil {
		t.Fatal(err)
	}
	var got []byte
	for _, c := range rec {
		got = append(got, c.Bytes...)
	}
	if !bytes.Equal(got, events) {
		t.Errorf("recorded %x, want %x", got, events)
	}
}

// TestFindsTheKeyboard lays out /sys as a kernel does for an office keyboard,
// two scanners, and the volume keys of one of them.
func TestFindsTheKeyboard(t *testing.T) {
	root := t.TempDir()
	const (
		allKeys    = "1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe"
		allKeys32  = "10000 7 ff9f207a c14057ff febeffdf ffefffff ffffffff fffffffe"
		volumeKeys = "3f000301ff 0 0 483ffff17aff32d bfd4444600000000 1 130c730b17c000 267bfad9415fed 9e168000004400 10000002"
	)
	for name, attrs := range map[string]map[string]string{
		"event0": {"name": "Logitech USB Keyboard", "id/vendor": "046d", "id/product": "c31c", "uniq": "", "capabilities/key": allKeys},
		"event1": {"name": "Newland NLS", "id/vendor": "1eab", "id/product": "0022", "uniq": "A:1", "capabilities/key": volumeKeys},
		"event2": {"name": "Newland NLS", "id/vendor": "1eab", "id/product": "0022", "uniq": "A:1", "capabilities/key": allKeys32},
		"event3": {"name": "USB Virtual PS2 Port", "id/vendor": "ac90", "id/product": "3002", "uniq": "B2", "capabilities/key": allKeys},
		"input3": {"name": "Newland NLS", "id/vendor": "1eab", "id/product": "0022", "uniq": "A:1", "capabilities/key": allKeys},
	} {
		for attr, value := range attrs {
			file := filepath.Join(root, "sys/class/input", name, "device", attr)
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(value+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := []struct{ device, want string }{
		{"auto", "event2"},
		{"usb:1eab:0022", "event2"},
		{"usb:1EAB:22:A:1", "event2"},
		{"usb:ac90:3002:B2", "event3"},
		{"name:USB Virtual PS2 Port", "event3"},
		{"name:Logitech USB Keyboard", "event0"},
		{"usb:1eab:0022:other", ""},
		{"name:Newland", ""},
		{"usb:1234:5678", ""},
		{filepath.Join(root, "sys/class/input/event?"), "event0"},
		{filepath.Join(root, "dev/input/by-id/*-event-kbd"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.device, func(t *testing.T) {
			t.Parallel()
			var h hub
			src, _ := run(t, wedge.Config{Device: tt.device}, wedge.Options{Open: h.open, Root: root})
			if tt.want == "" {
				eventually(t, src, "no keyboard", func(h scan.Health) bool { return strings.Contains(h.LastError, "no keyboard") })
				return
			}
			eventually(t, src, "an opened device", func(scan.Health) bool {
				h.mu.Lock()
				defer h.mu.Unlock()
				return filepath.Base(h.path) == tt.want
			})
		})
	}
}

func TestOpenGrabs(t *testing.T) {
	// A device that cannot be grabbed is not read: its keys would go elsewhere too.
	dev, err := wedge.Open("/dev/null")
	if err == nil {
		dev.Close()
		t.Fatal("Open of what cannot be grabbed = nil error")
	}
	if !strings.Contains(err.Error(), "grab /dev/null") {
		t.Errorf("Open() error = %v, want the grab named", err)
	}
	if _, err := wedge.Open(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("Open of nothing = nil error")
	}
}

func TestConfigCheck(t *testing.T) {
	tests := []struct {
		c    wedge.Config
		want string // part of the error; "" means none
	}{
		{wedge.Config{Device: "auto"}, ""},
		{wedge.Config{Device: "name:USB Virtual PS2 Port", Layout: wedge.DE}, ""},
		{wedge.Config{Device: "/dev/input/by-id/usb-Newland*-event-kbd", Layout: wedge.FR}, ""},
		{wedge.Config{}, "neither an absolute path"},
		{wedge.Config{Device: "event0"}, "neither an absolute path"},
		{wedge.Config{Device: "name:"}, "neither an absolute path"},
		{wedge.Config{Device: "/dev/input/["}, "syntax error"},
		{wedge.Config{Device: "auto", Layout: "vi"}, `layout "vi"`},
	}
	for _, tt := range tests {
		err := tt.c.Check()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Check(%+v) = %v, want %q", tt.c, err, tt.want)
		}
		if _, nerr := wedge.New(tt.c, scan.Profile{}, quiet, wedge.Options{}); (nerr == nil) != (err == nil) {
			t.Errorf("New(%+v) = %v, but Check says %v", tt.c, nerr, err)
		}
	}
}
