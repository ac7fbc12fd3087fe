package enrol

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"time"

	"github.com/qrgate/qrgate/sync/wire"
)

// Lifetimes of certificates.
const (
	CALife     = 20 * 365 * 24 * time.Hour
	ServerLife = 365 * 24 * time.Hour
	KioskLife  = 90 * 24 * time.Hour
	LinkLife   = 24 * time.Hour // of a server's own client certificate, which lives in memory

	// backdate makes a certificate valid for a kiosk whose clock is behind. A
	// kiosk takes NotBefore as proof that it is at least that late.
	backdate = 365 * 24 * time.Hour
)

// ServerPrefix begins the names of servers that connect to the broker. No kiosk
// may be called so: an external broker tells the two apart by name alone.
const ServerPrefix = "server-"

// A Role is what the holder of a client certificate may be.
type Role string

// The roles, as they stand in a certificate's organizational unit.
const (
	RoleKiosk  Role = "kiosk"
	RoleServer Role = "server"
)

// A CA issues the certificates of kiosks and servers. It is safe for concurrent
// use.
type CA struct {
	key  crypto.Signer
	cert *x509.Certificate
}

// newCA makes a certificate authority. The key is P-256 because that is what
// every TLS library takes from a CA.
func newCA(now time.Time) (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("enrol: CA key: %w", err)
	}
	pub, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("enrol: CA key: %w", err)
	}
	// Two installations must not have CAs of one name: TLS libraries look
	// issuers up by it.
	sum := sha256.Sum256(pub)
	t := template(pkix.Name{Organization: []string{"QRGate"}, CommonName: "QRGate CA " + hex.EncodeToString(sum[:4])}, now, CALife)
	t.IsCA, t.BasicConstraintsValid, t.MaxPathLenZero = true, true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("enrol: CA certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("enrol: CA certificate: %w", err)
	}
	return &CA{key: key, cert: cert}, nil
}

func template(subject pkix.Name, now time.Time, life time.Duration) *x509.Certificate {
	serial := make([]byte, 16)
	rand.Read(serial)
	serial[0] &= 0x7f // a serial number is positive
	return &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial),
		Subject:      subject,
		NotBefore:    now.Add(-backdate),
		NotAfter:     now.Add(life),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

// Certificate returns the CA's own certificate as PEM, which kiosks pin.
func (ca *CA) Certificate() []byte { return certPEM(ca.cert.Raw) }

// End returns when the CA's own certificate ends.
func (ca *CA) End() time.Time { return ca.cert.NotAfter }

// Pool returns a pool that holds the CA alone.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return pool
}

// Kiosk issues the client certificate of kiosk id for the key that also signs
// its batches, valid for [KioskLife], as PEM.
func (ca *CA) Kiosk(id string, public ed25519.PublicKey, now time.Time) ([]byte, error) {
	if !wire.ValidKiosk(id) || strings.HasPrefix(id, ServerPrefix) {
		return nil, fmt.Errorf("enrol: %q names no kiosk", id)
	}
	if len(public) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("enrol: kiosk %s: public key of %d bytes", id, len(public))
	}
	t := clientTemplate(id, RoleKiosk, now, KioskLife)
	t.SerialNumber = serialOf(public, now)
	der, err := ca.issue(t, public)
	if err != nil {
		return nil, err
	}
	return certPEM(der), nil
}

func (ca *CA) client(name string, role Role, public crypto.PublicKey, now time.Time, life time.Duration) ([]byte, error) {
	return ca.issue(clientTemplate(name, role, now, life), public)
}

func clientTemplate(name string, role Role, now time.Time, life time.Duration) *x509.Certificate {
	t := template(pkix.Name{CommonName: name, OrganizationalUnit: []string{string(role)}}, now, life)
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return t
}

func (ca *CA) server(names []string, public crypto.PublicKey, now time.Time) ([]byte, error) {
	if len(names) == 0 {
		return nil, errors.New("enrol: server certificate without a name")
	}
	t := template(pkix.Name{CommonName: names[0]}, now, ServerLife)
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	return ca.issue(t, public)
}

func (ca *CA) issue(t *x509.Certificate, public crypto.PublicKey) ([]byte, error) {
	der, err := x509.CreateCertificate(rand.Reader, t, ca.cert, public, ca.key)
	if err != nil {
		return nil, fmt.Errorf("enrol: issue %s: %w", t.Subject.CommonName, err)
	}
	return der, nil
}

// Identify returns whose client certificate c is. It does not verify c; TLS
// has done so. Every certificate that [CA.Kiosk] and [CA.LinkTLS] did not make
// is refused.
func Identify(c *x509.Certificate) (id string, role Role, err error) {
	id = c.Subject.CommonName
	if len(c.Subject.OrganizationalUnit) != 1 || !wire.ValidKiosk(id) {
		return "", "", errors.New("enrol: certificate names no kiosk and no server")
	}
	role = Role(c.Subject.OrganizationalUnit[0])
	switch server := strings.HasPrefix(id, ServerPrefix); {
	case role == RoleServer && server:
	case role == RoleKiosk && !server:
		if _, ok := c.PublicKey.(ed25519.PublicKey); !ok {
			return "", "", errors.New("enrol: kiosk certificate without an Ed25519 key")
		}
	default:
		return "", "", errors.New("enrol: certificate's name is not one of its role")
	}
	return id, role, nil
}

// PublicFromCSR returns the key that a PKCS#10 request (DER) asks a kiosk
// certificate for, after checking that the sender holds the private key. What
// the request says beside it is not used.
func PublicFromCSR(der []byte) (ed25519.PublicKey, error) {
	if len(der) > maxCSR {
		return nil, fmt.Errorf("enrol: request of %d bytes", len(der))
	}
	r, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("enrol: request: %w", err)
	}
	public, ok := r.PublicKey.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("enrol: request for a key of type %s, want Ed25519", r.PublicKeyAlgorithm)
	}
	if err := r.CheckSignature(); err != nil {
		return nil, fmt.Errorf("enrol: request: %w", err)
	}
	return public, nil
}

const maxCSR = 4096

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
