package twin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/qrgate/qrgate/sync/e2e/initramfs"
)

// Home is the world outside as the machine sees it: what listens on 127.0.0.1 listens
// there.
const Home = "10.0.2.2"

// A Build is what machines boot from.
type Build struct {
	Kernel string // directory that kernel.sh has made
	Guest  string // program of package twin/guest
	Kiosk  string // the kiosk's program
	Camera bool   // the simulated card costs a slow machine much
}

// Options say what a machine is made of.
type Options struct {
	Kernel string // directory that kernel.sh has made
	Initrd string // that Build.Write has written
	Disk   *Disk  // nil is none
	Clock  string // as qemu's -rtc base=; "" is now
}

// A Machine is one boot of the twin.
type Machine struct {
	cmd     *exec.Cmd
	dir     string
	done    chan struct{}
	console lockedBuffer
	disk    *Disk

	mu      sync.Mutex // one request at a time
	conn    net.Conn
	replies chan reply
	out     *json.Encoder

	logs   sync.Mutex
	log    []string
	news   chan struct{} // closed and made anew with each line
	ftdi   net.Conn
	qmp    *qmp
	Events func() []string // what qemu has told, as "RESET" and "WATCHDOG"
}

type reply struct {
	Err  string `json:"err"`
	Text string `json:"text"`
	N    int64  `json:"n"`
	Log  bool   `json:"log"`
}

type request struct {
	Do   string            `json:"do"`
	Name string            `json:"name,omitempty"`
	Text string            `json:"text,omitempty"`
	Path string            `json:"path,omitempty"`
	Args []string          `json:"args,omitempty"`
	Env  map[string]string `json:"env,omitempty"`
	Data []byte            `json:"data,omitempty"`
	N    int64             `json:"n,omitempty"`
}

// modules are those that the kernel of a door has, in any order, with parameters.
// Those that they need come with them.
var modules = []string{
	"virtio_pci", "virtio_blk", "virtio_net", "ext4", "crc32c_generic", "xhci_pci", "usbhid", "hid_generic", "evdev", "ftdi_sio", "cdc_acm",
	"dummy_hcd num=2", "usb_f_acm", "usb_f_hid", "i2c_dev", "i2c_stub chip_addr=0x68", "i6300esb heartbeat=30", "gpio_sim", "rtc_ds1307",
}

// camera is the simulated card: one input and one output, both HDMI.
const camera = "vivid n_devs=1 node_types=0x101 num_inputs=1 input_types=3 num_outputs=1 output_types=1"

// Boot starts a machine and returns when what runs in it listens. dir is for its
// files, and is its own.
func Boot(ctx context.Context, dir string, o Options) (*Machine, error) {
	m := &Machine{dir: dir, disk: o.Disk, done: make(chan struct{}), replies: make(chan reply, 1), news: make(chan struct{})}
	if err := m.boot(ctx, o); err != nil {
		m.Kill()
		return nil, fmt.Errorf("twin: boot: %w\n%s", err, m.Console())
	}
	return m, nil
}

func (m *Machine) boot(ctx context.Context, o Options) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	clock := o.Clock
	if clock == "" {
		clock = "utc"
	}
	// Without the PC's own clock the chip's is the first, by which the kernel sets the
	// system's, as on a board. How fast the TSC goes the kernel would have to measure, and
	// is wrong by far where other programs take the processor meanwhile; by the same it would
	// find its timer too slow, and panic. Without rodata it does not look through its memory
	// for a second at each boot.
	const kernel = "console=ttyS0 quiet panic=-1 mitigations=off tsc=unstable clocksource=acpi_pm rodata=off no_timer_check initcall_blacklist=cmos_init net.ifnames=0"
	args := []string{
		"-M", "q35,accel=tcg", "-m", "384", "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot",
		"-kernel", filepath.Join(o.Kernel, "vmlinux"), "-initrd", o.Initrd,
		"-append", kernel + " twin=" + Home + ":" + portOf(l),
		"-qmp", "unix:" + m.path("qmp") + ",server=on,wait=off",
		"-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net",
		"-device", "qemu-xhci", "-device", "usb-kbd",
		"-chardev", "socket,id=ftdi,path=" + m.path("ftdi") + ",server=on,wait=off", "-device", "usb-serial,chardev=ftdi",
		"-device", "i6300esb", "-watchdog-action", "reset", "-rtc", "base=" + clock,
	}
	if o.Disk != nil {
		args = append(args, "-drive", "file=nbd+unix:///?socket="+o.Disk.listen.Addr().String()+",format=raw,if=none,id=disk,cache=none",
			"-device", "virtio-blk-pci,drive=disk")
	}
	m.cmd = exec.Command("qemu-system-x86_64", args...)
	m.cmd.Stdout, m.cmd.Stderr = &m.console, &m.console
	if err := m.cmd.Start(); err != nil {
		return err
	}
	go func() { m.cmd.Wait(); close(m.done) }()
	got := make(chan net.Conn, 1)
	go func() {
		if c, err := l.Accept(); err == nil {
			got <- c
		}
	}()
	select {
	case m.conn = <-got:
	case <-m.done:
		return errors.New("qemu ended")
	case <-ctx.Done():
		return ctx.Err()
	}
	m.out = json.NewEncoder(m.conn)
	go m.listen()
	if m.qmp, err = dialQMP(m.path("qmp")); err != nil {
		return err
	}
	m.Events = m.qmp.all
	if m.ftdi, err = net.Dial("unix", m.path("ftdi")); err != nil {
		return err
	}
	if o.Disk != nil {
		return m.do(request{Do: "disk"})
	}
	return nil
}

