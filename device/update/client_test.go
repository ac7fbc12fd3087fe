package update_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/qrgate/qrgate/device/update"
	"github.com/qrgate/qrgate/sync/release"
)

func (k *kiosk) holds(version string, want []byte) {
	k.t.Helper()
	got, err := os.ReadFile(k.versions.File(version))
	if err != nil || !bytes.Equal(got, want) {
		k.t.Fatalf("version %s: %d bytes, %v; want the %d that were released", version, len(got), err, len(want))
	}
	if info, err := os.Stat(k.versions.File(version)); err != nil || info.Mode().Perm() != 0o755 {
		k.t.Errorf("version %s is not to be run: %v, %v", version, info.Mode(), err)
	}
}

func TestAReleaseIsTaken(t *testing.T) {
	r := newRepo(t)
	r.release("1.1.0", program(11))
	r.release("1.2.0", program(12))
	k := newKiosk(t, r)
	src := r.serve()
	if f, err := k.take(src, "1.1.0"); err != nil || f.Version != "1.1.0" {
		t.Fatalf("take 1.1.0 = %+v, %v", f, err)
	}
	k.holds("1.1.0", program(11))
	if f, err := k.take(src, ""); err != nil || f.Version != "1.2.0" {
		t.Fatalf("take the newest = %+v, %v", f, err)
	}
	k.holds("1.2.0", program(12))
}

func TestAReleaseComesOnAStick(t *testing.T) {
	r := newRepo(t)
	r.release("1.1.0", program(11))
	k := newKiosk(t, r)
	dir := t.TempDir()
	if err := os.CopyFS(dir, r.files); err != nil {
		t.Fatal(err)
	}
	if f, err := k.take(update.Folder(dir), ""); err != nil || f.Version != "1.1.0" {
		t.Fatalf("take = %+v, %v", f, err)
	}
	k.holds("1.1.0", program(11))
	if _, err := k.take(update.Folder(filepath.Join(dir, "nothing")), ""); err == nil {
		t.Error("a folder that is not there is taken from")
	}
}

func TestRootsAreFollowed(t *testing.T) {
	r := newRepo(t)
	k := newKiosk(t, r)
	src := r.serve()
	for n := range byte(3) { // one key after the other is replaced
		r.revoke(rootKeys[n], "root")
		r.add(key(50+n), "root")
		r.root.Signed.Version++
		old := rootKeys[1:]
		if n > 0 {
			old = []ed25519.PrivateKey{rootKeys[2], key(50)}
		}
		if n == 2 {
			old = []ed25519.PrivateKey{rootKeys[2], key(50), key(51)}
		}
		r.putRoot(append(old, key(50+n))...)
	}
	r.release("1.1.0", program(11))
	if _, err := k.take(src, ""); err != nil {
		t.Fatal(err)
	}
	// What was followed is kept: the old roots need not be there any more.
	delete(r.files, "2.root.json")
	delete(r.files, "3.root.json")
	r.release("1.2.0", program(12))
	if _, err := k.take(src, ""); err != nil {
		t.Fatal(err)
	}
}

// cut is a source that breaks off after so many bytes of each program.
type cut struct {
	update.Source
	after int64
	froms *[]int64
}

func (c cut) Open(ctx context.Context, name string, from int64) (io.ReadCloser, int64, error) {
	r, at, err := c.Source.Open(ctx, name, from)
	if err != nil || !strings.HasPrefix(name, release.TargetsDir) {
		return r, at, err
	}
	*c.froms = append(*c.froms, at)
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(r, c.after), r}, at, nil
}

func TestADownloadGoesOnWhereItWasCutOff(t *testing.T) {
	r := newRepo(t)
	r.release("1.1.0", program(11))
	k := newKiosk(t, r)
	var froms []int64
	src := cut{r.serve(), 90_000, &froms}
	for range 2 {
		if _, err := k.take(src, ""); !errors.Is(err, io.ErrUnexpectedEOF) || update.Why(err) != release.Unreached {
			t.Fatalf("take = %v, want it cut off", err)
		}
	}
	if _, err := k.take(src, ""); err != nil {
		t.Fatal(err)
	}
	k.holds("1.1.0", program(11))
	if got, want := fmt.Sprint(froms), "[0 90000 180000]"; got != want {
		t.Errorf("pieces begin at %s, want %s", got, want)
	}
	if _, err := k.take(src, ""); err != nil || len(froms) != 3 {
		t.Errorf("what is there was fetched again: %v, %v", froms, err)
	}
}

func TestAServerThatCannotGoOnBeginsAnew(t *testing.T) {
	r := newRepo(t)
	r.release("1.1.0", program(11))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		q.Header.Del("Range")
		r.ServeHTTP(w, q)
	}))
	defer s.Close()
	k := newKiosk(t, r)
	var froms []int64
	if _, err := k.take(cut{site(t, s.URL), 90_000, &froms}, ""); err == nil {
		t.Fatal("not cut off")
	}
	if _, err := k.take(site(t, s.URL), ""); err != nil {
		t.Fatal(err)
	}
	k.holds("1.1.0", program(11))
}

