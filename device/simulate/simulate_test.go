package simulate_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/qrgate/qrgate/device/simulate"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/wire"
)

// identities writes what the server's kiosk add -count does.
func identities(t *testing.T, names ...string) string {
	t.Helper()
	_, root, _ := ed25519.GenerateKey(rand.Reader)
	_, receipt, _ := ed25519.GenerateKey(rand.Reader)
	list := wire.KeyList{V: wire.Version, Stamp: wire.Stamp{Generation: 1, Version: 1}, Keys: []wire.Key{
		{ID: 7, Purpose: wire.ForReceipt, Public: receipt.Public().(ed25519.PublicKey)},
		{ID: 1, Purpose: wire.ForSeal, Public: bytes.Repeat([]byte{9}, 32)},
	}}
	dir := t.TempDir()
	for _, name := range names {
		public, key, _ := ed25519.GenerateKey(rand.Reader)
		c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
		cert, err1 := x509.CreateCertificate(rand.Reader, c, c, public, key)
		private, err2 := x509.MarshalPKCS8PrivateKey(key)
		rootDER, err3 := x509.MarshalPKIXPublicKey(root.Public())
		if err := errors.Join(err1, err2, err3, os.MkdirAll(filepath.Join(dir, name), 0o700)); err != nil {
			t.Fatal(err)
		}
		block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
		for file, b := range map[string][]byte{
			"kiosk.key": block("PRIVATE KEY", private), "kiosk.pem": block("CERTIFICATE", cert), "ca.pem": block("CERTIFICATE", cert),
			"root.pub": block("PUBLIC KEY", rootDER), "keys.cbor": wire.Seal(wire.ForKeys, 0, root, list),
		} {
			if err := os.WriteFile(filepath.Join(dir, name, file), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// An output is what a simulation says, line by line.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// count returns the newest value of a name.
func (o *output) count(name string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := regexp.MustCompile(` `+name+`=(\d+)`).FindAllStringSubmatch(o.b.String(), -1)
	if len(all) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(all[len(all)-1][1])
	return n
}

// nowhere is an address at which nobody listens.
func nowhere(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "tls://" + l.Addr().String()
}

// Kiosks whose server is away let people in and keep all of it.
func TestSimulatedKiosksRecordWithoutAServer(t *testing.T) {
	for _, scenario := range simulate.Scenarios() {
		t.Run(string(scenario), func(t *testing.T) {
			t.Parallel()
			state, out := t.TempDir(), new(output)
			o := simulate.Options{
				Server: nowhere(t), Identities: identities(t, "sim-00001", "sim-00002"), State: state, Kiosks: 2, Scenario: scenario,
				Rate: 1200, Seed: 1, Spread: time.Millisecond, Every: 20 * time.Millisecond, Out: out,
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- simulate.Run(ctx, o) }()
			for end := time.Now().Add(time.Minute); out.count("admitted") < 20; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(end) || len(done) > 0 {
					t.Errorf("%d were let in", out.count("admitted"))
					break
				}
			}
			cancel()
			if err := <-done; err != nil {
				t.Fatalf("Run() = %v, want nil", err)
			}
			held := uint64(0)
			for n := range o.Kiosks {
				r, err := outbox.Verify(t.Context(), filepath.Join(state, fmt.Sprintf("sim-%05d", n+1), "outbox.db"), nil)
				if err != nil || len(r.Missing) > 0 {
					t.Errorf("Verify() = %s, %v", r, err)
				}
				held += r.Held
			}
			if admitted := out.count("admitted"); held < uint64(admitted) {
				t.Errorf("%d are held, and %d were let in", held, admitted)
			}
		})
	}
}

func TestRunRefuses(t *testing.T) {
	real := identities(t, "cho-dong-ba-1")
	if err := os.Rename(filepath.Join(real, "cho-dong-ba-1"), filepath.Join(real, "sim-00001")); err != nil {
		t.Fatal(err)
	}
	few := identities(t, "sim-00001")
	for name, o := range map[string]simulate.Options{
		"a real kiosk's identity": {Identities: real, Kiosks: 1},
		"too few identities":      {Identities: few, Kiosks: 2},
		"no kiosks":               {Identities: few},
		"no directory":            {Identities: filepath.Join(few, "none"), Kiosks: 1},
	} {
		o.Server, o.State = nowhere(t), t.TempDir()
		if err := simulate.Run(t.Context(), o); err == nil || !strings.HasPrefix(err.Error(), "simulate: ") {
			t.Errorf("%s: Run() = %v, want an error", name, err)
		}
	}
	if _, err := simulate.ParseScenario("holiday"); err == nil {
		t.Error("ParseScenario(holiday) = nil, want an error")
	}
}
