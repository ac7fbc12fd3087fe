// Package enrolment is a kiosk before it is one of ours, and what keeps it one: the
// state new, in which it takes an enrolment code or a Wi-Fi network from its own
// scanners and shows four words; the identity that it then writes; the renewal of its
// certificate; and what it does when the server says that it was revoked.
//
//	if fresh, err := enrolment.Fresh(dir); fresh {
//		n := enrolment.New(dir, enrolment.Options{...}, log)
//		err := n.Run(ctx, scanners) // nil once the identity is on disk
//	}
//	first, err := enrolment.ReadFirst(dir) // place, gate and server, as the portal chose them
//	keep := enrolment.Keep(id, ...)        // from then on
//
// The promise: a kiosk is new or enrolled, never between: the identity's folder appears
// as a whole, whenever the power goes. It trusts a server for the fingerprint in the
// code alone, and once it is enrolled it takes no other code: a door treats one like
// any foreign code.
//
// Left out: what the code and the messages are (package pairing and wire).
package enrolment

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/qrgate/qrgate/sync/pairing"
	"github.com/qrgate/qrgate/sync/wire"
)

// Errors of an enrolment. Whoever shows the code reads what to do about each.
var (
	ErrServer  = errors.New("not the server of the code")
	ErrRefused = errors.New("refused: the words were not the same, or the code was used by another kiosk")
	ErrEnded   = errors.New("the code has ended")
	ErrClosed  = errors.New("the server was restored and takes no new kiosks yet")
)

// Times of an enrolment.
const (
	Window    = 10 * time.Minute // after power-on, in which codes are taken
	askEvery  = 2 * time.Second
	codeLasts = 15 * time.Minute
	oneAnswer = 20 * time.Second
)

// firstFile is in the identity's folder beside the files that package agent reads.
const (
	firstFile = "enrolled.json"
	keyFile   = "kiosk.key"
)

// A First is what the portal chose for a kiosk: its settings until it is sent others.
type First struct {
	Place     string         `json:"place"`
	Gate      string         `json:"gate"`
	Lane      uint8          `json:"lane"`
	Direction wire.Direction `json:"direction"`
	Server    string         `json:"server"` // tls://host:port
	Name      string         `json:"name"`   // in its certificate
	Portal    string         `json:"portal"` // https://host
}

// Fresh reports whether there is no identity in dir.
func Fresh(dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("enrolment: %w", err)
	}
	return len(entries) == 0, nil
}

// ReadFirst returns what the portal chose, or nil for a kiosk that was not enrolled by
// a code.
func ReadFirst(dir string) (*First, error) {
	b, err := os.ReadFile(filepath.Join(dir, firstFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("enrolment: %w", err)
	}
	var f First
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("enrolment: %s: %w", firstFile, err)
	}
	return &f, nil
}

// Options are what a new kiosk says of itself and with what it works.
type Options struct {
	Release, Model string
	WiFi           []string             // program and arguments that join a network; empty takes none
	Since          func() time.Duration // since boot; nil takes codes at any time
	Now            func() time.Time     // as the machine believes; default time.Now
	Client         *http.Client         // default: one that believes no certificate, see Kiosk.Enrol
	Show           func(Status)         // told of each status, one at a time
	Before         func() error         // called before this machine becomes a kiosk
}

// A Kiosk is one that is new.
type Kiosk struct {
	Options
	dir string
	log *slog.Logger
}

// New returns the kiosk whose identity shall lie in dir.
func New(dir string, o Options, log *slog.Logger) *Kiosk {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Client == nil {
		o.Client = client()
	}
	if o.Show == nil {
		o.Show = func(Status) {}
	}
	return &Kiosk{o, dir, log}
}

// client returns an HTTP client that takes any certificate. A new kiosk knows no
// authority to believe, and its clock may say 1970. It needs none: what it is told is
// signed by keys that lead back to the code, and what it says is sealed to them. TLS
// only keeps listeners away.
func client() *http.Client {
	t := &http.Transport{
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true},
		TLSHandshakeTimeout: oneAnswer, DisableKeepAlives: true,
		Proxy: http.ProxyFromEnvironment,
	}
	return &http.Client{Transport: t, Timeout: oneAnswer, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// post sends a body, or asks for path without one, and returns the answer's.
func post(ctx context.Context, c *http.Client, address string, body []byte) ([]byte, error) {
	method := http.MethodPost
	if body == nil {
		method = http.MethodGet
	}
	r, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/cbor")
	resp, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, wire.MaxEnrol+1))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", address, resp.Status)
	}
	return b, nil
}

// Enrol asks the code's server until somebody there has agreed to the words, and
// returns nil when the identity is on disk. It returns [ErrServer], [ErrRefused],
// [ErrEnded] or [ErrClosed] for a code that is worth nothing; without a network it goes on trying.
func (k *Kiosk) Enrol(ctx context.Context, code pairing.Code) error {
	ctx, cancel := context.WithTimeoutCause(ctx, codeLasts, ErrEnded)
	defer cancel()
	k.Show(Status{Stage: Asking})
	key, err := k.key()
	if err != nil {
		return err
	}
	var server *pairing.Server
	for {
		a, err := k.once(ctx, code, &server, key)
		switch {
		case errors.Is(err, ErrServer):
			return err
		case err != nil && ctx.Err() == nil:
			k.log.Warn("no answer to the enrolment", "err", err, "retry_in", askEvery)
			k.Show(Status{Stage: NoServer})
		case err != nil:
		case a.State == wire.EnrolWait:
			k.Show(Status{Stage: Words, Words: pairing.Words(code, key.Public().(ed25519.PublicKey))})
		case a.State == wire.EnrolRefused:
			return ErrRefused
		case a.State == wire.EnrolEnded && a.Closed:
			return ErrClosed
		case a.State == wire.EnrolEnded:
			return ErrEnded
		default:
			return k.write(server, key, a)
		}
		timer := time.NewTimer(askEvery)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
		}
	}
}

