package board_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"periph.io/x/conn/v3/i2c/i2ctest"

	"github.com/qrgate/qrgate/hw/board"
)

// machine returns a directory with files, as a Root.
func machine(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// pi is what a Raspberry Pi 4 shows.
func pi() map[string]string {
	return map[string]string{
		"proc/sys/kernel/random/boot_id":                              "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0\n",
		"proc/meminfo":                                                "MemTotal:         949444 kB\nMemFree:          106752 kB\nMemAvailable:     657740 kB\nHugePages_Total:       0\n",
		"proc/cpuinfo":                                                "processor\t: 0\nHardware\t: BCM2835\nRevision\t: c03111\nSerial\t\t: 10000000ABCDEF01\nModel\t\t: Raspberry Pi 4 Model B Rev 1.1\n",
		"sys/block/mmcblk0/device/cid":                                "035344534333324780000000000152a1\n",
		"sys/class/thermal/thermal_zone0/temp":                        "48312\n",
		"sys/class/thermal/thermal_zone1/temp":                        "-274000\n",
		"sys/class/rtc/rtc0/since_epoch":                              "4070908800\n",
		"sys/devices/platform/soc/soc:firmware/get_throttled":         "50005\n",
		"sys/firmware/devicetree/base/model":                          "Raspberry Pi 4 Model B Rev 1.1\x00",
		"etc/machine-id":                                              "b08dfa6083e7567a1921a715000001fb\n",
		"sys/class/hwmon/hwmon0/name":                                 "rpi_volt\n",
		"sys/class/hwmon/hwmon0/in0_lcrit_alarm":                      "0\n",
		"sys/class/hwmon/hwmon1/name":                                 "cpu_thermal\n",
		"sys/devices/platform/soc/soc:firmware/raspberrypi-clk/other": "",
	}
}

func TestHealthOfAPi(t *testing.T) {
	root := machine(t, pi())
	b := board.Open(board.Options{Root: root, Disks: []string{root, filepath.Join(root, "none")}})
	got := b.Health()
	want := board.Health{
		Temperature: board.Temperature{Known: true, Celsius: 48.312},
		Power: board.Power{
			Known: true, UnderVoltage: true, Throttled: true,
			UnderVoltageSinceBoot: true, ThrottledSinceBoot: true,
		},
		Chip:   board.Chip{Known: true, Time: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)},
		Memory: board.Memory{Known: true, Total: 949444 << 10, Available: 657740 << 10},
		Disks:  []board.Disk{{Path: root, Known: true}, {Path: filepath.Join(root, "none")}},
	}
	if d := cmp.Diff(want, got,
		cmpopts.IgnoreFields(board.Health{}, "Uptime", "Clock"), // of the machine under the test
		cmpopts.IgnoreFields(board.Disk{}, "Total", "Free"),
	); d != "" {
		t.Errorf("Health() (-want +got):\n%s", d)
	}
	if d := got.Disks[0]; d.Total == 0 || d.Free > d.Total {
		t.Errorf("Health().Disks[0] = %+v, want 0 < total, free <= total", d)
	}
	if got.Uptime <= 0 {
		t.Errorf("Health().Uptime = %v, want more than 0", got.Uptime)
	}
	if c := got.Clock; !c.Known && c != (board.Clock{}) || c.MaxError < 0 {
		t.Errorf("Health().Clock = %+v", c)
	}
}

func TestNothingIsKnownOfAnEmptyMachine(t *testing.T) {
	b := board.Open(board.Options{Root: machine(t, nil)})
	want := board.Health{}
	if d := cmp.Diff(want, b.Health(), cmpopts.IgnoreFields(board.Health{}, "Uptime", "Clock")); d != "" {
		t.Errorf("Health() (-want +got):\n%s", d)
	}
	if got, want := b.Identity(), (board.Identity{}); got != want {
		t.Errorf("Identity() = %+v, want %+v", got, want)
	}
}

