//go:build linux

// Command guest is the first program of the twin: it makes the devices of a door out
// of the kernel's simulations, starts the kiosk's real program, and does what the test
// outside asks for.
//
// Its parameters stand on the kernel's command line: twin=HOST:PORT is where the test
// listens. It says one line of JSON for each that it is told, and lines of its own for
// what the kiosk writes to its log.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	if err := run(); err != nil {
		fmt.Println("guest:", err)
	}
	unix.Sync()
	unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// A request is one thing to do.
type request struct {
	Do   string            `json:"do"`
	Name string            `json:"name,omitempty"` // of a device or a line
	Text string            `json:"text,omitempty"`
	Path string            `json:"path,omitempty"`
	Args []string          `json:"args,omitempty"`
	Env  map[string]string `json:"env,omitempty"`
	Data []byte            `json:"data,omitempty"`
	N    int64             `json:"n,omitempty"`
}

// A reply is what became of a request, or with Log a line of the kiosk's.
type reply struct {
	Err  string `json:"err,omitempty"`
	Text string `json:"text,omitempty"`
	N    int64  `json:"n,omitempty"`
	Log  bool   `json:"log,omitempty"`
}

type guest struct {
	mu   sync.Mutex
	out  *json.Encoder
	conn net.Conn

	kiosk *exec.Cmd
	ended chan struct{} // of the kiosk
	show  *picture
}

func run() error {
	for _, m := range []struct{ kind, at string }{
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/tmp"}, {"tmpfs", "/run"},
	} {
		if err := mount(m.kind, m.at, m.kind, 0, ""); err != nil {
			return err
		}
	}
	if err := loadModules(); err != nil {
		return err
	}
	if err := mount("configfs", "/sys/kernel/config", "configfs", 0, ""); err != nil {
		return err
	}
	cmdline, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	at := ""
	for _, word := range strings.Fields(string(cmdline)) {
		if v, ok := strings.CutPrefix(word, "twin="); ok {
			at = v
		}
	}
	if err := network(); err != nil {
		return err
	}
	g := new(guest)
	if g.conn, err = net.DialTimeout("tcp", at, 20*time.Second); err != nil {
		return err
	}
	g.out = json.NewEncoder(g.conn)
	return g.serve()
}

func mount(source, at, kind string, flags uintptr, data string) error {
	if err := os.MkdirAll(at, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(source, at, kind, flags, data); err != nil {
		return fmt.Errorf("mount %s at %s: %w", kind, at, err)
	}
	return nil
}

// loadModules loads what /modules/list names, in its order, each with parameters.
func loadModules() error {
	list, err := os.ReadFile("/modules/list")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(list)) {
		name, params, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "" {
			continue
		}
		f, err := os.Open(filepath.Join("/modules", name))
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(f.Fd()), params, 0)
		f.Close()
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("module %s: %w", name, err)
		}
	}
	return nil
}

// network gives the machine its address. The world outside is at 10.0.2.2, on the
// same net.
func network() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	up := func(name string, ip, mask []byte) error {
		r, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		if ip != nil {
			if err := r.SetInet4Addr(ip); err != nil {
				return err
			}
			if err := unix.IoctlIfreq(fd, unix.SIOCSIFADDR, r); err != nil {
				return err
			}
			if err := r.SetInet4Addr(mask); err != nil {
				return err
			}
			if err := unix.IoctlIfreq(fd, unix.SIOCSIFNETMASK, r); err != nil {
				return err
			}
		}
		r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
		return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r)
	}
	if err := up("lo", nil, nil); err != nil {
		return fmt.Errorf("network: lo: %w", err)
	}
	err = until(5*time.Second, func() error { return up("eth0", []byte{10, 0, 2, 15}, []byte{255, 255, 255, 0}) })
	if err != nil {
		return fmt.Errorf("network: eth0: %w", err)
	}
	return nil
}

// until tries fn until it succeeds, at most for a while.
func until(most time.Duration, fn func() error) error {
	for end := time.Now().Add(most); ; {
		err := fn()
		if err == nil || time.Now().After(end) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (g *guest) say(r reply) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.out.Encode(r) // who does not listen any more has cut the power
}

func (g *guest) serve() error {
	in := json.NewDecoder(bufio.NewReader(g.conn))
	for {
		var r request
		if err := in.Decode(&r); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		text, n, err := g.do(&r)
		answer := reply{Text: text, N: n}
		if err != nil {
			answer.Err = r.Do + " " + r.Name + r.Path + ": " + err.Error()
		}
		g.say(answer)
	}
}

func (g *guest) do(r *request) (text string, n int64, err error) {
	switch r.Do {
	case "disk":
		return "", 0, until(5*time.Second, func() error { return mount("/dev/vda", "/data", "ext4", unix.MS_NOATIME, "errors=remount-ro,commit=5") })
	case "write":
		if err := os.MkdirAll(filepath.Dir(r.Path), 0o700); err != nil {
			return "", 0, err
		}
		return "", 0, os.WriteFile(r.Path, r.Data, 0o600)
	case "read":
		b, err := os.ReadFile(r.Path)
		return string(b), 0, err
	case "sync":
		unix.Sync()
		return "", 0, nil
	case "time":
		return time.Now().UTC().Format(time.RFC3339), time.Now().Unix(), nil
	case "start":
		return "", 0, g.start(r)
	case "kill":
		if g.kiosk == nil {
			return "", 0, errors.New("not started")
		}
		if err := g.kiosk.Process.Signal(syscall.Signal(r.N)); err != nil {
			return "", 0, err
		}
		if r.Name == "wait" {
			<-g.ended
		}
		return "", 0, nil
	case "run":
		cmd := exec.Command(r.Args[0], r.Args[1:]...)
		b, err := cmd.CombinedOutput()
		return string(b), int64(cmd.ProcessState.ExitCode()), ignoreExit(err)
	case "gadget":
		return "", 0, makeGadget(r.Name, r.Args)
	case "plug":
		return "", 0, plug(r.Name, r.N != 0)
	case "serial":
		return "", 0, writeDevice("/dev/ttyGS0", []byte(r.Text))
	case "keys":
		return "", 0, typeText("/dev/hidg0", r.Text)
	case "taken":
		taken, err := isTaken(r.Name)
		if taken {
			n = 1
		}
		return "", n, err
	case "lines":
		return "", 0, makeLines(r.Args)
	case "levels":
		return levels(r.Name), 0, nil
	case "pull":
		return "", 0, pullLine(r.Name, r.N != 0)
	case "chip":
		return "", 0, makeChip(time.Unix(r.N, 0).UTC())
	case "heat":
		return "", 0, heat(r.N)
	case "picture":
		if g.show == nil {
			if g.show, err = openPicture(r.Path); err != nil {
				return "", 0, err
			}
		}
		g.show.set(r.Data)
		return "", 0, nil
	}
	return "", 0, errors.New("unknown")
}

func ignoreExit(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil
	}
	return err
}

// start starts the kiosk, whose log goes outside line by line.
func (g *guest) start(r *request) error {
	cmd := exec.Command(r.Args[0], r.Args[1:]...)
	cmd.Env = []string{"PATH=/bin", "HOME=/"}
	for k, v := range r.Env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	out, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	cmd.Stdout = os.Stdout
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	g.kiosk, g.ended = cmd, ended
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			g.say(reply{Log: true, Text: lines.Text()})
		}
		err := cmd.Wait()
		g.say(reply{Log: true, Text: "ended: " + strconv.Itoa(cmd.ProcessState.ExitCode()) + " " + fmt.Sprint(err)})
		close(ended)
	}()
	return nil
}
