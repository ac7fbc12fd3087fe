//go:build image

package main_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/sync/sdcard"
)

// machineOf is what systems of these cards are built for.
const machineOf = "system-arm64-lamps"

// sign lets two keepers sign what was built for machines, and publishes it.
func (w *world) sign(version string, builds map[string]string) {
	w.Helper()
	dir := filepath.Join(w.stage.Dir, "signing")
	keeper := func(n int) string { return filepath.Join(w.stage.Dir, fmt.Sprint("keeper", n)) }
	run := func(args ...string) { w.Helper(); w.server(append([]string{"release"}, args...)...) }
	if _, err := os.Stat(dir); err != nil {
		run("online", filepath.Join(w.stage.Dir, "online.pem"))
		run("init", dir, "-online", filepath.Join(w.stage.Dir, "online.pem"), "-to", keeper(1), "-to", keeper(2), "-to", keeper(3))
	}
	for machine, path := range builds {
		run("add", dir, version, path, "-arch", machine, "-note", "Bản thử")
	}
	for _, n := range []int{3, 1} {
		run("sign", dir, filepath.Join(keeper(n), fmt.Sprintf("release-keeper-%d.pem", n)))
	}
	run("publish", dir)
}

// stick writes what is published onto a new stick and returns its image.
func (w *world) stick() string {
	w.Helper()
	dir := filepath.Join(w.TempDir(), "qrgate-update")
	w.server("release", "stick", filepath.Dir(dir))
	if _, err := os.Stat(filepath.Join(dir, "timestamp.json")); err != nil {
		w.Fatalf("no repository on the stick: %v", err)
	}
	path := filepath.Join(w.TempDir(), "stick")
	for _, args := range [][]string{{"truncate", "-s", "700M", path}, {"mkfs.fat", "-F", "32", "-n", "STICK", path}, {"mcopy", "-s", "-i", path, dir, "::"}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			w.Fatalf("%q: %v: %s", args, err, out)
		}
	}
	return path
}

// tries is how often a kiosk starts a system that does not come to the end of its trial.
const tries = 3

