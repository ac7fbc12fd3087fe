package enrol

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/qrgate/qrgate/server/durable"
	"github.com/qrgate/qrgate/sync/wire"
)

// renewBefore is how long before its end a server certificate is replaced.
const renewBefore = 30 * 24 * time.Hour

// A ServerCertificate is the certificate with which a server answers kiosks. It
// renews itself. It is safe for concurrent use.
type ServerCertificate struct {
	ca    *CA
	dir   string
	names []string
	now   func() time.Time

	mu   sync.Mutex
	cert *tls.Certificate
}

// ServerCertificate returns the certificate for the given host names and IP
// addresses, kept in dir as server.pem and server.key, where an external broker
// may read it too. It is made anew if it is missing, was not issued by ca for
// these names, or ends within 30 days; the last is also checked at every
// handshake.
func (ca *CA) ServerCertificate(dir string, names []string, now func() time.Time) (*ServerCertificate, error) {
	s := &ServerCertificate{ca: ca, dir: dir, names: names, now: now}
	cert, err := tls.LoadX509KeyPair(s.path("server.pem"), s.path("server.key"))
	switch {
	case err == nil && s.fits(cert.Leaf):
		s.cert = &cert
		return s, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("enrol: server certificate: %w", err)
	}
	if err := s.renew(); err != nil {
		return nil, err
	}
	return s, nil
}

// Certificate returns the certificate, for use as tls.Config.GetCertificate.
func (s *ServerCertificate) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.fresh(s.cert.Leaf) {
		if err := s.renew(); err != nil {
			return nil, err
		}
	}
	return s.cert, nil
}

// End returns when the certificate ends, unless it is renewed before.
func (s *ServerCertificate) End() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cert.Leaf.NotAfter
}

func (s *ServerCertificate) path(name string) string { return filepath.Join(s.dir, name) }

func (s *ServerCertificate) fresh(c *x509.Certificate) bool {
	return s.now().Before(c.NotAfter.Add(-renewBefore))
}

func (s *ServerCertificate) fits(c *x509.Certificate) bool {
	var names []string
	names = append(names, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	want := slices.Clone(s.names)
	slices.Sort(names)
	slices.Sort(want)
	return s.fresh(c) && c.CheckSignatureFrom(s.ca.cert) == nil && slices.Equal(names, want)
}

func (s *ServerCertificate) renew() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("enrol: server key: %w", err)
	}
	der, err := s.ca.server(s.names, key.Public(), s.now())
	if err != nil {
		return err
	}
	keyPEM, err := privatePEM(key)
	if err != nil {
		return err
	}
	// A crash between the two leaves a pair that does not fit, which the next
	// start would refuse; so the old certificate goes first.
	if err := os.Remove(s.path("server.pem")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("enrol: server certificate: %w", err)
	}
	err = errors.Join(writeFile(s.path("server.key"), keyPEM, 0o600), writeFile(s.path("server.pem"), certPEM(der), 0o644))
	if err != nil {
		return err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("enrol: server certificate: %w", err)
	}
	s.cert = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
	return nil
}

// LinkTLS returns the settings with which this server connects to a broker, its
// own or an external one, under a name of role server: [ServerPrefix] and what
// tells its links apart, because one name has one connection. serverName is
// what the broker's certificate must be for. The client certificate lives in
// memory and is made anew before it ends.
func (ca *CA) LinkTLS(name, serverName string, now func() time.Time) (*tls.Config, error) {
	if !strings.HasPrefix(name, ServerPrefix) || !wire.ValidKiosk(name) {
		return nil, fmt.Errorf("enrol: %q names no server", name)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("enrol: link key: %w", err)
	}
	var mu sync.Mutex
	var cert *tls.Certificate
	var end time.Time
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		RootCAs:    ca.Pool(),
		ServerName: serverName,
		Time:       now,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			mu.Lock()
			defer mu.Unlock()
			if t := now(); cert == nil || t.After(end.Add(-LinkLife/2)) {
				der, err := ca.client(name, RoleServer, key.Public(), t, LinkLife)
				if err != nil {
					return nil, err
				}
				cert, end = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, t.Add(LinkLife)
			}
			return cert, nil
		},
	}, nil
}

func privatePEM(key any) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("enrol: private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// writeFile replaces a file durably and as a whole.
func writeFile(path string, b []byte, mode os.FileMode) error {
	if err := durable.ReplaceFor(path, b, mode); err != nil {
		return fmt.Errorf("enrol: write %s: %w", path, err)
	}
	return nil
}