func TestPower(t *testing.T) {
	const old, pi5 = "sys/devices/platform/soc/soc:firmware/get_throttled", "sys/devices/platform/soc:firmware/get_throttled"
	tests := []struct {
		name, path, text string
		want             board.Power
	}{
		{"well", old, "0\n", board.Power{Known: true}},
		{"with prefix", old, "0x0\n", board.Power{Known: true}},
		{"hot now", old, "80008\n", board.Power{Known: true, Throttled: true, ThrottledSinceBoot: true}},
		{"weak before", pi5, "10000\n", board.Power{Known: true, UnderVoltageSinceBoot: true}},
		{"unknown bits", old, "fff0fff0\n", board.Power{Known: true}},
		{"no number", old, "unknown\n", board.Power{}},
		{"empty", old, "", board.Power{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := board.Open(board.Options{Root: machine(t, map[string]string{tt.path: tt.text})})
			if got := b.Health().Power; got != tt.want {
				t.Errorf("Power of %q = %+v, want %+v", tt.text, got, tt.want)
			}
		})
	}
	for alarm, want := range map[string]board.Power{
		"1\n": {Known: true, UnderVoltage: true},
		"0\n": {Known: true},
		"?\n": {},
	} {
		b := board.Open(board.Options{Root: machine(t, map[string]string{
			"sys/class/hwmon/hwmon0/name":            "nvme\n",
			"sys/class/hwmon/hwmon0/in0_lcrit_alarm": "1\n",
			"sys/class/hwmon/hwmon3/name":            "rpi_volt\n",
			"sys/class/hwmon/hwmon3/in0_lcrit_alarm": alarm,
		})})
		if got := b.Health().Power; got != want {
			t.Errorf("Power with alarm %q = %+v, want %+v", alarm, got, want)
		}
	}
}

func TestIdentityTellsCopiesApart(t *testing.T) {
	identity := func(change func(map[string]string)) board.Identity {
		files := pi()
		change(files)
		return board.Open(board.Options{Root: machine(t, files)}).Identity()
	}
	own := identity(func(map[string]string) {})
	if own.CPU != "10000000abcdef01" {
		t.Errorf("CPU = %q, want the serial number of /proc/cpuinfo in lower case", own.CPU)
	}
	if len(own.Card) != 32 || strings.Contains(own.Card, "0353445343") {
		t.Errorf("Card = %q, want 32 hex digits that are not the card's own number", own.Card)
	}
	if again := identity(func(map[string]string) {}); again != own {
		t.Errorf("second Identity = %+v, want %+v", again, own)
	}
	for name, change := range map[string]func(map[string]string){
		"another card":    func(f map[string]string) { f["sys/block/mmcblk0/device/cid"] = "035344534333324780000000000152a2\n" },
		"another machine": func(f map[string]string) { f["proc/cpuinfo"] = "Serial\t\t: 10000000abcdef02\n" },
	} {
		if got := identity(change); got == own {
			t.Errorf("Identity with %s = %+v, want another than before", name, got)
		}
	}
	if tree := identity(func(f map[string]string) {
		f["sys/firmware/devicetree/base/serial-number"] = "10000000abcdef01\x00"
		delete(f, "proc/cpuinfo")
	}); tree != own {
		t.Errorf("Identity by device tree = %+v, want %+v", tree, own)
	}
	if got := identity(func(f map[string]string) { f["proc/cpuinfo"] = "Serial\t\t: 0000000000000000\n" }); got.CPU != "" {
		t.Errorf("CPU of a serial number of zeros = %q, want none", got.CPU)
	}
}

func TestIdentityOfAPC(t *testing.T) {
	files := map[string]string{
		"proc/cpuinfo":                   "processor\t: 0\nmodel name\t: Some CPU\n",
		"sys/class/dmi/id/product_uuid":  "03000200-0400-0500-0006-000700080009\n",
		"etc/machine-id":                 "b08dfa6083e7567a1921a715000001fb\n",
		"sys/block/loop0/device/cid":     "not a card\n",
		"sys/block/nvme0n1/wwid":         "eui.0025385b71b0a2e1\n",
		"sys/block/mmcblk0boot0/ro":      "1\n",
		"sys/block/sda/device/wwid_none": "",
	}
	withDisk := board.Open(board.Options{Root: machine(t, files)}).Identity()
	delete(files, "sys/block/nvme0n1/wwid")
	without := board.Open(board.Options{Root: machine(t, files)}).Identity()
	if want := "03000200-0400-0500-0006-000700080009"; withDisk.CPU != want {
		t.Errorf("CPU = %q, want %q", withDisk.CPU, want)
	}
	if withDisk.Card == "" || without.Card == "" || withDisk.Card == without.Card {
		t.Errorf("Card by disk %q, by machine id %q; want two different", withDisk.Card, without.Card)
	}
}

