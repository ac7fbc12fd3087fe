//go:build image

package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/qrgate/qrgate/sync/e2e/twin"

	"github.com/qrgate/qrgate/sync/sdcard"
)

// A card is a kiosk's card and the board that it is in. What the board's firmware does
// on a Raspberry Pi is done here: it reads autoboot.txt, once the second part of it if
// it was asked to try, and starts the kernel of that partition.
type card struct {
	*testing.T
	layout sdcard.Layout
	disk   *twin.Disk
	size   int64
	dir    string
	memory int // of the board, in MiB
	screen bool
	stick  string // image of a stick that is in it
	try    bool
	starts int
}

// newCard writes an image to a card that is larger.
func newCard(t *testing.T, path string) *card {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatalf("no image? make image builds it: %v", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return filled(t, f, info.Size()+640<<20, sdcard.Layout{Start: 32 << 20, System: (info.Size() - 49<<20) / 2, Data: 16 << 20})
}

// copy returns another card with what is on this one.
func (c *card) copy() *card {
	c.Helper()
	return filled(c.T, io.NewSectionReader(c.disk, 0, c.size), c.size, c.layout)
}

// filled returns a card of so many bytes that begins with what r has.
func filled(t *testing.T, r io.Reader, size int64, l sdcard.Layout) *card {
	t.Helper()
	content := make([]byte, size)
	// Memory that is never written to is none: most of a card is empty.
	piece, zero := make([]byte, 1<<20), make([]byte, 1<<20)
	for at := 0; ; {
		n, err := io.ReadFull(r, piece)
		if !bytes.Equal(piece[:n], zero[:n]) {
			copy(content[at:], piece[:n])
		}
		at += n
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	c := &card{T: t, dir: t.TempDir(), memory: 512, layout: l, size: size}
	var err error
	if c.disk, err = twin.NewDisk(content, filepath.Join(c.dir, "nbd")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.disk.Close() })
	return c
}

// chosen returns the slot that the firmware starts, and forgets that it was to try.
func (c *card) chosen() sdcard.Slot {
	c.Helper()
	first := make([]byte, c.layout.Start)
	if _, err := c.disk.ReadAt(first, c.layout.StartAt()); err != nil {
		c.Fatal(err)
	}
	for at := 0; at < len(first); at += 512 {
		for _, s := range []sdcard.Slot{sdcard.A, sdcard.B} {
			if bytes.Equal(first[at:at+512], sdcard.Autoboot(s)) {
				if c.try {
					s = s.Other()
				}
				c.try = false
				return s
			}
		}
	}
	c.Fatal("autoboot.txt is not on the card")
	return 0
}

// A machine is one start of a card.
type machine struct {
	*testing.T
	card    *card
	slot    sdcard.Slot
	begun   time.Time
	cmd     *exec.Cmd
	done    chan struct{}
	console console
	ftdi    net.Conn
	dir     string

	listen net.Listener
	mu     sync.Mutex
	probe  net.Conn
	in     *json.Decoder
}

// start starts the card, as the power coming on does.
func (c *card) start() *machine {
	c.Helper()
	c.starts++
	dir := filepath.Join(c.dir, fmt.Sprint(c.starts))
	m := &machine{T: c.T, card: c, slot: c.chosen(), done: make(chan struct{}), dir: dir, begun: time.Now()}
	c.must(os.Mkdir(dir, 0o755))
	fat := make([]byte, sdcard.RootOffset)
	_, err := c.disk.ReadAt(fat, c.layout.At(m.slot))
	c.must(err)
	c.must(os.WriteFile(filepath.Join(dir, "fat"), fat, 0o600))
	for _, name := range []string{"vmlinuz", "initrd.img", "cmdline.txt"} {
		if out, err := exec.Command("mcopy", "-i", filepath.Join(dir, "fat"), "::"+name, filepath.Join(dir, name)).CombinedOutput(); err != nil {
			c.Fatalf("the firmware finds no %s in slot %s: %v: %s", name, m.slot, err, out)
		}
	}
	c.must(os.Remove(filepath.Join(dir, "fat")))
	line, err := os.ReadFile(filepath.Join(dir, "cmdline.txt"))
	c.must(err)
	m.listen, err = net.Listen("tcp", "127.0.0.1:0")
	c.must(err)
	words := slices.DeleteFunc(strings.Fields(string(line)), func(w string) bool { return w == "quiet" || strings.HasPrefix(w, "loglevel") })
	// Where the kernel's place is drawn by lot it hides itself from programs, and each call
	// of it costs an emulated processor all that it had looked up.
	// A busy machine that emulates is late with everything, and nothing hangs.
	words = append(words, "nokaslr", "systemd.default_timeout_start_sec=15min", "systemd.service_watchdogs=no", "udev.event_timeout=900", "console=ttyAMA0", "loglevel=5", "systemd.journald.forward_to_console=1", "qrgate.probe=10.0.2.2:"+fmt.Sprint(m.listen.Addr().(*net.TCPAddr).Port))
	args := []string{
		"-M", "virt", "-cpu", "cortex-a72", "-accel", "tcg", "-smp", "2", "-m", fmt.Sprint(c.memory), "-nodefaults", "-display", "none",
		"-serial", "stdio", "-no-reboot", "-kernel", filepath.Join(dir, "vmlinuz"), "-initrd", filepath.Join(dir, "initrd.img"), "-append", strings.Join(words, " "),
		"-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile=", "-device", "qemu-xhci",
		"-chardev", "socket,id=ftdi,path=" + filepath.Join(dir, "ftdi") + ",server=on,wait=off", "-device", "usb-serial,chardev=ftdi",
		"-drive", "file=nbd+unix:///?socket=" + c.disk.Address() + ",format=raw,if=none,id=card,cache=none", "-device", "virtio-blk-pci,drive=card",
		"-device", "virtio-rng-pci",
	}
	if c.stick != "" {
		args = append(args, "-drive", "file="+c.stick+",format=raw,if=none,id=stick", "-device", "usb-storage,drive=stick,removable=on")
	}
	if c.screen {
		args = append(args, "-device", "virtio-gpu-pci,xres=1024,yres=600", "-qmp", "unix:"+filepath.Join(dir, "qmp")+",server=on,wait=off")
	}
	m.cmd = exec.Command("qemu-system-aarch64", args...)
	log, err := os.Create(filepath.Join(dir, "console"))
	c.must(err)
	said := io.MultiWriter(&m.console, log)
	m.cmd.Stdout, m.cmd.Stderr = said, said
	c.must(m.cmd.Start())
	go func() {
		m.cmd.Wait()
		log.Close()
		m.listen.Close()
		close(m.done)
	}()
	c.Cleanup(func() {
		m.kill()
		if c.Failed() {
			c.Logf("start %d, slot %s, said at last:\n%s", c.starts, m.slot, m.console.tail(60))
		}
	})
	m.plug()
	return m
}

func (c *card) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

// kill ends the machine at once, and does what its firmware would do then.
func (m *machine) kill() {
	m.cmd.Process.Kill()
	m.ended()
}

func (m *machine) ended() {
	<-m.done
	if m.probe != nil {
		m.probe.Close()
	}
	if m.ftdi != nil {
		m.ftdi.Close()
	}
}

// cut is a power cut.
func (m *machine) cut(r *rand.Rand) int {
	m.kill()
	m.card.try = false
	return m.card.disk.Lose(r)
}

// restarted waits until the machine starts anew by itself.
func (m *machine) restarted(most time.Duration) bool {
	m.Helper()
	select {
	case <-m.done:
	case <-time.After(most):
		m.Fatalf("start %d did not end by itself", m.card.starts)
	}
	m.ended()
	m.card.try = strings.Contains(m.console.String(), "command '"+sdcard.TryCommand+"'")
	m.card.disk.Lose(rand.New(rand.NewPCG(1, 1))) // a reset loses what a card has not flushed as well
	return m.card.try
}

// said waits for words on the console.
func (m *machine) said(most time.Duration, words string) time.Duration {
	m.Helper()
	m.until(most, words, func() bool { return strings.Contains(m.console.String(), words) })
	return time.Since(m.begun)
}

func (m *machine) until(most time.Duration, what string, is func() bool) {
	m.Helper()
	if !m.either(most, what, is) {
		m.Fatalf("the machine ended before: %s", what)
	}
}

// either waits until something is so, or the machine has ended, and reports which.
func (m *machine) either(most time.Duration, what string, is func() bool) bool {
	m.Helper()
	for end := time.Now().Add(most); !is(); time.Sleep(100 * time.Millisecond) {
		select {
		case <-m.done:
			return is()
		default:
		}
		if time.Now().After(end) {
			m.Fatalf("not within %s: %s", most, what)
		}
	}
	return true
}

// A request is what the probe may be asked (probe/main.go).
type request struct {
	Run, Room, Tunnel        []string
	Read, Append, Text, Find string
}

type answer struct{ Out, Err string }

// ask asks the probe in the machine.
func (m *machine) ask(r request) (answer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.probe == nil {
		m.listen.(*net.TCPListener).SetDeadline(time.Now().Add(slow))
		conn, err := m.listen.Accept()
		if err != nil {
			return answer{}, err
		}
		m.probe, m.in = conn, json.NewDecoder(conn)
	}
	m.probe.SetDeadline(time.Now().Add(slow))
	var a answer
	if err := json.NewEncoder(m.probe).Encode(r); err != nil {
		return a, err
	}
	if err := m.in.Decode(&a); err != nil {
		return a, err
	}
	if a.Err != "" {
		return a, errors.New(a.Err + ": " + a.Out)
	}
	return a, nil
}

// must asks the probe, which must be able to.
func (m *machine) must(r request) string {
	m.Helper()
	a, err := m.ask(r)
	if err != nil {
		m.Fatalf("%+v in the machine: %v", r, err)
	}
	return a.Out
}

func (m *machine) run(args ...string) string { m.Helper(); return m.must(request{Run: args}) }

func (m *machine) read(pattern string) string { m.Helper(); return m.must(request{Read: pattern}) }

// page returns an address of this machine that is the kiosk's page.
func (m *machine) page() string {
	m.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	m.card.must(err)
	m.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go m.join(c)
		}
	}()
	return "http://" + l.Addr().String() + "/"
}

