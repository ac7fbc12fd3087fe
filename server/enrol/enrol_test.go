package enrol_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/enrol"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/wire"
)

const kiosk = "kiosk-0001"

var now = time.Date(2026, 11, 24, 1, 0, 0, 0, time.UTC)

// An install is a server that was set up at now.
type install struct {
	dir, root string
	master    vault.Master
	keys      *enrol.Keys
	ca        *enrol.CA
}

func newInstall(t testing.TB) install {
	t.Helper()
	i := install{dir: filepath.Join(t.TempDir(), "keys"), root: filepath.Join(t.TempDir(), "root.key"), master: vault.NewMaster()}
	if err := enrol.Init(i.dir, i.master, i.root, now); err != nil {
		t.Fatal(err)
	}
	var err error
	if i.keys, err = enrol.Load(i.dir, i.master); err != nil {
		t.Fatal(err)
	}
	if i.ca, err = i.keys.CA(); err != nil {
		t.Fatal(err)
	}
	return i
}

func parseCert(t testing.TB, b []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(b)
	if block == nil {
		t.Fatalf("no PEM in %q", b)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newKey(t testing.TB) (ed25519.PublicKey, ed25519.PrivateKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return public, private
}

func TestKeysServeTheirPurposes(t *testing.T) {
	i := newInstall(t)
	list, err := wire.OpenKeyList(i.keys.Signed(), i.keys.Root())
	if err != nil {
		t.Fatalf("OpenKeyList = %v, want nil", err)
	}
	if diff := cmp.Diff(list, i.keys.List()); diff != "" {
		t.Errorf("List differs from what is signed:\n%s", diff)
	}
	for _, p := range []wire.Purpose{wire.ForReceipt, wire.ForBeat, wire.ForConfig, wire.ForCard} {
		id, key, err := i.keys.Signer(p, now)
		if err != nil || id != 1 {
			t.Fatalf("Signer(%s) = %d, %v, want key 1", p, id, err)
		}
		if !key.Public().(ed25519.PublicKey).Equal(list.Signer(p)(id)) {
			t.Errorf("Signer(%s) is not the key that is listed", p)
		}
	}
	if _, key, err := i.keys.Signer(wire.ForSeal, now); err == nil {
		t.Errorf("Signer(seal) = %d bytes, want an error", len(key))
	}
	// A kiosk that believes it is 1970 must seal all the same.
	listed, ok := list.Current(wire.ForSeal, time.Unix(0, 0))
	if !ok {
		t.Fatal("no seal key for a clock of 1970")
	}
	sealer, err := seal.New(listed.ID, listed.Public)
	if err != nil {
		t.Fatal(err)
	}
	box, ctx, err := sealer.Seal(now, nil, []byte("who"))
	if err != nil {
		t.Fatal(err)
	}
	seals, err := i.keys.Seals()
	if err != nil {
		t.Fatal(err)
	}
	opener, err := seal.NewOpener(seals)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := opener.Open(ctx, nil, box); string(got) != "who" || err != nil {
		t.Errorf("Open = %q, %v", got, err)
	}
}

// The running server must not hold the root, nor any key in the clear.
func TestKeyDirectoryHoldsNoBareKey(t *testing.T) {
	i := newInstall(t)
	rootFile, err := os.ReadFile(i.root)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(rootFile)
	root, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if !root.(ed25519.PrivateKey).Public().(ed25519.PublicKey).Equal(i.keys.Root()) {
		t.Error("root.key is not the key of root.pub")
	}
	if info, err := os.Stat(i.root); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the root key = %v, %v, want 0600", info.Mode(), err)
	}
	bare := map[string][]byte{"root": root.(ed25519.PrivateKey).Seed()}
	for _, p := range []wire.Purpose{wire.ForReceipt, wire.ForConfig, wire.ForCard} {
		_, key, err := i.keys.Signer(p, now)
		if err != nil {
			t.Fatal(err)
		}
		bare[string(p)] = key.Seed()
	}
	seals, err := i.keys.Seals()
	if err != nil {
		t.Fatal(err)
	}
	bare["seal"] = seals[1]
	if err := os.Remove(i.root); err != nil {
		t.Fatal(err)
	}
	if _, err := enrol.Load(i.dir, i.master); err != nil {
		t.Errorf("Load without the root's private key = %v, want nil", err)
	}
	entries, err := os.ReadDir(i.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(i.dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for name, key := range bare {
			if bytes.Contains(b, key) {
				t.Errorf("%s holds the %s key in the clear", e.Name(), name)
			}
		}
		if strings.HasSuffix(e.Name(), ".key") {
			if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode of %s = %v, %v, want 0600", e.Name(), info.Mode(), err)
			}
		}
	}
}

func TestInitAndLoadRefuse(t *testing.T) {
	i := newInstall(t)
	if err := enrol.Init(i.dir, i.master, filepath.Join(t.TempDir(), "root.key"), now); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second Init = %v, want fs.ErrExist", err)
	}
	if err := enrol.Init(filepath.Join(t.TempDir(), "keys"), i.master, i.root, now); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Init over a root key = %v, want fs.ErrExist", err)
	}
	other, err := enrol.Load(i.dir, vault.NewMaster())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := other.Signer(wire.ForReceipt, now); !errors.Is(err, vault.ErrMaster) {
		t.Errorf("Signer with another master key = %v, want ErrMaster", err)
	}
	if _, err := other.Seals(); !errors.Is(err, vault.ErrMaster) {
		t.Errorf("Seals with another master key = %v, want ErrMaster", err)
	}
	if _, err := other.CA(); !errors.Is(err, vault.ErrMaster) {
		t.Errorf("CA with another master key = %v, want ErrMaster", err)
	}
	for _, name := range []string{"receipt-1.key", "keys.cbor"} {
		path := filepath.Join(i.dir, name)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)-1] ^= 1
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := i.keys.Signer(wire.ForReceipt, now); !errors.Is(err, vault.ErrMaster) {
		t.Errorf("Signer of a damaged key = %v, want ErrMaster", err)
	}
	if _, err := enrol.Load(i.dir, i.master); !errors.Is(err, wire.ErrSignature) {
		t.Errorf("Load of a changed list = %v, want ErrSignature", err)
	}
	if err := os.Remove(filepath.Join(i.dir, "keys.cbor")); err != nil {
		t.Fatal(err)
	}
	if _, err := enrol.Load(i.dir, i.master); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load of what Init did not finish = %v, want fs.ErrNotExist", err)
	}
}

