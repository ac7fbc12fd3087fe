//go:build twin

package twin_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/qrgate/qrgate/sync/e2e/stage"
	"github.com/qrgate/qrgate/sync/e2e/twin"
	"github.com/qrgate/qrgate/sync/wire"
)

// A build is the programs, and what machines boot from.
type build struct {
	Server, Kiosk, Kernel string
	Plain, Camera         string // without a camera and with one
}

var built = sync.OnceValues(func() (b build, err error) {
	dir, err := os.MkdirTemp("", "qrgate-twin-")
	if err != nil {
		return b, err
	}
	guest := filepath.Join(dir, "guest")
	b.Server, b.Kiosk = filepath.Join(dir, "qrgate-server"), filepath.Join(dir, "qrgate-kiosk")
	for out, pkg := range map[string]string{b.Server: "../../../server", b.Kiosk: "../../../device", guest: "./guest"} {
		cmd := exec.Command("go", "build", "-ldflags", "-s -w", "-o", out, pkg) // what other tests have compiled is not compiled again
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if said, err := cmd.CombinedOutput(); err != nil {
			return b, fmt.Errorf("go build %s: %w: %s", pkg, err, said)
		}
	}
	if b.Kernel = os.Getenv("QRGATE_TWIN"); b.Kernel == "" {
		b.Kernel = "../../../build/twin"
	}
	b.Plain, b.Camera = filepath.Join(dir, "plain"), filepath.Join(dir, "camera")
	for path, camera := range map[string]bool{b.Plain: false, b.Camera: true} {
		if err := (twin.Build{Kernel: b.Kernel, Guest: guest, Kiosk: b.Kiosk, Camera: camera}).Write(path); err != nil {
			return b, fmt.Errorf("no kernel? make twin fetches it: %w", err)
		}
	}
	return b, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if p, err := built(); err == nil {
		os.RemoveAll(filepath.Dir(p.Server))
	}
	os.Exit(code)
}

const (
	kioskID = "ben-xe-phia-nam-1"
	patient = 2 * time.Minute // for anything that a slow machine does
)

// A door is a kiosk's disk and identity, and the server outside.
type door struct {
	*testing.T
	ctx   context.Context
	stage *stage.Stage
	kiosk *stage.Kiosk
	disk  *twin.Disk
	boots int
}

// newDoor makes the files of a server and a kiosk's disk, on which its identity and its
// configuration will be.
func newDoor(t *testing.T, config string) *door {
	t.Helper()
	t.Parallel() // as many machines at once as there are processors
	p, err := built()
	if err != nil {
		t.Fatal(err)
	}
	d := &door{T: t, ctx: t.Context()}
	d.stage, err = stage.New(d.ctx, t.TempDir(), stage.Programs{Server: p.Server, Kiosk: p.Kiosk}, stage.Options{})
	d.must(err)
	t.Cleanup(func() { d.stage.Close() })
	d.kiosk, err = d.stage.AddKiosk(d.ctx, kioskID, "Bến xe phía Nam", "")
	d.must(err)
	_, port, err := net.SplitHostPort(d.stage.Broker)
	d.must(err)
	config = fmt.Sprintf("state = \"/data/state\"\nidentity = \"/data/identity\"\n[log]\nlevel = \"debug\"\n"+
		"[server]\nurl = \"tls://%s:%s\"\nname = \"localhost\"\n[door]\nplace = \"Bến xe phía Nam\"\ngate = \"A1\"\nreset = \"1s\"\n%s", twin.Home, port, config)
	d.must(os.WriteFile(filepath.Join(d.kiosk.Dir, "twin.toml"), []byte(config), 0o600))
	d.disk = d.newDisk()
	return d
}

// serve starts the server.
func (d *door) serve() {
	d.Helper()
	_, err := d.stage.StartServer(d.ctx)
	d.must(err)
}

func (d *door) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

// newDisk formats a disk of 64 MiB.
func (d *door) newDisk() *twin.Disk {
	d.Helper()
	dir := d.TempDir()
	path := filepath.Join(dir, "disk")
	d.must(os.WriteFile(path, nil, 0o600))
	d.must(os.Truncate(path, 64<<20))
	if b, err := exec.Command("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", path).CombinedOutput(); err != nil {
		d.Fatalf("mkfs.ext4: %v: %s", err, b)
	}
	content, err := os.ReadFile(path)
	d.must(err)
	disk, err := twin.NewDisk(content, filepath.Join(dir, "nbd"))
	d.must(err)
	d.Cleanup(func() { disk.Close() })
	return disk
}

// boot starts a machine and, at its first boot, puts on its disk what makes it a kiosk.
func (d *door) boot(o twin.Options) *twin.Machine {
	d.Helper()
	ctx, cancel := context.WithTimeout(d.ctx, patient)
	defer cancel()
	m, err := d.tryBoot(ctx, o)
	d.must(err)
	return m
}

func (d *door) tryBoot(ctx context.Context, o twin.Options) (*twin.Machine, error) {
	d.Helper()
	p, err := built()
	d.must(err)
	o.Kernel, o.Disk = p.Kernel, d.disk
	if o.Initrd == "" {
		o.Initrd = p.Plain
	}
	if d.boots > 0 {
		if err := d.disk.Mend(); err != nil {
			return nil, err
		}
	}
	m, err := twin.Boot(ctx, d.TempDir(), o)
	if err != nil {
		return nil, err
	}
	d.Cleanup(func() {
		m.Kill()
		if d.Failed() {
			d.Logf("console:\n%s\nlog of the kiosk:\n%s", m.Console(), strings.Join(m.Log(), "\n"))
		}
	})
	if d.boots++; d.boots > 1 {
		return m, nil
	}
	for _, name := range []string{"kiosk.key", "kiosk.pem", "ca.pem", "root.pub", "keys.cbor"} {
		b, err := os.ReadFile(filepath.Join(d.kiosk.Dir, "identity", name))
		d.must(err)
		d.must(m.Write("/data/identity/"+name, b))
	}
	b, err := os.ReadFile(filepath.Join(d.kiosk.Dir, "twin.toml"))
	d.must(err)
	d.must(m.Write("/data/kiosk.toml", b))
	d.must(m.Sync())
	return m, nil
}

// start starts the kiosk's program and waits until the door is open and these sources
// are ready.
func (d *door) start(m *twin.Machine, sources ...string) {
	d.Helper()
	from := len(m.Log())
	d.must(m.StartKiosk("run", "-config", "/data/kiosk.toml"))
	d.said(m, from, "door open")
	for _, s := range sources {
		d.said(m, from, "scanner ready", s)
	}
}

// said waits for a line of the kiosk's log, and returns the number of the next.
func (d *door) said(m *twin.Machine, from int, words ...string) int {
	d.Helper()
	ctx, cancel := context.WithTimeout(d.ctx, patient)
	defer cancel()
	n, _, err := m.WaitLog(ctx, from, words...)
	d.must(err)
	return n + 1
}

// hold has somebody hold up a code until they are let in, as people do when nothing
// happens: of a busy machine the kernel's buffer of keys overflows.
func (d *door) hold(m *twin.Machine, show func()) {
	d.Helper()
	from := len(m.Log())
	for try := 1; ; try++ {
		show()
		ctx, cancel := context.WithTimeout(d.ctx, 15*time.Second)
		_, _, err := m.WaitLog(ctx, from, "judged", "admitted")
		cancel()
		if err == nil {
			return
		}
		if try == 5 {
			d.Fatal(err)
		}
	}
}

// until waits for something to become true.
func (d *door) until(what string, is func() bool) {
	d.Helper()
	for end := time.Now().Add(patient); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			d.Fatalf("not within %s: %s", patient, what)
		}
	}
}

