//go:build image

package main_test

import (
	"database/sql"
	"fmt"
	"html"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/qrgate/qrgate/sync/e2e/browser"
	"github.com/qrgate/qrgate/sync/e2e/stage"
	"github.com/qrgate/qrgate/sync/guide"
)

// slow is long enough for anything that an emulated board does.
const slow = 10 * time.Minute

// firstStart is what the kiosk's program says when it is new.
const firstStart = `msg="first start"`

// Versions of the systems that are built for the tests.
const (
	first = "1.0.0"
	newer = "1.1.0"
	worse = "1.2.0"
)

// built are the images of this run.
var built = map[string]bool{}

// build runs the builder, once for each image, and returns the path of what it made,
// without its ending.
func build(t *testing.T, version string, flags ...string) string {
	t.Helper()
	out := outDir()
	variant := "lamps"
	if len(flags) > 0 {
		variant = "screen"
	}
	path := filepath.Join(out, fmt.Sprintf("qrgate-%s-%s-probe", variant, version))
	if _, err := os.Stat(path + ".packages"); built[path] || err == nil && os.Getenv("QRGATE_IMAGE_KEPT") != "" {
		return path
	}
	built[path] = true
	cmd := exec.Command("go", append([]string{"run", "./sync/e2e/image", "-out", out, "-cache", cacheDir(), "-probe", "-version", version, "-time", "1764115200"}, flags...)...)
	cmd.Dir = "../../.."
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("image: %v: %s", err, b)
	} else {
		t.Logf("image %s:\n%s", version, b)
	}
	return path
}

func outDir() string {
	if dir := os.Getenv("QRGATE_IMAGE"); dir != "" {
		return dir
	}
	dir, _ := filepath.Abs("../../../build/image")
	return dir
}

func cacheDir() string {
	if dir := os.Getenv("QRGATE_IMAGE_CACHE"); dir != "" {
		return dir
	}
	return filepath.Join(outDir(), "cache")
}

// programs are those of this machine.
var programs = sync.OnceValues(func() (p stage.Programs, err error) {
	dir, err := os.MkdirTemp("", "qrgate-image-")
	p.Server, p.Kiosk = filepath.Join(dir, "qrgate-server"), filepath.Join(dir, "qrgate-kiosk")
	for out, pkg := range map[string]string{p.Server: "../../../server", p.Kiosk: "../../../device"} {
		if said, failed := exec.Command("go", "build", "-o", out, pkg).CombinedOutput(); failed != nil {
			return p, fmt.Errorf("go build %s: %w: %s", pkg, failed, said)
		}
	}
	return p, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if p, err := programs(); err == nil {
		os.RemoveAll(filepath.Dir(p.Server))
	}
	os.Exit(code)
}

// A world is a server outside and somebody at its portal.
type world struct {
	*testing.T
	stage  *stage.Stage
	client http.Client
}

func newWorld(t *testing.T) *world {
	t.Helper()
	p, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t}
	if w.stage, err = stage.New(t.Context(), t.TempDir(), p, stage.Options{Home: "10.0.2.2"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.stage.Close() })
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) server(args ...string) string {
	w.Helper()
	out, err := w.stage.Server(w.Context(), args...)
	w.must(err)
	return out
}

// serve starts the server and makes a place.
func (w *world) serve() {
	w.Helper()
	_, err := w.stage.StartServer(w.Context())
	w.must(err)
	w.client.Jar = w.signIn("owner.ba")
	w.post("/to-chuc/moi", url.Values{"org.name": {"Ban quản lý chợ"}, "org.sector": {"province"}, "org.phone": {"0234 3523 991"}})
	org := regexp.MustCompile(`name="place.org" value="([a-z2-7]+)"`).FindStringSubmatch(w.get("/dia-diem/moi"))
	if org == nil {
		w.Fatal("no organisation was made")
	}
	w.post("/dia-diem/moi", url.Values{
		"place.org": org[1:], "place.name": {"Chợ Đông Ba"}, "place.kind": {"event_venue"}, "place.sector": {"province"}, "place.commune": {"Phường Phú Xuân"}, "place.street": {"2 Trần Hưng Đạo"},
		"place.person": {"Trần Văn Ba"}, "place.phone1": {"0905 123 456"}, "place.doors": {"1"}, "place.pick": {"19753@2025-07-01"}, "place.area": {"19753@2025-07-01"},
	})
}