func TestKioskCertificate(t *testing.T) {
	i := newInstall(t)
	public, _ := newKey(t)
	b, err := i.ca.Kiosk(kiosk, public, now)
	if err != nil {
		t.Fatal(err)
	}
	c := parseCert(t, b)
	if id, role, err := enrol.Identify(c); id != kiosk || role != enrol.RoleKiosk || err != nil {
		t.Errorf("Identify = %q, %q, %v", id, role, err)
	}
	if !public.Equal(c.PublicKey) {
		t.Error("certificate is for another key")
	}
	for _, tt := range []struct {
		name  string
		when  time.Time
		usage x509.ExtKeyUsage
		ok    bool
	}{
		{"now", now, x509.ExtKeyUsageClientAuth, true},
		{"clock half a year behind", now.AddDate(0, -6, 0), x509.ExtKeyUsageClientAuth, true},
		{"last hour", now.Add(enrol.KioskLife - time.Hour), x509.ExtKeyUsageClientAuth, true},
		{"ended", now.Add(enrol.KioskLife + time.Second), x509.ExtKeyUsageClientAuth, false},
		{"as a server", now, x509.ExtKeyUsageServerAuth, false},
	} {
		_, err := c.Verify(x509.VerifyOptions{Roots: i.ca.Pool(), CurrentTime: tt.when, KeyUsages: []x509.ExtKeyUsage{tt.usage}})
		if (err == nil) != tt.ok {
			t.Errorf("%s: Verify = %v, want ok %t", tt.name, err, tt.ok)
		}
	}
	if _, err := c.Verify(x509.VerifyOptions{Roots: newInstall(t).ca.Pool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err == nil {
		t.Error("Verify against another CA = nil, want an error")
	}
	for _, id := range []string{"", "short", "Kiosk-0001", "kiosk/0001", "kiosk-+-01", "server-0001", strings.Repeat("a", 41)} {
		if _, err := i.ca.Kiosk(id, public, now); err == nil {
			t.Errorf("Kiosk(%q) = nil, want an error", id)
		}
	}
	if _, err := i.ca.Kiosk(kiosk, public[:31], now); err == nil {
		t.Error("Kiosk with a short key = nil, want an error")
	}
}

// A certificate's name and role must agree, whoever signed it.
func TestIdentifyRefuses(t *testing.T) {
	ed, _ := newKey(t)
	for _, tt := range []struct {
		name    string
		subject pkix.Name
		key     any
	}{
		{"no role", pkix.Name{CommonName: kiosk}, ed},
		{"two roles", pkix.Name{CommonName: kiosk, OrganizationalUnit: []string{"kiosk", "server"}}, ed},
		{"unknown role", pkix.Name{CommonName: kiosk, OrganizationalUnit: []string{"admin"}}, ed},
		{"a kiosk as server", pkix.Name{CommonName: kiosk, OrganizationalUnit: []string{"server"}}, ed},
		{"a server as kiosk", pkix.Name{CommonName: "server-0001", OrganizationalUnit: []string{"kiosk"}}, ed},
		{"a wildcard", pkix.Name{CommonName: "kiosk-+-01", OrganizationalUnit: []string{"kiosk"}}, ed},
		{"no name", pkix.Name{OrganizationalUnit: []string{"kiosk"}}, ed},
		{"a key that signs no batches", pkix.Name{CommonName: kiosk, OrganizationalUnit: []string{"kiosk"}}, &struct{}{}},
	} {
		c := &x509.Certificate{Subject: tt.subject, PublicKey: tt.key}
		if id, role, err := enrol.Identify(c); err == nil {
			t.Errorf("%s: Identify = %q, %q, want an error", tt.name, id, role)
		}
	}
}

func TestCSR(t *testing.T) {
	public, private := newKey(t)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "server-0001"}}, private)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := enrol.PublicFromCSR(der); !public.Equal(got) || err != nil {
		t.Errorf("PublicFromCSR = %x, %v, want %x", got, err, public)
	}
	forged := bytes.Clone(der)
	forged[len(forged)-1] ^= 1
	if _, err := enrol.PublicFromCSR(forged); err == nil {
		t.Error("PublicFromCSR of a forged request = nil, want an error")
	}
	if _, err := enrol.PublicFromCSR(make([]byte, 1<<20)); err == nil {
		t.Error("PublicFromCSR of 1 MiB = nil, want an error")
	}
}