// once asks once.
func (k *Kiosk) once(ctx context.Context, code pairing.Code, server **pairing.Server, key ed25519.PrivateKey) (*wire.EnrolAnswer, error) {
	if *server == nil {
		hello, err := post(ctx, k.Client, code.Address+wire.HelloPath, nil)
		if err != nil {
			return nil, err
		}
		s, err := code.Hello(hello)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrServer, err)
		}
		*server = s
	}
	var nonce [16]byte
	rand.Read(nonce[:])
	request, err := (*server).Ask(code, key, wire.EnrolRequest{Nonce: nonce, Release: k.Release, Model: k.Model}, k.Now())
	if err != nil {
		return nil, err
	}
	b, err := post(ctx, k.Client, code.Address+wire.EnrolPath, request)
	if err != nil {
		return nil, err
	}
	return wire.OpenEnrolAnswer(b, nonce, key.Public().(ed25519.PublicKey), (*server).List.Signer(wire.ForReceipt))
}

// coming is the folder in which an identity is put together.
func (k *Kiosk) coming() string { return k.dir + ".new" }

// key returns the kiosk's private key, which is made once: the power may go while
// somebody compares the words, and the code belongs to the key that asked first.
func (k *Kiosk) key() (ed25519.PrivateKey, error) {
	path := filepath.Join(k.coming(), keyFile)
	if b, err := os.ReadFile(path); err == nil {
		if block, _ := pem.Decode(b); block != nil {
			if parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
				if key, ok := parsed.(ed25519.PrivateKey); ok {
					return key, nil
				}
			}
		}
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("enrolment: key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("enrolment: key: %w", err)
	}
	if err := os.MkdirAll(k.coming(), 0o700); err != nil {
		return nil, fmt.Errorf("enrolment: %w", err)
	}
	return key, writeFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// write checks what was granted and puts the identity's folder in its place.
func (k *Kiosk) write(server *pairing.Server, key ed25519.PrivateKey, a *wire.EnrolAnswer) error {
	if !wire.ValidKiosk(a.Kiosk) {
		return fmt.Errorf("enrolment: %w: %q names no kiosk", ErrServer, a.Kiosk)
	}
	if _, err := CheckCertificate(a.Certificate, server.CA, a.Kiosk, key.Public().(ed25519.PublicKey)); err != nil {
		return fmt.Errorf("%w: %w", ErrServer, err)
	}
	root, err := x509.MarshalPKIXPublicKey(server.Root)
	if err != nil {
		return fmt.Errorf("enrolment: root: %w", err)
	}
	first, err := json.Marshal(First{a.Place, a.Gate, a.Lane, a.Direction, a.Broker, a.BrokerName, a.Portal})
	if err != nil {
		return fmt.Errorf("enrolment: %w", err)
	}
	for _, f := range []struct {
		name    string
		content []byte
	}{
		{"kiosk.pem", a.Certificate},
		{"ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.CA.Raw})},
		{"root.pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: root})},
		{"keys.cbor", server.Keys},
		{firstFile, first},
	} {
		if err := writeFile(filepath.Join(k.coming(), f.name), f.content); err != nil {
			return err
		}
	}
	if k.Before != nil {
		if err := k.Before(); err != nil {
			return fmt.Errorf("enrolment: %w", err)
		}
	}
	// What was on disk before is there as a whole, or nothing is: the folder's name is
	// the one thing that changes.
	os.Remove(k.dir) // if it is there it is empty, or stays and is an error
	if err := os.Rename(k.coming(), k.dir); err != nil {
		return fmt.Errorf("enrolment: %w", err)
	}
	if err := syncDir(filepath.Dir(k.dir)); err != nil {
		return err
	}
	k.log.Info("enrolled", "kiosk", a.Kiosk, "place", a.Place, "gate", a.Gate)
	k.Show(Status{Stage: Done})
	return nil
}

// CheckCertificate returns a kiosk's certificate (PEM) after checking that ca issued it
// to the kiosk for its key. When it ends is the caller's to judge.
func CheckCertificate(cert []byte, ca *x509.Certificate, kiosk string, key ed25519.PublicKey) (*x509.Certificate, error) {
	block, rest := pem.Decode(cert)
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("enrolment: not one certificate")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("enrolment: certificate: %w", err)
	}
	if err := c.CheckSignatureFrom(ca); err != nil {
		return nil, fmt.Errorf("enrolment: certificate: %w", err)
	}
	if c.Subject.CommonName != kiosk || !key.Equal(c.PublicKey) {
		return nil, fmt.Errorf("enrolment: certificate of %q, or for another key", c.Subject.CommonName)
	}
	return c, nil
}

// writeFile writes a file durably and as a whole.
func writeFile(path string, b []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("enrolment: %w", err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return fmt.Errorf("enrolment: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("enrolment: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("enrolment: %w", err)
	}
	return nil
}