// A row is a check-in as the server prints it.
type row struct {
	Epoch            string
	Seq              uint64
	Verdict          string
	Said             time.Time
	Earliest, Latest time.Time
}

func (d *door) rows() (all []row) {
	d.Helper()
	out, err := d.stage.Server(d.ctx, "checkins", kioskID)
	d.must(err)
	for line := range strings.Lines(out) {
		var r row
		d.must(json.Unmarshal([]byte(line), &r))
		all = append(all, r)
	}
	return all
}

// card returns the text of a card, and its picture as a camera sees it.
func (d *door) card(n int) (text string, grey []byte) {
	d.Helper()
	path := filepath.Join(d.TempDir(), "card.png")
	text, err := d.stage.Card(d.ctx, n, path)
	d.must(err)
	b, err := os.ReadFile(path)
	d.must(err)
	img, err := png.Decode(bytes.NewReader(b))
	d.must(err)
	return text, frame(img)
}

// frame puts a picture into the middle of a frame of the camera.
func frame(img image.Image) []byte {
	const width, height, side = 640, 480, 360
	grey := bytes.Repeat([]byte{200}, width*height)
	b := img.Bounds()
	for y := range side {
		for x := range side {
			r, _, _, _ := img.At(b.Min.X+x*b.Dx()/side, b.Min.Y+y*b.Dy()/side).RGBA()
			grey[(y+(height-side)/2)*width+x+(width-side)/2] = byte(r >> 8)
		}
	}
	return grey
}

