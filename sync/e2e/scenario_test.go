package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
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

	"github.com/qrgate/qrgate/sync/e2e/stage"
)

// A backend is where a server keeps its rows and which broker it uses.
type backend struct {
	options stage.Options
	scans   int                                   // people who come while the kiosk is offline
	servers int                                   // that share the work; 1 with the embedded broker
	broker  func(t *testing.T, s *stage.Stage)    // started between init and serve; nil for the embedded one
	wipe    func(t *testing.T, s *stage.Stage)    // takes the database away
	files   func(s *stage.Stage) (paths []string) // where the database lies, beside the stage's directory
}

func TestScenarioSQLite(t *testing.T) {
	t.Parallel()
	few := 1500
	if os.Getenv("QRGATE_SCALE") == "soak" {
		few = manyScans
	}
	scenario(t, backend{
		scans:   few,
		servers: 1,
		wipe: func(t *testing.T, s *stage.Stage) {
			files, err := filepath.Glob(filepath.Join(s.ServerState(), "qrgate.db*"))
			if err != nil || len(files) == 0 {
				t.Fatalf("the database is not where it should be: %v", err)
			}
			for _, f := range files {
				if err := os.Remove(f); err != nil {
					t.Fatal(err)
				}
			}
		},
	})
}

// manyScans is how many people are promised to come while the kiosk is offline, and kills
// how often it is killed meanwhile.
const manyScans, kills = 5000, 20