func TestAPartOfOtherBytesIsDropped(t *testing.T) {
	r := newRepo(t)
	r.release("1.1.0", program(11))
	k := newKiosk(t, r)
	if err := os.MkdirAll(k.versions.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(k.versions.Part("1.1.0"), program(99)[:50_000], 0o600); err != nil {
		t.Fatal(err)
	}
	src := r.serve()
	if _, err := k.take(src, ""); err != nil {
		t.Fatal(err)
	}
	k.holds("1.1.0", program(11))
}

func TestWhatIsOnlyTemporaryIsNoRefusal(t *testing.T) {
	r := newRepo(t)
	k := newKiosk(t, r)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	if _, err := k.take(site(t, s.URL), ""); update.Why(err) != release.Unreached {
		t.Errorf("a gateway without a server: %v", err)
	}
	s.Close()
	if _, err := k.take(site(t, s.URL), ""); update.Why(err) != release.Unreached {
		t.Errorf("no server: %v", err)
	}
}

func TestMetadataWhoseTimeIsOverNeedsAYes(t *testing.T) {
	r := newRepo(t)
	r.release("1.1.0", program(11))
	k := newKiosk(t, r)
	src := r.serve()
	if _, err := k.take(src, ""); err != nil {
		t.Fatal(err)
	}
	r.release("1.2.0", program(12))
	k.ask.Floor = start.Add(8 * day) // the timestamp lasts seven
	if _, err := k.take(src, "1.2.0"); update.Why(err) != release.Expired {
		t.Fatalf("take = %v, want expired", err)
	}
	asked := 0
	answer := false
	k.ask.Late = func() bool { asked++; return answer }
	if _, err := k.take(src, "1.2.0"); update.Why(err) != release.Expired || asked != 1 {
		t.Fatalf("after a no: %v, asked %d times", err, asked)
	}
	answer = true
	if _, err := k.take(src, "1.2.0"); err != nil {
		t.Fatalf("after a yes: %v", err)
	}
	k.holds("1.2.0", program(12))
	// The same again is not newer, whoever says yes.
	if _, err := k.take(src, "1.2.0"); update.Why(err) != release.Expired {
		t.Errorf("the same again: %v, want expired", err)
	}
}

func TestADamagedTrustIsBegunAnew(t *testing.T) {
	r := newRepo(t)
	r.release("1.1.0", program(11))
	k := newKiosk(t, r)
	src := r.serve()
	for _, content := range []string{"", "{", `{"anchor":"0","root":"AAAA"}`, string(make([]byte, 5000))} {
		if err := errors.Join(os.MkdirAll(k.versions.Dir, 0o700), os.WriteFile(filepath.Join(k.versions.Dir, "trust.json"), []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
		if _, err := k.take(src, ""); err != nil {
			t.Errorf("with %.10q: %v", content, err)
		}
	}
}

func TestWithoutARootNothingIsTaken(t *testing.T) {
	if _, err := update.ReadRoot(filepath.Join(t.TempDir(), "release-root.json")); update.Why(err) != release.NoRoot || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ReadRoot = %v, want no-root", err)
	}
}

func TestWhatIsNoAddress(t *testing.T) {
	for _, at := range []string{"", "ftp://x/", "file:///etc/", "https://", "//x/y", "https://user:pw@x/", "https://x/?a=b", "\x00"} {
		if _, err := update.NewSite(at, nil); err == nil {
			t.Errorf("NewSite(%q) is taken", at)
		}
	}
}

// A halting source stops whoever reads it, or fails, at its n-th read.
type halting struct {
	update.Source
	left int
	halt func() error
}

func (h *halting) Open(ctx context.Context, name string, from int64) (io.ReadCloser, int64, error) {
	if err := h.read(); err != nil {
		return nil, 0, err
	}
	r, at, err := h.Source.Open(ctx, name, from)
	if err != nil {
		return nil, 0, err
	}
	return haltingBody{r, h}, at, nil
}

type haltingBody struct {
	io.ReadCloser
	h *halting
}

func (b haltingBody) Read(p []byte) (int, error) {
	if err := b.h.read(); err != nil {
		return 0, err
	}
	return b.ReadCloser.Read(p)
}

func (h *halting) read() error {
	if h.left--; h.left < 0 {
		return h.halt()
	}
	return nil
}

// Whatever a stop, a deadline or a stick that is pulled comes in the middle of, it is no
// word against the version, which is found and fetched the next time.
func TestWhatWasNotLookedAtToItsEndIsNotJudged(t *testing.T) {
	r := newRepo(t)
	r.release("1.1.0", program(11))
	for name, halt := range map[string]func(stop func()) error{
		"stop":     func(stop func()) error { stop(); return context.Canceled },
		"deadline": func(func()) error { return context.DeadlineExceeded },
		"pulled":   func(func()) error { return syscall.EIO },
	} {
		t.Run(name, func(t *testing.T) {
			halts := 0
			for n := 0; ; n++ {
				k := newKiosk(t, r)
				ctx, stop := context.WithCancel(t.Context())
				src := &halting{memory{r}, n, func() error { return halt(stop) }}
				f, err := k.Find(ctx, src, k.ask)
				if err == nil {
					err = k.Fetch(ctx, src, f, nil)
				}
				stop()
				if err == nil {
					break
				}
				halts++
				if update.Judged(err) || update.Why(err) != release.Unreached {
					t.Errorf("halted at read %d: %v is judged as %q", n, err, update.Why(err))
				}
				if _, err := k.take(memory{r}, "1.1.0"); err != nil {
					t.Fatalf("after a halt at read %d: %v", n, err)
				}
				k.holds("1.1.0", program(11))
			}
			if halts < 10 {
				t.Errorf("%d reads, want those of a root, a timestamp, a snapshot, targets and a program", halts)
			}
		})
	}
	if k := newKiosk(t, r); !update.Judged(second(k.take(memory{r}, "1.0.0"))) || update.Judged(nil) {
		t.Error("what is older than what runs is not judged")
	}
}

func second(_ update.Found, err error) error { return err }
