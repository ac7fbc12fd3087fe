//go:build full

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/qrgate/qrgate/sync/e2e/stage"
)

const wait = time.Minute // for what must happen

// atTop works at the top of the repository, as the program does.
func atTop(t *testing.T) {
	t.Helper()
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Dir(strings.TrimSpace(string(mod))))
}

// build packs one program as it is, out of whatever is compiled already.
func build(t *testing.T, name string, a arch) string {
	t.Helper()
	atTop(t)
	r := release{version: "test", time: time.Unix(1_790_000_000, 0).UTC(), paths: true}
	i := slices.IndexFunc(programs, func(p program) bool { return p.name == name })
	deb, err := r.pack(t.Context(), programs[i], a, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return deb
}

// Both packages pass Debian's own checks, go into a Debian, work there, and
// leave it.
func TestPackages(t *testing.T) {
	kiosk, server := build(t, "qrgate-kiosk", amd64), build(t, "qrgate-server", amd64)
	t.Run("lintian", func(t *testing.T) {
		out, err := exec.Command("lintian", "--fail-on", "error,warning", "--no-cfg", kiosk, server).CombinedOutput()
		if err != nil {
			t.Errorf("lintian: %v; it comes by apt-get install lintian\n%s", err, out)
		}
	})
	t.Run("root", func(t *testing.T) { testRoot(newRoot(t, "/"), kiosk, server) })
}

// testRoot installs both packages, lets a visitor in through both programs, and
// removes the packages.
func testRoot(r root, kiosk, server string) {
	said := r.install(kiosk, server)
	if !strings.Contains(said, "qrgate-server init") {
		r.Errorf("the server's package does not say what to do next: %s", said)
	}
	if out := r.must("root", "dpkg", "--verify", "qrgate-kiosk", "qrgate-server"); out != "" {
		r.Errorf("files differ from the packages: %s", out)
	}
	for _, unit := range []string{"qrgate-kiosk", "qrgate-server"} {
		r.must("root", "test", "-L", "/etc/systemd/system/multi-user.target.wants/"+unit+".service")
	}
	if out, err := r.command("root", "test", "-e", "/etc/systemd/system/multi-user.target.wants/qrgate-screen.service").CombinedOutput(); err == nil {
		r.Errorf("the screen is switched on, though nobody asked: %s", out)
	}
	r.must("root", "systemd-analyze", "verify", "--man=no", "/lib/systemd/system/qrgate-kiosk.service", "/lib/systemd/system/qrgate-server.service")

	// A kiosk that nobody has set up says so, and its settings are in order.
	r.must("qrgate-kiosk", "qrgate-kiosk", "check-config")
	r.must("qrgate-server", "qrgate-server", "check-config")
	for _, name := range []string{"qrgate-kiosk", "qrgate-server"} {
		if out := r.must("nobody", name, "version"); out != "test\n" {
			r.Errorf("%s version = %q, want test", name, out)
		}
	}

	broker, err := stage.FreeAddress()
	if err != nil {
		r.Fatal(err)
	}
	portal, err := stage.FreeAddress()
	if err != nil {
		r.Fatal(err)
	}
	r.write("/etc/qrgate/server.toml", fmt.Sprintf("[broker]\nlisten = %q\n[portal]\nlisten = %q\n[metrics]\nlisten = \"\"\n", broker, portal))
	r.must("qrgate-server", "qrgate-server", "init")
	r.must("qrgate-server", "qrgate-server", "kiosk", "add", "kiosk-0001", "-place", "Chợ Đông Ba", "-out", "/tmp/identity")
	r.must("qrgate-server", "qrgate-server", "card", "-number", "1", "-png", "/tmp/card.png")
	r.must("root", "sh", "-ec", `
install -d -o qrgate-kiosk -m 0700 /var/lib/qrgate/identity /var/lib/qrgate/frames
install -o qrgate-kiosk -m 0600 /tmp/identity/* /var/lib/qrgate/identity/
install -o qrgate-kiosk -m 0600 /tmp/card.png /var/lib/qrgate/frames/`)
	r.write("/etc/qrgate/kiosk.toml", fmt.Sprintf(`[server]
url = "tls://%s"
[door]
place = "Chợ Đông Ba"
gate = "A1"
[[camera]]
kind = "files"
path = "/var/lib/qrgate/frames"
rate = 5.0
[panel]
kind = "lines"
lines = "/var/lib/qrgate/lamps"
`, broker))
	r.must("qrgate-kiosk", "qrgate-kiosk", "check-config")

	serving := r.start("qrgate-server", r.execStart("qrgate-server")...)
	door := r.start("qrgate-kiosk", r.execStart("qrgate-kiosk")...)
	door.ready()
	r.until("the lamp is green", func() bool {
		out, _ := r.command("qrgate-kiosk", "cat", "/var/lib/qrgate/lamps").Output()
		return bytes.Contains(out, []byte("admitted"))
	})
	r.until("the check-in is held by the server", func() bool {
		out, err := r.command("qrgate-server", "qrgate-server", "checkins", "kiosk-0001").Output()
		return err == nil && len(out) > 0
	})
	door.stop()
	serving.stop()
	if out := r.must("qrgate-kiosk", "qrgate-kiosk", "ledger"); !strings.Contains(out, "complete") {
		r.Errorf("ledger = %q, want it complete", out)
	}

	// An upgrade keeps what was changed by hand.
	r.install(kiosk, server)
	if out := r.must("root", "cat", "/etc/qrgate/kiosk.toml"); !strings.Contains(out, "files") {
		r.Error("the settings were replaced by an upgrade")
	}
	r.must("root", "dpkg", "--purge", "qrgate-kiosk", "qrgate-server")
	r.must("root", "test", "-e", "/var/lib/qrgate/outbox.db")
	r.must("root", "test", "-d", "/var/lib/qrgate-server/keys")
	r.must("root", "test", "!", "-e", "/etc/qrgate")
	r.must("root", "test", "!", "-e", "/usr/bin/qrgate-kiosk")
}

// A service is a program of a package that runs as its unit runs it.
type service struct {
	root
	name   string
	cmd    *exec.Cmd
	log    bytes.Buffer
	ended  chan struct{}
	notify net.PacketConn
	once   sync.Once
}

// execStart is what a unit starts.
func (r root) execStart(unit string) []string {
	r.Helper()
	for line := range strings.Lines(r.must("root", "cat", "/lib/systemd/system/"+unit+".service")) {
		if command, ok := strings.CutPrefix(line, "ExecStart="); ok {
			return strings.Fields(command)
		}
	}
	r.Fatalf("%s starts nothing", unit)
	return nil
}

func (r root) start(user string, args ...string) *service {
	r.Helper()
	// An abstract name reaches through the root.
	socket := "@" + filepath.Base(filepath.Dir(r.dir)) + user + fmt.Sprint(os.Getpid())
	notify, err := net.ListenPacket("unixgram", socket)
	if err != nil {
		r.Fatal(err)
	}
	s := &service{root: r, name: args[0], cmd: r.command(user, args...), ended: make(chan struct{}), notify: notify}
	s.cmd.Env = append(s.cmd.Env, "NOTIFY_SOCKET="+socket)
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	if err := s.cmd.Start(); err != nil {
		r.Fatal(err)
	}
	go func() { s.cmd.Wait(); close(s.ended) }()
	r.Cleanup(func() {
		s.end()
		notify.Close()
		if r.Failed() {
			r.Logf("%s said:\n%s", s.name, s.log.String())
		}
	})
	return s
}

// ready waits until the program tells systemd that it serves.
func (s *service) ready() {
	s.Helper()
	s.notify.SetReadDeadline(time.Now().Add(wait))
	for b := make([]byte, 1024); ; {
		n, _, err := s.notify.ReadFrom(b)
		if err != nil {
			s.Fatalf("%s is not ready: %v", s.name, err)
		}
		if bytes.Contains(b[:n], []byte("READY=1")) {
			return
		}
	}
}

func (s *service) end() {
	s.once.Do(func() {
		s.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-s.ended:
		case <-time.After(wait):
			s.cmd.Process.Kill()
			<-s.ended
		}
	})
}