const aCamera = `
[[camera]]
kind = "v4l2"
device = "/dev/video0"
format = "yuyv"
`

// everyDevice is the configuration of a kiosk that has one of each.
const everyDevice = `
[[serial]]
device = "usb:1eab:1a06:TWIN1"
[[serial]]
device = "usb:0403:6001"
[[keyboard]]
device = "usb:0c2e:0200"
[[keyboard]]
device = "name:QEMU QEMU USB Keyboard"
upper = true
[panel]
kind = "gpio"
[panel.red]
pin = "LAMP_RED"
[panel.amber]
pin = "LAMP_AMBER"
[panel.green]
pin = "LAMP_GREEN"
[panel.buzzer]
pin = "BUZZER"
[panel.relay]
pin = "RELAY"
open = "1s"
[panel.tally]
pin = "BEAM"
`

// A person comes in by each kind of scanner and by the camera, and each becomes a row
// on the server. The lamps, the relay and the beam are lines of a chip; the scanners go
// and come again.
func TestEveryDevice(t *testing.T) {
	d := newDoor(t, everyDevice)
	d.serve()
	m := d.boot(twin.Options{})
	d.must(m.AddSerial("0x1eab", "0x1a06", "TWIN1"))
	d.must(m.AddKeyboard("0x0c2e", "0x0200", "TWIN2"))
	d.must(m.AddLines("LAMP_RED", "LAMP_AMBER", "LAMP_GREEN", "BUZZER", "RELAY", "BEAM"))
	d.must(m.AddChip(time.Now()))
	d.must(m.Heat(61.5))
	d.start(m, "serial:usb:1eab:1a06", "serial:usb:0403:6001", "keyboard:usb:0c2e:0200", "keyboard:name")

	levels := func(name string) string {
		t.Helper()
		all, err := m.Levels(name)
		d.must(err)
		return all
	}
	// does waits until a line has done something since it had been through so much.
	does := func(name, before, what string) {
		t.Helper()
		d.until(fmt.Sprintf("%s: %s after %s", name, what, before), func() bool { return strings.HasPrefix(levels(name), before+what) })
	}
	does("RELAY", "0", "1") // an entrance that is a way out too: energised is locked
	people := 0
	// comes has somebody hold up the next card.
	comes := func(how string, show func(text string, grey []byte)) {
		t.Helper()
		people++
		text, grey := d.card(people)
		green, relay := levels("LAMP_GREEN"), levels("RELAY")
		began := time.Now()
		d.hold(m, func() { show(text, grey) })
		t.Logf("%s: judged after %s", how, time.Since(began).Round(time.Millisecond))
		does("LAMP_GREEN", green, "10")
		does("RELAY", relay, "01")
	}
	serial := func(text string, _ []byte) { d.must(m.Serial(text + "\r")) }
	comes("CDC-ACM", serial)
	comes("FTDI", func(text string, _ []byte) { d.must(m.FTDI(text + "\r")) })
	typed := func(text string, _ []byte) { d.must(m.Type(text + "\r")) }
	comes("keyboard", typed)
	pause := 15 * time.Millisecond
	comes("qemu's keyboard", func(text string, _ []byte) {
		var keys []string
		for _, c := range text {
			if c >= 'A' && c <= 'Z' {
				c += 'a' - 'A' // the kiosk makes it large again
			}
			keys = append(keys, string(c))
		}
		pause *= 2 // a machine that has little of its processor keeps few
		d.must(m.Press(pause, append(keys, "ret")...))
	})

	comes("identity card, typed with Alt", func(string, []byte) {
		d.must(m.Type("046190001234|191234567|Nguyễn Thị Hoa Mai|02031990|Nữ|Tổ 3, Thủy Xuân|10052021\r"))
	})

	taken, err := m.Taken("Twin Keyboard Scanner")
	d.must(err)
	if !taken {
		t.Error("what the scanner types, another program gets too")
	}

	t.Log("people who pass the beam")
	for range 2 {
		d.must(m.Pull("BEAM", true))
		time.Sleep(100 * time.Millisecond) // as long as somebody is in it
		d.must(m.Pull("BEAM", false))
		time.Sleep(time.Second) // and as long until the next comes
	}
	d.until("the server knows who passed", func() bool { p := d.beat().Passage; return p != nil && p.People == 2 })

	t.Log("something that is no pass")
	from, red := len(m.Log()), levels("LAMP_RED")
	d.must(m.Serial("8934567890123\r"))
	d.said(m, from, "judged", "refused")
	does("LAMP_RED", red, "1")

	t.Log("unplugged and plugged in again")
	replug := func(kind, source string) {
		t.Helper()
		from := len(m.Log())
		d.must(m.Plug(kind, false))
		d.said(m, from, "scanner absent", source)
		d.must(m.Plug(kind, true))
		d.said(m, from, "scanner ready", source)
	}
	replug("acm", "serial:usb:1eab:1a06")
	comes("CDC-ACM again", serial)
	d.must(m.Type("QG1ABC")) // in the middle of a code
	replug("hid", "keyboard:usb:0c2e:0200")
	comes("keyboard again", typed)

	d.until("every check-in is on the server", func() bool {
		admitted, refused := 0, 0
		for _, r := range d.rows() {
			if r.Verdict == "admitted" {
				admitted++
			} else {
				refused++
			}
		}
		return admitted == people && refused >= 1
	})
	d.until("the server knows how hot it is", func() bool { return d.beat().Temperature == 61_500 })
}

