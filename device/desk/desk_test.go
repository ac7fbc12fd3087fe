package desk_test

import (
	"context"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/device/desk"
	"github.com/qrgate/qrgate/hw/scan"
	"github.com/qrgate/qrgate/sync/pairing"
	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/wire"
)

// A portal is a server as far as a desk meets it.
type portal struct {
	*httptest.Server
	opener *seal.Opener
	hello  []byte
	print  [24]byte
	status atomic.Int64 // that scans are answered; 0 takes them
	scans  chan pairing.DeskScan
}

func newPortal(t *testing.T) *portal {
	t.Helper()
	p := &portal{scans: make(chan pairing.DeskScan, 100)}
	p.Server = httptest.NewTLSServer(p)
	t.Cleanup(p.Close)
	private := make([]byte, 32)
	private[0] = 7
	var err error
	if p.opener, err = seal.NewOpener(map[uint32][]byte{1: private}); err != nil {
		t.Fatal(err)
	}
	key, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	root := ed25519.NewKeyFromSeed(make([]byte, 32))
	ca := p.Certificate().Raw
	keys := wire.Seal(wire.ForKeys, 1, root, wire.KeyList{V: 1, Keys: []wire.Key{{ID: 1, Purpose: wire.ForSeal, Public: key.PublicKey().Bytes()}}})
	p.hello = wire.Encode(wire.EnrolHello{V: 1, CA: ca, Root: root.Public().(ed25519.PublicKey), Keys: keys})
	p.print = pairing.Fingerprint(ca, root.Public().(ed25519.PublicKey))
	return p
}

func (p *portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == wire.HelloPath {
		w.Write(p.hello)
		return
	}
	body, _ := io.ReadAll(r.Body)
	s, _, err := pairing.OpenDesk(body, p.opener, func(pairing.Line) bool { return true })
	if err != nil || r.URL.Path != pairing.DeskPath {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if status := p.status.Load(); status != 0 {
		w.WriteHeader(int(status))
		return
	}
	p.scans <- *s
	w.WriteHeader(http.StatusNoContent)
}

func (p *portal) code(token byte) pairing.Code {
	return pairing.Code{Address: p.URL, Token: [16]byte{token}, Fingerprint: p.print}
}

func (p *portal) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(p.Certificate())
	return pool
}

// read returns the next text that comes, and of which line.
func (p *portal) read(t *testing.T) (byte, string) {
	t.Helper()
	for {
		select {
		case s := <-p.scans:
			if s.Text != "" {
				return s.Token[0], s.Text
			}
		case <-time.After(20 * time.Second):
			t.Fatal("nothing came")
		}
	}
}

// A source is a scanner by hand.
type source chan string

func (s source) Next(ctx context.Context) (scan.Scan, error) {
	select {
	case text, ok := <-s:
		if !ok {
			return scan.Scan{}, io.EOF
		}
		return scan.Scan{Text: text, At: time.Now(), Source: "hand"}, nil
	case <-ctx.Done():
		return scan.Scan{}, ctx.Err()
	}
}

// A sitting is a desk that runs, and what it says.
type sitting struct {
	t     *testing.T
	in    source
	words chan desk.Word
	done  chan error
}

func sit(t *testing.T, o desk.Options, code ...pairing.Code) *sitting {
	t.Helper()
	s := &sitting{t, make(source), make(chan desk.Word, 100), make(chan error, 1)}
	o.Say = func(w desk.Word) { s.words <- w }
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	go func() { s.done <- desk.New(o).Run(ctx, s.in, code...) }()
	return s
}

func (s *sitting) says(want ...desk.Word) {
	s.t.Helper()
	for _, w := range want {
		select {
		case got := <-s.words:
			if got != w {
				s.t.Fatalf("says %q, want %q", got, w)
			}
		case <-time.After(20 * time.Second):
			s.t.Fatalf("does not say %q", w)
		}
	}
}

const paper = "046190001234||Nguyễn Thị Hoa Mai|02031990|Nữ|Tổ 3, Thủy Xuân, Huế|10052021"