func (m *Machine) path(name string) string { return filepath.Join(m.dir, name) }

func portOf(l net.Listener) string { return strconv.Itoa(l.Addr().(*net.TCPAddr).Port) }

// listen takes what the guest says.
func (m *Machine) listen() {
	in := json.NewDecoder(m.conn)
	for {
		var r reply
		if err := in.Decode(&r); err != nil {
			close(m.replies)
			return
		}
		if !r.Log {
			m.replies <- r
			continue
		}
		m.logs.Lock()
		m.log = append(m.log, r.Text)
		close(m.news)
		m.news = make(chan struct{})
		m.logs.Unlock()
	}
}

// ErrDead is returned for what is asked of a machine that does not run any more.
var ErrDead = errors.New("twin: the machine is dead")

func (m *Machine) ask(r request) (reply, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.out.Encode(r); err != nil {
		return reply{}, fmt.Errorf("%w: %w", ErrDead, err)
	}
	got, ok := <-m.replies
	if !ok {
		return got, ErrDead
	}
	if got.Err != "" {
		return got, errors.New("twin: " + got.Err)
	}
	return got, nil
}

func (m *Machine) do(r request) error {
	_, err := m.ask(r)
	return err
}

// Kill ends the machine at once.
func (m *Machine) Kill() {
	if m.cmd != nil && m.cmd.Process != nil {
		m.cmd.Process.Kill()
		<-m.done
	}
	for _, c := range []net.Conn{m.conn, m.ftdi} {
		if c != nil {
			c.Close()
		}
	}
	if m.qmp != nil {
		m.qmp.Close()
	}
}

// Cut ends the machine as a power cut does, and returns how many sectors were not on
// the disk for certain. r is what chance does, as in [Disk.Lose].
func (m *Machine) Cut(r *rand.Rand) int {
	m.Kill()
	if m.disk == nil {
		return 0
	}
	return m.disk.Lose(r)
}

// Done is closed when the machine has ended.
func (m *Machine) Done() <-chan struct{} { return m.done }

// Console returns what the kernel and the guest have said.
func (m *Machine) Console() string { return m.console.String() }

// Log returns the lines of the kiosk's log.
func (m *Machine) Log() []string {
	m.logs.Lock()
	defer m.logs.Unlock()
	return slices.Clone(m.log)
}

// WaitLog returns the first line of the kiosk's log, from the given one on, that has
// all these words in it, and its number.
func (m *Machine) WaitLog(ctx context.Context, from int, words ...string) (int, string, error) {
	for {
		m.logs.Lock()
		lines, news := m.log[min(from, len(m.log)):], m.news
		m.logs.Unlock()
		for i, line := range lines {
			if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
				return from + i, line, nil
			}
		}
		from += len(lines)
		select {
		case <-news:
		case <-m.done:
			return 0, "", ErrDead
		case <-ctx.Done():
			return 0, "", fmt.Errorf("twin: the kiosk did not say %q: %w", words, ctx.Err())
		}
	}
}

// Write writes a file in the machine.
func (m *Machine) Write(path string, b []byte) error {
	return m.do(request{Do: "write", Path: path, Data: b})
}

// Read reads a file in the machine.
func (m *Machine) Read(path string) (string, error) {
	r, err := m.ask(request{Do: "read", Path: path})
	return r.Text, err
}

// Sync writes what the machine holds in memory to its disk.
func (m *Machine) Sync() error { return m.do(request{Do: "sync"}) }

// Time returns what the machine's clock says.
func (m *Machine) Time() (time.Time, error) {
	r, err := m.ask(request{Do: "time"})
	return time.Unix(r.N, 0), err
}

// Run runs a program in the machine to its end.
func (m *Machine) Run(args ...string) (out string, status int, err error) {
	r, err := m.ask(request{Do: "run", Args: args})
	return r.Text, int(r.N), err
}

// StartKiosk starts the kiosk's program.
func (m *Machine) StartKiosk(args ...string) error {
	return m.do(request{Do: "start", Args: append([]string{"/bin/qrgate-kiosk"}, args...)})
}

// StopKiosk asks the kiosk's program to end, and waits for it.
func (m *Machine) StopKiosk() error { return m.do(request{Do: "kill", Name: "wait", N: 15}) }