var programs = sync.OnceValues(func() (stage.Programs, error) {
	dir, err := os.MkdirTemp("", "qrgate-programs-")
	if err != nil {
		return stage.Programs{}, err
	}
	p := stage.Programs{Server: filepath.Join(dir, "qrgate-server"), Kiosk: filepath.Join(dir, "qrgate-kiosk")}
	for out, pkg := range map[string]string{p.Server: "../../server", p.Kiosk: "../../device"} {
		cmd := exec.Command("go", "build", "-o", out, pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if b, err := cmd.CombinedOutput(); err != nil {
			return p, fmt.Errorf("go build %s: %w: %s", pkg, err, b)
		}
	}
	return p, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if p, err := programs(); err == nil {
		os.RemoveAll(filepath.Dir(p.Server))
	}
	os.Exit(code)
}

// A log is what the programs said, shown when the test has failed.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *log) tail(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := strings.Split(l.b.String(), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// A play is one run of the scenario.
type play struct {
	*testing.T
	ctx    context.Context
	stage  *stage.Stage
	proxy  *stage.Proxy
	kiosk  *visited
	cards  []string // not yet shown
	people canaries

	servers int
	serving []*stage.Process
}

// scenario lets one kiosk and its server live through everything between a scan
// and a row that can go wrong, and then compares the lamps with the rows.
func scenario(t *testing.T, b backend) {
	p := set(t, b)

	t.Log("offline, killed again and again")
	for n := range b.scans {
		if every := b.scans / kills; n%every == every/2 {
			p.kiosk.killSoon()
		}
		p.kiosk.show(p.next())
		if n%50 == 7 {
			p.kiosk.refused(fmt.Sprintf("https://example.invalid/%d", n))
		}
	}

	t.Log("connected over a line that repeats and shuffles; receipts are lost, then the server is killed")
	p.proxy.Repeat.Store(30)
	p.proxy.Shuffle.Store(40)
	p.proxy.LoseReceipts.Store(true)
	p.startServers()
	p.proxy.Down.Store(false)
	p.until("the server has committed something", func() bool { return len(p.rows(p.kiosk)) > 0 })
	p.until("a receipt was lost", func() bool { return p.proxy.Lost.Load() > 0 })
	p.killServers()
	p.startServers()
	p.proxy.LoseReceipts.Store(false)
	for range 3 { // sessions are lost, and the server once more
		time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
		p.proxy.Cut()
	}
	p.killServers()
	p.startServers()
	p.complete("after the drain")

	t.Log("online, with other visitors coming in")
	for range 100 {
		p.kiosk.show(p.next())
	}
	p.complete("online")

	t.Log("another kiosk's certificate")
	p.impostor()

	t.Log("the server is restored from an older backup")
	backup := filepath.Join(t.TempDir(), "backup")
	p.command("backup", backup)
	for range 50 {
		p.kiosk.show(p.next())
	}
	p.complete("before the first backup is verified")
	keys := t.TempDir()
	copyDir(t, filepath.Join(p.stage.ServerState(), "days"), keys)
	p.command("verify-backup", "-keys", keys, backup) // from here on the kiosk may forget what is in it
	for range 50 {
		p.kiosk.show(p.next())
	}
	p.complete("before the server is lost")
	p.killServers()
	b.wipe(t, p.stage)
	p.command("restore", backup)
	p.startServers()
	p.complete("after the restore")
	if said := p.command("enrolment", "show"); !strings.Contains(said, "no new kiosks are taken") {
		t.Errorf("after the restore: %s", said)
	}
	if said := p.command("enrolment", "confirm"); said != "new kiosks are taken" {
		t.Errorf("after the confirmation: %s", said)
	}

	t.Log("the kiosk's disk is put back to an older copy")
	p.kiosk.stop()
	older := filepath.Join(t.TempDir(), "disk")
	copyDir(t, p.kiosk.State(), older)
	p.kiosk.start()
	for range 60 {
		p.kiosk.show(p.next())
	}
	p.complete("before the copy is put back")
	p.kiosk.kill()
	if err := os.RemoveAll(p.kiosk.State()); err != nil {
		t.Fatal(err)
	}
	copyDir(t, older, p.kiosk.State())
	p.kiosk.start()
	for range 50 {
		p.kiosk.show(p.next())
	}
	p.complete("after the copy was put back")

	p.judge()
	p.search(b)
}

func set(t *testing.T, b backend) *play {
	programs, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	said := new(log)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the programs said at last:\n%s", said.tail(60))
		}
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := b.options
	o.Log, o.Dial, o.Extra = said, l.Addr().String(), "[ingest]\nworkers = 2\n"
	s, err := stage.New(ctx, t.TempDir(), programs, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !t.Failed() {
			t.Error(err)
		}
	})
	if b.broker != nil {
		b.broker(t, s)
	}
	p := &play{T: t, ctx: ctx, stage: s, servers: b.servers}
	if p.proxy, err = s.ServeProxy(ctx, l); err != nil {
		t.Fatal(err)
	}
	p.proxy.Down.Store(true)
	p.people = newCanaries(b.scans/5, rand.New(rand.NewPCG(1, 2)))
	first := 3_100_000_000 + rand.Uint32N(1_000_000_000)
	p.cards = strings.Fields(p.command("card", "-number", fmt.Sprint(first), "-count", fmt.Sprint(b.scans+500)))
	for n := range p.cards {
		p.people.serials = append(p.people.serials, first+uint32(n))
	}
	scanner, err := s.StartScanner(filepath.Join(s.Dir, "scanner"))
	if err != nil {
		t.Fatal(err)
	}
	k, err := s.AddKiosk(ctx, "cho-dong-ba-1", "Chợ Đông Ba", fmt.Sprintf("[[serial]]\ndevice = %q\n", scanner.Path))
	if err != nil {
		t.Fatal(err)
	}
	p.kiosk = &visited{Kiosk: k, t: t, scanner: scanner}
	p.kiosk.start()
	return p
}

// next returns the code of somebody who has not been here: every fifth shows an
// identity card, the others a card of ours.
func (p *play) next() string {
	if len(p.people.waiting) > 0 && rand.IntN(5) == 0 {
		text := p.people.waiting[0]
		p.people.waiting = p.people.waiting[1:]
		return text
	}
	if len(p.cards) == 0 {
		p.Fatal("no more cards")
	}
	text := p.cards[0]
	p.cards = p.cards[1:]
	return text
}

func (p *play) command(args ...string) string {
	p.Helper()
	out, err := p.stage.Server(p.ctx, args...)
	if err != nil {
		p.Fatal(err)
	}
	return out
}

func (p *play) startServers() {
	p.Helper()
	for _, start := range []func(context.Context) (*stage.Process, error){p.stage.StartServer, p.stage.StartSecondServer}[:p.servers] {
		run, err := start(p.ctx)
		if err != nil {
			p.Fatal(err)
		}
		p.serving = append(p.serving, run)
	}
}