// beat returns the kiosk's last beat.
func (d *door) beat() (b wire.Beat) {
	d.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(d.stage.ServerState(), "qrgate.db")+"?mode=ro")
	d.must(err)
	defer db.Close()
	var encoded []byte
	if err := db.QueryRowContext(d.ctx, "SELECT beat FROM presences WHERE beat IS NOT NULL").Scan(&encoded); errors.Is(err, sql.ErrNoRows) {
		return b
	} else {
		d.must(err)
	}
	d.must(wire.Decode(encoded, &b))
	return b
}

// A card before the camera becomes a row on the server.
func TestCamera(t *testing.T) {
	d := newDoor(t, aCamera)
	d.serve()
	p, err := built()
	d.must(err)
	m := d.boot(twin.Options{Initrd: p.Camera})
	d.must(m.Show(bytes.Repeat([]byte{128}, 640*480)))
	d.start(m)
	d.said(m, 0, "camera ready")
	_, grey := d.card(1)
	began := time.Now()
	d.must(m.Show(grey))
	d.said(m, 0, "judged", "admitted")
	t.Logf("judged after %s", time.Since(began).Round(time.Millisecond))
	d.until("the check-in is on the server", func() bool { return len(d.rows()) == 1 })
}

const aSerial = `
[[serial]]
device = "usb:1eab:1a06:TWIN1"
[panel]
kind = "lines"
`

