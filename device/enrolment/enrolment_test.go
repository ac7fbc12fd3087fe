package enrolment_test

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/qrgate/qrgate/device/agent"
	"github.com/qrgate/qrgate/device/enrolment"
	"github.com/qrgate/qrgate/hw/scan"
	"github.com/qrgate/qrgate/sync/pairing"
	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

var (
	quiet = slog.New(slog.DiscardHandler)
	today = time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
)

// A server enrols whoever has its code, once somebody has agreed.
type server struct {
	*httptest.Server
	t        testing.TB
	caKey    *ecdsa.PrivateKey
	ca       *x509.Certificate
	root     ed25519.PrivateKey
	receipts ed25519.PrivateKey
	keys     []byte
	opener   *seal.Opener

	mu    sync.Mutex
	state wire.EnrolState
	asked [][]byte                  // public keys
	twist func(a *wire.EnrolAnswer) // what a bad server does
	hello func(h *wire.EnrolHello)
	renew func(r *wire.RenewRequest, a *wire.RenewAnswer)
	told  []wire.RenewRequest
	down  bool
}

func newServer(t testing.TB) *server {
	t.Helper()
	s := &server{t: t, state: wire.EnrolWait}
	var err error
	if s.caKey, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, NotBefore: today.AddDate(-1, 0, 0), NotAfter: today.AddDate(20, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, s.caKey.Public(), s.caKey)
	if err != nil {
		t.Fatal(err)
	}
	if s.ca, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	_, s.root, _ = ed25519.GenerateKey(rand.Reader)
	_, s.receipts, _ = ed25519.GenerateKey(rand.Reader)
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if s.opener, err = seal.NewOpener(map[uint32][]byte{1: private.Bytes()}); err != nil {
		t.Fatal(err)
	}
	s.keys = wire.Seal(wire.ForKeys, 1, s.root, wire.KeyList{V: 1, Stamp: wire.Stamp{Version: 1}, Keys: []wire.Key{
		{ID: 1, Purpose: wire.ForSeal, Public: private.PublicKey().Bytes()}, {ID: 1, Purpose: wire.ForReceipt, Public: public(s.receipts)},
	}})
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+wire.HelloPath, func(w http.ResponseWriter, r *http.Request) {
		h := wire.EnrolHello{V: 1, CA: s.ca.Raw, Root: public(s.root), Keys: s.keys}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.down {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		if s.hello != nil {
			s.hello(&h)
		}
		w.Write(wire.Encode(h))
	})
	mux.HandleFunc("POST "+wire.EnrolPath, s.enrol)
	mux.HandleFunc("POST "+wire.RenewPath, s.answerRenewal)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

func (s *server) code() pairing.Code {
	return pairing.Code{Address: s.URL, Token: [16]byte{1}, Fingerprint: pairing.Fingerprint(s.ca.Raw, public(s.root))}
}

func (s *server) set(state wire.EnrolState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = state
}

const kioskID = "k5-a1-abcdef"

func (s *server) certificate(id string, key ed25519.PublicKey, ends time.Time) []byte {
	s.t.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: id, OrganizationalUnit: []string{"kiosk"}}, NotBefore: today.AddDate(-1, 0, 0), NotAfter: ends,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, s.ca, key, s.caKey)
	if err != nil {
		s.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func (s *server) enrol(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	q, err := pairing.Open(body, s.opener)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, q.Public)
	a := wire.EnrolAnswer{V: 1, Nonce: q.Nonce, Public: q.Public, State: s.state}
	if s.state == wire.EnrolGranted {
		a.Kiosk, a.Certificate = kioskID, s.certificate(kioskID, q.Public, today.AddDate(0, 0, 90))
		a.Place, a.Gate, a.Lane, a.Direction, a.Broker, a.BrokerName, a.Portal = "Chợ Đông Ba", "A1", 2, wire.Out, "tls://qr.example.vn:8883", "localhost", s.URL
	}
	if s.twist != nil {
		s.twist(&a)
	}
	w.Write(wire.Seal(wire.ForEnrol, 1, s.receipts, a))
}

// statuses keeps what a kiosk shows and lets a test wait for it.
type statuses struct {
	mu   sync.Mutex
	all  []enrolment.Status
	news chan enrolment.Status
}

func newStatuses() *statuses { return &statuses{news: make(chan enrolment.Status, 100)} }

func (s *statuses) show(now enrolment.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, now)
	select {
	case s.news <- now:
	default:
	}
}