// signIn makes an account and signs it in at the portal, in a browser of its own.
func (w *world) signIn(name string, role ...string) http.CookieJar {
	w.Helper()
	link := w.server(append([]string{"account", "add", name}, role...)...)
	at, err := url.Parse(link)
	w.must(err)
	somebody := *w
	somebody.client.Jar, _ = cookiejar.New(nil)
	const password = "mua xuan chin mot tram"
	somebody.post(at.Path, url.Values{"ma": {at.Query().Get("ma")}, "account_new_password": {password}})
	somebody.post("/dang-nhap", url.Values{"account_name": {name}, "account_password": {password}})
	return somebody.client.Jar
}

// check holds the card of a number before the scanner, and waits until its check-in, the
// server's n-th, is there.
func (w *world) check(m *machine, n int) {
	w.Helper()
	card, err := w.stage.Card(w.Context(), n, "")
	w.must(err)
	m.until(slow, "the door has its scanner", func() bool { return m.opened() > 0 })
	m.scan(card)
	m.until(slow, fmt.Sprintf("check-in %d is on the server", n), func() bool { return w.rows() >= n })
}

func (w *world) get(path string) string {
	w.Helper()
	resp, err := w.client.Get("http://" + w.stage.Portal + path)
	return w.body(resp, err)
}

func (w *world) post(path string, form url.Values) string {
	w.Helper()
	resp, err := w.client.PostForm("http://"+w.stage.Portal+path, form)
	return w.body(resp, err)
}

func (w *world) body(resp *http.Response, err error) string {
	w.Helper()
	w.must(err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	w.must(err)
	return string(b)
}

var (
	enrolCode  = regexp.MustCompile(`<code>(QGE1[^<]*)</code>`)
	enrolWords = regexp.MustCompile(`enrol-words"[^>]*>([^<]*)<`)
	enrolForm  = regexp.MustCompile(`/thiet-bi/them/ma/[a-z2-7]+`)
	enrolled   = regexp.MustCompile(`/thiet-bi/(k1-[a-z0-9-]+)/danh-tinh`)
)

// enrol makes the machine a kiosk by the code that the portal shows, held before its
// scanner.
func (w *world) enrol(m *machine) (id string) {
	w.Helper()
	page := w.post("/thiet-bi/them", url.Values{"enrol_place": {"1"}, "enrol_gate": {"B7"}, "enrol_direction": {"vao"}})
	code, at := enrolCode.FindStringSubmatch(page), enrolForm.FindString(page)
	if code == nil || at == "" {
		w.Fatalf("no code on the page:\n%.3000s", page)
	}
	var words string
	var held time.Time
	m.until(slow, "the portal shows the kiosk's four words", func() bool {
		if time.Since(held) > time.Minute { // also somebody at a door holds it up once more
			m.scan(html.UnescapeString(code[1]))
			held = time.Now()
		}
		if found := enrolWords.FindStringSubmatch(w.get(at)); found != nil {
			words = found[1]
		}
		return words != ""
	})
	w.post(at+"/xac-nhan", url.Values{"words": {words}})
	m.until(slow, "the kiosk has its certificate", func() bool {
		if found := enrolled.FindStringSubmatch(w.get(at)); found != nil {
			id = found[1]
		}
		return id != ""
	})
	// What is left of the first start is answered with the guide's code for going on.
	for end := time.Now().Add(slow); !strings.Contains(m.console.String(), "door open") && time.Now().Before(end); time.Sleep(4 * time.Second) {
		m.scan(string(guide.Next))
	}
	m.replug()
	return id
}

// rows is how many check-ins the server has.
func (w *world) rows() (n int) {
	w.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(w.stage.ServerState(), "qrgate.db")+"?mode=ro")
	w.must(err)
	defer db.Close()
	w.must(db.QueryRow("SELECT count(*) FROM checkins").Scan(&n))
	return n
}

// TestFirstStart starts an image as it comes from the builder, looks at its first page,
// enrols it by its scanner and lets somebody in.
func TestFirstStart(t *testing.T) {
	c := newCard(t, build(t, first)+".img")
	w := newWorld(t)
	w.serve()
	m := c.start()
	t.Logf("start to the kiosk waiting for a code: %s", m.said(slow, firstStart))
	m.read("/proc/uptime") // the page comes over the machine's network, which is later than the kiosk
	w.looks(m, "first-start")
	id := w.enrol(m) // soon: a machine takes a code for ten minutes after its start
	w.closed(m)
	t.Logf("start to the door open, with its enrolment: %s", m.said(slow, "door open"))
	w.check(m, 1)
	w.looks(m, "open-door")
	w.memory(m, "idle")

	// The power goes and comes back: from here to somebody let in.
	m.cut(chance())
	m = c.start()
	m.said(slow, "door open")
	w.check(m, 2)
	t.Logf("power to a check-in on the server: %s (kiosk %s)", time.Since(m.begun), id)
}