func FuzzPublicFromCSR(f *testing.F) {
	_, private := newKey(f)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, private)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Fuzz(func(t *testing.T, b []byte) {
		if public, err := enrol.PublicFromCSR(b); err == nil && len(public) != ed25519.PublicKeySize {
			t.Errorf("PublicFromCSR(%x) = %d bytes, nil", b, len(public))
		}
	})
}

func TestBundle(t *testing.T) {
	i := newInstall(t)
	b, err := i.keys.NewBundle(i.ca, kiosk, now)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "identity")
	if err := b.Write(dir); err != nil {
		t.Fatal(err)
	}
	read := func(name string) []byte {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if _, err := tls.LoadX509KeyPair(filepath.Join(dir, "kiosk.pem"), filepath.Join(dir, "kiosk.key")); err != nil {
		t.Errorf("kiosk.pem and kiosk.key do not fit: %v", err)
	}
	block, _ := pem.Decode(read("kiosk.key"))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil || !key.(ed25519.PrivateKey).Equal(b.Key) {
		t.Errorf("kiosk.key holds another key: %v", err)
	}
	if info, err := os.Stat(filepath.Join(dir, "kiosk.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of kiosk.key = %v, %v, want 0600", info.Mode(), err)
	}
	block, _ = pem.Decode(read("root.pub"))
	root, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wire.OpenKeyList(read("keys.cbor"), root.(ed25519.PublicKey)); err != nil {
		t.Errorf("keys.cbor does not verify: %v", err)
	}
	if err := parseCert(t, read("kiosk.pem")).CheckSignatureFrom(parseCert(t, read("ca.pem"))); err != nil {
		t.Errorf("kiosk.pem is not signed by ca.pem: %v", err)
	}
}

// A kiosk that enrols keeps its own key: a bundle for it must not touch it.
func TestBundleWithoutKeyLeavesTheKiosksOwn(t *testing.T) {
	i := newInstall(t)
	public, _ := newKey(t)
	b, err := i.keys.Bundle(i.ca, kiosk, public, now)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "kiosk.key")
	if err := os.WriteFile(path, []byte("own"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.Write(dir); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); string(got) != "own" || err != nil {
		t.Errorf("kiosk.key = %q, %v, want it unchanged", got, err)
	}
}