// broken returns a system whose root is damaged, signed or not: it starts and finds
// nothing to hand over to.
func broken(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	clear(b[sdcard.RootOffset : sdcard.RootOffset+1<<20])
	out := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(out, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return out
}

// rootKept is what a door says that can judge what a stick brings.
const rootKept = "root of the releases kept"

// TestASystemIsUpdatedAndABrokenOneLeft brings a newer system on a stick, which stays
// once somebody was let in, and then a damaged one, from which the card returns.
func TestASystemIsUpdatedAndABrokenOneLeft(t *testing.T) {
	c := newCard(t, build(t, first)+".img")
	w := newWorld(t)
	good := build(t, newer) + ".system"
	w.sign(newer, map[string]string{machineOf: good})
	w.serve()
	m := c.start()
	m.said(slow, firstStart)
	w.enrol(m)
	m.said(slow, rootKept)
	m.kill()

	c.stick = w.stick()
	m = c.start()
	if m.slot != sdcard.A {
		t.Fatalf("slot %s starts, want a", m.slot)
	}
	if !m.restarted(slow) {
		t.Fatalf("the card did not try the newer system:\n%s", m.console.tail(40))
	}
	t.Logf("power to the newer system's start, from a stick: %s", time.Since(m.begun))
	m = c.start()
	if m.slot != sdcard.B {
		t.Fatalf("slot %s is tried, want b", m.slot)
	}
	m.said(slow, "door open")
	// Nobody has come yet: the power goes, the old system is back, and tries once more.
	m.cut(chance())
	m = c.start()
	if m.slot != sdcard.A {
		t.Fatalf("after a cut in the trial slot %s starts, want a", m.slot)
	}
	if !m.restarted(slow) {
		t.Fatalf("the card did not try the newer system again:\n%s", m.console.tail(40))
	}
	m = c.start()
	m.said(slow, "door open")
	w.check(m, 1)
	m.said(slow, "system has proven itself")
	m.cut(chance())
	if got := c.chosen(); got != sdcard.B {
		t.Fatalf("once it has proven itself slot %s starts, want b", got)
	}

	// One that does not start is tried as often as chance could be to blame, and left.
	w.sign(worse, map[string]string{machineOf: broken(t, good)})
	c.stick = w.stick()
	for try := range tries {
		m = c.start()
		if m.slot != sdcard.B || !m.restarted(slow) {
			t.Fatalf("try %d from slot %s:\n%s", try+1, m.slot, m.console.tail(40))
		}
		m = c.start()
		if m.slot != sdcard.A || m.restarted(slow) {
			t.Fatalf("the damaged system, try %d:\n%s", try+1, m.console.tail(40))
		}
		if !strings.Contains(m.console.String(), "this system does not start") {
			t.Fatalf("the damaged system says:\n%s", m.console.tail(40))
		}
	}
	m = c.start()
	if m.slot != sdcard.B {
		t.Fatalf("after the damaged system slot %s starts, want b", m.slot)
	}
	m.said(slow, "returned from a system")
	m.said(slow, "door open")
}

// rollOut has an operator bring a version to every kiosk at once.
func (w *world) rollOut(version string) {
	w.Helper()
	operator := *w
	operator.client.Jar = w.signIn("binh", "-role", "operator")
	page := operator.get("/dang-nhap/xac-thuc")
	operator.post("/dang-nhap/xac-thuc", url.Values{"account_code": {code(w.T, secretOf.FindString(page))}, "ve": {"/thiet-bi/phien-ban"}})
	operator.post("/thiet-bi/phien-ban/dua", url.Values{"ban": {version}, "nhip": {"nhanh"}, "cho": {"0"}, "loi": {"5"}, "ngay": {"1"}})
	if page := operator.get("/thiet-bi/phien-ban"); !strings.Contains(page, version) {
		w.Fatalf("nothing is on its way:\n%.4000s", page)
	}
}

var secretOf = regexp.MustCompile(`(?:[A-Z2-7]{4} ){7}[A-Z2-7]{4}`)

// code is what an app shows for a secret now (RFC 6238).
func code(t *testing.T, secret string) string {
	t.Helper()
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(secret, " ", ""))
	if err != nil || len(key) == 0 {
		t.Fatalf("no secret in the page: %v", err)
	}
	mac := hmac.New(sha1.New, key)
	binary.Write(mac, binary.BigEndian, time.Now().Unix()/30)
	sum := mac.Sum(nil)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff%1_000_000)
}

// TestTheServerUpdatesProgramAndSystem rolls a version out: the kiosk takes its program,
// and the system of that version follows.
func TestTheServerUpdatesProgramAndSystem(t *testing.T) {
	c := newCard(t, build(t, first)+".img")
	w := newWorld(t)
	w.sign(newer, map[string]string{machineOf: build(t, newer) + ".system", "arm64": kiosk(t, newer)})
	w.serve()
	m := c.start()
	m.said(slow, firstStart)
	// The hours in which a door may be away are now. This is gone at the next start.
	m.must(request{Append: "/etc/qrgate/kiosk.toml", Text: "\n[update]\nwindow = \"00:00-23:59\"\nspread = \"1ms\"\n"})
	w.enrol(m)
	m.said(slow, "door open")
	w.rollOut(newer)
	m.said(slow, `msg="version has proven itself" task=launcher version=`+newer)
	t.Logf("power to the newer program: %s", time.Since(m.begun))
	if !m.restarted(2 * slow) {
		t.Fatalf("the card did not try the newer system:\n%s", m.console.tail(40))
	}
	t.Logf("power to the newer system's start, from the server: %s", time.Since(m.begun))
	m = c.start()
	if m.slot != sdcard.B {
		t.Fatalf("slot %s is tried, want b", m.slot)
	}
	m.said(slow, "door open")
	w.check(m, 1)
	m.said(slow, "system has proven itself")
}

// kiosk builds the program of a version, for the boards.
func kiosk(t *testing.T, version string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "qrgate-kiosk")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X main.version="+version, "-o", out, "../../../device")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm64")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, b)
	}
	return out
}