// chance is of this run; what a cut keeps is seen to by it.
func chance() *rand.Rand { return rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1)) }

// looks takes a picture of the kiosk's page.
func (w *world) looks(m *machine, name string) {
	w.Helper()
	at := m.page()
	tab := browser.Start(w.T).Open()
	tab.Look(1024, 600, "light")
	tab.Visit(at)
	time.Sleep(2 * time.Second) // it paints
	tab.Shoot(name)
}

// memory prints what is used.
func (w *world) memory(m *machine, when string) {
	w.Helper()
	used := map[string]int{}
	for line := range strings.Lines(m.read("/proc/meminfo")) {
		var n int
		name, rest, _ := strings.Cut(line, ":")
		fmt.Sscan(rest, &n)
		used[name] = n >> 10
	}
	w.Logf("%s: memory %d MiB, used %d MiB, available %d MiB", when, used["MemTotal"], used["MemTotal"]-used["MemAvailable"], used["MemAvailable"])
	w.Logf("%s", largest(m.read("/proc/[0-9]*/status")))
	w.Logf("%s", m.must(request{Room: []string{"/", "/data", "/run", "/boot/firmware"}}))
	took, _ := m.ask(request{Run: []string{"systemd-analyze", "time"}}) // it is an error as long as something starts
	w.Logf("%s%s", m.run("systemctl", "--failed", "--no-legend", "--plain"), took.Out)
}

// largest returns the names of those programs that have the most memory, of lines of
// their status.
func largest(status string) string {
	type program struct {
		name string
		kib  int
	}
	var all []program
	for line := range strings.Lines(status) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "Name":
			all = append(all, program{name: strings.TrimSpace(rest)})
		case "VmRSS":
			fmt.Sscan(rest, &all[len(all)-1].kib)
		}
	}
	slices.SortFunc(all, func(a, b program) int { return b.kib - a.kib })
	var out strings.Builder
	for _, p := range all[:min(14, len(all))] {
		fmt.Fprintf(&out, "%6.1f MiB %s\n", float64(p.kib)/1024, p.name)
	}
	return out.String()
}

// closed checks what must not be open on a kiosk.
func (w *world) closed(m *machine) {
	w.Helper()
	for _, file := range []string{"tcp", "tcp6", "udp", "udp6"} {
		for i, line := range strings.Split(m.read("/proc/net/"+file), "\n") {
			f := strings.Fields(line)
			if i == 0 || len(f) < 4 {
				continue
			}
			local := strings.HasPrefix(f[1], "0100007F:") || strings.HasPrefix(f[1], "00000000000000000000000001000000:")
			// 0A listens; a datagram port that is not connected takes from anybody.
			if !local && (strings.HasPrefix(file, "tcp") && f[3] == "0A" || strings.HasPrefix(file, "udp") && f[3] == "07") {
				w.Errorf("%s listens: %s", file, line)
			}
		}
	}
	for line := range strings.Lines(m.read("/etc/shadow")) {
		if f := strings.Split(line, ":"); len(f) > 1 && f[1] != "*" && f[1] != "!" && f[1] != "!*" {
			w.Errorf("a password in /etc/shadow: %s", f[0])
		}
	}
	if got := strings.TrimSpace(m.read("/proc/swaps")); strings.Contains(got, "\n") {
		w.Errorf("swap: %s", got)
	}
	for _, name := range []string{"sshd", "sh", "bash", "dash", "busybox"} {
		if got := m.must(request{Find: name}); got != "" {
			w.Errorf("somebody who breaks in finds %s", got)
		}
	}
	if strings.Contains(m.read("/proc/[0-9]*/comm"), "getty") {
		w.Error("somebody may log in")
	}
	if _, err := m.ask(request{Append: "/usr/x", Text: "x"}); err == nil || !strings.Contains(err.Error(), "read-only") {
		w.Errorf("writing to the root: %v", err)
	}
}