// stop ends the program as systemd does.
func (s *service) stop() {
	s.Helper()
	s.end()
	if !s.cmd.ProcessState.Success() {
		s.Errorf("%s ended: %s", s.name, s.cmd.ProcessState)
	}
}

func (r root) until(what string, ok func() bool) {
	r.Helper()
	for end := time.Now().Add(wait); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			r.Fatalf("not in time: %s", what)
		}
	}
}

// The same in a Debian in which nothing else is installed.
func TestSoakPackagesInPlainDebian(t *testing.T) {
	if os.Getenv("QRGATE_SCALE") != "soak" {
		return // it fetches a Debian
	}
	kiosk, server := build(t, "qrgate-kiosk", amd64), build(t, "qrgate-server", amd64)
	dir := filepath.Join(t.TempDir(), "debian")
	c := exec.Command("mmdebstrap", "--variant=essential", "--include=systemd", "bookworm", dir, "http://deb.debian.org/debian")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("mmdebstrap: %v: %s", err, out)
	}
	testRoot(newRoot(t, dir), kiosk, server)
}

// The programs of the other architectures are for them, and run as far as an
// emulated processor goes: a code in a picture is read, as the door's camera does it.
func TestSoakPackagesOfOtherProcessors(t *testing.T) {
	if os.Getenv("QRGATE_SCALE") != "soak" {
		return // three packages more; device tests those processors otherwise
	}
	for _, tt := range []struct {
		arch
		qemu, pkg string
	}{{arm64, "qemu-aarch64", "qrgate-kiosk"}, {armhf, "qemu-arm", "qrgate-kiosk"}, {arm64, "qemu-aarch64", "qrgate-server"}} {
		deb := build(t, tt.pkg, tt.arch)
		dir := t.TempDir()
		run := func(name string, args ...string) string {
			out, err := exec.Command(name, args...).CombinedOutput()
			if err != nil {
				t.Fatalf("%s %v: %v: %s", name, args, err, out)
			}
			return string(out)
		}
		if out := run("lintian", "--fail-on", "error", "--no-cfg", deb); strings.Contains(out, "E:") {
			t.Errorf("lintian: %s", out)
		}
		run("dpkg-deb", "--extract", deb, dir)
		program := filepath.Join(dir, "usr/bin", tt.pkg)
		if out := run(tt.qemu, program, "version"); out != "test\n" {
			t.Errorf("%s: version = %q", tt.deb, out)
		}
		settings := strings.TrimPrefix(tt.pkg, "qrgate-") + ".toml"
		run(tt.qemu, program, "check-config", "-config", filepath.Join(dir, "etc/qrgate", settings))
		if tt.pkg == "qrgate-kiosk" {
			frames, err := filepath.Glob("testdata/qr/*.jpg")
			if err != nil || len(frames) == 0 {
				t.Fatalf("no committed frames: %v", err)
			}
			run(tt.qemu, program, "decode", "-patience", "10m", frames[0])
		}
	}
}

