package releases_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/fleet/releases"
	"github.com/qrgate/qrgate/sync/release"
)

var start = time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC)

func online(n byte) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte{n})
	return releases.OnlineKey(seed[:])
}

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

// A world is a repository where releases are signed, three keepers, and a server.
type world struct {
	t       *testing.T
	dir     string
	keepers []string // files
	served  string
	now     time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	base := t.TempDir()
	w := &world{t: t, dir: filepath.Join(base, "signing"), served: filepath.Join(base, "served"), now: start}
	var places []string
	for _, n := range []string{"1", "2", "3"} {
		places = append(places, filepath.Join(base, "keeper-"+n))
		w.keepers = append(w.keepers, filepath.Join(base, "keeper-"+n, "release-keeper-"+n+".pem"))
	}
	if err := releases.Init(w.dir, public(online(1)), places, w.now); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) open() *releases.Repository {
	w.t.Helper()
	r, err := releases.Open(w.dir, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// elf returns a program for a machine: 62 is amd64, 183 arm64, 40 arm.
func elf(t *testing.T, machine byte, content string) string {
	t.Helper()
	class := byte(2)
	size := 64
	if machine == 40 {
		class, size = 1, 52
	}
	b := make([]byte, size)
	copy(b, "\x7fELF")
	b[4], b[5], b[6] = class, 1, 1
	b[16], b[18], b[20] = 2, machine, 1
	if class == 2 {
		b[52] = 64
	} else {
		b[40] = 52
	}
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, append(b, content...), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func (w *world) add(version string) {
	w.t.Helper()
	r := w.open()
	if err := errors.Join(r.Add(version, "amd64", elf(w.t, 62, version), "Bản "+version), r.Add(version, "arm64", elf(w.t, 183, version), "")); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) sign(keepers ...int) releases.Left {
	w.t.Helper()
	var left releases.Left
	for _, k := range keepers {
		var err error
		if left, err = w.open().Sign(w.keepers[k]); err != nil {
			w.t.Fatal(err)
		}
	}
	return left
}

func (w *world) publish() ([]releases.Release, error) {
	return releases.Publish(w.dir, w.served, public(online(1)), w.now)
}

func (w *world) site() *releases.Site {
	return releases.NewSite(w.served, online(1), func() time.Time { return w.now })
}

func TestTwoKeepersSignARelease(t *testing.T) {
	w := newWorld(t)
	w.add("1.4.0")
	if left := w.sign(0); left != (releases.Left{Root: -1, Targets: 1}) {
		t.Errorf("after one keeper: %+v, want one signature missing", left)
	}
	if left := w.sign(0); left.Targets != 1 {
		t.Errorf("the same keeper again: %+v, want one signature missing", left)
	}
	if got, err := w.publish(); err != nil || len(got) != 0 {
		t.Errorf("published before it was signed: %v, %v", got, err)
	}
	if left := w.sign(2); left.Targets != 0 {
		t.Errorf("after two keepers: %+v, want none missing", left)
	}
	got, err := w.publish()
	want := []releases.Release{{Version: "1.4.0", Arches: []string{"amd64", "arm64"}, Note: "Bản 1.4.0"}}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("published: %v (-want +got):\n%s", err, d)
	}
	if _, err := w.open().Sign(w.keepers[1]); err == nil {
		t.Error("nothing is being made, and a keeper signs it")
	}
}

func TestWhatIsNotAddedAsARelease(t *testing.T) {
	w := newWorld(t)
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, add := range map[string]func(r *releases.Repository) error{
		"no version":      func(r *releases.Repository) error { return r.Add("1.4", "amd64", elf(t, 62, ""), "") },
		"a path":          func(r *releases.Repository) error { return r.Add("../1.4.0", "amd64", elf(t, 62, ""), "") },
		"no machine":      func(r *releases.Repository) error { return r.Add("1.4.0", "mips", elf(t, 62, ""), "") },
		"another machine": func(r *releases.Repository) error { return r.Add("1.4.0", "arm64", elf(t, 62, ""), "") },
		"another version": func(r *releases.Repository) error { return r.Add("1.4.0", "amd64", elf(t, 62, "1.4.1"), "") },
		"no program":      func(r *releases.Repository) error { return r.Add("1.4.0", "amd64", text, "") },
		"nothing":         func(r *releases.Repository) error { return r.Add("1.4.0", "amd64", text+"x", "") },
		"two lines":       func(r *releases.Repository) error { return r.Add("1.4.0", "amd64", elf(t, 62, "1.4.0"), "a\nb") },
		"not listed":      func(r *releases.Repository) error { return r.Withdraw("1.4.0") },
	} {
		if err := add(w.open()); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestAServerServesOnlyWhatIsSigned(t *testing.T) {
	tests := []struct {
		name string
		how  func(w *world)
		want string
	}{
		{"a program that was changed", func(w *world) {
			all, _ := filepath.Glob(filepath.Join(w.dir, "targets", "*amd64"))
			b, _ := os.ReadFile(all[0])
			os.WriteFile(all[0], append(b, 'x'), 0o755)
		}, "not what was signed"},
		{"a program that is missing", func(w *world) {
			os.RemoveAll(filepath.Join(w.dir, "targets"))
		}, "no such file"},
		{"a list that was changed", func(w *world) {
			b, _ := os.ReadFile(filepath.Join(w.dir, "2.targets.json"))
			os.WriteFile(filepath.Join(w.dir, "2.targets.json"), bytes.ReplaceAll(b, []byte("1.4.0"), []byte("1.4.1")), 0o644)
		}, "2.targets.json"},
		{"another repository", func(w *world) {
			other := newWorld(w.t)
			other.add("9.9.9")
			other.sign(0, 1)
			if _, err := w.publish(); err != nil { // what is believed is believed
				w.t.Fatal(err)
			}
			w.dir = other.dir
		}, "2.targets.json"},
		{"an old list", func(w *world) {
			if _, err := w.publish(); err != nil {
				w.t.Fatal(err)
			}
			os.Remove(filepath.Join(w.dir, "2.targets.json"))
		}, "older"},
		{"a list that has ended", func(w *world) { w.now = w.now.Add(400 * 24 * time.Hour) }, "ended on"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.add("1.4.0")
			w.sign(0, 1)
			tt.how(w)
			if got, err := w.publish(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("publish = %v, %v, want an error of %q", got, err, tt.want)
			}
		})
	}
}

func TestAnotherServersKeyIsNotTaken(t *testing.T) {
	w := newWorld(t)
	if _, err := releases.Publish(w.dir, w.served, public(online(2)), w.now); !errors.Is(err, releases.ErrKey) {
		t.Errorf("publish = %v, want ErrKey", err)
	}
	if err := w.open().RotateOnline(public(online(2))); err != nil {
		t.Fatal(err)
	}
	w.sign(1, 2)
	if _, err := releases.Publish(w.dir, w.served, public(online(2)), w.now); err != nil {
		t.Errorf("after the keepers gave it the part: %v", err)
	}
	if _, err := w.publish(); !errors.Is(err, releases.ErrKey) {
		t.Errorf("the old server: %v, want ErrKey", err)
	}
}

func TestAKeeperIsReplaced(t *testing.T) {
	w := newWorld(t)
	w.add("1.4.0")
	w.sign(0, 1)
	if _, err := w.publish(); err != nil {
		t.Fatal(err)
	}
	lost := w.open().Status().Keepers[0]
	file, err := w.open().Rotate(lost[:8], t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w.keepers = append(w.keepers, file)
	if left := w.sign(1, 2); left != (releases.Left{}) {
		t.Fatalf("two of the others signed: %+v, want nothing missing", left)
	}
	if got := w.open().Status(); got.Root != 2 || got.Targets != 3 {
		t.Errorf("status = %+v, want root 2 and list 3", got)
	}
	if _, err := w.publish(); err != nil {
		t.Fatal(err)
	}
	// The new keeper signs, and the one whose keys were lost does not count.
	w.add("1.5.0")
	if left := w.sign(3, 0); left.Targets != 1 {
		t.Errorf("the new keeper and the lost one: %+v, want one signature missing", left)
	}
	if left := w.sign(1); left.Targets != 0 {
		t.Errorf("and another: %+v, want none missing", left)
	}
	if _, err := w.publish(); err != nil {
		t.Error(err)
	}
	for _, who := range []string{"", "zz", lost[:8]} {
		if _, err := w.open().Rotate(who, t.TempDir()); err == nil {
			t.Errorf("keeper %q is replaced", who)
		}
	}
}

func TestWhatEndsIsRenewed(t *testing.T) {
	w := newWorld(t)
	w.add("1.4.0")
	w.sign(0, 1)
	w.now = w.now.Add(400 * 24 * time.Hour)
	if err := w.open().Renew(true); err != nil {
		t.Fatal(err)
	}
	w.sign(0, 2)
	if got, err := w.publish(); err != nil || len(got) != 1 {
		t.Errorf("publish = %v, %v", got, err)
	}
}

func TestKeysAreKeptApart(t *testing.T) {
	w := newWorld(t)
	for _, k := range w.keepers {
		if info, err := os.Stat(k); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, want mode 0600", k, info.Mode(), err)
		}
	}
	if err := releases.Init(w.dir, public(online(1)), []string{"a", "b", "c"}, w.now); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second Init = %v, want it refused", err)
	}
	if err := releases.Init(t.TempDir(), public(online(1)), []string{"a"}, w.now); err == nil {
		t.Error("one place for all keys is taken")
	}
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			b, _ := os.ReadFile(path)
			if bytes.Contains(b, []byte("PRIVATE")) {
				t.Errorf("%s holds a key", path)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// get asks a site for a file.
func get(t *testing.T, s *releases.Site, name string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	if err := s.Serve(w, r, name); errors.Is(err, fs.ErrNotExist) {
		w.Code = http.StatusNotFound
	} else if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return w
}

func TestServersSayTheSameAndNothingElse(t *testing.T) {
	w := newWorld(t)
	w.add("1.4.0")
	w.sign(0, 1)
	if _, err := w.publish(); err != nil {
		t.Fatal(err)
	}
	a, b := w.site(), w.site()
	first := get(t, a, "timestamp.json").Body.Bytes()
	w.now = w.now.Add(59 * time.Minute)
	if other := get(t, b, "timestamp.json").Body.Bytes(); !bytes.Equal(first, other) {
		t.Error("two servers sign different timestamps in one hour")
	}
	var doc struct {
		Signed struct {
			Expires time.Time
			Meta    map[string]struct{ Version int64 }
		}
	}
	if err := json.Unmarshal(first, &doc); err != nil {
		t.Fatal(err)
	}
	if left := doc.Signed.Expires.Sub(start); left != releases.TimestampLasts {
		t.Errorf("a timestamp lasts %s", left)
	}
	snapshot := doc.Signed.Meta["snapshot.json"].Version
	for name, want := range map[string]int{
		"1.root.json": 200, "2.root.json": 404, "2.targets.json": 200, "0" + "1.root.json": 404,
		itoa(snapshot) + ".snapshot.json": 200, itoa(snapshot-1) + ".snapshot.json": 200, itoa(snapshot-2) + ".snapshot.json": 404, itoa(snapshot+1) + ".snapshot.json": 404,
		"": 404, "..": 404, "../signing/1.root.json": 404, "draft.targets.json": 404, "targets": 404, "targets/": 404, "targets/../1.root.json": 404, "snapshot.json": 404,
		"timestamp.json.new": 404, "99999999999999999999.snapshot.json": 404, "targets/" + strings.Repeat("0", 64) + ".qrgate-kiosk-1.4.0-amd64": 404,
	} {
		if got := get(t, a, name).Code; got != want {
			t.Errorf("%q = %d, want %d", name, got, want)
		}
	}
	all, _ := filepath.Glob(filepath.Join(w.served, "targets", "*amd64"))
	name := "targets/" + filepath.Base(all[0])
	whole := get(t, a, name)
	if whole.Code != 200 || !strings.Contains(whole.Header().Get("Cache-Control"), "immutable") {
		t.Errorf("a program: %d, %q", whole.Code, whole.Header().Get("Cache-Control"))
	}
	rest := get(t, a, name, "Range", "bytes=60-")
	if rest.Code != 206 || rest.Body.String() != whole.Body.String()[60:] {
		t.Errorf("the rest of it: %d, %d bytes", rest.Code, rest.Body.Len())
	}
	// Systems are served as programs are.
	for _, arch := range slices.Concat(release.Arches(), release.Systems()) {
		name := "targets/" + strings.Repeat("0", 64) + "." + release.Name("1.4.0", arch)
		if err := os.WriteFile(filepath.Join(w.served, name), []byte("a build"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := get(t, a, name).Code; got != 200 {
			t.Errorf("%s = %d", name, got)
		}
	}
}

func itoa(n int64) string { b, _ := json.Marshal(n); return string(b) }

func TestASiteWithoutReleases(t *testing.T) {
	s := releases.NewSite(t.TempDir(), online(1), time.Now)
	if all, _, err := s.Releases(); err != nil || len(all) != 0 {
		t.Errorf("Releases = %v, %v", all, err)
	}
	if got := get(t, s, "timestamp.json").Code; got != 404 {
		t.Errorf("timestamp.json = %d", got)
	}
	if s.First() != [32]byte{} {
		t.Error("it vouches for a root")
	}
	if err := s.Stick(t.TempDir(), ""); err == nil {
		t.Error("a stick is written")
	}
}

func TestAStickHoldsWhatAKioskNeeds(t *testing.T) {
	w := newWorld(t)
	w.add("1.4.0")
	w.sign(0, 1)
	w.add("1.5.0")
	w.sign(0, 1)
	if _, err := w.publish(); err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	if err := w.site().Stick(out, "1.5.0"); err != nil {
		t.Fatal(err)
	}
	for pattern, want := range map[string]int{"1.root.json": 1, "*.snapshot.json": 1, "3.targets.json": 1, "timestamp.json": 1, "targets/*1.5.0*": 2, "targets/*1.4.0*": 0} {
		if got, _ := filepath.Glob(filepath.Join(out, "qrgate-update", pattern)); len(got) != want {
			t.Errorf("%s: %q, want %d", pattern, got, want)
		}
	}
	if err := w.site().Stick(t.TempDir(), "9.9.9"); err == nil {
		t.Error("a version that is not listed is written")
	}
}
