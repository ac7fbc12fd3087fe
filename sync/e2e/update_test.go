package e2e_test

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/sync/e2e/stage"
)

// releasable builds a launcher and a kiosk of a version, and makes of that, without a
// compiler, one that says it is the next and cannot open its ledger.
func releasable(t *testing.T) (launcher, good, bad string) {
	t.Helper()
	dir := t.TempDir()
	launcher, good, bad = filepath.Join(dir, "launcher"), filepath.Join(dir, "good"), filepath.Join(dir, "bad")
	build := func(out, pkg string, flags ...string) {
		cmd := exec.Command("go", append(append([]string{"build", "-o", out}, flags...), pkg)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if b, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go build %s: %v: %s", pkg, err, b)
		}
	}
	build(launcher, "../../device/launcher/qrgate-launcher", "-ldflags", "-s -w")
	build(good, "../../device", "-ldflags", "-s -w -X main.version=7.70.1")
	b, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.ReplaceAll(b, []byte("7.70.1"), []byte("7.70.2"))
	b = bytes.ReplaceAll(b, []byte("outbox.db"), []byte("no/folder"))
	if err := os.WriteFile(bad, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return launcher, good, bad
}

// release lets two keepers sign a version, and publishes it.
func release(t *testing.T, s *stage.Stage, version, program string) {
	t.Helper()
	dir := filepath.Join(s.Dir, "signing")
	keeper := func(n int) string { return filepath.Join(s.Dir, fmt.Sprint("keeper", n)) }
	run := func(args ...string) {
		if out, err := s.Server(t.Context(), append([]string{"release"}, args...)...); err != nil {
			t.Fatalf("release %s: %v\n%s", args[0], err, out)
		}
	}
	if _, err := os.Stat(dir); err != nil {
		run("online", filepath.Join(s.Dir, "online.pem"))
		run("init", dir, "-online", filepath.Join(s.Dir, "online.pem"), "-to", keeper(1), "-to", keeper(2), "-to", keeper(3))
	}
	run("add", dir, version, program, "-arch", runtime.GOARCH, "-note", "Bản thử")
	for _, n := range []int{3, 1} {
		run("sign", dir, filepath.Join(keeper(n), fmt.Sprintf("release-keeper-%d.pem", n)))
	}
	run("publish", dir)
}

// TestAKioskUpdatesItselfAndReturnsFromABadVersion lets both programs bring a newer
// version to a kiosk under its launcher, and then one that cannot open its ledger.
func TestAKioskUpdatesItselfAndReturnsFromABadVersion(t *testing.T) {
	t.Parallel()
	p, said := atOneDoor(t, "dong-ba-gate-1", "Chợ Đông Ba", "[update]\nspread = \"1ms\"\n")
	launcher, good, bad := releasable(t)
	programs, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	operator := signIn(t, p.stage, "binh", "-role", "operator")
	operator.confirm("/thiet-bi/phien-ban")
	rollOut := func(version string) {
		t.Helper()
		operator.post("/thiet-bi/phien-ban/dua", url.Values{"ban": {version}, "nhip": {"nhanh"}, "cho": {"0"}, "loi": {"5"}, "ngay": {"1"}})
	}
	shows := func(want *regexp.Regexp) {
		t.Helper()
		var page string
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
			if page = operator.get("/thiet-bi/phien-ban"); want.MatchString(page) {
				return
			}
		}
		t.Fatalf("the page never shows %s:\n%.6000s", want, page)
	}
	start := func() *stage.Process {
		t.Helper()
		run, err := p.kiosk.StartUnder(launcher, "-versions", filepath.Join(p.kiosk.State(), "versions"), "-program", programs.Kiosk, "-settle", "500ms")
		if err != nil {
			t.Fatal(err)
		}
		return run
	}

	release(t, p.stage, "7.70.1", good)
	rollOut("7.70.1")
	p.kiosk.run = start()
	shows(regexp.MustCompile(`(?s)dong-ba-gate-1</code></th><td[^>]*>7\.70\.1 .*?Đang chạy bản này`))
	await(t, said, `msg="version has proven itself" task=launcher version=7.70.1`)

	release(t, p.stage, "7.70.2", bad)
	rollOut("7.70.2")
	if err := p.kiosk.run.Stop(); err != nil { // a kiosk beats at once when it starts
		t.Fatal(err)
	}
	p.kiosk.run = start()
	shows(regexp.MustCompile(`(?s)dong-ba-gate-1</code></th><td[^>]*>7\.70\.1 .*?Đã quay về bản cũ.*?Chạy lên là tắt`))
	shows(regexp.MustCompile(`Tự dừng vì quá nhiều thiết bị`))

	card, err := p.stage.Card(t.Context(), 1, "")
	if err != nil {
		t.Fatal(err)
	}
	p.kiosk.show(card)
}

// await waits until the programs have said something.
func await(t *testing.T, said *log, what string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if strings.Contains(said.tail(1000), what) {
			return
		}
	}
	t.Fatalf("nobody said %q", what)
}