// Freeze stops the kiosk's program where it is: it hangs.
func (m *Machine) Freeze() error { return m.do(request{Do: "kill", N: 19}) }

// AddSerial plugs in a scanner on a serial line of its own, as CDC-ACM.
func (m *Machine) AddSerial(vendor, product, serial string) error {
	return m.do(request{Do: "gadget", Name: "acm", Args: []string{vendor, product, "QRGate", "Twin Serial Scanner", serial}})
}

// AddKeyboard plugs in a scanner that types.
func (m *Machine) AddKeyboard(vendor, product, serial string) error {
	return m.do(request{Do: "gadget", Name: "hid", Args: []string{vendor, product, "QRGate", "Twin Keyboard Scanner", serial}})
}

// Plug puts the "acm" or the "hid" scanner on the bus, or takes it off.
func (m *Machine) Plug(kind string, in bool) error {
	n := int64(0)
	if in {
		n = 1
	}
	return m.do(request{Do: "plug", Name: kind, N: n})
}

// Serial sends bytes from the serial scanner.
func (m *Machine) Serial(text string) error { return m.do(request{Do: "serial", Text: text}) }

// FTDI sends bytes from the scanner behind the FTDI chip.
func (m *Machine) FTDI(text string) error {
	_, err := m.ftdi.Write([]byte(text))
	return err
}

// Type types with the scanner that does so.
func (m *Machine) Type(text string) error { return m.do(request{Do: "keys", Text: text}) }

// Taken reports whether another program has all that a keyboard of this name types to
// itself.
func (m *Machine) Taken(name string) (bool, error) {
	r, err := m.ask(request{Do: "taken", Name: name})
	return r.N != 0, err
}

// Press types with qemu's keyboard, of which each character is a key by name, as
// qemu's QKeyCode has it. It pauses after each: the keyboard drops what it cannot keep,
// and does not say so.
func (m *Machine) Press(pause time.Duration, keys ...string) error {
	for i, k := range keys {
		if i > 0 {
			time.Sleep(pause)
		}
		for _, down := range []bool{true, false} {
			event := map[string]any{"type": "key", "data": map[string]any{"down": down, "key": map[string]any{"type": "qcode", "data": k}}}
			if err := m.qmp.run("input-send-event", map[string]any{"events": []any{event}}); err != nil {
				return err
			}
		}
	}
	return nil
}

// AddLines makes a GPIO chip with lines of these names.
func (m *Machine) AddLines(names ...string) error {
	return m.do(request{Do: "lines", Args: names})
}

// Levels returns what the kiosk has driven a line to since it was made: a digit for each
// change, as "010" of a lamp that was on once.
func (m *Machine) Levels(name string) (string, error) {
	r, err := m.ask(request{Do: "levels", Name: name})
	return r.Text, err
}

// Pull pulls an input up or down.
func (m *Machine) Pull(name string, up bool) error {
	n := int64(0)
	if up {
		n = 1
	}
	return m.do(request{Do: "pull", Name: name, N: n})
}

// AddChip makes a DS3231 that says a time, by which the kernel sets its own.
func (m *Machine) AddChip(t time.Time) error { return m.do(request{Do: "chip", N: t.Unix()}) }

// Heat makes the thermometer say so many degrees.
func (m *Machine) Heat(celsius float64) error {
	return m.do(request{Do: "heat", N: int64(celsius * 1000)})
}

// Show holds a picture of 640 by 480 grey bytes before the camera.
func (m *Machine) Show(grey []byte) error {
	return m.do(request{Do: "picture", Path: "/dev/video0", Data: grey})
}

// Write writes a file system that holds the programs and the kernel's modules to path.
func (o Build) Write(path string) error {
	var a initramfs.Archive
	for _, d := range []string{"bin", "modules", "proc", "sys", "dev", "tmp", "run", "data", "etc"} {
		a.Add(d, os.ModeDir|0o755, nil)
	}
	for name, file := range map[string]string{"init": o.Guest, "bin/qrgate-kiosk": o.Kiosk} {
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		a.Add(name, 0o755, b)
	}
	wanted := modules
	if o.Camera {
		wanted = append(slices.Clone(modules), camera)
	}
	list, err := initramfs.Resolve(filepath.Join(o.Kernel, "modules"), wanted)
	if err != nil {
		return err
	}
	var lines bytes.Buffer
	for _, mod := range list {
		b, err := os.ReadFile(mod.Path)
		if err != nil {
			return err
		}
		name := filepath.Base(mod.Path)
		a.Add("modules/"+name, 0o644, b)
		fmt.Fprintln(&lines, strings.TrimSpace(name+" "+mod.Params))
	}
	a.Add("modules/list", 0o644, lines.Bytes())
	// Not packed: to unpack it would take an emulated processor a third of its boot.
	return os.WriteFile(path, a.Bytes(), 0o644)
}

// A lockedBuffer is written by one and read by another.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
