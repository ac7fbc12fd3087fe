//go:build full

package e2e_test

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/qrgate/qrgate/sync/e2e/stage"
)

// The figures of a fleet: kiosks that are connected over TLS 1.3 with certificates of
// their own and beat, and what becomes of them when the server is killed and started
// again. On a machine that does nothing else:
//
//	go test -tags full -run '^$' -bench Fleet -benchtime 1x -timeout 30m ./sync/e2e
func BenchmarkFleet(b *testing.B) {
	for _, n := range []int{500, 2000} {
		b.Run(fmt.Sprintf("kiosks=%d", n), func(b *testing.B) {
			for b.Loop() {
				fleet(b, n, false).report(b)
			}
		})
	}
}

// Few in a run of all tests, and with QRGATE_SCALE=soak ten thousand, beside Mosquitto
// with the same clients.
func TestSoakFleet(t *testing.T) {
	n, most := 100, time.Minute
	if os.Getenv("QRGATE_SCALE") == "soak" {
		n, most = 10_000, 90*time.Second // their own handshakes are computed on the same processors
	}
	for _, mosquitto := range []bool{false, true} {
		f := fleet(t, n, mosquitto)
		t.Logf("mosquitto %t: %+v", mosquitto, f)
		if f.Back > most {
			t.Errorf("mosquitto %t: all %d were back after %s, want %s at most", mosquitto, n, f.Back, most)
		}
	}
}

// A census is what a fleet costs.
type census struct {
	Kiosks     int
	Connected  time.Duration // all of them, for the first time
	Empty, RSS float64       // of the broker's process, MiB: without kiosks, with all of them
	CPU        float64       // of the server, share of one processor, while they beat
	Page       time.Duration // the slowest of 50 live pages meanwhile
	Back       time.Duration // from the start of the server that follows one that was killed until all are connected
	Busiest    int           // connections in one second then
	StormPage  time.Duration // the slowest live page until then, after the server was ready
}

func (c census) report(b *testing.B) {
	b.ReportMetric(c.RSS, "MiB")
	b.ReportMetric((c.RSS-c.Empty)*1024/float64(c.Kiosks), "KiB/kiosk")
	b.ReportMetric(100*c.CPU, "%cpu")
	b.ReportMetric(float64(c.Page.Milliseconds()), "ms/page")
	b.ReportMetric(c.Back.Seconds(), "s-all-back")
	b.ReportMetric(float64(c.Busiest), "busiest/s")
	b.ReportMetric(float64(c.StormPage.Milliseconds()), "ms/page-storm")
}

var allConnected = regexp.MustCompile(`all connected: .* busiest_second=(\d+)`)

// fleet lets n light kiosks live beside a server.
func fleet(t testing.TB, n int, mosquitto bool) census {
	t.Helper()
	p, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	said := new(log)
	defer func() {
		if t.Failed() {
			t.Logf("the programs said at last:\n%s", said.tail(40))
		}
	}()
	o := stage.Options{Log: said}
	if mosquitto {
		addr, err := stage.FreeAddress()
		if err != nil {
			t.Fatal(err)
		}
		o.Broker = "tls://" + addr
	}
	dir := t.TempDir()
	s, err := stage.New(t.Context(), dir, p, o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ids := filepath.Join(dir, "ids")
	if _, err := s.Server(t.Context(), "kiosk", "add", "sim-", "-count", strconv.Itoa(n), "-place", "Mô phỏng", "-out", ids); err != nil {
		t.Fatal(err)
	}
	if mosquitto {
		stop, err := stage.StartMosquitto(filepath.Join(s.ServerState(), "tls"), s.Broker, said)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { stop() }()
	}
	server, err := s.StartServer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := census{Kiosks: n}
	broker := server.PID()
	if mosquitto {
		broker = childNamed(t, "mosquitto")
	}
	c.Empty = rss(t, broker)

	sim := exec.CommandContext(t.Context(), p.Kiosk, "simulate", "-light", "-kiosks", strconv.Itoa(n), "-server", "tls://"+s.Broker,
		"-name", "localhost", "-identities", ids, "-every", "1s")
	sim.Stderr = said
	lines, err := sim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := sim.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { sim.Process.Kill(); sim.Wait() }()
	all := make(chan int, 16) // the busiest second before all were connected
	go func() {
		for in := bufio.NewScanner(lines); in.Scan(); {
			if m := allConnected.FindStringSubmatch(in.Text()); m != nil {
				busiest, _ := strconv.Atoi(m[1])
				all <- busiest
			}
		}
	}()
	await := func(what string) int {
		t.Helper()
		select {
		case busiest := <-all:
			return busiest
		case <-time.After(5 * time.Minute):
			t.Fatalf("%s: not all kiosks are connected", what)
			return 0
		}
	}
	await("at first")
	c.Connected = time.Since(began)

	// A round of beats, so that what is kept for each is there.
	idle := 5 * time.Second
	if n > 100 {
		idle = 40 * time.Second
	}
	used, from := cpu(t, server.PID()), time.Now()
	time.Sleep(idle)
	c.CPU = (cpu(t, server.PID()) - used).Seconds() / time.Since(from).Seconds()
	for range 50 {
		c.Page = max(c.Page, page(t, s))
	}
	c.RSS = rss(t, broker)

	if mosquitto {
		// What restarts is Mosquitto; the server is one more of its clients.
		return c
	}
	server.Kill()
	for len(all) > 0 {
		<-all
	}
	time.Sleep(3 * time.Second) // all of them have seen it
	started := time.Now()
	if _, err = s.StartServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var pages sync.WaitGroup
	pages.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
				c.StormPage = max(c.StormPage, page(t, s))
			}
		}
	})
	c.Busiest = await("after the restart")
	c.Back = time.Since(started)
	close(stop)
	pages.Wait()
	return c
}

// page asks for the live page.
func page(t testing.TB, s *stage.Stage) time.Duration {
	began := time.Now()
	r, err := http.Get("http://" + s.Portal + "/truc-tiep")
	if err != nil {
		t.Errorf("the live page: %v", err)
		return time.Since(began)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusOK {
		t.Errorf("the live page: %s", r.Status)
	}
	return time.Since(began)
}

// rss returns what a process has in memory, in MiB.
func rss(t testing.TB, pid int) float64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(b), "VmRSS:")
	kib, err := strconv.ParseFloat(strings.Fields(cmp.Or(after, "?"))[0], 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib / 1024
}

// cpu returns the time that a process has computed.
func cpu(t testing.TB, pid int) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, err := strconv.Atoi(f[11])
	if err != nil {
		t.Fatal(err)
	}
	system, err := strconv.Atoi(f[12])
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond // of 100 ticks a second
}

// childNamed returns the number of the newest child of this process with a name.
func childNamed(t testing.TB, name string) int {
	t.Helper()
	var b []byte
	// A child is one of the thread that began it.
	tasks, _ := filepath.Glob("/proc/self/task/*/children")
	for _, f := range tasks {
		more, _ := os.ReadFile(f)
		b = append(append(b, ' '), more...)
	}
	var found []int
	for _, f := range strings.Fields(string(b)) {
		if comm, err := os.ReadFile("/proc/" + f + "/comm"); err == nil && strings.TrimSpace(string(comm)) == name {
			pid, _ := strconv.Atoi(f)
			found = append(found, pid)
		}
	}
	if len(found) == 0 {
		t.Fatalf("no child is called %s", name)
	}
	return slices.Max(found)
}