func TestBootID(t *testing.T) {
	b := board.Open(board.Options{Root: machine(t, pi())})
	want := [16]byte{0x0f, 0x1e, 0x2d, 0x3c, 0x4b, 0x5a, 0x69, 0x78, 0x87, 0x96, 0xa5, 0xb4, 0xc3, 0xd2, 0xe1, 0xf0}
	if got := b.BootID(); got != want {
		t.Errorf("BootID() = %x, want %x", got, want)
	}
	for _, text := range []string{"", "0f1e2d3c", "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1zz", strings.Repeat("-", 36)} {
		root := machine(t, map[string]string{"proc/sys/kernel/random/boot_id": text})
		one := board.Open(board.Options{Root: root}).BootID()
		two := board.Open(board.Options{Root: root}).BootID()
		if one == two || one == ([16]byte{}) {
			t.Errorf("BootID() of %q twice = %x, %x; want two random ones", text, one, two)
		}
	}
}

func TestSinceBootRisesWithTime(t *testing.T) {
	b := board.Open(board.Options{})
	wall := time.Now()
	first := b.SinceBoot()
	for deadline := time.Now().Add(10 * time.Second); b.SinceBoot() < first+20*time.Millisecond; {
		if time.Now().After(deadline) {
			t.Fatal("SinceBoot() has not risen by 20 ms in ten seconds")
		}
	}
	if took := time.Since(wall); took < 15*time.Millisecond {
		t.Errorf("SinceBoot() rose by 20 ms in %v", took)
	}
}

func TestChipIsReadFromTheBusIfGiven(t *testing.T) {
	bus := &i2ctest.Playback{DontPanic: true, Ops: []i2ctest.IO{
		{Addr: 0x68, W: []byte{0}, R: registers("30 59 23 01 31 12 26", 0x88, 0x19, 0x40)},
	}}
	b := board.Open(board.Options{Root: machine(t, pi()), Chip: board.NewDS3231(bus)})
	want := board.Chip{
		Known:       true,
		Time:        time.Date(2026, 12, 31, 23, 59, 30, 0, time.UTC),
		Stopped:     true,
		Temperature: board.Temperature{Known: true, Celsius: 25.25},
	}
	if d := cmp.Diff(want, b.Health().Chip); d != "" {
		t.Errorf("Health().Chip (-want +got):\n%s", d)
	}
	// The bus is silent from here on.
	if d := cmp.Diff(board.Chip{}, b.Health().Chip); d != "" {
		t.Errorf("Health().Chip of a silent bus (-want +got):\n%s", d)
	}
}

func FuzzFiles(f *testing.F) {
	f.Add([]byte("MemTotal: 949444 kB\nMemAvailable: 1 kB\n"))
	f.Add([]byte("Serial\t\t: 10000000abcdef01\n"))
	f.Add([]byte("50005\n"))
	f.Add([]byte("-274000"))
	f.Add([]byte("0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0\n"))
	root := f.TempDir()
	names := []string{
		"proc/sys/kernel/random/boot_id", "proc/meminfo", "proc/cpuinfo",
		"sys/block/mmcblk0/device/cid", "sys/class/thermal/thermal_zone0/temp",
		"sys/class/rtc/rtc0/since_epoch", "sys/devices/platform/soc/soc:firmware/get_throttled",
		"sys/class/hwmon/hwmon0/name", "sys/class/hwmon/hwmon0/in0_lcrit_alarm",
	}
	for _, name := range names {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o700); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, name := range names {
			if err := os.WriteFile(filepath.Join(root, name), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		b := board.Open(board.Options{Root: root})
		h := b.Health()
		if c := h.Temperature.Celsius; c < -55 || c > 150 {
			t.Errorf("%q: temperature %v", text, c)
		}
		if y := h.Chip.Time.Year(); h.Chip.Known && (y < 1970 || y > 2199) {
			t.Errorf("%q: chip says %v", text, h.Chip.Time)
		}
		if id := b.Identity(); strings.ContainsFunc(id.CPU, func(r rune) bool { return r < ' ' || r > '~' }) || len(id.Card) != 0 && len(id.Card) != 32 {
			t.Errorf("%q: identity %+v", text, id)
		}
	})
}

func TestNotify(t *testing.T) {
	for name, address := range map[string]string{
		"path":     filepath.Join(t.TempDir(), "notify"),
		"abstract": "@qrgate-test-" + strconv.Itoa(os.Getpid()),
	} {
		t.Run(name, func(t *testing.T) {
			manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
			if err != nil {
				t.Fatal(err)
			}
			defer manager.Close()
			n := board.NewNotifier(environment{"NOTIFY_SOCKET": address}.get)
			for _, tt := range []struct {
				call string
				send func() error
				want string
			}{
				{"Ready()", n.Ready, "READY=1"},
				{"Status", func() error { return n.Status("queue 12\nMAINPID=1 ") }, "STATUS=queue 12 MAINPID=1"},
				{"Alive()", n.Alive, "WATCHDOG=1"},
				{"Stopping()", n.Stopping, "STOPPING=1"},
			} {
				if err := tt.send(); err != nil {
					t.Fatalf("%s = %v", tt.call, err)
				}
				if got := receive(t, manager); got != tt.want {
					t.Errorf("%s sends %q, want %q", tt.call, got, tt.want)
				}
			}
		})
	}
}