func (m *machine) join(c net.Conn) {
	defer c.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	if _, err := m.ask(request{Tunnel: []string{"127.0.0.1:8088", fmt.Sprintf("10.0.2.2:%d", port)}}); err != nil {
		return
	}
	inner, err := l.Accept()
	if err != nil {
		return
	}
	defer inner.Close()
	go func() { defer inner.Close(); io.Copy(inner, c) }()
	io.Copy(c, inner)
}

// plug plugs the scanner in, which is behind an FTDI chip: qemu does that when somebody
// is at its other end.
func (m *machine) plug() {
	m.Helper()
	m.until(time.Minute, "qemu listens for the scanner", func() bool {
		var err error
		m.ftdi, err = net.Dial("unix", filepath.Join(m.dir, "ftdi"))
		return err == nil
	})
}

// opened is how often a door that is open has opened its scanner.
func (m *machine) opened() int {
	_, after, _ := strings.Cut(m.console.String(), "door open")
	return strings.Count(after, "scanner ready")
}

// replug pulls the scanner out and plugs it in again at a door that has just opened:
// qemu's chip gives nothing to whoever opens it a second time, as a door does after the
// first start.
func (m *machine) replug() {
	m.Helper()
	m.until(slow, "the door has its scanner", func() bool { return m.opened() == 1 })
	m.card.must(m.ftdi.Close())
	m.said(slow, "port: unplugged")
	m.plug()
	m.until(slow, "the door has its scanner again", func() bool { return m.opened() > 1 })
}

// scan is a code before the scanner.
func (m *machine) scan(text string) {
	m.Helper()
	_, err := io.WriteString(m.ftdi, text+"\r")
	m.card.must(err)
}

// A console keeps what a machine says.
type console struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.Write(p)
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.String()
}

func (c *console) tail(n int) string {
	all := strings.Split(c.String(), "\n")
	return strings.Join(all[max(0, len(all)-n):], "\n")
}