func TestServerCertificate(t *testing.T) {
	i := newInstall(t)
	dir := t.TempDir()
	clock := now
	at := func() time.Time { return clock }
	names := []string{"gate.example", "127.0.0.1", "::1"}
	first := mustServe(t, i.ca, dir, names, at)
	for _, n := range names {
		if err := first.VerifyHostname(n); err != nil {
			t.Errorf("VerifyHostname(%s) = %v", n, err)
		}
	}
	if _, err := first.Verify(x509.VerifyOptions{Roots: i.ca.Pool(), CurrentTime: now}); err != nil {
		t.Errorf("Verify = %v", err)
	}
	if info, err := os.Stat(filepath.Join(dir, "server.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of server.key = %v, %v, want 0600", info.Mode(), err)
	}
	if again := mustServe(t, i.ca, dir, []string{"::1", "gate.example", "127.0.0.1"}, at); !again.Equal(first) {
		t.Error("a second start made another certificate")
	}
	// A process that runs for most of a year renews under way.
	s, err := i.ca.ServerCertificate(dir, names, at)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		left time.Duration
		same bool
	}{{31 * 24 * time.Hour, true}, {29 * 24 * time.Hour, false}} {
		clock = first.NotAfter.Add(-tt.left)
		c, err := s.Certificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.Leaf.Equal(first) != tt.same {
			t.Errorf("%s before its end: same certificate %t, want %t", tt.left, !tt.same, tt.same)
		}
	}
	clock = now
	second := mustServe(t, i.ca, dir, names, at)
	if second.Equal(first) {
		t.Error("the renewed certificate is not in the file")
	}
	if third := mustServe(t, i.ca, dir, []string{"other.example"}, at); third.Equal(second) {
		t.Error("another name got the same certificate")
	}
	if c := mustServe(t, newInstall(t).ca, dir, []string{"other.example"}, at); c.CheckSignatureFrom(parseCert(t, i.ca.Certificate())) == nil {
		t.Error("another CA kept the old certificate")
	}
	if err := os.Remove(filepath.Join(dir, "server.pem")); err != nil { // as a power cut while renewing does
		t.Fatal(err)
	}
	mustServe(t, i.ca, dir, names, at)
	if _, err := i.ca.ServerCertificate(t.TempDir(), nil, at); err == nil {
		t.Error("ServerCertificate without names = nil, want an error")
	}
}

func mustServe(t *testing.T, ca *enrol.CA, dir string, names []string, at func() time.Time) *x509.Certificate {
	t.Helper()
	s, err := ca.ServerCertificate(dir, names, at)
	if err != nil {
		t.Fatalf("ServerCertificate = %v", err)
	}
	c, err := s.Certificate(nil)
	if err != nil {
		t.Fatalf("Certificate = %v", err)
	}
	return c.Leaf
}

func TestLinkTLS(t *testing.T) {
	i := newInstall(t)
	clock := now
	at := func() time.Time { return clock }
	server, err := i.ca.ServerCertificate(t.TempDir(), []string{"gate.example"}, at)
	if err != nil {
		t.Fatal(err)
	}
	link, err := i.ca.LinkTLS("server-a-ingest", "gate.example", at)
	if err != nil {
		t.Fatal(err)
	}
	shake := func() *x509.Certificate {
		t.Helper()
		a, b := net.Pipe()
		defer a.Close()
		defer b.Close()
		s := tls.Server(a, &tls.Config{GetCertificate: server.Certificate, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: i.ca.Pool(), Time: at})
		done := make(chan error, 1)
		go func() { done <- tls.Client(b, link).Handshake() }()
		if err := s.Handshake(); err != nil {
			t.Fatalf("server: Handshake = %v", err)
		}
		// The client has ended when the server has.
		if err := <-done; err != nil {
			t.Fatalf("client: Handshake = %v", err)
		}
		return s.ConnectionState().PeerCertificates[0]
	}
	first := shake()
	if id, role, err := enrol.Identify(first); id != "server-a-ingest" || role != enrol.RoleServer || err != nil {
		t.Errorf("Identify = %q, %q, %v", id, role, err)
	}
	if again := shake(); !again.Equal(first) {
		t.Error("a second handshake made another certificate")
	}
	clock = now.Add(300 * enrol.LinkLife)
	if later := shake(); later.Equal(first) {
		t.Error("an expired certificate was used again")
	}
	for _, name := range []string{kiosk, "server-", "server-A-ingest"} {
		if _, err := i.ca.LinkTLS(name, "gate.example", at); err == nil {
			t.Errorf("LinkTLS(%q) = nil, want an error", name)
		}
	}
}
