//go:build twin

package twin_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/sync/e2e/twin"
)

// cuts is how often the power is cut: 20 times, and 300 in a soak, shared by the doors
// of which it is.
func cuts() int {
	if os.Getenv("QRGATE_SCALE") == "soak" {
		return 300
	}
	return 20
}

const cutDoors = 2

// The power is cut while people come in. Whoever saw green is on the server in the
// end, once.
func TestTruePowerCuts(t *testing.T) {
	t.Parallel()
	for n := range cutDoors {
		t.Run(strconv.Itoa(n+1), func(t *testing.T) {
			d := newDoor(t, aSerial)
			greens, err := d.cutAgain(cuts()/cutDoors, seed(t, n))
			if err != nil {
				t.Fatal(err)
			}
			if lost := d.lost(greens); len(lost) > 0 {
				t.Errorf("%d of %d people who saw green are not on the server: %v", len(lost), len(greens), lost)
			}
			writes, flushes := d.disk.Stats()
			t.Logf("%d cuts, %d greens, %d sectors written, %d flushes", cuts()/cutDoors, len(greens), writes, flushes)
		})
	}
}

// A disk that says that it has kept what it has not is found out by the same test.
func TestDiskThatLiesIsFoundOut(t *testing.T) {
	d := newDoor(t, aSerial)
	d.boot(twin.Options{}).Cut(seed(t, 0)) // what makes it a kiosk is on the disk for certain
	d.disk.Lie(true)
	greens, err := d.cutAgain(cuts(), seed(t, 0))
	if err != nil {
		t.Logf("found out: %v", err)
		return
	}
	if lost := d.lost(greens); len(lost) == 0 {
		t.Errorf("%d cuts of a disk that lies, and nothing is lost", cuts())
	}
}

// So is one that has forgotten a single person, and nothing that a file system or a
// ledger would notice.
func TestDiskThatForgetsOnePersonIsFoundOut(t *testing.T) {
	d := newDoor(t, aSerial)
	m := d.boot(twin.Options{})
	d.must(m.AddSerial("0x1eab", "0x1a06", "TWIN1"))
	d.start(m, "scanner ready")
	kept, _ := d.card(1)
	d.hold(m, func() { d.must(m.Serial(kept + "\r")) })
	d.disk.Lie(true)
	forgotten, _ := d.card(2)
	d.hold(m, func() { d.must(m.Serial(forgotten + "\r")) })
	m.Cut(nil)
	d.disk.Lie(false)
	greens := d.greens(m)
	if len(greens) != 2 {
		t.Fatalf("%d people saw green, want 2", len(greens))
	}
	if lost := d.lost(greens); !slices.Equal(lost, greens[1:]) {
		t.Errorf("of %v lost is %v, want the second", greens, lost)
	}
}

// A green is one person who was let in.
type green struct {
	epoch string
	seq   uint64
}

var (
	judgedSeq = regexp.MustCompile(`msg=judged .*seq=(\d+) verdict=admitted`)
	openEpoch = regexp.MustCompile(`msg="door open".* epoch=([0-9a-f]+)`)
)

// greens returns whom the kiosk of one boot has let in.
func (d *door) greens(m *twin.Machine) (all []green) {
	d.Helper()
	epoch := ""
	for _, line := range m.Log() {
		if f := openEpoch.FindStringSubmatch(line); f != nil {
			epoch = f[1]
		}
		if f := judgedSeq.FindStringSubmatch(line); f != nil {
			seq, err := strconv.ParseUint(f[1], 10, 64)
			d.must(err)
			all = append(all, green{epoch, seq})
		}
	}
	return all
}

// cutAgain boots, lets people in and cuts the power, n times, without a server. An
// error means that the kiosk did not come up again.
func (d *door) cutAgain(n int, r *rand.Rand) (greens []green, err error) {
	d.Helper()
	var cards []string
	for i := range 8 {
		text, _ := d.card(i + 1)
		cards = append(cards, text)
	}
	for i := range n {
		ctx, cancel := context.WithTimeout(d.ctx, patient)
		m, err := d.tryBoot(ctx, twin.Options{})
		cancel()
		if err != nil {
			return greens, fmt.Errorf("boot %d: %w", i+1, err)
		}
		ctx, cancel = context.WithTimeout(d.ctx, patient)
		d.must(m.AddSerial("0x1eab", "0x1a06", "TWIN1"))
		d.must(m.StartKiosk("run", "-config", "/data/kiosk.toml"))
		_, _, err = m.WaitLog(ctx, 0, "door open")
		if err == nil {
			_, _, err = m.WaitLog(ctx, 0, "scanner ready")
		}
		cancel()
		if err != nil {
			return greens, fmt.Errorf("start %d: %w", i+1, err)
		}
		// Two are certainly let in, and somebody is under way when the power goes.
		for k := range 2 {
			d.hold(m, func() { d.must(m.Serial(cards[(i+k)%len(cards)] + "\r")) })
		}
		d.must(m.Serial(cards[(i+3)%len(cards)] + "\r"))
		time.Sleep(time.Duration(r.IntN(40)) * time.Millisecond)
		m.Cut(r)
		greens = append(greens, d.greens(m)...)
	}
	return greens, nil
}

// lost lets one more person in and the kiosk deliver, and returns whose check-in the
// server does not have once. Whose number was given to somebody else is lost, too: the
// kiosk did not know any more that it was taken.
func (d *door) lost(greens []green) (lost []green) {
	d.Helper()
	d.serve()
	m := d.boot(twin.Options{})
	d.must(m.AddSerial("0x1eab", "0x1a06", "TWIN1"))
	d.start(m, "scanner ready")
	text, _ := d.card(9)
	d.hold(m, func() { d.must(m.Serial(text + "\r")) })
	people := append(slices.Clone(greens), d.greens(m)...)
	given := map[green]int{} // the last person with this number
	for i, g := range people {
		given[g] = i
	}
	last := people[len(people)-1]
	settled := false // at the last look the server had all that will come
	for end := time.Now().Add(patient); ; time.Sleep(200 * time.Millisecond) {
		have := map[green]int{}
		for _, r := range d.rows() {
			have[green{r.Epoch, r.Seq}]++
		}
		lost = nil
		complete := true
		for i, g := range people {
			if have[g] != 1 || given[g] != i {
				lost = append(lost, g)
			}
			complete = complete && have[g] == 1
		}
		if complete || settled || time.Now().After(end) {
			return lost
		}
		settled = have[last] == 1 && d.whole()
	}
}

// whole reports whether the server misses nothing of what it has heard of.
func (d *door) whole() bool {
	d.Helper()
	ledger, err := d.stage.Server(d.ctx, "ledger")
	d.must(err)
	return !strings.Contains(ledger, "without")
}

// seed makes what chance does in a test the same again, n being one of several;
// QRGATE_SEED takes another.
func seed(t *testing.T, n int) *rand.Rand {
	first := uint64(1)
	if s := os.Getenv("QRGATE_SEED"); s != "" {
		if _, err := fmt.Sscan(s, &first); err != nil {
			t.Fatal(err)
		}
	}
	return rand.New(rand.NewPCG(first, 14+uint64(n)))
}