// What two machines build of one commit is the same to the last byte. In a soak
// the second builds from an empty cache, and everything.
func TestReproducible(t *testing.T) {
	atTop(t)
	soak := os.Getenv("QRGATE_SCALE") == "soak"
	// Of one commit, also where somebody commits meanwhile.
	commit, err := exec.Command("git", "rev-parse", "HEAD").Output()
	if err != nil {
		t.Fatalf("git rev-parse: %v", err)
	}
	var sums [2]map[string]string
	for i := range sums {
		dir := filepath.Join(t.TempDir(), strings.Repeat("x", 1+9*i), "src")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("sh", "-c", `git archive "$1" | tar -x -C "$0"`, dir, strings.TrimSpace(string(commit))).CombinedOutput(); err != nil {
			t.Fatalf("git archive: %v: %s", err, out)
		}
		args := []string{"run", "./sync/e2e/pack", "-version", "test", "-time", "1790000000", "-out", "out"}
		if !soak {
			args = append(args, "-only", "qrgate-kiosk", "-arch", "amd64")
		}
		c := exec.Command("go", args...)
		c.Dir = dir
		c.Env = append(os.Environ(), fmt.Sprintf("TZ=Etc/GMT-%d", i), "GOTOOLCHAIN=local")
		if soak && i == 1 {
			c.Env = append(c.Env, "GOCACHE="+filepath.Join(dir, "cache"))
		}
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("pack: %v: %s", err, out)
		}
		paths, err := filepath.Glob(filepath.Join(dir, "out", "*"))
		if err != nil || len(paths) == 0 {
			t.Fatalf("nothing was built: %v", err)
		}
		sums[i] = map[string]string{}
		for _, path := range paths {
			out, err := exec.Command("sha256sum", path).Output()
			if err != nil {
				t.Fatal(errors.Join(err))
			}
			sums[i][filepath.Base(path)] = string(out[:64])
		}
	}
	for name, sum := range sums[0] {
		if sums[1][name] != sum {
			t.Errorf("%s: %s in one directory, %s in the other", name, sum, sums[1][name])
		}
		t.Logf("%s  %s", sum, name)
	}
}