// environment is what os.Getenv would return.
type environment map[string]string

func (e environment) get(key string) string { return e[key] }

func receive(t *testing.T, c *net.UnixConn) string {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1000)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func TestNotifierWithoutAManager(t *testing.T) {
	n := board.NewNotifier(environment{"WATCHDOG_USEC": "1000"}.get)
	if err := n.Ready(); err != nil {
		t.Errorf("Ready() = %v, want nil", err)
	}
	if got := n.Interval(); got != 0 {
		t.Errorf("Interval() = %v, want 0", got)
	}
	gone := board.NewNotifier(environment{"NOTIFY_SOCKET": filepath.Join(t.TempDir(), "gone")}.get)
	if err := gone.Ready(); err == nil {
		t.Error("Ready() with a socket that is gone = nil, want an error")
	}
}

func TestInterval(t *testing.T) {
	self := strconv.Itoa(os.Getpid())
	for _, tt := range []struct {
		usec, pid string
		want      time.Duration
	}{
		{"15000000", "", 15 * time.Second},
		{"15000000", self, 15 * time.Second},
		{"15000000", "1", 0},
		{"", "", 0},
		{"-5", "", 0},
		{"18446744073709551615", "", 0},
		{"soon", "", 0},
	} {
		n := board.NewNotifier(environment{"NOTIFY_SOCKET": "@s", "WATCHDOG_USEC": tt.usec, "WATCHDOG_PID": tt.pid}.get)
		if got := n.Interval(); got != tt.want {
			t.Errorf("Interval() with WATCHDOG_USEC=%q WATCHDOG_PID=%q = %v, want %v", tt.usec, tt.pid, got, tt.want)
		}
	}
}

func TestHangIsNotHidden(t *testing.T) {
	address := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	n := board.NewNotifier(environment{"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "2000"}.get)
	ctx, cancel := context.WithCancel(t.Context())
	asked, answer := make(chan struct{}), make(chan bool)
	done := make(chan error, 1)
	go func() {
		done <- n.Run(ctx, func() bool {
			select {
			case asked <- struct{}{}:
				return <-answer
			case <-ctx.Done():
				return false
			}
		})
	}()
	<-asked
	answer <- true
	if got := receive(t, manager); got != "WATCHDOG=1" {
		t.Errorf("a sign of life = %q, want WATCHDOG=1", got)
	}
	for range 3 {
		<-asked
		answer <- false
	}
	<-asked // what the third answer led to has been done
	if err := n.Status("silent"); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, manager); got != "STATUS=silent" {
		t.Errorf("after three times not alive the manager receives %q, want nothing before STATUS=silent", got)
	}
	answer <- false
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}

// A plain file takes what a watchdog's driver takes, except for its ioctls.
func TestWatchdogIsFedAndClosedByMagic(t *testing.T) {
	path := filepath.Join(t.TempDir(), "watchdog")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := board.OpenWatchdog(path, 15*time.Second)
	if err != nil {
		t.Fatalf("OpenWatchdog = %v", err)
	}
	if got := w.Timeout(); got != 0 {
		t.Errorf("Timeout() = %v, want 0 from a device that tells none", got)
	}
	for range 2 {
		if err := w.Feed(); err != nil {
			t.Errorf("Feed() = %v", err)
		}
	}
	if err := w.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := []byte("\x00\x00V"); !bytes.Equal(got, want) {
		t.Errorf("the device received %q, want %q", got, want)
	}
	if err := w.Feed(); err == nil {
		t.Error("Feed() after Close = nil, want an error")
	}
	if _, err := board.OpenWatchdog(filepath.Join(t.TempDir(), "none"), time.Second); err == nil {
		t.Error("OpenWatchdog of nothing = nil, want an error")
	}
}

func BenchmarkHealth(b *testing.B) {
	m := board.Open(board.Options{Root: machine(b, pi()), Disks: []string{"/"}})
	for b.Loop() {
		m.Health()
	}
}