func (p *play) killServers() {
	for _, run := range p.serving {
		run.Kill()
	}
	p.serving = nil
}

func (p *play) until(what string, done func() bool) {
	p.Helper()
	for end := time.Now().Add(90 * time.Second); !done(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			p.Fatalf("still waiting until %s; the server's ledger:\n%s", what, p.command("ledger"))
		}
	}
}

// A row is a check-in as the server prints it.
type row struct {
	Epoch   string
	Seq     uint64
	Subject string
	Pass    string
	Verdict string

	Gate, Direction string
}

func (p *play) rows(k *visited) []row {
	p.Helper()
	var all []row
	in := bufio.NewScanner(strings.NewReader(p.command("checkins", k.ID)))
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var r row
		if err := json.Unmarshal(in.Bytes(), &r); err != nil {
			p.Fatalf("%v in %s", err, in.Text())
		}
		all = append(all, r)
	}
	return all
}

func subjects(rows []row) map[string]int {
	all := map[string]int{}
	for _, r := range rows {
		if r.Subject != "" {
			all[r.Subject]++
		}
	}
	return all
}

// complete waits until the server holds everybody whom the kiosk has let in, and
// every record beside.
func (p *play) complete(when string) {
	p.Helper()
	p.until("everybody is stored "+when, func() bool {
		return len(subjects(p.rows(p.kiosk))) >= p.kiosk.greens && whole(p.command("ledger"))
	})
}

// whole reports whether nothing is missing in a ledger as the server prints it.
func whole(ledger string) bool {
	lines := strings.Split(ledger, "\n")
	return !slices.ContainsFunc(lines[1:], func(line string) bool { return !strings.Contains(line, "complete") })
}

// judge compares lamps and rows.
func (p *play) judge() {
	p.kiosk.stop()
	greens, reds := p.kiosk.lamps()
	if greens != p.kiosk.greens || reds != p.kiosk.reds {
		p.Errorf("lamps: %d green, %d red; shown were %d and %d", greens, reds, p.kiosk.greens, p.kiosk.reds)
	}
	rows := p.rows(p.kiosk)
	twice, refused, seen := 0, 0, map[string]bool{}
	for _, r := range rows {
		id := fmt.Sprint(r.Epoch, r.Seq, r.Subject)
		if seen[id] {
			p.Errorf("row %+v is there twice", r)
		}
		seen[id] = true
		if r.Verdict == "refused" {
			refused++
		}
	}
	by := subjects(rows)
	for _, n := range by {
		twice += n - 1
	}
	// A kiosk that is killed between the disk and the lamp has recorded somebody
	// who then shows the card again.
	if len(by) != greens || twice > p.kiosk.interrupted {
		p.Errorf("%d people in rows, %d rows more than people; %d green lights, %d scans interrupted by a kill", len(by), twice, greens, p.kiosk.interrupted)
	}
	if refused < reds || refused > reds+p.kiosk.interrupted {
		p.Errorf("%d refused rows, %d red lights", refused, reds)
	}
	if p.kiosk.kills < kills {
		p.Errorf("the kiosk was killed %d times, want %d", p.kiosk.kills, kills)
	}
	if p.proxy.Repeated.Load() == 0 || p.proxy.Held.Load() == 0 {
		p.Error("the line neither repeated nor shuffled")
	}
	ledger := p.command("ledger")
	if !whole(ledger) {
		p.Errorf("something is missing:\n%s", ledger)
	}
	if dead := p.command("dead-letters"); strings.Count(dead, "\n") > 0 {
		p.Errorf("dead letters:\n%s", dead)
	}
	if got := p.metric("qrgate_gaps"); got != "0" {
		p.Errorf("qrgate_gaps = %s", got)
	}
	p.Logf("%d green lights, %d rows, %d kills, %d scans interrupted; %d batches repeated, %d held back; ledger:\n%s",
		greens, len(rows), p.kiosk.kills, p.kiosk.interrupted, p.proxy.Repeated.Load(), p.proxy.Held.Load(), ledger)
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(to, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			err = os.Chmod(path, 0o600)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