// A machine whose clock wakes in 1970, or is set by a clock chip that has stood in 2099,
// records; once it has reached the server it knows when that was.
func TestClockThatIsWrong(t *testing.T) {
	t.Parallel()
	for _, year := range []int{1970, 2099} {
		t.Run(strconv.Itoa(year), func(t *testing.T) { testClock(newDoor(t, aSerial), year) })
	}
}

func testClock(d *door, year int) {
	began := time.Now()
	m := d.boot(twin.Options{Clock: "1970-01-01T00:00:30"})
	if year != 1970 {
		d.must(m.AddChip(time.Date(year, 7, 1, 0, 0, 0, 0, time.UTC)))
	}
	if now, err := m.Time(); err != nil || now.UTC().Year() != year {
		d.Fatalf("the machine's clock says %s, %v; want %d", now.UTC(), err, year)
	}
	d.must(m.AddSerial("0x1eab", "0x1a06", "TWIN1"))
	d.start(m, "serial")
	text, _ := d.card(1)
	d.hold(m, func() { d.must(m.Serial(text + "\r")) })
	ended := time.Now()
	d.serve()
	d.until("the check-in is dated", func() bool {
		rows := d.rows()
		if len(rows) != 1 {
			return false
		}
		r := rows[0]
		if !r.Said.Before(began.Add(-time.Hour)) {
			d.Fatalf("the kiosk believed %s, and could not know", r.Said)
		}
		return r.Latest.Sub(r.Earliest) < time.Minute && !r.Earliest.After(ended) && !r.Latest.Before(began)
	})
}

// A program that hangs is noticed by the machine, which starts anew; nothing is lost. A
// clock chip that goes right tells the time, though nobody else does.
func TestWatchdogResetsAMachineThatHangs(t *testing.T) {
	d := newDoor(t, aSerial+"[machine]\nwatchdog = \"/dev/watchdog\"\n")
	m := d.boot(twin.Options{Clock: "1970-01-01T00:00:30"})
	d.must(m.AddChip(time.Now()))
	d.must(m.AddSerial("0x1eab", "0x1a06", "TWIN1"))
	d.start(m, "serial")
	text, _ := d.card(1)
	d.hold(m, func() { d.must(m.Serial(text + "\r")) })
	entered := time.Now()
	d.must(m.Freeze())
	began := time.Now()
	select {
	case <-m.Done():
		t.Logf("reset after %s", time.Since(began).Round(time.Second))
	case <-time.After(patient):
		t.Fatal("the machine hangs for ever")
	}
	if !slices.Contains(m.Events(), "WATCHDOG") {
		t.Errorf("the machine ended with %v, not by its watchdog", m.Events())
	}
	d.disk.Lose(seed(t, 0))
	d.serve()
	m = d.boot(twin.Options{})
	d.must(m.AddSerial("0x1eab", "0x1a06", "TWIN1"))
	d.start(m)
	var rows []row
	d.until("the check-in from before is on the server", func() bool { rows = d.rows(); return len(rows) == 1 })
	if off := entered.Sub(rows[0].Said); off < -patient || off > patient {
		t.Errorf("the kiosk believed %s by its clock chip, when it was %s", rows[0].Said, entered)
	}
}