func TestPapersGoToThePageWhoseCodeWasRead(t *testing.T) {
	p := newPortal(t)
	s := sit(t, desk.Options{Roots: p.roots()})
	s.says(desk.Waiting)
	s.in <- paper // before there is a page it goes nowhere
	s.says(desk.Waiting)
	s.in <- p.code(1).Desk()
	s.says(desk.Joined)
	s.in <- paper
	s.in <- paper // it lies there
	s.says(desk.Sent)
	if line, text := p.read(t); line != 1 || text != paper {
		t.Errorf("line %d got %q", line, text)
	}
	s.in <- p.code(2).Desk() // the clerk of the next desk
	s.says(desk.Joined)
	s.in <- "other"
	s.says(desk.Sent)
	if line, text := p.read(t); line != 2 || text != "other" {
		t.Errorf("line %d got %q", line, text)
	}
	s.in <- strings.Repeat("x", 5000)
	s.says(desk.Unread)
	close(s.in)
	if err := <-s.done; err != nil {
		t.Errorf("Run = %v", err)
	}
	for last := (pairing.DeskScan{}); !last.Bye; {
		select {
		case last = <-p.scans:
		case <-time.After(20 * time.Second):
			t.Fatal("the page is not told that the desk has gone")
		}
	}
}

func TestLineThatEndsOrFails(t *testing.T) {
	p := newPortal(t)
	s := sit(t, desk.Options{Roots: p.roots()}, p.code(1))
	s.says(desk.Joined)
	p.status.Store(http.StatusBadGateway) // the proxy before the portal
	s.in <- "one"
	s.says(desk.NoNetwork)
	p.status.Store(0)
	s.says(desk.Again, desk.Sent)
	p.status.Store(http.StatusTooManyRequests)
	s.in <- "two"
	s.says(desk.Untaken)
	p.status.Store(http.StatusGone)
	s.says(desk.Parted, desk.Waiting)
	s.in <- p.code(2).Desk()
	s.says(desk.TooOld, desk.Waiting)
	p.status.Store(http.StatusConflict)
	s.in <- p.code(3).Desk()
	s.says(desk.Used, desk.Waiting)
}

func TestServerThatIsNotTheOneOfTheCode(t *testing.T) {
	p := newPortal(t)
	wrong := p.code(1)
	wrong.Fingerprint[0]++
	sit(t, desk.Options{Roots: p.roots()}, wrong).says(desk.Stranger, desk.Waiting)
	sit(t, desk.Options{Roots: x509.NewCertPool()}, p.code(1)).says(desk.Untrusted)
	if len(p.scans) > 0 {
		t.Error("it was told something all the same")
	}
}

// A visitor who holds up what a clerk's screen shows takes nobody's desk along.
func TestCodeOfAnotherServer(t *testing.T) {
	p, thief := newPortal(t), newPortal(t)
	roots := p.roots()
	roots.AddCert(thief.Certificate())
	s := sit(t, desk.Options{Roots: roots}, p.code(1))
	s.says(desk.Joined)
	s.in <- thief.code(1).Desk()
	s.says(desk.Stranger)
	s.in <- "papers"
	if line, text := p.read(t); line != 1 || text != "papers" {
		t.Errorf("line %d got %q", line, text)
	}
	p.status.Store(http.StatusGone)
	s.in <- "more"
	s.says(desk.Sent, desk.Parted, desk.Waiting)
	s.in <- thief.code(2).Desk()
	s.says(desk.Stranger)
	if len(thief.scans) > 0 {
		t.Error("the other server was told something")
	}
}

func TestCheck(t *testing.T) {
	c := pairing.Code{Address: "https://qr.example.vn"}
	if got, err := desk.Check(" " + strings.ToLower(c.Desk()) + "\n"); err != nil || got != c {
		t.Errorf("Check = %v, %v", got, err)
	}
	c.Address = "http://qr.example.vn"
	for _, text := range []string{c.Desk(), c.String(), "", "QGS1AAAA"} {
		if _, err := desk.Check(text); !errors.Is(err, desk.ErrCode) {
			t.Errorf("Check(%q) error = %v, want %v", text, err, desk.ErrCode)
		}
	}
}

func TestEveryWordIsSaidInBothLanguages(t *testing.T) {
	var bare []desk.Word
	for _, w := range []desk.Word{desk.Waiting, desk.Joined, desk.Sent, desk.NotSent, desk.Unread, desk.Untaken, desk.Again, desk.NoNetwork, desk.Untrusted, desk.Stranger, desk.Used, desk.Parted, desk.TooOld} {
		if strings.Count(w.String(), " / ") != 1 {
			bare = append(bare, w)
		}
	}
	if diff := cmp.Diff([]desk.Word(nil), bare); diff != "" {
		t.Errorf("words without sentences (-want +got):\n%s", diff)
	}
}
