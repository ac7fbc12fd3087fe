package enrol

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// RenewFor is how long after its end a certificate may still be renewed: a school's
// kiosk is off all summer.
const RenewFor = 400 * 24 * time.Hour

// ErrEnded is returned for a certificate that ended too long ago.
var ErrEnded = errors.New("ended too long ago")

// Renewable reports why a certificate (PEM) of kiosk id cannot be renewed: it is not
// one that this CA issued to the kiosk for the key, or its end was more than
// [RenewFor] before now, which is [ErrEnded].
func (ca *CA) Renewable(cert []byte, id string, public ed25519.PublicKey, now time.Time) error {
	block, _ := pem.Decode(cert)
	if block == nil {
		return errors.New("enrol: renew: no certificate")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return fmt.Errorf("enrol: renew: %w", err)
	}
	if err := c.CheckSignatureFrom(ca.cert); err != nil {
		return fmt.Errorf("enrol: renew: %w", err)
	}
	name, role, err := Identify(c)
	if err != nil {
		return err
	}
	if name != id || role != RoleKiosk || !public.Equal(c.PublicKey) {
		return fmt.Errorf("enrol: renew: certificate is not that of %s", id)
	}
	if now.After(c.NotAfter.Add(RenewFor)) {
		return fmt.Errorf("enrol: renew: %s: %w", c.NotAfter.Format(time.DateOnly), ErrEnded)
	}
	return nil
}

// Raw returns the CA's own certificate as DER.
func (ca *CA) Raw() []byte { return ca.cert.Raw }