// await waits until a stage is shown.
func (s *statuses) await(t testing.TB, stage enrolment.Stage) enrolment.Status {
	t.Helper()
	for {
		select {
		case now := <-s.news:
			if now.Stage == stage {
				return now
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%s is never shown; shown: %v", stage, s.all)
		}
	}
}

func TestEnrol(t *testing.T) {
	s, shown := newServer(t), newStatuses()
	dir := filepath.Join(t.TempDir(), "identity")
	if fresh, err := enrolment.Fresh(dir); !fresh || err != nil {
		t.Fatalf("Fresh = %t, %v", fresh, err)
	}
	k := enrolment.New(dir, enrolment.Options{Release: "1.0", Show: shown.show}, quiet)
	done := make(chan error, 1)
	go func() { done <- k.Enrol(t.Context(), s.code()) }()
	words := shown.await(t, enrolment.Words).Words
	s.mu.Lock()
	want := pairing.Words(s.code(), s.asked[0])
	s.mu.Unlock()
	if words != want {
		t.Errorf("words = %q, want %q", words, want)
	}
	if fresh, err := enrolment.Fresh(dir); !fresh || err != nil {
		t.Fatalf("before anybody has agreed Fresh = %t, %v", fresh, err)
	}
	s.set(wire.EnrolGranted)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	id, err := agent.ReadIdentity(dir)
	if err != nil || id.Kiosk != kioskID || !id.Root.Equal(public(s.root)) {
		t.Fatalf("ReadIdentity = %+v, %v", id, err)
	}
	first, err := enrolment.ReadFirst(dir)
	if err != nil || *first != (enrolment.First{Place: "Chợ Đông Ba", Gate: "A1", Lane: 2, Direction: wire.Out, Server: "tls://qr.example.vn:8883", Name: "localhost", Portal: s.URL}) {
		t.Errorf("ReadFirst = %+v, %v", first, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "kiosk.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the key = %v, %v", info.Mode(), err)
	}
	if fresh, err := enrolment.Fresh(dir); fresh || err != nil {
		t.Errorf("Fresh = %t, %v", fresh, err)
	}
	for _, key := range s.asked {
		if !bytes.Equal(key, s.asked[0]) {
			t.Error("one enrolment asked with two keys")
		}
	}
}

// Whenever the power goes a kiosk is new or enrolled, and with the same code it goes on.
func TestPowerCuts(t *testing.T) {
	s := newServer(t)
	s.set(wire.EnrolGranted)
	dir := filepath.Join(t.TempDir(), "identity")
	cut := errors.New("the power went")
	k := enrolment.New(dir, enrolment.Options{Before: func() error { return cut }}, quiet)
	if err := k.Enrol(t.Context(), s.code()); !errors.Is(err, cut) {
		t.Fatalf("Enrol = %v", err)
	}
	files, err := os.ReadDir(dir + ".new")
	if err != nil || len(files) != 6 {
		t.Fatalf("files before the cut: %v, %v", files, err)
	}
	// The same for a cut after each of the files, and in the middle of one.
	for n := range files {
		if fresh, err := enrolment.Fresh(dir); !fresh || err != nil {
			t.Fatalf("after a cut Fresh = %t, %v", fresh, err)
		}
		for i, f := range files {
			path := filepath.Join(dir+".new", f.Name())
			switch {
			case f.Name() == "kiosk.key":
			case i > n:
				os.Remove(path)
			case i == n:
				if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path+".tmp", nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := k.Enrol(t.Context(), s.code()); !errors.Is(err, cut) {
			t.Fatalf("Enrol = %v", err)
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil { // as a package leaves it
		t.Fatal(err)
	}
	if err := enrolment.New(dir, enrolment.Options{}, quiet).Enrol(t.Context(), s.code()); err != nil {
		t.Fatal(err)
	}
	if _, err := agent.ReadIdentity(dir); err != nil {
		t.Error(err)
	}
	for _, key := range s.asked {
		if !bytes.Equal(key, s.asked[0]) {
			t.Fatal("after a cut the kiosk asks with another key, which ends its code")
		}
	}
}

func TestServersThatAreNotTrusted(t *testing.T) {
	other := newServer(t)
	for _, tt := range []struct {
		name  string
		hello func(*wire.EnrolHello)
		twist func(*server, *wire.EnrolAnswer)
	}{
		{"another CA", func(h *wire.EnrolHello) { h.CA = other.ca.Raw }, nil},
		{"another root", func(h *wire.EnrolHello) { h.Root, h.Keys = public(other.root), other.keys }, nil},
		{"another list of keys", func(h *wire.EnrolHello) { h.Keys = other.keys }, nil},
		{"a certificate for another key", nil, func(s *server, a *wire.EnrolAnswer) {
			a.Certificate = s.certificate(kioskID, public(s.root), today.AddDate(1, 0, 0))
		}},
		{"a certificate of another CA", nil, func(_ *server, a *wire.EnrolAnswer) {
			a.Certificate = other.certificate(kioskID, a.Public, today.AddDate(1, 0, 0))
		}},
		{"a certificate of another kiosk", nil, func(s *server, a *wire.EnrolAnswer) {
			a.Certificate = s.certificate("k5-a1-ghijkl", a.Public, today.AddDate(1, 0, 0))
		}},
		{"a strange name", nil, func(_ *server, a *wire.EnrolAnswer) { a.Kiosk = "../../etc" }},
		{"no certificate", nil, func(_ *server, a *wire.EnrolAnswer) { a.Certificate = nil }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t)
			s.state, s.hello = wire.EnrolGranted, tt.hello
			if tt.twist != nil {
				s.twist = func(a *wire.EnrolAnswer) { tt.twist(s, a) }
			}
			dir := filepath.Join(t.TempDir(), "identity")
			if err := enrolment.New(dir, enrolment.Options{}, quiet).Enrol(t.Context(), s.code()); !errors.Is(err, enrolment.ErrServer) {
				t.Errorf("Enrol = %v, want ErrServer", err)
			}
			if fresh, err := enrolment.Fresh(dir); !fresh || err != nil {
				t.Errorf("Fresh = %t, %v", fresh, err)
			}
		})
	}
}

// Answers that nobody has signed, or that answer another request, are as good as none.
func TestForgedAnswers(t *testing.T) {
	s, shown := newServer(t), newStatuses()
	s.state, s.twist = wire.EnrolGranted, func(a *wire.EnrolAnswer) { a.Nonce[0]++ }
	dir := filepath.Join(t.TempDir(), "identity")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- enrolment.New(dir, enrolment.Options{Show: shown.show}, quiet).Enrol(ctx, s.code())
	}()
	shown.await(t, enrolment.NoServer)
	cancel()
	if err := <-done; err == nil {
		t.Error("an answer to another request was taken")
	}
}

func TestCodesThatAreWorthNothing(t *testing.T) {
	for state, want := range map[wire.EnrolState]error{wire.EnrolRefused: enrolment.ErrRefused, wire.EnrolEnded: enrolment.ErrEnded} {
		s := newServer(t)
		s.state = state
		if err := enrolment.New(filepath.Join(t.TempDir(), "identity"), enrolment.Options{}, quiet).Enrol(t.Context(), s.code()); !errors.Is(err, want) {
			t.Errorf("Enrol = %v, want %v", err, want)
		}
	}
}

// A reader gives what a test shows to the scanner.
type reader chan string

func (r reader) Next(ctx context.Context) (scan.Scan, error) {
	select {
	case text := <-r:
		return scan.Scan{Text: text}, nil
	case <-ctx.Done():
		return scan.Scan{}, ctx.Err()
	}
}

func TestRunFollowsWhatIsShown(t *testing.T) {
	stuck, s, shown, scanner := newServer(t), newServer(t), newStatuses(), make(reader)
	s.set(wire.EnrolGranted)
	var since time.Duration
	var mu sync.Mutex
	gate := enrolment.NewGate(func() time.Duration { mu.Lock(); defer mu.Unlock(); return since })
	pass := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); since += d }
	dir := t.TempDir()
	joined := filepath.Join(dir, "Cho")
	k := enrolment.New(filepath.Join(dir, "identity"), enrolment.Options{Show: shown.show, WiFi: []string{"touch", filepath.Join(dir, "{ssid}")}}, quiet)
	done := make(chan error, 1)
	go func() { done <- k.Run(t.Context(), scanner, gate) }()
	shown.await(t, enrolment.Waiting)
	scanner <- "QG1SOMETHING"
	shown.await(t, enrolment.NotCode)
	scanner <- "WIFI:T:WPA;S:Cho;P:12345678;;"
	shown.await(t, enrolment.Joined)
	if _, err := os.Stat(joined); err != nil {
		t.Error(err)
	}
	scanner <- "WIFI:T:WPA;S:no/such/folder;P:12345678;;"
	shown.await(t, enrolment.NoWiFi)
	scanner <- "WIFI:T:WPA;S:;;"
	shown.await(t, enrolment.NotCode)

	pass(enrolment.Window)
	scanner <- s.code().String()
	shown.await(t, enrolment.Closed)
	gate.Open()
	scanner <- stuck.code().String()
	shown.await(t, enrolment.Words)
	scanner <- "WHAT LIES AROUND"
	scanner <- stuck.code().String()
	scanner <- s.code().String() // somebody has made another one meanwhile
	if err := <-done; err != nil {
		t.Fatalf("Run = %v", err)
	}
	if got := shown.await(t, enrolment.Done); got.Words != "" {
		t.Errorf("shown at the end: %v", got)
	}
	if _, err := agent.ReadIdentity(filepath.Join(dir, "identity")); err != nil {
		t.Error(err)
	}
}

func TestRunEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	shown := newStatuses()
	k := enrolment.New(filepath.Join(t.TempDir(), "identity"), enrolment.Options{Show: shown.show}, quiet)
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx, make(reader), enrolment.NewGate(func() time.Duration { return time.Hour })) }()
	shown.await(t, enrolment.Closed)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v", err)
	}
}

func TestEveryStageHasWordsAndASignal(t *testing.T) {
	for _, stage := range enrolment.Stages() {
		for _, lang := range words.Langs() {
			if s := enrolment.Sentence(lang, stage); s.Head == "" || s.Do == "" || utf8.RuneCountInString(s.Head) > words.MaxHead {
				t.Errorf("%s: words of %s = %+v", lang, stage, s)
			}
		}
		if got := (enrolment.Status{Stage: stage}).Signal().String(); slices.Contains([]string{"admitted", "again", "amber"}, got) {
			t.Errorf("at %s the lamps show %s, which opens the door", stage, got)
		}
	}
}
